"""From a listening socket to an orderly end: signals, parent pipe, ready line. No routes live here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
from collections.abc import Callable

from mock_buyers.answers import Answer
from mock_buyers.connection import Connection
from mock_buyers.messages import Request

_GRACE_SECONDS = 0.2  # for answers under way; a stalled one is cut then


class CannotStartError(Exception):
    """One sentence that says why the program cannot serve."""


def listening(host: str, port: int, fd: int | None) -> socket.socket:
    """Return a listening socket: a new one, or the inherited one. Raises CannotStartError."""
    if fd is not None:
        return _inherited(fd)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as taken:
        raise CannotStartError(f"cannot listen on {host}:{port}: {taken}") from taken


def url_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(sock: socket.socket) -> bool:
    host: str = sock.getsockname()[0]
    return host == "::1" or host.startswith("127.")


def run(answer: Callable[[Request], Answer], sock: socket.socket, parent_fd: int | None) -> None:
    """Serve until SIGTERM, Ctrl-C, or the end of the parent's pipe. Raises CannotStartError."""
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a stalled answer holds a descriptor
    asyncio.run(_serve(answer, sock, parent_fd))


async def _serve(answer: Callable[[Request], Answer], sock: socket.socket, parent_fd: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if parent_fd is not None:
        _watch(parent_fd, stop)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # of connections too: a machine that vanished is noticed
    connections: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(answer, connections), sock=sock, backlog=1024)
    print(json.dumps({"url": url_of(sock)}), flush=True)  # noqa: T201  the ready line is this program's output
    await stop.wait()
    server.close()
    await _end(connections)


async def _end(connections: set[Connection]) -> None:
    """End idle connections at once, others after the answer that is under way, or after the grace."""
    for connection in tuple(connections):
        connection.leave()
    await asyncio.sleep(0)  # they are hung up in the next turn of the loop
    if connections:
        await asyncio.sleep(_GRACE_SECONDS)
    for connection in tuple(connections):
        connection.cut()
    await asyncio.sleep(0)


def _inherited(fd: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=fd)
        is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as bad:
        raise CannotStartError(f"file descriptor {fd} is not a socket: {bad}") from bad
    if not is_listening or sock.family not in (socket.AF_INET, socket.AF_INET6):
        raise CannotStartError(f"file descriptor {fd} is not a listening TCP socket")
    return sock


def _watch(parent_fd: int, stop: asyncio.Event) -> None:
    """Stop when the other end of the pipe is closed, which its owner's death does too."""
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not _more(parent_fd):
            loop.remove_reader(parent_fd)
            stop.set()

    try:
        loop.add_reader(parent_fd, readable)
    except (OSError, ValueError) as bad:
        raise CannotStartError(f"file descriptor {parent_fd} cannot be watched: {bad}") from bad


def _more(fd: int) -> bool:
    try:
        return bool(os.read(fd, 4096))
    except BlockingIOError:
        return True
    except OSError:
        return False
