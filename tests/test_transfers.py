"""Calls to buyers that many fibers share: what goes wrong with one of them is no other's."""

from __future__ import annotations

import errno
import resource
import selectors
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from simulator.buyers import BuyerCalls
from simulator.fibers import current
from simulator.transfers import Call, OfLoop, Reply
from tests.test_fibers import together


class Hello(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_connection_that_cannot_be_watched_times_out_and_ends_no_other_call(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch, is_full = selectors.DefaultSelector.register, threading.Event()

    def register(self: Any, descriptor: Any, events: int, data: Any = None) -> Any:
        if isinstance(descriptor, int) and data is None and is_full.is_set():  # libcurl's, not the loop's own
            raise OSError(errno.ENOSPC, "no room to watch it")
        return watch(self, descriptor, events, data)

    def asked() -> list[Reply]:
        fiber = current()
        assert fiber is not None
        calls = OfLoop(fiber.loop)
        monkeypatch.setattr(selectors.DefaultSelector, "register", register)
        is_full.set()
        lost = calls.send(fiber, [Call(url, b"x", {}, 0.3)], None)
        is_full.clear()
        return lost + calls.send(fiber, [Call(url, b"x", {}, 20.0)], None)

    [replies] = together(asked)
    assert isinstance(replies, list)
    assert [(one.failure, one.status) for one in replies] == [("timeout", 0), ("", 200)]
    assert "cannot be watched" in caplog.text


def test_receivers_that_hang_take_no_place_of_another_senders_calls(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Webhooks have connections of their own: however many hang, a buyer can be asked."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    courier, desk = BuyerCalls(), BuyerCalls()
    asked = threading.Event()

    class Silence(Hello):
        def do_POST(self) -> None:
            assert asked.wait(60)

    class Crowded(ThreadingHTTPServer):
        request_queue_size = 128

    with Crowded(("127.0.0.1", 0), Silence) as silent:
        thread = threading.Thread(target=silent.serve_forever)
        thread.start()
        hook = Call(f"http://127.0.0.1:{silent.server_port}/", b"x", {}, 60.0)

        def hooks() -> list[Reply]:
            return courier.send([hook] * 100)  # more than there is room for

        def question() -> list[Reply]:
            try:
                return desk.send([Call(url, b"x", {}, 20.0)])
            finally:
                asked.set()  # only now does a hook end

        sent, answered = together(hooks, question)
        silent.shutdown()
        thread.join()
    assert isinstance(sent, list)
    assert isinstance(answered, list)
    assert [(one.failure, one.status) for one in answered] == [("", 200)]
    assert len(sent) == 100
