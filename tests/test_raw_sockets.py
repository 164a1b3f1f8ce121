"""A sandbox under a fuzzer on raw sockets: it answers what is documented, goes on answering others, and leaks nothing.

`make fuzz` runs it longer, with dice of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self
from urllib.parse import urlsplit

import pytest
import yaml

from fixtures.leads import fake_leads
from simulator.contract.model import Contract, Row, in_force, words
from simulator.platforms import CONTRACTS
from tests import raw_requests
from tests.programs import missing
from tests.raw_requests import SHAPES, Good, Sending
from tests.running import Client, Running, sandbox, wait_until, written
from tests.sandbox import _validator

pytestmark = pytest.mark.long

SENDINGS = int(os.environ.get("LEADSANDBOX_FUZZ_SENDINGS", "700"))
SEED = int(os.environ.get("LEADSANDBOX_FUZZ_SEED", "7"))
AT_ONCE = 40
THREADS = 8  # of the simulator: few, so that it shows when somebody holds them
PATIENCE = 60.0
BUILT_IN = Path(__file__).parent.parent / "fixtures" / "sandboxes" / "built-in.yaml"
ROOM = 64 * 1024 * 1024  # bytes by which a process may have grown: allocators keep some, a leak of bodies is far more
ANY_JSON = {"application/json", "application/problem+json"}

_seeds = itertools.count(90_000)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    config = yaml.safe_load(BUILT_IN.read_text("utf-8"))
    for supplier in config["leaddistro"]["suppliers"]:
        supplier["limits"] = {"ping": None, "ingest": None, "lookup": None}
    folder = tmp_path_factory.mktemp("raw")
    file, database = written(folder, config), str(folder / "sandbox.db")
    options = ("--threads", str(THREADS), "--journal-bytes", "4000000", "--db", database, "--config", file)
    with sandbox(*options) as running:
        yield running
        assert "Traceback" not in running.stderr


def address_of(running: Running) -> tuple[str, int]:
    parts = urlsplit(running.base_url)
    return str(parts.hostname), int(parts.port or 0)


# --- what a process holds -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """What one process holds."""

    descriptors: int
    threads: int
    memory: int  # bytes

    def is_within(self, was: Held) -> bool:
        fits = self.descriptors <= was.descriptors and self.threads <= was.threads
        return fits and self.memory < was.memory + ROOM


def held(running: Running) -> dict[int, Held]:
    if not Path("/proc/self/fd").exists():
        missing("this system does not list what processes hold")
    return {pid: _held(pid) for pid in running.tree()}


def _held(pid: int) -> Held:
    process = Path(f"/proc/{pid}")
    resident = int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Held(len(list((process / "fd").iterdir())), len(list((process / "task").iterdir())), resident)


def is_back(running: Running, before: dict[int, Held]) -> bool:
    """Whether every process holds no more descriptors and threads than before, and not much more memory."""
    now = held(running)
    return now.keys() == before.keys() and all(
        now[pid].descriptors <= was.descriptors
        and now[pid].threads <= was.threads
        and now[pid].memory < was.memory + ROOM
        for pid, was in before.items()
    )


def wait_for_what_was_held(running: Running, before: dict[int, Held]) -> None:
    with contextlib.suppress(AssertionError):
        wait_until(lambda: is_back(running, before), "what they held is given back")
    assert is_back(running, before), f"before: {before}; now: {held(running)}"


def warmed_up(running: Running) -> dict[int, Held]:
    """Return what is held once every thread has worked: they are started, and open their files, when first needed."""
    clients = [Client(running.base_url) for _ in range(THREADS * 4)]
    for _ in range(3):
        for number, client in enumerate(clients):
            client.ask(*(ping(running) if number % 2 else ingest(running)))
        assert {client.answer()[0] for client in clients} <= {200, 201}
    for _ in range(20):  # these have threads
        for client in clients:
            client.ask("/__sandbox/clock", {}, {})
        assert {client.answer()[0] for client in clients} == {400}
    for client in clients:
        client.close()
    seen: list[dict[int, Held]] = []

    def is_quiet() -> bool:
        seen.append(held(running))
        time.sleep(0.3)
        return len(seen) > 3 and _rest(seen[-1]) == _rest(seen[-2]) == _rest(seen[-3])

    wait_until(is_quiet, "the sandbox is at rest")
    return seen[-1]


def _rest(what: dict[int, Held]) -> dict[int, tuple[int, int]]:
    return {pid: (item.descriptors, item.threads) for pid, item in what.items()}


# --- good requests --------------------------------------------------------------------------------------------


def ingest(running: Running) -> tuple[str, dict[str, object], dict[str, str]]:
    [lead] = fake_leads("leaddistro", 1, seed=next(_seeds))
    who = {"flo_campaign_id": "campaign_abc123", "flo_supplier_id": "supplier_xyz789"}
    return "/api/v1/ingest", who | lead, {"x-api-key": running.credentials("supplier_xyz789")["api_key"]}


def ping(running: Running) -> tuple[str, dict[str, object], dict[str, str]]:
    token = running.credentials("lnk_abc123xyz")["ping"]
    fields: dict[str, object] = {"state": "CA", "zip_code": "90001"}
    return "/api/lead/ping/lnk_abc123xyz", fields, {"Authorization": f"Bearer {token}"}


def good_requests(running: Running) -> list[Good]:
    path, body, headers = ingest(running)
    json_body = (b"Content-Type: application/json",)
    key = tuple(f"{name}: {value}".encode() for name, value in headers.items())
    tokens = running.credentials("lnk_abc123xyz")
    ping = (f"Authorization: Bearer {tokens['ping']}".encode(), *json_body)
    form = (f"Authorization: Bearer {tokens['form']}".encode(),)
    return [
        Good(f"POST {path} HTTP/1.1".encode(), key + json_body, json.dumps(body).encode()),
        Good(b"POST /api/lead/ping/lnk_abc123xyz HTTP/1.1", ping, b'{"state": "CA", "zip_code": "90001"}'),
        Good(b"GET /api/lead/add/lnk_abc123xyz?state=CA&first_name=Jane HTTP/1.1", form),
        Good(b"GET /api/v1/leads/lookup?phone=2125550100 HTTP/1.1", key),
        Good(b"POST /nowhere/at/all HTTP/1.1", (), b"x=y"),
        Good(b"GET /__sandbox/clock HTTP/1.1"),
    ]


# --- the fuzzer -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    """One answer, and what had been sent."""

    sending: Sending
    status: int
    media_type: str
    body: bytes


@dataclass
class Fuzzer:
    """Sends, so many at once, and keeps every answer."""

    address: tuple[str, int]
    heard: list[Heard] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def run(self, sendings: Sequence[tuple[int, Sending]]) -> None:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, sending: Sending) -> None:
            async with places:
                try:
                    async with asyncio.timeout(PATIENCE):
                        await self._send(sending)
                except TimeoutError:
                    self.faults.append(f"{number} {sending.shape}: neither answer nor end: {sending.pieces!r}"[:600])

        await asyncio.gather(*(one(number, sending) for number, sending in sendings))

    async def _send(self, sending: Sending) -> None:
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            with contextlib.suppress(ConnectionError):
                for piece in sending.pieces:
                    writer.write(piece)
                    await writer.drain()
                    if len(sending.pieces) > 1:
                        await asyncio.sleep(0)
                if sending.half_closes:
                    writer.write_eof()
            if not sending.leaves:
                await self._hear(sending, reader)
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _hear(self, sending: Sending, reader: asyncio.StreamReader) -> None:
        """Read answers until as many came as must, or the other end hangs up."""
        count = 0
        while sending.answers is None or count < sending.answers:
            try:
                answer = await _answer(reader)
            except ConnectionError:
                break
            if answer is None:
                break
            if answer[0] == 100:
                continue
            count += 1
            self.heard.append(Heard(sending, *answer))
        if sending.answers is not None and count != sending.answers:
            self.faults.append(f"{sending.shape}: {count} answers to {sending.pieces!r}"[:900])


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str, bytes] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise AssertionError(f"half an answer: {error.partial!r}") from None
        return None
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    status = int(lines[0].split(" ")[1])
    body = await reader.readexactly(int(fields.get("content-length", 0)))
    return status, fields.get("content-type", "").partition(";")[0], body


# --- the judge ------------------------------------------------------------------------------------------------


class Judge:
    """Knows every documented answer under the default readings."""

    def __init__(self) -> None:
        self._rows: dict[int, list[tuple[Contract, Row]]] = {}
        for contract in CONTRACTS.values():
            for row in contract.rows:
                if in_force(row.reading, words(contract.readings())):
                    self._rows.setdefault(row.http, []).append((contract, row))
        self._seen: set[tuple[int, str]] = set()

    def fault(self, heard: Heard) -> str:
        """Return what is wrong with an answer, "" for nothing."""
        wanted = heard.sending.statuses or {heard.status}
        faults = {
            f"a {heard.status} that nobody asked for": heard.status >= 500,
            f"{heard.status} as {heard.media_type!r}, {len(heard.body)} bytes": heard.media_type not in ANY_JSON
            or not heard.body,
            f"a {heard.status}, and not {set(wanted)}": heard.status not in wanted,
        }
        found = next((what for what, is_so in faults.items() if is_so), "")
        return found or ("" if self._is_known(heard) else f"an undocumented {heard.status}")

    def _is_known(self, heard: Heard) -> bool:
        shape = heard.status, re.sub(r"[0-9A-Fa-f-]{6,}|\d+", "", heard.body.decode())
        if shape not in self._seen and not self._is_documented(heard):
            return False
        self._seen.add(shape)
        return True

    def _is_documented(self, heard: Heard) -> bool:
        body = json.loads(heard.body)
        if heard.media_type == "application/problem+json":  # the control API's own words
            return bool(heard.status == body["status"])
        if body.keys() == {"tenant", "now", "frozen"}:  # the sandbox's own clock, which is asked too
            return heard.status == 200
        return any(
            _validator(contract.schema_for(row, words(contract.readings()))).is_valid(body)
            for contract, row in self._rows.get(heard.status, ())
        )


class Bystander:
    """Sends good leads all the time, and wants every one taken."""

    def __init__(self, running: Running) -> None:
        self.statuses: Counter[int] = Counter()
        self.error: Exception | None = None
        self._running = running
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        client = Client(self._running.base_url)
        try:
            while not self._over.wait(0.02):
                self.statuses[client.post(*ingest(self._running))[0]] += 1
        except Exception as error:  # noqa: BLE001  told by the test's own thread
            self.error = error
        finally:
            client.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)

    def is_served(self, times: int) -> bool:
        return self.error is not None or sum(self.statuses.values()) >= times


# --- the tests ------------------------------------------------------------------------------------------------


def opened(running: Running, count: int, sent: bytes, stack: contextlib.ExitStack) -> list[socket.socket]:
    socks = []
    for _ in range(count):
        sock = stack.enter_context(socket.create_connection(address_of(running), timeout=PATIENCE))
        sock.sendall(sent)
        socks.append(sock)
    return socks


ANNOUNCED = b"POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


def test_a_body_that_is_announced_and_never_sent_holds_nobody_up(up: Running) -> None:
    before = warmed_up(up)
    with contextlib.ExitStack() as stack:
        slow = opened(up, THREADS * 10, ANNOUNCED, stack)
        with Bystander(up) as bystander:
            wait_until(lambda: bystander.is_served(100), "a hundred others are answered")
        assert bystander.error is None
        assert set(bystander.statuses) <= {200, 201}
        answers = [_read(sock) for sock in slow]
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 400"}
        assert all(b"validation_failed" in answer and b"did not arrive in time" in answer for answer in answers)
    wait_for_what_was_held(up, before)


def _read(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_a_thousand_idle_connections_hold_nobody_up(up: Running) -> None:
    before = warmed_up(up)
    with contextlib.ExitStack() as stack:
        opened(up, 600, b"", stack)
        opened(up, 400, b"GET /api/v1/leads/lookup HTTP/1.1\r\nHost: x\r\nX-Slow", stack)
        with Bystander(up) as bystander:
            wait_until(lambda: bystander.is_served(100), "a hundred others are answered")
        assert bystander.error is None
        assert set(bystander.statuses) <= {200, 201}
    wait_for_what_was_held(up, before)


def test_whatever_bytes_come_the_answers_are_documented_and_nothing_is_left_behind(up: Running) -> None:
    goods = good_requests(up)
    first = Fuzzer(address_of(up))  # makes every thread read large bodies once: allocators keep what that took
    asyncio.run(first.run([(number, _made(number, goods)) for number in range(-SENDINGS // 5, 0)]))
    before = warmed_up(up)
    sendings = [(number, _made(number, goods)) for number in range(SENDINGS)]
    fuzzer, judge = Fuzzer(address_of(up)), Judge()
    with contextlib.ExitStack() as stack, Bystander(up) as bystander:
        opened(up, THREADS * 4, ANNOUNCED, stack)
        asyncio.run(fuzzer.run(sendings))
        wait_until(lambda: bystander.is_served(50), "others were answered in the meantime")
    faults = fuzzer.faults + [
        f"{heard.sending.shape}: {why}: {b''.join(heard.sending.pieces)[:400]!r} → {heard.body[:300]!r}"
        for heard in fuzzer.heard
        if (why := judge.fault(heard))
    ]
    assert not faults, "\n".join(faults)
    assert {shape.__name__.replace("_", " ") for shape in SHAPES} == {item.shape for _, item in sendings}
    assert len(fuzzer.heard) > SENDINGS / 2
    assert bystander.error is None
    assert set(bystander.statuses) <= {200, 201}
    wait_for_what_was_held(up, before)


def _made(number: int, goods: Sequence[Good]) -> Sending:
    dice = Random(f"{SEED} {number}")
    return SHAPES[number % len(SHAPES)](dice, dice.choice(goods))


def test_the_same_seed_sends_the_same_bytes() -> None:
    goods = [Good(b"POST /x HTTP/1.1", (b"A: b",), b"body"), Good(b"GET /y HTTP/1.1")]
    assert [_made(number, goods) for number in range(60)] == [_made(number, goods) for number in range(60)]
    assert raw_requests.SMUGGLED in b"".join(raw_requests.smuggling(Random(1), goods[0]).pieces)
