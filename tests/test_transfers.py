"""Calls to buyers that many fibers share: what goes wrong with one of them is no other's."""

from __future__ import annotations

import errno
import selectors
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

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
