"""The relay as clients on raw sockets see it, in front of a small server that says what a test wants it to say."""

from __future__ import annotations

import base64
import contextlib
import http.server
import itertools
import json
import os
import random
import select
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Response

from fixtures.leads import fake_leads
from simulator.web import wire_faults
from simulator.wire.faults import HEADER, LONGEST_MS, Kind, drawn, parse
from simulator.wire.framing import Responses
from simulator.wire.heads import Head
from simulator.wire.heads import read as read_head
from simulator.wire.intake import Intake, Part
from simulator.wire.patience import FREE, Room
from tests.postgres import Postgres
from tests.programs import missing
from tests.running import Running, alive, environment, run, sandbox, wait_until, written

pytestmark = pytest.mark.long

PATIENCE = 30.0
Address = tuple[str, int]


class _Answering(http.server.BaseHTTPRequestHandler):
    """Answers with the bytes in `X-Answer` (base64), or else with the request's own body."""

    protocol_version = "HTTP/1.1"
    asked: list[str]
    refused: list[str]

    def do_GET(self) -> None:
        body = self._body()
        self.asked.append(self.command)
        if why := self.headers.get("X-Sandbox-Refused"):
            self.refused.append(why)
        if size := int(self.headers.get("X-Size", 0)):
            body = bytes(size)
        said = self.headers.get("X-Answer")
        if said is not None:
            self.wfile.write(base64.b64decode(said))
        else:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if word := self.headers.get("X-Fault"):
                self.send_header("x-sandbox-wire", word)
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")
        if self.headers.get("X-Then") == "close":
            self.close_connection = True

    do_POST = do_HEAD = do_GET  # noqa: N815  the names are the base class's

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def address_string(self) -> str:
        return "a client"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().finish()


class _Upstream(socketserver.ThreadingUnixStreamServer):
    request_queue_size = 1024

    def __init__(self, path: str) -> None:
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.accepted: list[socket.socket] = []
        super().__init__(path, type("_", (_Answering,), {"asked": self.asked, "refused": self.refused}))

    def get_request(self) -> tuple[socket.socket, str]:
        sock, address = super().get_request()
        self.accepted.append(sock)
        return sock, str(address)


@dataclass
class Stage:
    """A relay with the server behind it."""

    address: Address
    relay: subprocess.Popen[bytes]
    upstream: _Upstream
    parent: int

    def connect(self) -> socket.socket:
        return connect(self.address)


def connect(address: Address) -> socket.socket:
    return socket.create_connection(address, timeout=PATIENCE)


@contextlib.contextmanager
def started_relay(
    upstream: str, *, fd_limit: int | None = None, options: Sequence[str] = ()
) -> Iterator[tuple[Address, subprocess.Popen[bytes], int]]:
    """Run a relay; give its address, the process and the writing end of the pipe that keeps it alive."""
    reading, writing = os.pipe()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        command = [sys.executable, "-m", "simulator.wire", "--fd", str(listening.fileno())]
        command += ["--upstream", upstream, "--parent-fd", str(reading), *options]
        if fd_limit:
            command = ["sh", "-c", f'ulimit -n {fd_limit}; exec "$@"', "sh", *command]
        relay = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(listening.fileno(), reading))
        address = listening.getsockname()
    os.close(reading)
    assert relay.stdout is not None
    try:
        assert json.loads(relay.stdout.readline())["ready"]
        yield address, relay, writing
    finally:
        relay.kill()
        relay.wait()
        relay.stdout.close()
        with contextlib.suppress(OSError):
            os.close(writing)


