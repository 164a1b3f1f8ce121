"""Hands out one process's tickets when they are due, and keeps its log. Who sends them is `locustfile.py`'s."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass

import gevent
from gevent.event import Event
from gevent.queue import SimpleQueue

from loadtests.law import SECOND
from loadtests.log import Record
from loadtests.plan import Plan
from loadtests.requesting import Reader, Requests, Wire, accepted_transaction
from loadtests.schedule import Follower, Queue, Ticket, dealt

_BREATH = 200  # requests made between two looks at the network, so that a worker's heartbeat goes on


@dataclass(frozen=True, slots=True)
class Answer:
    """What Locust's client brought back; status 0 and `fault` when nothing came."""

    status: int
    headers: Mapping[str, str]
    body: str
    fault: str = ""


class Desk:
    """One process's share of a run: the tickets dealt to it, the moment each is due, and what became of them."""

    def __init__(self, plan: Plan, index: int, of: int) -> None:
        planned = plan.tickets()
        self._share = dealt(planned, index, of)
        self._queue = Queue(self._share)
        self._follower = Follower(plan.scenario, len(planned), plan.seed)
        self._requests = Requests(plan.scenario, plan.callers, len(planned), plan.seed)
        self._reader = Reader()
        self._start = 0
        self._under_way = 0
        self._changed = Event()
        self._due: SimpleQueue[Ticket] = SimpleQueue()
        self.log: list[Record] = []

    @property
    def planned(self) -> int:
        return len(self._share)

    def prepare(self) -> None:
        """Make every request ahead: a lead takes a tenth of a millisecond."""
        for number, ticket in enumerate(self._share):
            self._requests.prepare(ticket)
            if number % _BREATH == 0:
                gevent.sleep(0)
        gc.collect()
        gc.freeze()  # no collection walks through the leads while the run goes on

    def run(self, start: int) -> None:
        """Hand out every ticket at its moment; `start` is on this process's monotonic clock. Returns at the end."""
        self._start = start
        while self._queue or self._under_way:
            self._changed.clear()
            self._changed.wait(self._pause())
            while (due := self._queue.next_due()) is not None and due <= self._now():
                self._under_way += 1
                self._due.put(self._queue.pop())

    def _pause(self) -> float | None:
        due = self._queue.next_due()
        return None if due is None else max(0.0, (due - self._now()) / SECOND)

    def _now(self) -> int:
        return time.monotonic_ns() - self._start

    def take(self) -> tuple[Ticket, Wire]:
        """Wait for the next ticket that is due."""
        ticket = self._due.get()
        return ticket, self._requests.wire(ticket)

    def finish(self, ticket: Ticket, sent: int, received: int, answer: Answer) -> None:
        """Write down what became of a ticket; both moments are on the process's monotonic clock."""
        send, receive = sent - self._start, received - self._start
        record = self._reader.record(ticket, send, receive, answer.status, answer.headers, answer.body, answer.fault)
        self.log.append(record)
        transaction = accepted_transaction(ticket, answer.status, answer.body)
        following = self._follower.after(ticket, record, transaction)
        if following is not None:
            self._queue.push(following)
        self._under_way -= 1
        if following is not None or not self._under_way:
            self._changed.set()
