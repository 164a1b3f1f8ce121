"""One client and the simulator behind it: bytes pass both ways, faults are performed. Accepting is `relay.py`'s."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import cast

from simulator.wire.endings import Ending, Hanging, Lingering, Resetting
from simulator.wire.faults import LONGEST_MS, Fault, Kind
from simulator.wire.framing import Marked, Responses
from simulator.wire.house import House
from simulator.wire.intake import Intake, Part, Request
from simulator.wire.refusals import Refusal
from simulator.wire.upstream import Upstream

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
MOST_AHEAD = 64 * 1024  # bytes of the requests after the one that is being answered

_EMPTY = re.compile(rb"(\ncontent-length[ \t]*:[ \t]*)0+[ \t]*\r\n", re.IGNORECASE)


class Client(asyncio.Protocol):
    """One client's connection. The one to the simulator is made when the first request is whole.

    The simulator gets a request when all of it is there, and the next one of a connection after it has answered: who
    sends slowly, or half of something, holds none of its threads.
    """

    transport: asyncio.Transport

    def __init__(self, house: House) -> None:
        self._house = house
        self._intake = Intake()
        self._methods: deque[bytes] = deque()
        self._responses = Responses(self._methods)
        self._upstream: Upstream | None = None
        self._upstream_is_gone = False
        self._connecting: asyncio.Task[None] | None = None
        self._early = b""
        self._is_asking = False  # a request is with the simulator, or its answer on the way
        self._is_last = False
        self._was_told_to_continue = False
        self._half_closed = False
        self._full = False  # the client reads more slowly than the simulator writes
        self._slow: asyncio.TimerHandle | None = None  # an answer is held back
        self._held: tuple[bytes, bytes] = b"", b""  # its head, and what followed
        self._left_until_cut: int | None = None  # bytes of a body that is to be truncated
        self._ending: Ending | None = None

    # What the client does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._house.joined(self)
        self._house.reads(self, Part.NOTHING, 0)

    def data_received(self, data: bytes) -> None:
        if self._ending is not None or self._upstream_is_gone:
            return
        self._intake.add(data)
        if not self._is_asking:
            self._advance()
        elif self._intake.size > MOST_AHEAD:
            self.transport.pause_reading()

    def _advance(self) -> None:
        """Ask the simulator the next request, if it is whole."""
        request = self._intake.next()
        if request is not None:
            self._ask(request)
        elif self._half_closed:
            self.give_up(Refusal.UNFINISHED)
        elif self._intake.part is Part.NOTHING and self._house.stopping:
            self.transport.close()
        else:
            self._wait()

    def _wait(self) -> None:
        if self._intake.wants_continue and not self._was_told_to_continue:
            self._was_told_to_continue = True
            self.transport.write(CONTINUE)
        if not self._house.reads(self, self._intake.part, self._intake.wants):
            self.transport.pause_reading()

    def has_room(self) -> None:
        """Go on reading: there is memory for what comes."""
        self.transport.resume_reading()
        self._house.reads(self, self._intake.part, 0)

    def give_up(self, why: Refusal | None) -> None:
        """Wait no longer for the rest of a request, for the next one, or for an answer to be read."""
        request = self._intake.refuse(why) if why is not None and self.is_receiving else None
        if request is not None:
            self._ask(request)
        elif self._full:
            self.transport.abort()
        else:
            self._end(Lingering(self.transport, half_closed=self._half_closed))

    @property
    def is_receiving(self) -> bool:
        """Whether a part of a request has come, and the rest not yet."""
        return not self._is_asking and self._intake.part is not Part.NOTHING

    def eof_received(self) -> bool:
        """Return whether the connection stays: a client that half-closes still wants its answers."""
        if self._ending is not None:
            return self._ending.stays_after_eof()
        self._half_closed = True
        self._tell_that_a_reader_left()
        if self.is_receiving:
            self.give_up(Refusal.UNFINISHED)
        return self._is_asking or self._ending is not None

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
        self._house.is_stuck(self, stuck=True)
        self._hold_upstream()

    def resume_writing(self) -> None:
        self._full = False
        self._house.is_stuck(self, stuck=False)
        self._release_upstream()

    # The connection to the simulator.

    def _ask(self, request: Request) -> None:
        self._is_asking, self._is_last, self._was_told_to_continue = True, request.is_last, False
        self._house.waits_no_more(self)
        self.transport.resume_reading()
        self._methods.append(request.method)
        if self._upstream is not None:
            self._upstream.transport.write(request.message)
        else:
            self._early = request.message
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

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

    def _drop_upstream(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.abort()

    def _hold_upstream(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.pause_reading()

    def _release_upstream(self) -> None:
        if self._upstream is not None and not self._full and self._slow is None:
            self._upstream.transport.resume_reading()

    def _tell_that_a_reader_left(self) -> None:
        """End an answer that does not say how long it is, such as a stream of events: its reader will send no more."""
        if self._upstream is not None and self._half_closed and self._responses.in_stream:
            self._upstream.transport.write_eof()

    # What the simulator does.

    def answered(self, data: bytes) -> None:
        """Pass on what the simulator sent, up to the next fault, and begin that."""
        if self._slow is not None:
            self._held = self._held[0], self._held[1] + data
        elif self._left_until_cut is not None:
            self._write_until_cut(data)
        elif self._ending is None:
            self._responses.says_last = self._is_leaving
            passing, marked = self._responses.take(data)
            if passing:
                self.transport.write(passing)
            if marked is not None:
                self._perform(marked)
            elif not self._methods and self._responses.between:
                self._settle()
            elif self._half_closed:
                self._tell_that_a_reader_left()

    @property
    def _is_leaving(self) -> bool:
        """Whether an answer that goes now is to be the last: whoever has asked on already is answered first."""
        return self._house.leaving and self._intake.part is Part.NOTHING

    def _settle(self) -> None:
        """Turn to the client again: its request is answered."""
        if not self._is_asking:
            return
        self._is_asking = False
        if self._is_last or self._responses.said_last:
            self._end(Lingering(self.transport, half_closed=self._half_closed))
            return
        self.transport.resume_reading()
        self._advance()

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
            self._end(Lingering(self.transport, half_closed=self._half_closed))

    def close_unless_owed(self, latest: float) -> None:
        """End now unless a request waits for its answer or is under way; an answer due after `latest` goes at once."""
        is_silent = self._ending is not None and self._ending.is_silent
        is_idle = not self._is_asking and self._ending is None and self._intake.part is Part.NOTHING
        if is_silent or is_idle or self._responses.in_stream:
            self.transport.close()
        elif self._slow is not None and self._slow.when() > latest:
            self._slow.cancel()
            self._delay_is_over()

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
        self._house.waits_no_more(self)
        self._drop_upstream()
        if self._responses.said_last:
            self._ending.hurry()
        if self._house.stopping:
            self.close_unless_owed(0)

    def _delay(self, marked: Marked, milliseconds: int) -> None:
        self._hold_upstream()
        self._held = marked.head, marked.rest
        self._slow = asyncio.get_running_loop().call_later(milliseconds / 1000, self._delay_is_over)

    def _delay_is_over(self) -> None:
        self._slow = None
        (head, rest), self._held = self._held, (b"", b"")
        self._go_on(head, rest)
        self._release_upstream()
        self._end_if_upstream_did()

    def _go_on(self, head: bytes, rest: bytes) -> None:
        self.transport.write(self._responses.last(head) if self._is_leaving else head)
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


def _milliseconds(fault: Fault) -> int:
    return LONGEST_MS if fault.fixed_ms is None else fault.fixed_ms
