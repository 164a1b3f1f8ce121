"""A scenario's plan as tickets: who sends what, and when. Sending them is the Locust file's work.

Open loop: a ticket is due at its moment whatever became of the ones before it. Only what follows from an answer (a
post after its ping, a retry after its 429) gets its moment from that answer.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from loadtests.law import SECOND, Limit
from loadtests.log import Record
from loadtests.scenarios import Phase, Scenario, Stream

LONGEST_WAIT = 5
"""Seconds. A client here obeys no longer Retry-After than this: the judge has seen it, the run need not wait."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request to send. `due` is nanoseconds after the start; `stream` counts the scenario's streams from 0.

    `burst` numbers the phase it came from, `attempt` counts from 0, `transaction` joins a post to its ping.
    """

    number: int
    due: int
    stream: int
    endpoint: str
    key: str
    burst: int = 0
    attempt: int = 0
    transaction: str = ""


def tickets(scenario: Scenario, gap: int = 0) -> list[Ticket]:
    """Return every ticket of a scenario by due time; the number is the place in the list.

    With a `gap` (nanoseconds) the streams run one after another, that far apart, instead of all at once.
    """
    drafts: list[tuple[int, int, int]] = []
    start = 0
    for index, stream in enumerate(scenario.streams):
        drafts += [(start + due, index, burst) for due, burst in _moments(stream)]
        if gap:
            start += round(stream.length * SECOND) + gap
    drafts.sort()
    return [_ticket(number, scenario, *draft) for number, draft in enumerate(drafts)]


def _ticket(number: int, scenario: Scenario, due: int, index: int, burst: int) -> Ticket:
    stream = scenario.streams[index]
    return Ticket(number, due, index, stream.endpoint, stream.key, burst)


def _moments(stream: Stream) -> Iterator[tuple[int, int]]:
    """Yield (nanoseconds after the start, number of the phase)."""
    start, burst = 0.0, 0
    for _ in range(stream.repeat):
        for phase in stream.plan:
            for offset in _offsets(phase):
                yield round((start + offset) * SECOND), burst
            start += phase.length
            burst += 1


def _offsets(phase: Phase) -> Iterable[float]:
    if phase.count:
        return [0.0] * phase.count
    if phase.rate and phase.seconds:
        return _spread(phase.rate, phase.to or phase.rate, phase.seconds)
    return ()


def _spread(first: float, last: float, seconds: float) -> list[float]:
    """Return the moments at which a rate that changes evenly has asked for one more request."""
    slope = (last - first) / seconds
    count = round((first + last) / 2 * seconds)
    if abs(slope) < 1e-9:
        return [n / first for n in range(count)]
    return [(math.sqrt(max(0.0, first * first + 2 * slope * n)) - first) / slope for n in range(count)]


def dealt(all_tickets: Sequence[Ticket], index: int, of: int) -> list[Ticket]:
    """Return the share of one of several processes: every ticket goes to exactly one."""
    return list(all_tickets[index::of])


def rest_between(limits: Iterable[Limit]) -> int:
    """Return the nanoseconds of silence that make a used key fresh again, with a second to spare."""
    return max((limit.rest for limit in limits), default=0) + SECOND


class Follower:
    """What one process sends because of an answer. Numbers never repeat: they go up by the number of tickets."""

    def __init__(self, scenario: Scenario, planned: int, seed: int) -> None:
        self._scenario = scenario
        self._planned = planned
        self._seed = seed
        self._retried: set[tuple[int, int]] = set()

    def after(self, ticket: Ticket, record: Record, transaction: str = "") -> Ticket | None:
        """Return what follows; `transaction` is that of an accepted ping. Times count from the record's start."""
        stream = self._scenario.streams[ticket.stream]
        if record.status == 429:
            return self._retry(stream, ticket, record)
        if stream.then and transaction and not ticket.transaction:
            return self._post(stream, ticket, record, transaction)
        return None

    def _retry(self, stream: Stream, ticket: Ticket, record: Record) -> Ticket | None:
        if ticket.attempt >= stream.retries or not stream.retry:
            return None
        if stream.honours and not 0 <= record.wait <= LONGEST_WAIT:
            return None
        if stream.retry == "burst" and not self._first_of(ticket):
            return None
        pause = record.wait * SECOND if stream.honours else 0
        return self._next(ticket, due=record.receive + pause, attempt=ticket.attempt + 1)

    def _first_of(self, ticket: Ticket) -> bool:
        burst = (ticket.stream, ticket.burst)
        known = burst in self._retried
        self._retried.add(burst)
        return not known

    def _post(self, stream: Stream, ticket: Ticket, record: Record, transaction: str) -> Ticket | None:
        dice = random.Random(f"{self._seed}/{ticket.number}")  # noqa: S311  no secret: the same run again  # nosec B311
        if stream.then is None or dice.random() >= stream.then.share:
            return None
        pause = round(dice.uniform(*stream.then.think) * SECOND)
        return self._next(
            ticket, due=record.receive + pause, endpoint=stream.then.endpoint, transaction=transaction, attempt=1
        )

    def _next(self, ticket: Ticket, **changes: int | str) -> Ticket:
        return replace(ticket, number=ticket.number + self._planned, **changes)  # type: ignore[arg-type]  # fields by name


class Queue:
    """Tickets by due time; those that follow from answers join while it runs."""

    def __init__(self, first: Iterable[Ticket]) -> None:
        self._heap = [(ticket.due, ticket.number, ticket) for ticket in first]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, ticket: Ticket) -> None:
        heapq.heappush(self._heap, (ticket.due, ticket.number, ticket))

    def next_due(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Ticket:
        return heapq.heappop(self._heap)[2]