@contextlib.contextmanager
def started_upstream(path: str) -> Iterator[_Upstream]:
    with _Upstream(path) as upstream:
        thread = threading.Thread(target=upstream.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield upstream
        upstream.shutdown()
        for sock in upstream.accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def started_stage() -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        path = f"{stack.enter_context(tempfile.TemporaryDirectory())}/s"
        upstream = stack.enter_context(started_upstream(path))
        address, relay, parent = stack.enter_context(started_relay(f"unix:{path}"))
        yield Stage(address, relay, upstream, parent)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with started_stage() as made:
        yield made


@pytest.fixture
def own_stage() -> Iterator[Stage]:
    """For tests that end the relay."""
    with started_stage() as made:
        yield made


def request(body: bytes = b"", method: str = "POST", **headers: str) -> bytes:
    fields = {"Host": "sandbox", "Content-Length": str(len(body))} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    lines = [f"{method} /x HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def saying(answer: bytes, method: str = "POST", **headers: str) -> bytes:
    """A request whose response is exactly these bytes."""
    return request(b"", method, X_Answer=base64.b64encode(answer).decode(), **headers)


def response(sock: socket.socket, *, head_only: bool = False) -> tuple[bytes, bytes]:
    """Read one response framed by Content-Length; return head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(sock, data)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(_field(head, b"content-length") or b"0")
    while not head_only and len(body) < length:
        body += _some(sock, data)
    return head, body


def _some(sock: socket.socket, before: bytes) -> bytes:
    part = sock.recv(1 << 20)
    assert part, f"the connection ended after {before[-200:]!r}"
    return part


def _field(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        field, _, value = line.partition(b":")
        if field.lower() == name:
            return value.strip()
    return None


def until_end(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def exactly(sock: socket.socket, wanted: bytes) -> None:
    got = b""
    while len(got) < len(wanted):
        got += _some(sock, got)
    assert got == wanted


def seconds(stage_: Stage, message: bytes) -> tuple[float, bytes]:
    with stage_.connect() as sock:
        start = time.monotonic()
        sock.sendall(message)
        data = until_end(sock)
        return time.monotonic() - start, data


# What passes.


def test_bytes_pass_unchanged_both_ways(stage: Stage) -> None:
    answer = b"HTTP/1.1 207 Odd  Reason\r\nx-ODD:\tas is \r\ncontent-LENGTH: 3\r\nA: 1\r\nA: 2\r\n\r\nabc"
    with stage.connect() as sock:
        sock.sendall(saying(answer))
        exactly(sock, answer)


def test_a_connection_stays_open_for_many_requests(stage: Stage) -> None:
    with stage.connect() as sock:
        for number in range(50):
            sock.sendall(request(b"%d" % number))
            assert response(sock)[1] == b"%d" % number


def test_pipelined_requests_are_answered_in_order(stage: Stage) -> None:
    with stage.connect() as sock:
        sock.sendall(b"".join(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%03d" % n) for n in range(200)))
        exactly(sock, b"".join(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%03d" % n for n in range(200)))


def test_a_mebibyte_passes_both_ways(stage: Stage) -> None:
    body = random.Random(1).randbytes(1024 * 1024)
    with stage.connect() as sock:
        sender = threading.Thread(target=sock.sendall, args=(request(body),))
        sender.start()
        assert response(sock)[1] == body
        sender.join()


@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_of_a_body_that_is_too_long_one_byte_too_many_passes(stage: Stage, framing: str) -> None:
    size = 3 * 1024 * 1024
    with stage.connect() as sock:
        if framing == "counted":
            message = request(bytes(size))
        else:
            head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            message = head + b"%x\r\n%s\r\n0\r\n\r\n" % (size, bytes(size))
        sock.sendall(message)
        assert len(response(sock)[1]) == 1024 * 1024 + 1
        sock.sendall(request(b"next"))
        assert response(sock)[1] == b"next"


def test_the_sandboxes_own_api_takes_longer_bodies_than_a_vendors(stage: Stage) -> None:
    size = 9 * 1024 * 1024
    with stage.connect() as sock:
        for length, comes in ((3 * 1024 * 1024, 3 * 1024 * 1024), (size, 8 * 1024 * 1024 + 1)):
            sock.sendall(request(b"x" * length).replace(b" /x ", b" /__sandbox/conformance ", 1))
            assert len(response(sock)[1]) == comes


def test_a_reader_that_waits_holds_the_writer_and_not_the_relays_memory(stage: Stage) -> None:
    size = 64 * 1024 * 1024
    with stage.connect() as sock:
        before = _resident(stage.relay.pid)
        sock.sendall(request(b"", X_Size=str(size)))
        head = sock.recv(1000)
        assert head.startswith(b"HTTP/1.1 200")
        wait_until(lambda: _is_stalled(stage.relay.pid), "the relay stopped reading")
        assert _resident(stage.relay.pid) < before + 8 * 1024 * 1024
        got = len(head.partition(b"\r\n\r\n")[2])
        while got < size:
            got += len(_some(sock, b""))
        assert got == size


def _resident(pid: int) -> int:
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    return int(shown) * 1024


def _is_stalled(pid: int) -> bool:
    """Whether the process used no processor time for a moment."""

    def used() -> bytes:
        return subprocess.run(["ps", "-o", "time=,cputimes=", "-p", str(pid)], capture_output=True, check=True).stdout

    before = used()
    time.sleep(0.2)
    return used() == before


def test_a_chunked_request_body_passes(stage: Stage) -> None:
    with stage.connect() as sock:
        chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        sock.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        assert response(sock)[1] == b"abcde"
        sock.sendall(request(b"next", X_Fault="slow=1"))
        head, body = response(sock)
        assert body == b"next"
        assert _field(head, HEADER.lower().encode()) is None


def test_headers_of_64_kibibytes_pass(stage: Stage) -> None:
    long = "a" * 65000
    with stage.connect() as sock:
        sock.sendall(request(b"x", X_Long=long))
        assert response(sock)[1] == b"x"
        answer = b"HTTP/1.1 200 OK\r\nX-Long: %s\r\nContent-Length: 0\r\n\r\n" % long[:40000].encode()
        sock.sendall(saying(answer))
        exactly(sock, answer)


def test_a_client_that_expects_100_continue_gets_it_before_its_answer(stage: Stage) -> None:
    with stage.connect() as sock:
        sock.sendall(request(b"body", Expect="100-continue", X_Fault="slow=1")[:-4])
        exactly(sock, b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.sendall(b"body")
        assert response(sock)[1] == b"body"


def test_a_client_that_half_closes_still_gets_its_answer(stage: Stage) -> None:
    with stage.connect() as sock:
        sock.sendall(request(b"last words"))
        sock.shutdown(socket.SHUT_WR)
        assert until_end(sock).endswith(b"last words")


def test_half_a_request_and_the_end_of_it_ends_the_connection(stage: Stage) -> None:
    with stage.connect() as sock:
        sock.sendall(request(b"only a part of this")[:-4])
        sock.shutdown(socket.SHUT_WR)
        until_end(sock)


def test_what_is_no_http_passes_untouched(stage: Stage) -> None:
    answer = b"SSH-2.0-x\r\nX-Sandbox-Wire: reset\r\n\r\n"
    with stage.connect() as sock:
        sock.sendall(saying(answer, X_Then="close"))
        assert until_end(sock) == answer


def test_an_answer_that_ends_with_the_connection_ends_the_clients_too(stage: Stage) -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\nuntil the end X-Sandbox-Wire: reset"
    with stage.connect() as sock:
        sock.sendall(saying(answer, X_Then="close"))
        assert until_end(sock) == answer


def test_a_thousand_idle_connections_do_not_stop_the_next_one(stage: Stage) -> None:
    with contextlib.ExitStack() as idle:
        for _ in range(1000):
            idle.enter_context(stage.connect())
        with stage.connect() as sock:
            sock.sendall(request(b"next"))
            assert response(sock)[1] == b"next"


@contextlib.contextmanager
def small_stage(*options: str, fd_limit: int | None = None) -> Iterator[Stage]:
    """A relay with options of its own: with a limit of 84 descriptors it has room for ten connections."""
    with contextlib.ExitStack() as stack:
        path = f"{stack.enter_context(tempfile.TemporaryDirectory())}/s"
        upstream = stack.enter_context(started_upstream(path))
        made = started_relay(f"unix:{path}", fd_limit=fd_limit, options=options)
        address, relay, parent = stack.enter_context(made)
        yield Stage(address, relay, upstream, parent)


def test_a_connection_beyond_the_bound_waits_until_one_ends() -> None:
    with small_stage(fd_limit=84) as stage_, contextlib.ExitStack() as stack:
        first = [stack.enter_context(stage_.connect()) for _ in range(10)]
        for sock in first:
            sock.sendall(request(b"x", X_Fault="slow=60000"))
        wait_until(lambda: len(stage_.upstream.asked) == 10, "all ten are waiting for their answers")
        waiting = stack.enter_context(stage_.connect())
        waiting.sendall(request(b"patient"))
        waiting.settimeout(0.2)
        with pytest.raises(TimeoutError):
            waiting.recv(1)
        first[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        first[0].close()
        waiting.settimeout(PATIENCE)
        assert response(waiting)[1] == b"patient"


def test_who_was_silent_longest_makes_place_for_who_comes() -> None:
    with small_stage(fd_limit=84) as stage_, contextlib.ExitStack() as stack:
        first = [stack.enter_context(stage_.connect()) for _ in range(10)]
        for sock in [*first, first[0]]:
            sock.sendall(request(b"x"))
            assert response(sock)[1] == b"x"
        with stage_.connect() as sock:
            sock.sendall(request(b"new"))
            assert response(sock)[1] == b"new"
        assert first[1].recv(1) == b""
        first[0].sendall(request(b"still here"))
        assert response(first[0])[1] == b"still here"


SLOW = {  # what is sent, and then nothing
    "a part of the headers": (b"POST /x HTTP/1.1\r\nX-Key: k\r\nX-", "slow_head"),
    "a part of a body": (b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", "slow_body"),
    "a part of a chunk": (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", "slow_body"),
    "a chunk and no last one": (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "slow_body"),
}


@pytest.mark.parametrize(("sent", "why"), SLOW.values(), ids=list(SLOW))
def test_a_request_that_does_not_come_is_refused_and_holds_nothing(sent: bytes, why: str) -> None:
    with small_stage("--deadlines", "0.4,0.4,5,60,60") as stage_:
        before = _descriptors(stage_.relay.pid)
        with stage_.connect() as sock:
            sock.sendall(sent)
            assert until_end(sock).startswith(b"HTTP/1.1 200")
        assert stage_.upstream.refused == [why]
        assert len(stage_.upstream.asked) == 1
        wait_until(lambda: _descriptors(stage_.relay.pid) == before, "the connection is gone")


def test_a_body_that_comes_drop_by_drop_is_refused_in_the_end() -> None:
    with small_stage("--deadlines", "5,5,0.6,60,60") as stage_, stage_.connect() as sock:
        sock.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not select.select([sock], [], [], 0.05)[0]:
                sock.sendall(b"x")
        assert stage_.upstream.refused == ["slow_body"]


def test_a_first_line_that_does_not_come_ends_the_connection_without_a_word() -> None:
    with small_stage("--deadlines", "0.4,0.4,5,60,60") as stage_, stage_.connect() as sock:
        sock.sendall(b"POST /x HT")
        assert until_end(sock) == b""
        assert stage_.upstream.asked == []


def test_a_connection_that_is_silent_for_long_is_closed() -> None:
    with small_stage("--deadlines", "5,5,5,0.4,60") as stage_:
        with stage_.connect() as sock:
            assert until_end(sock) == b""
        with stage_.connect() as sock:
            sock.sendall(request(b"x"))
            assert response(sock)[1] == b"x"
            assert sock.recv(1) == b""


def test_an_answer_that_is_not_read_is_given_up() -> None:
    with small_stage("--deadlines", "5,5,5,60,0.4") as stage_:
        before = _descriptors(stage_.relay.pid)
        with stage_.connect() as sock:
            sock.sendall(request(b"", X_Size=str(64 * 1024 * 1024)))
            wait_until(lambda: stage_.upstream.asked, "it was asked")
            wait_until(lambda: _descriptors(stage_.relay.pid) == before, "both connections are gone")
            assert len(until_end(sock)) < 64 * 1024 * 1024


def test_a_client_that_leaves_in_the_middle_of_a_body_is_refused() -> None:
    with small_stage() as stage_, stage_.connect() as sock:
        sock.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
        sock.shutdown(socket.SHUT_WR)
        until_end(sock)
        assert stage_.upstream.refused == ["unfinished"]


def test_large_bodies_of_many_take_turns_and_small_ones_pass_by() -> None:
    room, waiting = Room(size=3_000_000), [_Waiter() for _ in range(5)]
    assert [room.take(item, 1_000_000) for item in waiting] == [True, True, True, False, False]
    assert room.take(_Waiter(), FREE)
    assert not room.take(waiting[3], 1_000_000)  # asked again, it keeps its one place in the queue
    room.leave(waiting[4])
    room.leave(waiting[0])
    assert [item.told for item in waiting] == [0, 0, 0, 1, 0]
    room.leave(waiting[1])
    assert room.take(waiting[4], 1_000_000)


@dataclass(eq=False)
class _Waiter:
    told: int = 0

    def has_room(self) -> None:
        self.told += 1


# What is mistaken for a head, and must not be.

_MARKED = b"HTTP/1.1 200 OK\r\nX-Sandbox-Wire: reset\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: %d\r\n\r\n%s" % (len(_MARKED), _MARKED),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(_MARKED), _MARKED),
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nTrailer: x\r\n\r\n",
    ],
)
def test_a_body_that_looks_like_a_marked_response_passes(stage: Stage, framing: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + framing
    with stage.connect() as sock:
        for _ in range(2):
            sock.sendall(saying(answer))
            exactly(sock, answer)
        sock.sendall(request(X_Fault="reset"))
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", b"200 OK"), ("GET", b"204 No Content"), ("GET", b"304 Not Modified")]
)
def test_after_a_response_without_body_the_next_head_is_found(stage: Stage, method: str, status: bytes) -> None:
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 5000\r\n\r\n"
    with stage.connect() as sock:
        sock.sendall(saying(answer, method) + request(b"", X_Fault="reset"))
        exactly(sock, answer)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_heads_are_found_wherever_the_bytes_are_cut() -> None:
    stream = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nX-Sa"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nabcd\r\n0\r\nT: 1\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"  # the answer to HEAD
    )
    marked = b"HTTP/1.1 200 OK\r\nA: 1\r\nX-SANDBOX-wire:  slow=7 \r\nContent-Length: 2\r\n\r\n"
    for seed in range(300):
        dice = random.Random(seed)
        responses, passed, found = Responses(deque([b"POST", b"GET", b"HEAD", b"GET"])), b"", None
        for piece in _pieces(stream + marked, dice):
            passing, found = responses.take(piece)
            passed += passing
        assert passed == stream
        assert found is not None
        assert found.fault == parse("slow=7")
        assert found.head == b"HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 2\r\n\r\n"
        assert found.framing.length == 2


def test_requests_are_found_wherever_the_bytes_are_cut() -> None:
    asked = [
        b"POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nGET / HTT",
        b"GET /b HTTP/1.1\n\n",
        b"HEAD /c HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: 1\r\n\r\n",
        b"PUT /d HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n5",
        b"GET http://x:80/e?a=b HTTP/1.0\r\n\r\n",
    ]
    passed = [
        *asked[:2],
        b"HEAD /c HTTP/1.1\r\nContent-Length: 2\r\n\r\nab",
        b"PUT /d HTTP/1.1\r\nContent-Length: 1\r\n\r\n5",
        asked[4],
    ]
    for seed in range(300):
        intake, found = Intake(), []
        for piece in _pieces(b"\r\n" + b"\r\n".join(asked), random.Random(seed)):
            intake.add(piece)
            while request_ := intake.next():
                found.append(request_)
        assert [item.message for item in found] == passed
        assert [item.method for item in found] == [b"POST", b"GET", b"HEAD", b"PUT", b"GET"]
        assert not any(item.is_last for item in found)
        assert intake.part is Part.NOTHING
        assert intake.size == 0


def _pieces(data: bytes, dice: random.Random) -> Iterator[bytes]:
    while data:
        size = dice.randint(1, 40)
        yield data[:size]
        data = data[size:]


POST = b"POST /x HTTP/1.1\r\nHost: x\r\nX-Key: k\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
REFUSED = {
    "bytes that are no HTTP": (b"\x00\xff" * 50 + b"\r\n\r\n", "no_http", b"GET / "),
    "a word": (b"hello\r\n\r\n", "no_http", b"GET / "),
    "HTTP/0.9": (b"GET /x\r\n\r\n", "no_http", b"GET / "),
    "HTTP/1.2": (b"GET /x HTTP/1.2\r\n\r\n", "no_http", b"GET / "),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no_http", b"GET / "),
    "two spaces": (b"GET  /x HTTP/1.1\r\n\r\n", "target", b"GET / "),
    "a tab": (b"GET\t/x HTTP/1.1\r\n\r\n", "no_http", b"GET / "),
    "CONNECT": (b"CONNECT x:80 HTTP/1.1\r\n\r\n", "target", b"GET / "),
    "CONNECT to a path": (b"CONNECT /x HTTP/1.1\r\n\r\n", "target", b"GET /x "),
    "a star": (b"OPTIONS * HTTP/1.1\r\n\r\n", "target", b"OPTIONS / "),
    "a space in the path": (b"GET /a b HTTP/1.1\r\n\r\n", "target", b"GET /a%20b "),
    "a byte that is no text": (b"GET /a\xff HTTP/1.1\r\n\r\n", "target", b"GET /a%FF "),
    "a quotation mark in the query": (b'GET /a?b="c" HTTP/1.1\r\n\r\n', "target", b"GET /a "),
    "a long path": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", "too_long", b"GET /" + b"a" * 8191 + b" "),
    "a long query": (b"GET /x?" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", "too_long", b"GET /x "),
    "an endless head": (POST + b"X-A: " + b"a" * 400_000, "too_long", b"POST /x "),
    "101 headers": (POST + b"A: b\r\n" * 99 + b"\r\n", "too_many_headers", b"POST /x "),
    "a long name": (POST + b"a" * 300 + b": b\r\n\r\n", "header", b"POST /x "),
    "NUL in a header": (POST + b"A: b\x00c\r\n\r\n", "header", b"POST /x "),
    "a lone carriage return": (POST + b"A: b\rc\r\n\r\n", "header", b"POST /x "),
    "a folded header": (POST + b"A: b\r\n c\r\n\r\n", "header", b"POST /x "),
    "a space before the colon": (POST + b"Content-Length : 3\r\n\r\nabc", "header", b"POST /x "),
    "no colon": (POST + b"Content-Length\r\n\r\n", "header", b"POST /x "),
    "two hosts": (POST + b"Host: y\r\n\r\n", "header", b"POST /x "),
    "the sandbox's own header": (POST + b"x-sandbox-refused: framing\r\n\r\n", "reserved", b"POST /x "),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "framing", b"POST /x "),
    "a list of lengths": (POST + b"Content-Length: 3, 3\r\n\r\nabc", "framing", b"POST /x "),
    "a length with a sign": (POST + b"Content-Length: +3\r\n\r\nabc", "framing", b"POST /x "),
    "a length of 20 digits": (POST + b"Content-Length: 18446744073709551616\r\n\r\n", "framing", b"POST /x "),
    "a length and chunks": (POST + CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n", "framing", b"POST /x "),
    "chunks twice": (POST + CHUNKED * 2 + b"\r\n0\r\n\r\n", "framing", b"POST /x "),
    "chunks after something else": (
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "framing",
        b"POST /x ",
    ),
    "chunks in HTTP/1.0": (b"POST /x HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n", "framing", b"POST /x "),
    "a size that is none": (POST + CHUNKED + b"\r\nzz\r\n", "chunks", b"POST /x "),
    "a size with a prefix": (POST + CHUNKED + b"\r\n0x1\r\na\r\n0\r\n\r\n", "chunks", b"POST /x "),
    "a negative size": (POST + CHUNKED + b"\r\n-1\r\n", "chunks", b"POST /x "),
    "a huge size": (POST + CHUNKED + b"\r\nffffffffffffffff\r\n", "chunks", b"POST /x "),
    "a chunk that is longer than it says": (POST + CHUNKED + b"\r\n1\r\nabc\r\n", "chunks", b"POST /x "),
    "chunks with bare line feeds": (POST + CHUNKED + b"\r\n1\na\n0\n\n", "chunks", b"POST /x "),
    "a size line without end": (POST + CHUNKED + b"\r\n1;" + b"a" * 5000, "chunks", b"POST /x "),
}


@pytest.mark.parametrize(("sent", "why", "begins"), REFUSED.values(), ids=list(REFUSED))
def test_what_two_readers_could_read_differently_is_refused(sent: bytes, why: str, begins: bytes) -> None:
    for seed in range(3):
        intake, found = Intake(), []
        pieces = _pieces(sent, random.Random(seed)) if len(sent) < 10_000 else [sent]
        for piece in (*pieces, b"GET /smuggled HTTP/1.1\r\n\r\n"):
            intake.add(piece)
            while request_ := intake.next():
                found.append(request_)
        [only] = found
        assert only.is_last
        assert only.message.startswith(begins)
        assert f"x-sandbox-refused: {why}\r\n\r\n".encode() in only.message.lower()
        assert b"smuggled" not in only.message
        assert isinstance(read_head(only.message.replace(b"X-Sandbox-Refused", b"X-Other")), Head)


def test_of_a_refused_request_the_headers_that_can_be_read_are_kept() -> None:
    intake = Intake()
    intake.add(POST + CHUNKED + b"Connection: keep-alive\r\nA b\r\n\r\n")
    refused = intake.next()
    assert refused is not None
    kept = [line.partition(b":")[0] for line in refused.message.split(b"\r\n")[1:-2]]
    assert kept == [b"Host", b"X-Key", b"Connection", b"Content-Length", b"X-Sandbox-Refused"]


# What faults look like.


def test_reset_is_seen_as_a_reset(stage: Stage) -> None:
    with stage.connect() as sock:
        sock.sendall(request(b"{}", X_Fault="reset"))
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_truncated_body_is_shorter_than_its_content_length(stage: Stage) -> None:
    body = random.Random(2).randbytes(300_000)
    with stage.connect() as sock:
        sock.sendall(request(body, X_Fault="truncated_body"))
        head, _, got = until_end(sock).partition(b"\r\n\r\n")
        assert _field(head, b"content-length") == b"300000"
        assert _field(head, HEADER.lower().encode()) is None
        assert got == body[:150_000]


def test_an_empty_body_is_truncated_too(stage: Stage) -> None:
    with stage.connect() as sock:
        sock.sendall(request(b"", X_Fault="truncated_body"))
        head, _, got = until_end(sock).partition(b"\r\n\r\n")
        assert _field(head, b"content-length") == b"1"
        assert got == b""


def test_a_hang_says_nothing_and_ends_at_its_bound(stage: Stage) -> None:
    took, data = seconds(stage, request(b"{}", X_Fault="hang=300"))
    assert data == b""
    assert took >= 0.3


def test_a_client_that_half_closes_after_its_request_hangs_as_long(stage: Stage) -> None:
    with stage.connect() as sock:
        start = time.monotonic()
        sock.sendall(request(b"{}", X_Fault="hang=400"))
        sock.shutdown(socket.SHUT_WR)
        assert until_end(sock) == b""
        assert time.monotonic() - start >= 0.4


def test_a_client_that_gives_up_on_a_hang_frees_its_connection(own_stage: Stage) -> None:
    before = _descriptors(own_stage.relay.pid)
    hanging = [own_stage.connect() for _ in range(50)]
    for sock in hanging:
        sock.sendall(request(b"{}", X_Fault="hang"))
    wait_until(lambda: len(own_stage.upstream.asked) == 50, "all were asked")
    wait_until(lambda: _descriptors(own_stage.relay.pid) == before + 50, "all hang, without the simulator")
    for sock in hanging:
        sock.close()
    wait_until(lambda: _descriptors(own_stage.relay.pid) == before, "their connections are gone")


def _descriptors(pid: int) -> int:
    listed = Path(f"/proc/{pid}/fd")
    if not listed.exists():
        missing("this system does not list descriptors")
    return len(list(listed.iterdir()))


def test_hundreds_of_hangs_hold_no_thread_of_the_simulator(stage: Stage) -> None:
    with contextlib.ExitStack() as open_ones:
        before, threads = len(stage.upstream.asked), threading.active_count()
        for _ in range(300):
            sock = open_ones.enter_context(stage.connect())
            sock.sendall(request(b"{}", X_Fault="hang"))
        wait_until(lambda: len(stage.upstream.asked) == before + 300, "all were asked")
        wait_until(lambda: threading.active_count() < threads + 50, "the server's threads are free again")
        with stage.connect() as sock:
            for number in range(20):
                sock.sendall(request(b"%d" % number))
                assert response(sock)[1] == b"%d" % number


def test_a_slow_answer_comes_late_and_whole(stage: Stage) -> None:
    with stage.connect() as sock:
        start = time.monotonic()
        sock.sendall(request(b"{}", X_Fault="slow=250"))
        head, body = response(sock)
        assert time.monotonic() - start >= 0.25
        assert body == b"{}"
        assert _field(head, HEADER.lower().encode()) is None


def test_answers_behind_a_slow_one_wait_for_it(stage: Stage) -> None:
    with stage.connect() as sock:
        sock.sendall(
            request(b"1", X_Fault="slow=150") + request(b"2") + request(b"3", X_Fault="slow=1") + request(b"4")
        )
        sock.shutdown(socket.SHUT_WR)
        answers = until_end(sock).split(b"HTTP/1.1 ")[1:]
        assert [answer[-1:] for answer in answers] == [b"1", b"2", b"3", b"4"]


def test_a_slow_answer_keeps_no_other_client_waiting(stage: Stage) -> None:
    with stage.connect() as slow, stage.connect() as quick:
        slow.sendall(request(b"slow", X_Fault="slow=1500"))
        quick.sendall(request(b"quick"))
        assert response(quick)[1] == b"quick"
        slow.settimeout(0.01)
        with pytest.raises(TimeoutError):
            slow.recv(1)


def test_answers_before_a_reset_arrive(stage: Stage) -> None:
    with stage.connect() as sock:
        sock.sendall(request(b"first") + request(b"{}", X_Fault="reset"))
        assert response(sock)[1] == b"first"
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_an_unknown_fault_is_removed_and_not_performed(stage: Stage) -> None:
    with stage.connect() as sock:
        sock.sendall(request(b"x", X_Fault="earthquake") + request(b"y"))
        head, body = response(sock)
        assert body[:1] == b"x"
        assert b"earthquake" not in head


def test_a_client_cannot_ask_the_relay_itself(stage: Stage) -> None:
    with stage.connect() as sock:
        sock.sendall(request(b"normal", X_Sandbox_Wire="reset"))
        assert response(sock)[1] == b"normal"


# Starting and ending.


def test_a_client_waits_for_a_simulator_that_starts_later() -> None:
    with contextlib.ExitStack() as stack:
        path = f"{stack.enter_context(tempfile.TemporaryDirectory())}/s"
        address, _, _ = stack.enter_context(started_relay(f"unix:{path}"))
        sock = stack.enter_context(connect(address))
        sock.sendall(request(b"early"))
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(PATIENCE)
        stack.enter_context(started_upstream(path))
        assert response(sock)[1] == b"early"


def test_a_relay_reaches_a_simulator_by_tcp() -> None:
    with socketserver.ThreadingTCPServer(
        ("127.0.0.1", 0), type("_", (_Answering,), {"asked": [], "refused": []})
    ) as upstream:
        threading.Thread(target=upstream.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        upstream.daemon_threads = True
        port = upstream.server_address[1]
        with started_relay(f"tcp:127.0.0.1:{port}") as (address, _, _), connect(address) as sock:
            sock.sendall(request(b"by tcp", Connection="close"))
            assert until_end(sock).endswith(b"by tcp")
        upstream.shutdown()


def test_sigterm_ends_it_at_once_though_clients_hang(own_stage: Stage) -> None:
    with contextlib.ExitStack() as open_ones:
        socks = [open_ones.enter_context(own_stage.connect()) for _ in range(20)]
        for sock in socks[:10]:
            sock.sendall(request(b"{}", X_Fault="hang"))
        wait_until(lambda: len(own_stage.upstream.asked) == 10, "all hang")
        own_stage.relay.send_signal(signal.SIGTERM)
        assert own_stage.relay.wait(PATIENCE) == 0
        for sock in socks:
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""


def test_sigterm_lets_an_answer_under_way_arrive(own_stage: Stage) -> None:
    with own_stage.connect() as sock:
        sock.sendall(request(b"{}", X_Fault="slow=300"))
        wait_until(lambda: own_stage.upstream.asked, "it is under way")
        own_stage.relay.send_signal(signal.SIGTERM)
        assert until_end(sock).endswith(b"{}")
        assert own_stage.relay.wait(PATIENCE) == 0


def test_the_end_of_its_parent_ends_it(own_stage: Stage) -> None:
    os.close(own_stage.parent)
    assert own_stage.relay.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    "arguments", [["--fd", "0", "--upstream", "unix:/x"], ["--fd", "9999", "--upstream", "unix:/x"]]
)
def test_a_descriptor_that_does_not_listen_is_said(arguments: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "simulator.wire", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 3
    assert "file descriptor" in ended.stderr


# The words.


@pytest.mark.parametrize(
    "word",
    ["reset", "truncated_body", "malformed_json", "wrong_content_type", "empty_body", "hang=500", "hang=uniform:1:2",
     "slow=0", "slow=2500", "slow=uniform:100:900", "slow=normal:500:100", "slow=lognormal:400:0.5",
     "slow=exponential:300"],
)  # fmt: skip
def test_a_word_is_read_and_written_alike(word: str) -> None:
    fault = parse(word)
    assert fault is not None
    assert fault.word == word
    assert parse(fault.word) == fault


@pytest.mark.parametrize(
    "word",
    ["", "slow", "slow=", "slow=x", "slow=-1", "slow=1e9", "slow=nan", "slow=120001", "slow=uniform:9:1",
     "slow=uniform:1", "slow=normal:1:2:3", "slow=exponential:0", "slow=lognormal:0:1", "slow=lognormal:1:9",
     "slow=cauchy:1:2", "reset=1", "hang=", "RESET", "slow=1_0", "slow=\u0661"],
)  # fmt: skip
def test_a_word_that_says_nothing_sensible_is_none(word: str) -> None:
    assert parse(word) is None


def test_hang_alone_is_bounded_at_two_minutes() -> None:
    fault = parse("hang")
    assert fault is not None
    assert fault.fixed_ms == LONGEST_MS == 120_000


@pytest.mark.parametrize(
    ("word", "low", "high", "mean"),
    [
        ("slow=uniform:100:900", 100, 900, 500),
        ("slow=normal:500:100", 0, 1100, 500),
        ("slow=lognormal:400:0.5", 1, 8000, 453),
        ("slow=exponential:300", 0, 6000, 300),
    ],
)
def test_draws_follow_their_distribution(word: str, low: int, high: int, mean: int) -> None:
    dice = random.Random(5)
    fault = parse(word)
    assert fault is not None
    draws = [drawn(fault, dice.random).fixed_ms or 0 for _ in range(4000)]
    assert low <= min(draws)
    assert max(draws) <= high
    assert abs(sum(draws) / len(draws) - mean) < mean * 0.05


def test_the_same_dice_draw_the_same_pause() -> None:
    fault = parse("slow=normal:500:100")
    assert fault is not None
    assert drawn(fault, random.Random(3).random) == drawn(fault, random.Random(3).random)


def test_no_draw_is_longer_than_two_minutes_or_shorter_than_nothing() -> None:
    fault = parse("slow=normal:60000:120000")
    assert fault is not None
    dice = random.Random(4)
    draws = {drawn(fault, dice.random).fixed_ms for _ in range(500)}
    assert {0, LONGEST_MS} <= draws
    assert all(ms is not None and 0 <= ms <= LONGEST_MS for ms in draws)


# What the web layer makes of a fault.

APP = """
import sys
from pathlib import Path
from flask import Flask, request, Response
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from simulator.web import wire_faults
from simulator.wire.faults import parse

app = Flask("app", static_folder=None)

@app.post("/x")
def answer():
    response = Response(request.get_data(), content_type="application/json")
    fault = parse(request.headers.get("X-Fault", ""))
    return wire_faults.apply(response, fault, relayed=sys.argv[2] == "relayed") if fault else response

server = Granian("app", uds=Path(sys.argv[1]), interface=Interfaces.WSGI, http=HTTPModes.http1,
                 blocking_threads=4, log_enabled=False, websockets=False, workers_kill_timeout=1)
server.serve(target_loader=lambda *_: app, wrap_loader=False)
"""
BODY = json.dumps({"result": "success", "data": {"price": "12.50"}}).encode()


@contextlib.contextmanager
def started_app(path: str, mode: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", APP, path, mode])
    try:
        wait_until(lambda: _takes_connections(path), "the server listens")
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def relayed() -> Iterator[Address]:
    """The address of a relay in front of the web layer."""
    with contextlib.ExitStack() as stack:
        path = f"{stack.enter_context(tempfile.TemporaryDirectory())}/s"
        stack.enter_context(started_app(path, "relayed"))
        address, _, _ = stack.enter_context(started_relay(f"unix:{path}"))
        yield address


@pytest.fixture(scope="module")
def direct() -> Iterator[str]:
    """The socket of a web layer without relay."""
    with tempfile.TemporaryDirectory() as folder, started_app(f"{folder}/s", "direct"):
        yield f"{folder}/s"


def _takes_connections(path: str) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        return True
    return False


def connect_directly(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(path)
    return sock


@pytest.fixture(params=["relayed", "direct"])
def web(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A connection to the web layer, through the relay and without."""
    place = request.getfixturevalue(request.param)
    with connect(place) if request.param == "relayed" else connect_directly(place) as sock:
        yield sock


def test_malformed_json_is_complete_http(web: socket.socket) -> None:
    web.sendall(request(BODY, X_Fault="malformed_json"))
    head, body = response(web)
    assert _field(head, b"content-type") == b"application/json"
    assert _field(head, b"content-length") == str(len(body)).encode()
    with pytest.raises(ValueError):
        json.loads(body)
    web.sendall(request(BODY))
    assert response(web)[1] == BODY


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"12", b'"text"', b"{} \n", b"<html>"])
def test_any_body_can_be_malformed(body: bytes) -> None:
    fault = parse("malformed_json")
    assert fault is not None
    with pytest.raises(ValueError):
        json.loads(wire_faults.apply(Response(body), fault, relayed=True).get_data())


