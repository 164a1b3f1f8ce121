"""The application as the relay's upstream, in the same process: a request in, its answer out, and what it runs on.

Calls that never block but where they say so take turns on the loop's thread, each on a fiber (`fibers.py`): no thread
takes the interpreter from another. All else has a thread of its own. What reaches us was taken in whole by the relay.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import re
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from werkzeug.http import http_date

from simulator.fibers import Turns, current
from simulator.messages import Asked, Headers, Spoken, understood
from simulator.threads import Threads
from simulator.wire.upstream import Upstream

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

OFTEN = 4096  # bytes of a head that may come again and again: it is understood once
_END = re.compile(rb"\n\r?\n")

log = logging.getLogger(__name__)


class Gateway:
    """Answers the requests of many connections with one WSGI application.

    `takes_turns` says of a path whether its calls may have fibers; the others have so many `threads` at most.
    """

    def __init__(
        self,
        application: WSGIApplication,
        takes_turns: Callable[[str], bool],
        threads: int,
        address: tuple[str, int],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._application = application
        self._takes_turns = takes_turns
        self._turns = Turns(loop)
        self._threads = Threads(threads, "requests")
        self._address = {"SERVER_NAME": address[0], "SERVER_PORT": str(address[1])}
        self.loop = loop
        self._date = ""
        self._date_until = 0.0

    def connect(self, upstream: Upstream) -> None:
        """Be the other end of one client's connection."""
        upstream.connection_made(cast("asyncio.Transport", _Seat(self, upstream)))

    def serve(self, seat: _Seat, message: bytes) -> None:
        """Begin to answer one request, which nobody may wait for any more."""
        if seat.is_over:
            return
        try:
            self._begin(seat, message)
        except Exception:
            log.exception("a request could not be begun with")
            seat.fail()

    def _begin(self, seat: _Seat, message: bytes) -> None:
        end = _END.search(message)
        assert end is not None  # the relay has read it
        head = message[: end.end()]
        asked = understood(head) if len(head) <= OFTEN else understood.__wrapped__(head)
        environ = asked.environ | self._address
        environ["REMOTE_ADDR"] = seat.peer
        environ["wsgi.input"] = io.BytesIO(message[end.end() :])
        if self._takes_turns(environ["PATH_INFO"]):
            self._turns.do_now(lambda: self._answer(environ, asked, seat))
        else:
            self._threads.do(lambda: self._answer(environ, asked, seat))

    def _answer(self, environ: WSGIEnvironment, asked: Asked, seat: _Seat) -> None:
        said: list[tuple[int, Headers]] = []

        def start(status: str, headers: Headers, _error: object = None) -> Callable[[bytes], object]:
            said.append((int(status[:3]), headers))
            return _no_writing

        try:
            parts: Iterable[bytes] = self._application(environ, start)
            answer = Spoken(asked, *said[-1])
            if not isinstance(parts, list) and (answer.is_short or current() is not None):
                parts = _collected(parts)  # what has no length is a stream, and only threads wait for one
            if isinstance(parts, list):
                seat.say(answer.whole(parts, self._now()), last=answer.is_last)
            else:
                _stream(answer, parts, seat, self._now())
        except Exception:
            log.exception("%s %s could not be answered", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            seat.fail()

    def _now(self) -> str:
        """Return the date for a head; it is worded once a second."""
        if (now := self.loop.time()) >= self._date_until:
            self._date, self._date_until = http_date(), now + 1
        return self._date


def _no_writing(_part: bytes) -> object:
    raise NotImplementedError("Flask returns what it has to say")


def _collected(parts: Iterable[bytes]) -> list[bytes]:
    try:
        return list(parts)
    finally:
        _close(parts)


def _close(parts: Iterable[bytes]) -> None:
    if (close := getattr(parts, "close", None)) is not None:
        close()


class _Seat:
    """The application's end of one client's connection: what a transport is to `wire.upstream`."""

    def __init__(self, gateway: Gateway, upstream: Upstream) -> None:
        self._gateway = gateway
        self._upstream = upstream
        self._flows = threading.Event()
        self._flows.set()
        self._held: bytes | None = None  # the request that waits until the client has read
        self._has_spoken = False  # since that request
        self.is_over = False
        self.is_left = False  # nobody reads any more
        self.peer = upstream.peer

    # What the client's side does; always on the loop's thread.

    def write(self, message: bytes) -> None:
        if not self._flows.is_set():
            self._held = message
            return
        self._has_spoken = False
        # Soon, not now: whoever pipelines a thousand requests must not be a thousand calls deep.
        self._gateway.loop.call_soon(self._gateway.serve, self, message)

    def write_eof(self) -> None:
        self.is_left = True
        self._flows.set()

    def abort(self) -> None:
        self._held = None
        self.write_eof()
        self._end()

    def pause_reading(self) -> None:
        self._flows.clear()

    def resume_reading(self) -> None:
        self._flows.set()
        if self._held is not None:
            message, self._held = self._held, None
            self.write(message)

    # What the application does, on whatever thread it runs.

    def say(self, data: bytes, *, last: bool = False) -> None:
        """Give the client some bytes; `last`: and hang up."""
        self._has_spoken = True
        if current() is not None:
            self._heard(data, last=last)
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it every connection
            self._gateway.loop.call_soon_threadsafe(lambda: self._heard(data, last=last))

    def fail(self) -> None:
        """Say that there is no answer; if it had begun, only hanging up says so."""
        said = b"" if self._has_spoken else b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
        self.say(said, last=True)

    def say_and_wait(self, data: bytes) -> None:
        """Do the same from a thread, and wait until the client has room for more."""
        self._has_spoken = True
        passed = threading.Event()

        def now() -> None:
            self._heard(data, last=False)
            passed.set()

        self._gateway.loop.call_soon_threadsafe(now)
        passed.wait()
        self._flows.wait()

    def _heard(self, data: bytes, *, last: bool) -> None:
        if not self.is_over and data:
            self._upstream.data_received(data)
        if last:
            self._end()

    def _end(self) -> None:
        if not self.is_over:
            self.is_over = self.is_left = True
            self._gateway.loop.call_soon(self._upstream.connection_lost, None)


def _stream(answer: Spoken, parts: Iterable[bytes], seat: _Seat, date: str) -> None:
    """Send part by part, each when the client has room for it. A reader that went away ends it."""
    answer.is_last = answer.is_last or not answer.in_chunks
    try:
        seat.say_and_wait(answer.head(date))
        for part in parts:
            if seat.is_left:
                answer.is_last = True
                break
            if part:
                seat.say_and_wait(b"%x\r\n%s\r\n" % (len(part), part) if answer.in_chunks else part)
    finally:
        _close(parts)
    seat.say(b"0\r\n\r\n" if answer.in_chunks and not seat.is_left else b"", last=answer.is_last)
