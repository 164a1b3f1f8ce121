"""The relay as a program: its socket, its signals, its parent. How bytes pass is not decided here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket

from simulator.wire.patience import Deadlines
from simulator.wire.relay import Relay

GRACE = 5.0  # seconds for answers under way, where nobody says how many
MOST_CONNECTIONS = 20_000
SPARE_DESCRIPTORS = 64


class CannotRelayError(Exception):
    """One sentence that says why the relay cannot start."""


def upstream_of(text: str) -> str | tuple[str, int]:
    """Read `unix:/path` or `tcp:host:port`. Raises CannotRelayError."""
    kind, _, place = text.partition(":")
    if kind == "unix" and place:
        return place
    host, _, port = place.rpartition(":")
    if kind == "tcp" and host and port.isdigit() and 0 < int(port) < 65536:
        return host.strip("[]"), int(port)
    raise CannotRelayError(f"{text!r} is neither unix:/path nor tcp:host:port")


def inherited(fd: int) -> socket.socket:
    """Return the listening socket behind a descriptor. Raises CannotRelayError."""
    try:
        sock = socket.socket(fileno=fd)
        listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise CannotRelayError(f"file descriptor {fd} is not a socket: {error}") from error
    if not listens:
        raise CannotRelayError(f"file descriptor {fd} is not a listening socket")
    return sock


def deadlines_of(text: str) -> Deadlines:
    """Read `head,pause,whole,idle,stuck` in seconds. Raises CannotRelayError."""
    try:
        return Deadlines(*(float(item) for item in text.split(",")))
    except (TypeError, ValueError):
        raise CannotRelayError(f"{text!r} is not up to five numbers of seconds") from None


def run(
    listening: socket.socket,
    upstream: str | tuple[str, int],
    parent_fd: int | None,
    deadlines: Deadlines,
    grace: float,
) -> None:
    """Relay until SIGTERM, Ctrl-C, or the end of the parent's pipe; then for `grace` seconds at most."""
    asyncio.run(_run(listening, upstream, parent_fd, deadlines, grace))


async def _run(
    listening: socket.socket,
    upstream: str | tuple[str, int],
    parent_fd: int | None,
    deadlines: Deadlines,
    grace: float,
) -> None:
    most = most_connections()
    relay = Relay(listening, upstream, most, deadlines)
    relay.start()
    print(json.dumps({"ready": True, "most_connections": most}), flush=True)  # noqa: T201  the program's output
    await told_to_stop(parent_fd)
    await relay.stop(grace)


async def told_to_stop(parent_fd: int | None) -> None:
    """Wait for SIGTERM, Ctrl-C, or the end of the parent's pipe."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if parent_fd is not None:
        _watch(parent_fd, stop)
    await stop.wait()


def most_connections() -> int:
    """Raise the limit on descriptors as far as allowed; return how many connections fit, at two descriptors each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_CONNECTIONS + SPARE_DESCRIPTORS
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= allowed:
        allowed = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft)
    else:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        allowed = min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return max((allowed - SPARE_DESCRIPTORS) // 2, 1)


def _watch(parent_fd: int, stop: asyncio.Event) -> None:
    """Stop when the other end of the pipe is closed, which its owner's death does too."""
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(parent_fd, 4096):
            loop.remove_reader(parent_fd)
            stop.set()

    loop.add_reader(parent_fd, readable)
