"""A scenario run in memory on a simulated clock: its prediction, and the proof of the judge. Nothing is sent."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from loadtests.law import Limit, Reference, retry_after
from loadtests.log import Record
from loadtests.schedule import Follower, Queue, Ticket


class Reply(NamedTuple):
    """What a limiter says. `carriers` are Retry-After, the retry_after header and the body's retry_after."""

    status: int
    carriers: tuple[str, str, str] = ("", "", "")


Limiter = Callable[[Ticket, int], Reply]
"""Called once for each request, in the order of the moments (nanoseconds) at which they are decided."""

Delays = Callable[[], tuple[int, int]]
"""Nanoseconds from a send to its decision, and from there to the receive."""


def lawful(limits: Mapping[str, Limit]) -> Limiter:
    """Return the limiter that keeps the law, for every key and endpoint; without a key, it answers 401."""
    states: dict[tuple[str, str], Reference] = {}

    def answer(ticket: Ticket, now: int) -> Reply:
        if ticket.endpoint not in limits:
            return Reply(201)
        if not ticket.key:
            return Reply(401)
        state = states.setdefault((ticket.key, ticket.endpoint), Reference(limits[ticket.endpoint]))
        wait = state.wait(now)
        said = str(retry_after(wait))
        return Reply(429, (said, said, said)) if wait else Reply(201)

    return answer


def always(_ticket: Ticket) -> bool:
    return True


def instantly() -> tuple[int, int]:
    return 0, 0


def rehearse(
    tickets: Iterable[Ticket],
    limiter: Limiter,
    *,
    connections: int = 1_000_000,
    delays: Delays = instantly,
    follower: Follower | None = None,
    takes: Callable[[Ticket], bool] = always,
) -> list[Record]:
    """Return the log of a run against a limiter in memory, by send. `takes` tells whether a ping that passes sells."""
    return _Rehearsal(Queue(tickets), limiter, connections, delays, follower, takes).run()


class _Rehearsal:
    """Requests on their way, as events by time: a decision, then a receive, then the connection is free again."""

    def __init__(
        self,
        queue: Queue,
        limiter: Limiter,
        connections: int,
        delays: Delays,
        follower: Follower | None,
        takes: Callable[[Ticket], bool],
    ) -> None:
        self._queue, self._limiter, self._delays, self._follower = queue, limiter, delays, follower
        self._takes = takes
        self._free = connections
        self._waiting: deque[Ticket] = deque()
        self._events: list[tuple[int, int, Ticket, int, Reply | None]] = []
        self._sequence = 0
        self._log: list[Record] = []

    def run(self) -> list[Record]:
        while self._queue or self._events:
            due = self._queue.next_due()
            if due is not None and (not self._events or due <= self._events[0][0]):
                self._arrive(self._queue.pop())
            else:
                self._happen()
        return sorted(self._log, key=lambda record: record.send)

    def _arrive(self, ticket: Ticket) -> None:
        if self._free:
            self._send(ticket, ticket.due)
        else:
            self._waiting.append(ticket)

    def _send(self, ticket: Ticket, now: int) -> None:
        self._free -= 1
        self._plan(now + self._delays()[0], ticket, now, None)

    def _plan(self, when: int, ticket: Ticket, sent: int, reply: Reply | None) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (when, self._sequence, ticket, sent, reply))

    def _happen(self) -> None:
        now, _, ticket, sent, reply = heapq.heappop(self._events)
        if reply is None:
            self._plan(now + self._delays()[1], ticket, sent, self._limiter(ticket, now))
        else:
            self._receive(now, ticket, sent, reply)

    def _receive(self, now: int, ticket: Ticket, sent: int, reply: Reply) -> None:
        times = (ticket.due, sent, now)
        record = Record(
            ticket.number, ticket.key, ticket.endpoint, *times, reply.status, ticket.attempt, *reply.carriers
        )
        self._log.append(record)
        self._free += 1
        transaction = f"txn-{ticket.number}" if self._takes(ticket) else ""
        if self._follower and (following := self._follower.after(ticket, record, transaction)):
            self._queue.push(following)
        if self._waiting:
            self._send(self._waiting.popleft(), now)
