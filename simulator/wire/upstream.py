"""The connection to the simulator that belongs to one client. What passes over it is `link.py`'s."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Protocol, cast

MOST_SALVAGED = 1024 * 1024  # bytes of an answer by a simulator that hung up while we were still writing


class Asker(Protocol):
    """The client's side."""

    transport: asyncio.Transport

    def reached(self, upstream: Upstream) -> None: ...
    def answered(self, data: bytes) -> None: ...
    def upstream_is_gone(self, last: bytes) -> None: ...


class Upstream(asyncio.Protocol):
    """Hands on what the simulator says."""

    transport: asyncio.Transport

    def __init__(self, client: Asker) -> None:
        self._client = client

    @property
    def peer(self) -> str:
        """The client's address; "" where it has none."""
        place = self._client.transport.get_extra_info("peername")
        return str(place[0]) if isinstance(place, tuple) else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._client.transport.is_closing():
            self.transport.abort()
        else:
            self._client.reached(self)

    def data_received(self, data: bytes) -> None:
        self._client.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:
        # A server that refuses a request may answer and hang up: its answer is still to be read when we notice.
        self._client.upstream_is_gone(salvaged(self.transport) if exc is not None else b"")


def salvaged(transport: asyncio.Transport) -> bytes:
    """Return what is left to read from a connection on which writing failed."""
    sock: Any = transport.get_extra_info("socket")
    parts: list[bytes] = []
    try:
        while sum(map(len, parts)) < MOST_SALVAGED and (part := os.read(sock.fileno(), 65536)):
            parts.append(part)
    except OSError:
        pass
    return b"".join(parts)
