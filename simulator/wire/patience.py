"""How long clients may take, and how much of the memory they may fill while they do. Bytes are not moved here."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from simulator.routing.values import value
from simulator.wire.refusals import Refusal

FREE = 16 * 1024  # bytes of one request that need no asking
MOST_HELD = 256 * 1024 * 1024  # bytes of larger requests that are held at once, all clients together


@value(frozen=True, slots=True)
class Deadlines:
    """Seconds. `idle` is between requests, `stuck` how long an answer may stay unread.

    `head` is from the first byte of a request to the end of its headers, `whole` to its last byte, `pause` between two
    pieces of a body.
    """

    head: float = 10.0
    pause: float = 10.0
    whole: float = 30.0
    idle: float = 75.0
    stuck: float = 60.0

    @property
    def tick(self) -> float:
        """How often to look."""
        return min(0.5, self.head / 4, self.pause / 4, self.idle / 4)


class Waiter(Protocol):
    """A client that may have to wait for room."""

    def has_room(self) -> None: ...


@dataclass(slots=True)
class _Reading:
    began: float
    last: float
    in_body: bool


class Patience:
    """Knows of every client what it is waited for, and since when. `now` is always the loop's time."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._idle: OrderedDict[Waiter, float] = OrderedDict()
        self._reading: dict[Waiter, _Reading] = {}
        self._stuck: dict[Waiter, float] = {}

    def idle(self, client: Waiter, now: float) -> None:
        self._reading.pop(client, None)
        self._idle[client] = now
        self._idle.move_to_end(client)

    def reading(self, client: Waiter, now: float, *, in_body: bool) -> None:
        """Note that a piece of a request came, and the rest not yet."""
        known = self._reading.get(client)
        if known is None:
            self._idle.pop(client, None)
            self._reading[client] = _Reading(now, now, in_body)
        else:
            known.last, known.in_body = now, in_body

    def excuse(self, client: Waiter) -> None:
        """Note that a client cannot send on because it is not read."""
        if item := self._reading.get(client):
            item.last = math.inf

    def busy(self, client: Waiter) -> None:
        """Note that it is the simulator's turn."""
        self._idle.pop(client, None)
        self._reading.pop(client, None)

    def stuck(self, client: Waiter, now: float) -> None:
        self._stuck[client] = now

    def unstuck(self, client: Waiter) -> None:
        self._stuck.pop(client, None)

    def gone(self, client: Waiter) -> None:
        self.busy(client)
        self.unstuck(client)

    def longest_idle(self) -> Waiter | None:
        return next(iter(self._idle), None)

    def overdue(self, now: float) -> Iterator[tuple[Waiter, Refusal | None]]:
        """Name the clients that took too long, with what to tell them; None: nothing, they only have to go."""
        limits = self._deadlines
        for client, since in self._idle.items():
            if now - since < limits.idle:
                break
            yield client, None
        for client, since in self._stuck.items():
            if now - since >= limits.stuck:
                yield client, None
        for client, item in self._reading.items():
            longest = limits.whole if item.in_body else limits.head
            if now - item.began >= longest or (item.in_body and now - item.last >= limits.pause):
                yield client, Refusal.SLOW_BODY if item.in_body else Refusal.SLOW_HEAD


class Room:
    """Memory for requests that are larger than most. Who finds none waits in turn, and is read no further."""

    def __init__(self, size: int = MOST_HELD) -> None:
        self._left = size
        self._held: dict[Waiter, int] = {}
        self._waiting: deque[tuple[Waiter, int]] = deque()

    def take(self, client: Waiter, wanted: int) -> bool:
        """Give a client room for so many bytes; False: it is told later."""
        if wanted <= FREE or client in self._held:
            return True
        if self._waiting or wanted > self._left:
            if all(other is not client for other, _ in self._waiting):
                self._waiting.append((client, wanted))
            return False
        self._give(client, wanted)
        return True

    def _give(self, client: Waiter, wanted: int) -> None:
        self._held[client] = wanted
        self._left -= wanted

    def leave(self, client: Waiter) -> None:
        """Take a client's room back, and its place in the queue."""
        if not self._held and not self._waiting:
            return
        self._left += self._held.pop(client, 0)
        if any(other is client for other, _ in self._waiting):
            self._waiting = deque(item for item in self._waiting if item[0] is not client)
        while self._waiting and self._waiting[0][1] <= self._left:
            other, wanted = self._waiting.popleft()
            self._give(other, wanted)
            other.has_room()
