"""Between the server and the application: a request in, its answer out, and on what it runs meanwhile. No routes.

Calls that never block but where they say so take turns on the loop's thread, each on a fiber (`fibers.py`): no thread
takes the interpreter from another. All else has a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # its documented name

from simulator.fibers import Fiber, current, parked
from simulator.threads import Threads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

KEPT = 9 * 1024 * 1024  # bytes of a body: more than the application takes from anybody
READ = 24 * 1024 * 1024  # bytes: what is too large is read all the same, so that its sender gets to see the answer
AT_ONCE = 1024 * 1024  # bytes that are not worth reading in parts
PATIENCE = 30.0  # seconds for a body, where no relay stands in front, which has bounds of its own

_CGI = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}

log = logging.getLogger(__name__)

Headers = list[tuple[str, str]]


class Scope(Protocol):
    """What the server says of a request (RSGI 1)."""

    proto: str
    http_version: str
    server: str
    client: str
    scheme: str
    method: str
    path: str
    query_string: str
    headers: Any


class Gateway:
    """An RSGI application around a WSGI one.

    `takes_turns` says of a path whether its calls may have fibers; the others have so many `threads` at most. `end` is
    called when the process is told to stop.
    """

    def __init__(
        self,
        application: WSGIApplication,
        takes_turns: Callable[[str], bool],
        end: Callable[[], object],
        threads: int,
    ) -> None:
        self._application = application
        self._takes_turns = takes_turns
        self._end = end
        self._threads = Threads(threads, "requests")

    def __rsgi_init__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """Listen for signals as well. The server takes them from the loop: Python's own handlers are free."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told)

    def _told(self, _number: int, _frame: object) -> None:
        # On a thread, for whatever lock the interrupted code holds.
        threading.Thread(target=self._end, name="end of streams", daemon=True).start()

    async def __rsgi__(self, scope: Scope, protocol: Any) -> None:
        loop = asyncio.get_running_loop()
        headers = scope.headers.items()
        environ = _environ(scope, headers)
        environ["wsgi.input"] = io.BytesIO(await _body(protocol, environ.get("CONTENT_LENGTH", "")))
        if self._takes_turns(scope.path):
            await self._on_a_fiber(environ, protocol, loop)
        else:
            await self._on_a_thread(environ, protocol, loop)

    async def _on_a_fiber(self, environ: WSGIEnvironment, protocol: Any, loop: asyncio.AbstractEventLoop) -> None:
        ended: asyncio.Future[None] | None = None

        def work() -> None:
            self._answer(environ, protocol, loop)
            if ended is not None:
                ended.set_result(None)

        fiber = Fiber(work, loop)
        fiber.switch()
        if not fiber.dead:
            ended = loop.create_future()
            await ended

    async def _on_a_thread(self, environ: WSGIEnvironment, protocol: Any, loop: asyncio.AbstractEventLoop) -> None:
        ended = loop.create_future()

        def work() -> None:
            self._answer(environ, protocol, loop)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(ended.set_result, None)

        self._threads.do(work)
        await ended

    def _answer(self, environ: WSGIEnvironment, protocol: Any, loop: asyncio.AbstractEventLoop) -> None:
        said: list[tuple[int, Headers]] = []

        def start(status: str, headers: Headers, _error: object = None) -> Callable[[bytes], object]:
            said.append((int(status[:3]), headers))
            return _no_writing

        try:
            parts = self._application(environ, start)
            if current() is not None and not isinstance(parts, list):
                parts = _collected(parts)  # a stream has a thread
            status, headers = said[-1]
            if isinstance(parts, list) and _is_whole(parts, headers):
                protocol.response_bytes(status, headers, b"".join(parts))
            else:
                _send_in_parts(parts, protocol.response_stream(status, headers), loop)
        except Exception:
            log.exception("%s %s could not be answered", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            with contextlib.suppress(Exception):  # it was answered half, and the server hangs up
                protocol.response_empty(500, [])


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


def _is_whole(parts: list[bytes], headers: Headers) -> bool:
    """Whether the length is the one that is announced: HEAD and some faults announce another."""
    announced = next((value for name, value in reversed(headers) if name.lower() == "content-length"), None)
    return announced is None or int(announced) == sum(map(len, parts))


def _send_in_parts(parts: Iterable[bytes], transport: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Send part by part, each when the one before it is away. A reader that went away ends it."""
    try:
        for part in parts:
            _wait_for(partial(transport.send_bytes, part), loop)
    finally:
        _close(parts)


def _wait_for(begin: Callable[[], Awaitable[object]], loop: asyncio.AbstractEventLoop) -> None:
    """Wait for something of the loop's, on a fiber or a thread. Raises what it raises."""

    async def whole() -> None:
        await begin()

    fiber = current()
    if fiber is None:
        asyncio.run_coroutine_threadsafe(whole(), loop).result()
    else:
        task = loop.create_task(whole())
        parked(fiber, task.add_done_callback).result()


async def _body(protocol: Any, length: str) -> bytes:
    """Return what was sent; nothing where it broke off or did not come in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            if length and int(length) <= AT_ONCE:
                return bytes(await protocol())
            parts, size = [], 0
            async for part in protocol:
                size += len(part)
                if size <= KEPT:
                    parts.append(bytes(part))
                elif size > READ:
                    break
            return b"".join(parts)
    except (TimeoutError, ProtocolClosed):
        return b""


def _environ(scope: Scope, headers: Headers) -> WSGIEnvironment:
    server, _, port = scope.server.rpartition(":")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": _latin(scope.path),
        "QUERY_STRING": _latin(scope.query_string),
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        key = _key(name)
        environ[key] = f"{environ[key]}{';' if name == 'cookie' else ','}{value}" if key in environ else value
    return environ


def _latin(text: str) -> str:
    return text if text.isascii() else text.encode().decode("latin-1")


@lru_cache(1024)
def _key(name: str) -> str:
    return _CGI.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
