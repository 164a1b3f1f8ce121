"""Hands out one process's tickets when they are due, and keeps its log. Who sends them is `locustfile.py`'s."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass

import gevent
from gevent.event import Event
from gevent.queue import SimpleQueue

from loadtests.connection import FRESH, Answer, Place
from loadtests.law import SECOND
from loadtests.log import Record
from loadtests.plan import Plan
from loadtests.requesting import Reader, Requests, accepted_transaction
from loadtests.schedule import Follower, Queue, Ticket, dealt

_BREATH = 200  # requests made between two looks at the network, so that a worker's heartbeat goes on
_AHEAD = 3 * SECOND // 10  # nanoseconds before a ticket that follows a silence at which connections are opened


@dataclass(frozen=True, slots=True)
class Errand:
    """A ticket that is due, and the bytes that it sends."""

    ticket: Ticket
    method: str
    request: bytes


class Desk:
    """One process's share of a run: the tickets dealt to it, the moment each is due, and what became of them."""

    def __init__(self, plan: Plan, index: int, of: int) -> None:
        planned = plan.tickets()
        self._share = dealt(planned, index, of)
        self._queue = Queue(self._share)
        self._follower = Follower(plan.scenario, len(planned), plan.seed)
        self._requests = Requests(plan.scenario, plan.callers, len(planned), plan.seed)
        self._ready: dict[int, tuple[str, bytes]] = {}
        self._reader = Reader()
        self._start = 0
        self._under_way = 0
        self._users = 0
        self._busy_until = -SECOND * 3600
        self._changed = Event()
        self._due: SimpleQueue[Ticket | None] = SimpleQueue()
        self.place = Place(plan.url)
        self.log: list[Record] = []
        self.cpu = 0.0  # seconds of it that this process used while it ran

    @property
    def planned(self) -> int:
        return len(self._share)

    def enlist(self) -> None:
        """Count one more user, who takes tickets from now on."""
        self._users += 1

    def prepare(self) -> None:
        """Make the bytes of every request ahead: all that is not sending is done before the schedule starts."""
        for number, ticket in enumerate(self._share):
            self._ready[ticket.number] = self._encoded(ticket)
            if number % _BREATH == 0:
                gevent.sleep(0)
        gc.collect()
        gc.freeze()  # no collection walks through the leads while the run goes on

    def _encoded(self, ticket: Ticket) -> tuple[str, bytes]:
        wire = self._requests.wire(ticket)
        return wire.method, self.place.encoded(wire)

    def run(self, start: int) -> None:
        """Hand out every ticket at its moment; `start` is on this process's monotonic clock. Returns at the end."""
        self._start = start
        before = time.process_time()
        while self._queue or self._under_way:
            self._changed.clear()
            self._changed.wait(self._pause())
            self._freshen()
            while (due := self._queue.next_due()) is not None and due <= self._now():
                self._under_way += 1
                self._due.put(self._queue.pop())
                self._busy_until = due
        self.cpu = time.process_time() - before

    def _pause(self) -> float | None:
        """Return the seconds until something is to be done; None waits for an answer."""
        due = self._queue.next_due()
        if due is None:
            return None
        return max(0.0, (due - (_AHEAD if self._is_quiet(due) else 0) - self._now()) / SECOND)

    def _is_quiet(self, due: int) -> bool:
        return due - self._busy_until > FRESH * SECOND

    def _freshen(self) -> None:
        """After a silence, and at the start, let every user open its connection before the next ticket is due."""
        due = self._queue.next_due()
        if due is not None and self._is_quiet(due) and due - self._now() <= _AHEAD:
            self._busy_until = due
            for _ in range(self._users):
                self._due.put(None)

    def _now(self) -> int:
        return time.monotonic_ns() - self._start

    def take(self) -> Errand | None:
        """Wait for the next ticket that is due; None asks for a connection that is open."""
        ticket = self._due.get()
        if ticket is None:
            return None
        ready = None if ticket.transaction else self._ready.get(self._requests.origin(ticket))
        return Errand(ticket, *(ready or self._encoded(ticket)))

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
