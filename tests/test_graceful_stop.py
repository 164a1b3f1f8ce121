"""A stop under load: what came is answered, the end comes in time, and a second signal ends everything at once."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fixtures.leads import fake_leads
from tests.receivers import Receiver, listening
from tests.running import PATIENCE, Client, Running, alive, sandbox, wait_until, written

pytestmark = pytest.mark.long

CALLERS = 24
LATENCY = 1500  # milliseconds that the slow buyer takes: long enough for the stop to come while all wait for it
ENDLESS = 120.0  # seconds that the silent buyer has; nothing here may take as long

_seeds = itertools.count(7000)


def buyer(name: str, seconds: float, **persona: object) -> dict[str, object]:
    return {"id": name, "ping_timeout": seconds, "persona": {"persona": "eager", **persona}}


def campaign(name: str, one: dict[str, object]) -> dict[str, object]:
    fields = [{"name": "state", "type": "state", "required": ["ping", "post", "form"]}]
    source = {"id": f"src_{name}", "link_id": f"lnk_{name}", "fields": fields}
    return {"id": f"cmp_{name}", "buyers": [one], "sources": [source]}


@pytest.fixture
def config(tmp_path: Path) -> str:
    slow = buyer("slow_buyer", 60, latency={"kind": "fixed", "ms": LATENCY})
    silent = buyer("silent_buyer", ENDLESS, persona="silent")
    return written(tmp_path, {"pingtree": {"campaigns": [campaign("slow", slow), campaign("silent", silent)]}})


@contextlib.contextmanager
def up(config: str, *more: str) -> Iterator[Running]:
    with sandbox("--config", config, "--db", ":memory:", "--threads", "64", *more) as running:
        yield running


@dataclass
class Desk:
    """Opens connections, and closes them in the end."""

    stack: contextlib.ExitStack

    def client(self, running: Running) -> Client:
        client = Client(running.base_url)
        self.stack.callback(client.close)
        return client

    def plain(self, running: Running) -> http.client.HTTPConnection:
        """Return one that shows the headers of its answers."""
        parts = urlsplit(running.base_url)
        client = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE)
        self.stack.callback(client.close)
        return client

    def asked(self, running: Running, name: str) -> Client:
        """Send a ping whose answer takes as long as the one buyer."""
        client = self.client(running)
        ask(client, running, name)
        return client


@pytest.fixture
def desk() -> Iterator[Desk]:
    with contextlib.ExitStack() as stack:
        yield Desk(stack)


def ask(client: Client, running: Running, name: str) -> None:
    [lead] = fake_leads("pingtree", 1, seed=next(_seeds))
    token = running.credentials(f"lnk_{name}")["ping"]
    client.ask(f"/api/lead/ping/lnk_{name}", {"state": lead["state"]}, {"Authorization": f"Bearer {token}"})


def ask_plainly(client: http.client.HTTPConnection, running: Running, **headers: str) -> None:
    token = running.credentials("lnk_slow")["ping"]
    headers |= {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    client.request("POST", "/api/lead/ping/lnk_slow", json.dumps({"state": "TX"}), headers)


def waiting_at(running: Running, name: str) -> int:
    """Return how many pings a mock buyer has received."""
    client = Client(str(running.welcome["mock_buyers"]))
    counters = client.get(f"/__buyers/pingtree/default/{name}/received")[1]["counters"]
    client.close()
    return int(counters.get("received", 0))


def takes_connections(running: Running) -> bool:
    parts = urlsplit(running.base_url)
    with contextlib.suppress(OSError), socket.create_connection((str(parts.hostname), parts.port or 0), timeout=5):
        return True
    return False


@pytest.mark.parametrize("more", [(), ("--direct",)], ids=["relay", "direct"])
def test_every_request_that_came_before_the_stop_is_answered(config: str, desk: Desk, more: tuple[str, ...]) -> None:
    with up(config, "--stop-timeout", "60", *more) as running:
        victims = running.tree()
        clients = [desk.asked(running, "slow") for _ in range(CALLERS)]
        wait_until(lambda: waiting_at(running, "slow_buyer") == CALLERS, "all wait for the buyer")
        running.process.send_signal(signal.SIGTERM)
        answers = [client.answer() for client in clients]
        assert [status for status, _ in answers] == [201] * CALLERS
        assert {body["data"]["leadStatus"] for _, body in answers} == {"ping_accept"}
        assert running.process.wait(60) == 0
        assert alive(victims) == []


@pytest.mark.parametrize("more", [(), ("--direct",)], ids=["relay", "direct"])
def test_who_is_answered_during_a_stop_hears_that_the_connection_ends(
    config: str, desk: Desk, more: tuple[str, ...]
) -> None:
    with up(config, "--stop-timeout", "60", *more) as running:
        client = desk.plain(running)
        client.request("GET", "/healthz")
        first = client.getresponse()
        assert (first.read() != b"", first.getheader("Connection")) == (True, None)
        ask_plainly(client, running)
        wait_until(lambda: waiting_at(running, "slow_buyer") == 1, "it waits for the buyer")
        running.process.send_signal(signal.SIGTERM)
        last = client.getresponse()
        assert (last.status, last.getheader("Connection")) == (201, "close")
        assert running.process.wait(60) == 0


@pytest.mark.parametrize("more", [(), ("--direct",)], ids=["relay", "direct"])
def test_a_stop_resets_nobody_who_asks_again_and_again(config: str, desk: Desk, more: tuple[str, ...]) -> None:
    def ask_until_the_end() -> None:
        client = desk.client(running)
        with contextlib.suppress(ConnectionRefusedError):  # opened anew after its connection was said to end
            while True:
                try:
                    answered.append(client.get("/healthz")[0])
                except ConnectionRefusedError:
                    raise
                except (OSError, http.client.HTTPException) as error:
                    cut.append(error)
                    return

    for _ in range(3):  # a client that gets no turn for a quarter of a second is cut, which may be the machine's fault
        answered: list[int] = []
        cut: list[Exception] = []
        with up(config, *more) as running:
            threads = [threading.Thread(target=ask_until_the_end) for _ in range(8)]
            for thread in threads:
                thread.start()
            wait_until(lambda: len(answered) > 200, "all are at it")  # noqa: B023  called at once
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(PATIENCE) == 0
            for thread in threads:
                thread.join(PATIENCE)
        assert set(answered) == {200}
        if not cut:
            return
    pytest.fail(f"{len(cut)} of 8 clients were cut: {cut[0]!r}")


def test_a_request_that_had_been_sent_and_not_yet_read_is_answered_too(config: str, desk: Desk) -> None:
    with up(config, "--stop-timeout", "60") as running:
        clients = [desk.client(running) for _ in range(CALLERS)]
        for client in clients:
            assert client.get("/healthz")[0] == 200  # they are idle connections, which a stop closes
        for client in clients:
            ask(client, running, "slow")
        running.process.send_signal(signal.SIGTERM)
        assert [client.answer()[0] for client in clients] == [201] * CALLERS


@pytest.mark.parametrize("more", [(), ("--direct",)], ids=["relay", "direct"])
def test_what_takes_longer_than_the_stop_timeout_is_cut(config: str, desk: Desk, more: tuple[str, ...]) -> None:
    with up(config, "--stop-timeout", "3", *more) as running:
        victims = running.tree()
        client = desk.asked(running, "silent")
        wait_until(lambda: waiting_at(running, "silent_buyer") == 1, "it waits for the buyer")
        running.process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        with pytest.raises((ConnectionError, OSError)):
            client.answer()
        assert running.process.wait(ENDLESS) == 0
        assert time.monotonic() - start < ENDLESS / 2
        assert alive(victims) == []


def test_an_answer_that_a_trigger_holds_back_for_longer_goes_at_the_stop(config: str, desk: Desk) -> None:
    with up(config, "--stop-timeout", "20") as running:
        client = desk.plain(running)
        ask_plainly(client, running, **{"X-Sandbox-Trigger": "slow=120000"})
        other = desk.client(running)
        wait_until(lambda: other.get("/__sandbox/requests/count")[1]["count"] == 1, "it was answered, and is held back")
        running.process.send_signal(signal.SIGTERM)
        last = client.getresponse()
        assert (last.status, last.getheader("Connection")) == (201, "close")
        assert running.process.wait(60) == 0


def test_what_follows_an_answer_that_is_held_back_at_the_stop_is_answered_too(config: str, desk: Desk) -> None:
    with up(config, "--stop-timeout", "20") as running:
        parts, token = urlsplit(running.base_url), running.credentials("lnk_slow")["ping"]
        with socket.create_connection((str(parts.hostname), parts.port), PATIENCE) as client:
            head = f"POST /api/lead/ping/lnk_slow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
            body = 'Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{"state":"TX"}'
            client.sendall(f"{head}X-Sandbox-Trigger: slow=120000\r\n{body}{head}{body}".encode())
            other = desk.client(running)
            wait_until(lambda: other.get("/__sandbox/requests/count")[1]["count"] == 1, "one is held back")
            running.process.send_signal(signal.SIGTERM)
            answers = b"".join(iter(lambda: client.recv(65536), b""))
        assert answers.count(b"HTTP/1.1 201 ") == 2
        assert answers.count(b"Connection: close") == 1
        assert running.process.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_everything_at_once(config: str, desk: Desk, number: signal.Signals) -> None:
    with up(config, "--stop-timeout", "600") as running:
        victims = running.tree()
        desk.asked(running, "silent")
        wait_until(lambda: waiting_at(running, "silent_buyer") == 1, "it waits for the buyer")
        running.process.send_signal(number)
        wait_until(lambda: not takes_connections(running), "the stop has begun")
        assert running.process.poll() is None
        running.process.send_signal(number)
        assert running.process.wait(ENDLESS / 2) == 0
        wait_until(lambda: not alive(victims), "all its programs are gone")
        assert "ended at once" in running.stderr


def test_a_body_that_never_comes_does_not_hold_up_the_stop(config: str) -> None:
    with up(config, "--stop-timeout", "600") as running, contextlib.ExitStack() as stack:
        parts = urlsplit(running.base_url)
        for _ in range(10):
            sock = stack.enter_context(socket.create_connection((str(parts.hostname), parts.port or 0)))
            sock.sendall(b"POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0


@pytest.mark.parametrize("shared", [False, True], ids=["one process", "workers"])
def test_a_webhook_that_a_stop_meets_on_its_way_arrives_and_is_not_sent_again(
    tmp_path: Path, shared: bool, request: pytest.FixtureRequest
) -> None:
    database = request.getfixturevalue("postgres_server").database() if shared else str(tmp_path / "sandbox.db")
    stopping: list[Running] = []

    def stop_first(_headers: Mapping[str, str], _raw: bytes) -> int:
        if stopping:
            running = stopping.pop()
            running.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not takes_connections(running), "the stop has begun")
            time.sleep(0.3)  # nobody else has anything to wait for
        return 200

    with listening(Receiver(stop_first)) as receiver:
        options = ["--config", written(tmp_path, told_by_webhook(receiver.url)), "--db", database]
        with sandbox(*options, *(["--workers", "2"] if shared else [])) as running:
            stopping.append(running)
            ingest(running)
            assert running.process.wait(PATIENCE) == 0
        with sandbox(*options) as running, contextlib.closing(Client(running.base_url)) as client:
            [delivery] = client.get("/__sandbox/deliveries")[1]["deliveries"]
            assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
        assert len(receiver.seen) == 1


def test_what_was_sold_before_a_stop_is_told_while_other_calls_are_answered(tmp_path: Path, desk: Desk) -> None:
    """A store in memory has no next start that could."""
    silent = campaign("silent", buyer("silent_buyer", ENDLESS, persona="silent"))
    with listening(Receiver()) as receiver:
        config = written(tmp_path, {"pingtree": {"campaigns": [silent]}, **told_by_webhook(receiver.url)})
        with up(config, "--stop-timeout", "10") as running:
            desk.asked(running, "silent")
            wait_until(lambda: waiting_at(running, "silent_buyer") == 1, "it waits for the buyer")
            for _ in range(5):
                ingest(running)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(PATIENCE) == 0
        assert len(receiver.seen) == 5


def told_by_webhook(url: str) -> dict[str, object]:
    supplier = {"id": "supplier_one", "api_key": "key_one", "campaigns": ["told"]}
    buyers = [{"id": "buyer_one", "price": 10, "webhook": {"url": url, "secret": "0" * 64}}]
    return {"leaddistro": {"suppliers": [supplier], "campaigns": [{"id": "told", "buyers": buyers}]}}


def ingest(running: Running) -> None:
    [lead] = fake_leads("leaddistro", 1, seed=next(_seeds))
    ids = {"flo_campaign_id": "told", "flo_supplier_id": "supplier_one"}
    with contextlib.closing(Client(running.base_url)) as client:
        assert client.post("/api/v1/ingest", ids | lead, {"x-api-key": "key_one"})[0] == 201
