"""One client and the simulator behind it: bytes pass both ways, faults are performed. Accepting is `relay.py`'s."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from typing import Any, Protocol, cast

from simulator.wire.endings import Ending, Hanging, Lingering, Resetting
from simulator.wire.faults import LONGEST_MS, Fault, Kind
from simulator.wire.framing import Marked, Requests, Responses

MOST_SALVAGED = 1024 * 1024  # bytes of an answer by a simulator that hung up while we were still writing

_EMPTY = re.compile(rb"(\ncontent-length[ \t]*:[ \t]*)0+[ \t]*\r\n", re.IGNORECASE)


class House(Protocol):
    """What a client's connection needs of the relay that it belongs to."""

    stopping: bool

    async def connect(self, make: Callable[[], asyncio.Protocol]) -> None: ...
    def joined(self, client: Client) -> None: ...
    def left(self, client: Client) -> None: ...


class Client(asyncio.Protocol):
    """One client's connection. The one to the simulator is made when the first byte comes."""

    transport: asyncio.Transport

    def __init__(self, house: House) -> None:
        self._house = house
        self._requests = Requests()
        self._responses = Responses(self._requests)
        self._upstream: Upstream | None = None
        self._upstream_is_gone = False
        self._connecting: asyncio.Task[None] | None = None
        self._early = b""
        self._half_closed = False
        self._full = False  # the client reads more slowly than the simulator writes
        self._slow: asyncio.TimerHandle | None = None  # an answer is held back
        self._delayed = b""
        self._left_until_cut: int | None = None  # bytes of a body that is to be truncated
        self._ending: Ending | None = None

    # What the client does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._house.joined(self)
        if self._house.stopping:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self._ending is not None or self._upstream_is_gone:
            return
        self._requests.follow(data)
        if self._upstream is not None:
            self._upstream.transport.write(data)
            return
        self._early = data
        self.transport.pause_reading()
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def eof_received(self) -> bool:
        """Return whether the connection stays: a client that half-closes still wants its answers."""
        if self._ending is not None:
            return self._ending.stays_after_eof()
        self._half_closed = True
        self._pass_on_eof()
        return self._upstream is not None or self._slow is not None

    def connection_lost(self, _exc: Exception | None) -> None:
        for pending in (self._connecting, self._slow):
            if pending is not None:
                pending.cancel()
        if self._ending is not None:
            self._ending.over()
        self._drop_upstream()
        self._house.left(self)

    def pause_writing(self) -> None:
        self._full = True
        self._hold_upstream()

    def resume_writing(self) -> None:
        self._full = False
        self._release_upstream()

    # The connection to the simulator.

    async def _connect(self) -> None:
        try:
            await self._house.connect(lambda: Upstream(self))
        except OSError:
            self.transport.close()
        finally:
            self._connecting = None

    def reached(self, upstream: Upstream) -> None:
        self._upstream = upstream
        upstream.transport.write(self._early)
        self._early = b""
        self.transport.resume_reading()

    def _drop_upstream(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.abort()

    def _hold_upstream(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.pause_reading()

    def _release_upstream(self) -> None:
        if self._upstream is not None and not self._full and self._slow is None:
            self._upstream.transport.resume_reading()

    def _pass_on_eof(self) -> None:
        """Tell the simulator that the client sends no more, once it has its answers.

        The server takes the end of the requests for the end of the client, and drops its answers. That is what should
        happen where an answer is under way that does not say how long it is, or a request that will not be complete.
        """
        waits = not (self._is_idle or self._requests.incomplete or self._requests.lost or self._responses.in_stream)
        if self._upstream is not None and not waits:
            self._upstream.transport.write_eof()

    # What the simulator does.

    def answered(self, data: bytes) -> None:
        """Pass on what the simulator sent, up to the next fault, and begin that."""
        if self._slow is not None:
            self._delayed += data
        elif self._left_until_cut is not None:
            self._write_until_cut(data)
        elif self._ending is None:
            passing, marked = self._responses.take(data)
            if passing:
                self.transport.write(passing)
            if marked is not None:
                self._perform(marked)
            elif self._half_closed or self._house.stopping:
                self._after_answer()

    def upstream_is_gone(self, last: bytes) -> None:
        """Pass on the simulator's last bytes and end."""
        self._upstream = None
        self._upstream_is_gone = True
        if self.transport.is_closing():
            return
        if last:
            self.answered(last)
        self._end_if_upstream_did()

    def _end_if_upstream_did(self) -> None:
        if self._upstream_is_gone and self._slow is None and self._ending is None:
            self.transport.write(self._responses.let_go())
            self._ending = Lingering(self.transport, half_closed=self._half_closed)

    def _after_answer(self) -> None:
        if self._house.stopping and self._is_idle:
            self.transport.close()
        elif self._half_closed:
            self._pass_on_eof()

    @property
    def _is_idle(self) -> bool:
        return self._slow is None and self._responses.between and not self._requests.outstanding

    def close_when_idle(self) -> None:
        """End now if nothing is under way, or nothing ever comes; else after the answer."""
        if self._is_idle or (self._ending is not None and self._ending.is_silent):
            self.transport.close()

    # Faults.

    def _perform(self, marked: Marked) -> None:
        fault = marked.fault or Fault(Kind.EMPTY_BODY)  # a word that the relay has nothing to do for
        match fault.kind:
            case Kind.RESET:
                self._end(Resetting(self.transport, half_closed=self._half_closed))
            case Kind.HANG:
                self._end(Hanging(self.transport, _milliseconds(fault), half_closed=self._half_closed))
            case Kind.SLOW:
                self._delay(marked, _milliseconds(fault))
            case Kind.TRUNCATED_BODY:
                self._truncate(marked)
            case _:
                self._go_on(marked.head, marked.rest)

    def _end(self, ending: Ending) -> None:
        self._ending = ending
        self._left_until_cut = None
        self._drop_upstream()
        if self._house.stopping:
            self.close_when_idle()

    def _delay(self, marked: Marked, milliseconds: int) -> None:
        self._hold_upstream()
        self._delayed = marked.rest
        self._slow = asyncio.get_running_loop().call_later(milliseconds / 1000, self._delay_is_over, marked.head)

    def _delay_is_over(self, head: bytes) -> None:
        self._slow = None
        rest, self._delayed = self._delayed, b""
        self._go_on(head, rest)
        self._release_upstream()
        self._end_if_upstream_did()

    def _go_on(self, head: bytes, rest: bytes) -> None:
        self.transport.write(head)
        self.answered(rest)

    def _truncate(self, marked: Marked) -> None:
        """Send the head and half of the body; where the body is empty, a head that promises one byte."""
        self.transport.write(_EMPTY.sub(rb"\g<1>1\r\n", marked.head))
        length = marked.framing.length
        self._left_until_cut = len(marked.rest) // 2 if length is None else length // 2
        self._write_until_cut(marked.rest)

    def _write_until_cut(self, data: bytes) -> None:
        assert self._left_until_cut is not None
        part = data[: self._left_until_cut]
        self.transport.write(part)
        self._left_until_cut -= len(part)
        if self._left_until_cut == 0:
            self._end(Lingering(self.transport, half_closed=self._half_closed))


class Upstream(asyncio.Protocol):
    """The connection to the simulator that belongs to one client."""

    transport: asyncio.Transport

    def __init__(self, client: Client) -> None:
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._client.transport.is_closing():
            self.transport.abort()
        else:
            self._client.reached(self)

    def data_received(self, data: bytes) -> None:
        self._client.answered(data)

    def pause_writing(self) -> None:
        self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        self._client.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        # A server that refuses a long upload answers and hangs up: its answer is still to be read when we notice.
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


def _milliseconds(fault: Fault) -> int:
    return LONGEST_MS if fault.fixed_ms is None else fault.fixed_ms
