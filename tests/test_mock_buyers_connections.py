"""The mock buyers' own side of HTTP: pieces, chunks, pipelines, bounds, bad manners. Raw sockets, real bytes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from mock_buyers import connection
from mock_buyers.answers import Answer
from mock_buyers.connection import Connection
from tests.test_mock_buyers import PING, WAIT, Seat, is_problem, ready, start

BODY = json.dumps(PING).encode()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    program = start("--port", "0")
    yield ready(program)
    program.terminate()
    _, errors = program.communicate(timeout=WAIT)
    assert (program.returncode, errors) == (0, b""), "the program logged an error while it was tested"


@pytest.fixture
def seat(url: str) -> Iterator[Callable[..., Seat]]:
    seats: list[Seat] = []

    def placed(persona: str = "eager", **over: Any) -> Seat:
        seats.append(Seat(url, "pingtree", {"persona": persona, **over}))
        return seats[-1]

    yield placed
    for each in seats:
        each.http.close()


class Answers:
    """What a raw connection is sent, one answer at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.file = sock, sock.makefile("rb")

    def next(self, *, bodiless: bool = False) -> tuple[int, dict[str, str], bytes]:
        status = self.file.readline()
        if not status:
            raise EOFError
        headers: dict[str, str] = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        length = 0 if bodiless else int(headers.get("content-length", 0))
        return int(status.split()[1]), headers, self.file.read(length)

    def is_over(self) -> bool:
        return self.file.read() == b""


@contextmanager
def raw(url: str) -> Iterator[Answers]:
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=WAIT) as sock:
        answers = Answers(sock)
        with answers.file:
            yield answers


