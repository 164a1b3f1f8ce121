"""The ways in which a client's connection ends before its time. Why it does is decided elsewhere."""

from __future__ import annotations

import asyncio
import socket
import struct

LINGER = 5.0  # seconds that a client has to read and hang up after our last byte
GIVEN_UP = 2.0  # seconds that a hang stays after a client's last byte, which may be all that it meant to say
FLUSH = 1.0  # seconds that a client has to read earlier answers before the reset
LOOK = 0.01
HURRY = 0.3  # seconds that a client has to hang up when the relay itself is to end


class Ending:
    """Nothing passes any more. `half_closed`: the client had said before that it would send no more."""

    is_silent = False  # whether the client still hopes for an answer that never comes

    def __init__(self, transport: asyncio.Transport, *, half_closed: bool) -> None:
        self.transport = transport
        self.half_closed = half_closed
        self.timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float) -> None:
        self.timer = asyncio.get_running_loop().call_later(seconds, self.due)

    def due(self) -> None:
        self.transport.abort()

    def stays_after_eof(self) -> bool:
        """Return whether the connection stays open although the client sends no more."""
        return False

    def over(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def hurry(self) -> None:
        """Take no longer than it must, with a client that knows of the end and has nothing under way."""


class Lingering(Ending):
    """Say that no more comes, and let the client hang up: closing at once could reset away what it has not read."""

    def __init__(self, transport: asyncio.Transport, *, half_closed: bool) -> None:
        super().__init__(transport, half_closed=half_closed)
        if half_closed or not transport.can_write_eof():
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:  # reset by the client, which the loop has not heard of yet
            transport.abort()
        else:
            self.after(LINGER)

    def hurry(self) -> None:
        if not self.transport.get_write_buffer_size():
            self.over()
            self.after(HURRY)


class Hanging(Ending):
    """Say nothing. A client that gives up is let go soon; one that had half-closed before gets its full time."""

    is_silent = True

    def __init__(self, transport: asyncio.Transport, milliseconds: int, *, half_closed: bool) -> None:
        super().__init__(transport, half_closed=half_closed)
        self._until = asyncio.get_running_loop().time() + milliseconds / 1000
        self.after(milliseconds / 1000)

    def stays_after_eof(self) -> bool:
        self.over()
        left = self._until - asyncio.get_running_loop().time()
        self.after(max(min(left, GIVEN_UP), 0.0))
        return True

    def due(self) -> None:
        self.transport.close()


class Resetting(Ending):
    """End with a TCP RST, after the answers to earlier requests have left."""

    def __init__(self, transport: asyncio.Transport, *, half_closed: bool) -> None:
        super().__init__(transport, half_closed=half_closed)
        self._looks = int(FLUSH / LOOK)
        self.due()

    def due(self) -> None:
        self._looks -= 1
        if self.transport.get_write_buffer_size() and self._looks > 0:
            self.after(LOOK)
            return
        # Closing with a linger time of zero is what makes the kernel send RST instead of FIN.
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()