def test_wrong_content_type_is_html_in_name_only(web: socket.socket) -> None:
    web.sendall(request(BODY, X_Fault="wrong_content_type"))
    head, body = response(web)
    assert (_field(head, b"content-type") or b"").startswith(b"text/html")
    assert body == BODY


def test_an_empty_body_says_that_it_is_empty(web: socket.socket) -> None:
    web.sendall(request(BODY, X_Fault="empty_body"))
    head, body = response(web)
    assert _field(head, b"content-length") == b"0"
    assert body == b""
    web.sendall(request(BODY))
    assert response(web)[1] == BODY


def test_a_truncated_answer_of_the_web_layer_is_half_of_it(web: socket.socket) -> None:
    web.sendall(request(BODY, X_Fault="truncated_body"))
    head, _, body = until_end(web).partition(b"\r\n\r\n")
    assert _field(head, b"content-length") == str(len(BODY)).encode()
    assert body == BODY[: len(BODY) // 2]


def test_a_slow_answer_of_the_web_layer_is_late(web: socket.socket) -> None:
    start = time.monotonic()
    web.sendall(request(BODY, X_Fault="slow=200"))
    assert response(web)[1] == BODY
    assert time.monotonic() - start >= 0.2


def test_a_hang_of_the_web_layer_ends_without_an_answer(web: socket.socket) -> None:
    start = time.monotonic()
    web.sendall(request(BODY, X_Fault="hang=200"))
    assert BODY not in until_end(web)
    assert time.monotonic() - start >= 0.2


def test_a_reset_of_the_web_layer_is_a_reset_behind_the_relay(relayed: Address) -> None:
    with connect(relayed) as sock:
        sock.sendall(request(BODY, X_Fault="reset"))
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_reset_without_relay_is_a_connection_closed_without_a_body(direct: str) -> None:
    with connect_directly(direct) as sock:
        sock.sendall(request(BODY, X_Fault="reset"))
        assert until_end(sock).partition(b"\r\n\r\n")[2] == b""


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_the_header_of_ours_reaches_no_client(web: socket.socket, kind: str) -> None:
    web.sendall(request(BODY, X_Fault=f"{kind}=5" if kind in {"slow", "hang"} else kind, X_Sandbox_Wire="hang"))
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while not got.endswith(BODY) and (part := web.recv(65536)):
            got += part
            if b"\r\n\r\n" in got and kind not in {"reset", "truncated_body", "hang"}:
                break
    assert b"sandbox-wire" not in got.lower()


def test_a_fault_whose_dice_were_not_rolled_is_refused() -> None:
    fault = parse("slow=uniform:1:2")
    assert fault is not None
    with pytest.raises(ValueError, match="drawn"):
        wire_faults.apply(Response(b"{}"), fault, relayed=True)


# The whole sandbox.


UNLIMITED = {
    "leaddistro": {
        "suppliers": [
            {
                "id": "supplier_wire",
                "api_key": "key_wire",
                "limits": {"ingest": None, "ping": None},
                "campaigns": ["campaign_wire"],
            }
        ],
        "campaigns": [{"id": "campaign_wire", "buyers": [{"id": "one", "price": 10}]}],
    }
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("wire"), UNLIMITED)


@pytest.fixture(scope="module")
def up(config: str) -> Iterator[Running]:
    with sandbox("--db", ":memory:", "--config", config) as running:
        yield running


def address_of(running: Running) -> Address:
    parts = urlsplit(running.base_url)
    return str(parts.hostname), int(parts.port or 0)


_leads = itertools.count()


def ingest(trigger: str = "") -> bytes:
    """A new lead, as the bytes of a request."""
    [lead] = fake_leads("leaddistro", 1, seed=next(_leads))
    body = json.dumps({"flo_campaign_id": "campaign_wire", "flo_supplier_id": "supplier_wire"} | lead).encode()
    lines = ["POST /api/v1/ingest HTTP/1.1", "Host: sandbox", "x-api-key: key_wire", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json"] + ([f"X-Sandbox-Trigger: {trigger}"] if trigger else [])
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_the_sandbox_speaks_of_its_public_address_only(up: Running) -> None:
    assert up.welcome["base_url"] == up.base_url
    assert all(f"'{up.base_url}/" in item["curl"] for item in up.welcome["requests"])
    with connect(address_of(up)) as sock:
        sock.sendall(b"GET /__sandbox/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert json.loads(response(sock)[1])["status"] == "ready"


def test_pipelined_requests_to_the_sandbox_are_answered_in_order(up: Running) -> None:
    get, head = (b"%s /healthz HTTP/1.1\r\nHost: x\r\n\r\n" % method for method in (b"GET", b"HEAD"))
    with connect(address_of(up)) as sock:
        sock.sendall(head + get + head + ingest() + get)
        sock.shutdown(socket.SHUT_WR)
        answers = until_end(sock).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"200", b"200", b"201", b"200"]
    bodies = [answer.partition(b"\r\n\r\n")[2] for answer in answers]
    assert [bool(body) for body in bodies] == [False, True, False, True, True]


def test_a_body_of_two_mebibytes_gets_the_answer_of_the_vendor(up: Running) -> None:
    with connect(address_of(up)) as sock:
        body = b" " * 2 * 1024 * 1024
        sock.sendall(b"POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        head, _ = response(sock)
        assert head.startswith(b"HTTP/1.1 4")


def test_a_reset_by_trigger_is_seen_as_a_reset(up: Running) -> None:
    with connect(address_of(up)) as sock:
        sock.sendall(ingest("reset"))
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_truncated_body_by_trigger_is_shorter_than_announced(up: Running) -> None:
    with connect(address_of(up)) as sock:
        sock.sendall(ingest("truncated_body"))
        head, _, body = until_end(sock).partition(b"\r\n\r\n")
        assert len(body) == int(_field(head, b"content-length") or 0) // 2 > 0


def test_hundreds_of_hangs_by_trigger_leave_the_sandbox_serving(up: Running) -> None:
    with contextlib.ExitStack() as open_ones:
        hanging = [open_ones.enter_context(connect(address_of(up))) for _ in range(200)]
        for sock in hanging:
            sock.sendall(ingest("hang"))
        with connect(address_of(up)) as sock:
            for _ in range(20):
                sock.sendall(ingest())
                assert response(sock)[0].startswith(b"HTTP/1.1 201")
        for sock in hanging:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(1)


def test_a_slow_answer_by_trigger_and_dice_is_late(up: Running) -> None:
    with connect(address_of(up)) as sock:
        start = time.monotonic()
        sock.sendall(ingest("slow=uniform:200:300"))
        assert response(sock)[0].startswith(b"HTTP/1.1 201")
        assert time.monotonic() - start >= 0.2


def test_the_sandbox_stops_though_clients_hang(config: str) -> None:
    with sandbox("--db", ":memory:", "--config", config) as running, contextlib.ExitStack() as open_ones:
        victims = running.tree()
        for _ in range(20):
            sock = open_ones.enter_context(connect(address_of(running)))
            sock.sendall(ingest("hang"))
        running.process.terminate()
        running.process.wait(PATIENCE)
        assert alive(victims) == []


def test_a_killed_supervisor_leaves_no_process_and_no_socket(postgres_server: Postgres) -> None:
    """On a server's store, where a relay has a process of its own and speaks to the simulator by a socket."""
    folder = tempfile.mkdtemp(prefix="w", dir="/tmp")
    with sandbox("--db", postgres_server.database(), env=environment(TMPDIR=folder)) as running:
        assert list(Path(folder).glob("leadsandbox-*/s"))
        victims = running.tree()
        assert len(victims) >= 4
        running.process.kill()
        wait_until(lambda: not alive(victims), "its programs ended with it")
        wait_until(lambda: not list(Path(folder).iterdir()), "its folder is gone")
    Path(folder).rmdir()


def test_a_temporary_folder_with_a_long_path_is_passed_over(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    with sandbox("--db", ":memory:", env=environment(TMPDIR=str(long))) as running:
        with connect(address_of(running)) as sock:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert response(sock)[0].startswith(b"HTTP/1.1 200")
        assert list(long.iterdir()) == []


def test_direct_leaves_the_relay_out(config: str) -> None:
    with sandbox("--db", ":memory:", "--config", config, "--direct") as running, connect(address_of(running)) as sock:
        sock.sendall(ingest("truncated_body"))
        head, _, body = until_end(sock).partition(b"\r\n\r\n")
        assert len(body) == int(_field(head, b"content-length") or 0) // 2 > 0


@pytest.mark.parametrize("more", [[], ["--direct"]])
def test_a_taken_port_is_exit_code_3(more: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("up", "--port", str(taken.getsockname()[1]), "--db", ":memory:", *more)
    assert ended.returncode == 3
    assert "choose another port" in ended.stderr