def ping(seat: Seat, *headers: str, version: str = "1.1", body: bytes = BODY) -> bytes:
    length = () if any(each.startswith("Transfer-Encoding") for each in headers) else (f"Content-Length: {len(body)}",)
    lines = [f"POST {urlsplit(seat.base).path}/ping HTTP/{version}", "Host: b", *length, *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def bid(answer: tuple[int, dict[str, str], bytes]) -> str:
    return str(json.loads(answer[2])["bid"])


def test_a_request_may_come_byte_by_byte(url: str, seat: Any) -> None:
    with raw(url) as answers:
        for byte in ping(seat()):
            answers.sock.sendall(bytes([byte]))
        assert bid(answers.next()) == "45.00"


def test_a_body_may_come_in_chunks_with_trailers(url: str, seat: Any) -> None:
    chunked = b"5\r\n%b\r\n%x\r\n%b\r\n0\r\nX-Trailer: t\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:])
    eager = seat()
    with raw(url) as answers:
        for _ in range(2):
            answers.sock.sendall(ping(eager, "Transfer-Encoding: chunked", body=chunked))
            assert bid(answers.next()) == "45.00"
    assert "X-Trailer" not in eager.received()["received"][0]["headers"]


def test_pipelined_requests_are_answered_in_order_and_behind_a_delayed_answer(url: str, seat: Any) -> None:
    slow, quick = seat(price=1, latency=200), seat(price=2)
    with raw(url) as answers:
        answers.sock.sendall(ping(slow) + ping(quick) * 50 + ping(slow))
        assert [bid(answers.next()) for _ in range(52)] == ["1.00", *["2.00"] * 50, "1.00"]


def test_a_caller_that_expects_a_100_gets_one_before_its_answer(url: str, seat: Any) -> None:
    head, _, body = ping(seat(), "Expect: 100-continue").partition(b"\r\n\r\n")
    with raw(url) as answers:
        answers.sock.sendall(head + b"\r\n\r\n")
        assert answers.next()[0] == 100
        answers.sock.sendall(body)
        assert bid(answers.next()) == "45.00"


@pytest.mark.parametrize(
    ("headers", "version"),
    [(("Connection: close",), "1.1"), ((), "1.0"), (("Connection: keep-alive",), "1.0")],
)
def test_the_last_answer_of_a_connection_says_so_and_ends_it(
    url: str, seat: Any, headers: tuple[str, ...], version: str
) -> None:
    with raw(url) as answers:
        answers.sock.sendall(ping(seat(), *headers, version=version))
        answer = answers.next()
        assert (bid(answer), answer[1]["connection"]) == ("45.00", "close")
        assert answers.is_over()


def test_who_wishes_for_another_protocol_is_answered_in_this_one(url: str, seat: Any) -> None:
    wishing = ping(seat(), "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    with raw(url) as answers:
        answers.sock.sendall(wishing * 600)
        assert [bid(answers.next()) for _ in range(600)] == ["45.00"] * 600
        for byte in wishing:
            answers.sock.sendall(bytes([byte]))
        assert bid(answers.next()) == "45.00"


def test_head_is_answered_without_a_body_and_the_connection_goes_on(url: str) -> None:
    with raw(url) as answers:
        for _ in range(2):
            answers.sock.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status, headers, _ = answers.next(bodiless=True)
            assert status == 200
            assert int(headers["content-length"]) > 0


def test_an_answer_that_can_have_no_body_has_none(url: str) -> None:
    hook = Seat(url, "leaddistro", {"webhook_status": 204})
    answer = hook.send("webhook", {})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Length" not in answer.headers
    assert hook.send("webhook", {}).status_code == 204
    hook.http.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00",
        b"HELO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_problem_document_and_the_end(url: str, sent: bytes) -> None:
    with raw(url) as answers:
        answers.sock.sendall(sent)
        status, headers, body = answers.next()
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        assert json.loads(body)["status"] == 400
        assert answers.is_over()


def test_what_came_before_nonsense_is_answered_first(url: str, seat: Any) -> None:
    with raw(url) as answers:
        answers.sock.sendall(ping(seat(latency=50)) + b"\x00\x00\r\n\r\n")
        assert bid(answers.next()) == "45.00"
        assert answers.next()[0] == 400


@pytest.mark.parametrize("fields", [b"X-A: " + b"a" * 500_000, b"X-A: a\r\n" * 60_000])
def test_a_head_without_end_is_431(url: str, fields: bytes) -> None:
    with raw(url) as answers:
        answers.sock.sendall(b"GET /healthz HTTP/1.1\r\n" + fields)
        assert answers.next()[0] == 431


@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n", b"1;" + b"e" * 1000 + b"\r\nx\r\n"])
def test_a_body_without_end_is_413_while_it_is_being_sent(url: str, seat: Any, chunk: bytes) -> None:
    with raw(url) as answers:
        answers.sock.sendall(ping(seat(), "Transfer-Encoding: chunked", body=b""))
        many = chunk * (1_000_000 // len(chunk))
        for _ in range(12):
            answers.sock.sendall(many)
        assert answers.next()[0] == 413


def test_paths_are_decoded_and_may_be_whole_urls(url: str) -> None:
    name = "a b/ü"
    with requests.Session() as http:
        path = "pingtree/t/a%20b%2F%C3%BC"
        assert http.put(f"{url}/__buyers/{path}", json={}, timeout=WAIT).json()["buyer"] == name
        assert http.post(f"{url}/{path}/ping", json=PING, timeout=WAIT).json()["accepted"] is True
        assert http.delete(f"{url}/__buyers/{path}", timeout=WAIT).status_code == 204
    with raw(url) as answers:
        answers.sock.sendall(b"GET http://localhost/healthz?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answers.next()[0] == 200


@pytest.mark.parametrize("path", ["/", "//", "/__buyers/", "/__buyers/pingtree//b", "/__buyers/a/b/c/d", "/healthz/x"])
def test_what_is_at_no_path_is_404(url: str, path: str) -> None:
    with raw(url) as answers:
        answers.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert answers.next()[0] == 404


def test_a_wrong_method_of_the_control_api_is_told_the_right_ones(url: str) -> None:
    wrong = requests.post(f"{url}/__buyers/pingtree/t/b", timeout=WAIT)
    assert is_problem(wrong, 405)
    assert wrong.headers["Allow"] == "DELETE,GET,HEAD,PATCH,PUT"


def test_header_bytes_that_are_no_text_do_not_hide_the_journal(url: str, seat: Any) -> None:
    eager = seat()
    with raw(url) as answers:
        answers.sock.sendall(ping(eager, "X-Odd: \u00ff").replace("\u00ff".encode(), b"\xff"))
        assert bid(answers.next()) == "45.00"
    assert eager.received()["received"][0]["headers"]["X-Odd"] == "\ufffd"


def test_four_hundred_answers_stall_side_by_side_and_others_are_answered(url: str, seat: Any) -> None:
    silent, eager = seat("silent"), seat()
    parts = urlsplit(url)
    callers = [socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=WAIT) for _ in range(400)]
    for caller in callers:
        caller.sendall(ping(silent))
    while silent.received()["counters"].get("stalled", 0) < len(callers):
        assert eager.send("ping").json()["accepted"] is True
    for caller in callers:
        caller.close()
    assert eager.send("ping").json()["accepted"] is True


# --- the connection alone, with other limits


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110  what is waited for tells nobody
        await asyncio.sleep(0.001)


@asynccontextmanager
async def alone(answer: Answer, sent: bytes) -> AsyncIterator[tuple[set[Connection], asyncio.StreamReader, Any]]:
    """Send some bytes to a connection in this process that has one answer to everything."""
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(lambda _: answer, connections), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with asyncio.timeout(WAIT):
        writer.write(sent)
        await until(lambda: connections)
        yield connections, reader, writer
        writer.close()
        await until(lambda: not connections)
    server.close()


@pytest.mark.parametrize("sent", [b"POST /x", b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"])
def test_a_request_whose_rest_does_not_come_is_408(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connection, "_REQUEST_SECONDS", 0.05)

    async def late() -> bytes:
        async with alone(Answer("never asked"), sent) as (_, reader, _):
            return await reader.read()

    assert asyncio.run(late()).startswith(b"HTTP/1.1 408 ")


def test_who_is_refused_and_does_not_hang_up_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 0.05)

    async def refused() -> None:
        async with alone(Answer("never asked"), b"nonsense\r\n\r\n") as (connections, _, _):
            await until(lambda: not connections)

    asyncio.run(refused())


def test_a_delayed_answer_is_forgotten_when_its_caller_hangs_up() -> None:
    async def left() -> None:
        async with alone(Answer("slow", fault="stall"), b"GET /x HTTP/1.1\r\n\r\n") as (connections, _, writer):
            [one] = connections
            await until(lambda: one._delay)
            writer.close()
            await until(lambda: one._delay is None or one._delay.cancelled())

    asyncio.run(left())


def test_who_takes_no_answers_is_asked_for_no_more_and_is_answered_once_it_does() -> None:
    count, size = 200, 100_000
    answer = Answer("large", body=b"x" * size)

    async def taken() -> int:
        async with alone(answer, b"GET /x HTTP/1.1\r\n\r\n" * count) as (connections, reader, _):
            [one] = connections
            await until(lambda: one._is_full)
            assert one._waiting, "it answered all, whether they were taken or not"
            found = 0
            while found < count * size:
                found += (await reader.read(size)).count(b"x")
            return found

    assert asyncio.run(taken()) == count * size
