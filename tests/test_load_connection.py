"""The bytes of a request, and one connection that sends them, against servers that close, stall and babble."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from loadtests import connection
from loadtests.connection import Connection, Place
from loadtests.requesting import Wire

GET = Wire("GET", "/api/v1/leads/lookup?phone=1", {"x-api-key": "k"})
POST = Wire("POST", "/api/v1/ping", {"Content-Type": "application/json"}, '{"name": "José"}')
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_request_is_the_bytes_of_its_wire_at_the_base_url_of_the_target() -> None:
    sent = Place("http://example.com:8080/prefix/").encoded(POST)
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[:2] == [b"POST /prefix/api/v1/ping HTTP/1.1", b"Host: example.com:8080"]
    assert b"Content-Length: %d" % len(body) in head.split(b"\r\n")
    assert body.decode() == POST.body
    assert b"Content-Length" not in Place("http://example.com").encoded(GET)


def test_a_name_and_password_in_the_url_are_sent_unless_the_request_has_its_own() -> None:
    place = Place("http://us%40er:pass@example.com")
    assert b"Host: example.com\r\n" in place.encoded(GET)
    assert b"Authorization: Basic dXNAZXI6cGFzcw==\r\n" in place.encoded(GET)
    own = Wire("GET", "/", {"Authorization": "Bearer t"})
    assert place.encoded(own).count(b"Authorization") == 1
    assert b"Authorization: Bearer t\r\n" in place.encoded(own)


Serve = Callable[[socket.socket, int], None]


@contextmanager
def serving(serve: Serve) -> Iterator[Place]:
    """Hand each connection, and its number, to `serve` in turn."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            for number in range(100):
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    return
                with accepted:
                    serve(accepted, number)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield Place(f"http://127.0.0.1:{listening.getsockname()[1]}")
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(60)
    assert not thread.is_alive()


def answering(*answers: bytes) -> Serve:
    """Answer so many requests of a connection, then close it without a word."""

    def serve(accepted: socket.socket, _number: int) -> None:
        for answer in answers:
            if not accepted.recv(65536):
                return
            accepted.sendall(answer)

    return serve


def exchanged(serve: Serve, times: int = 1) -> list[connection.Answer]:
    with serving(serve) as place:
        one = Connection(place)
        found = [one.exchange(place.encoded(GET)) for _ in range(times)]
        one.close()
    return found


def test_answers_come_one_after_another_over_the_same_connection() -> None:
    seen: list[int] = []

    def serve(accepted: socket.socket, number: int) -> None:
        seen.append(number)
        answering(FINE, FINE, FINE)(accepted, number)

    assert [answer.body for answer in exchanged(serve, 3)] == [b"ok"] * 3
    assert seen == [0]


def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew() -> None:
    with serving(answering(FINE)) as place:
        one = Connection(place)
        for _ in range(3):
            assert one.exchange(place.encoded(GET)).status == 200
            assert one._closing.poll(60_000)  # until the news is here
        one.close()


def test_a_server_that_says_it_closes_is_taken_at_its_word() -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    assert [answer.fault for answer in exchanged(answering(closing), 3)] == ["", "", ""]


def test_both_headers_of_a_429_are_kept_as_they_came() -> None:
    head = b"HTTP/1.1 429 Slow\r\nretry-after: 1\r\nretry_after: 2\r\nretry_after: 3\r\nContent-Length: 0\r\n\r\n"
    (answer,) = exchanged(answering(head))
    assert (answer.status, answer.headers) == (429, {"Retry-After": "1", "retry_after": "2, 3"})


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"])
def test_no_whole_answer_is_a_fault_and_no_request_is_sent_twice(answer: bytes) -> None:
    requests: list[bytes] = []

    def serve(accepted: socket.socket, _number: int) -> None:
        requests.append(accepted.recv(65536))
        accepted.sendall(answer)

    (found,) = exchanged(serve)
    assert (found.status, bool(found.fault), len(requests)) == (0, True, 1)


def test_an_answer_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LONGEST_ANSWER", 1000)
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    (found,) = exchanged(answering(endless + endless[-1007:] * 40))
    assert len(found.body) <= 1000


def test_nobody_listening_is_a_fault() -> None:
    with serving(answering(FINE)) as place:
        pass
    one = Connection(place)
    one.freshen()  # says nothing yet
    assert "refused" in one.exchange(place.encoded(GET)).fault.lower()
