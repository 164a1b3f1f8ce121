"""One run over one process or many: who gets which tickets, one start for all, one log at the end.

Ticket i goes to process i mod n. All processes of a machine read the same monotonic clock; the clocks of others are
asked for again and again while the run goes on, and what those workers logged is as wide as the answers leave open.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.queue import Empty, SimpleQueue
from locust import runners
from locust.runners import STATE_MISSING, MasterRunner, Runner, WorkerRunner

from loadtests.clocks import ClockJumpError, OtherClock, Reading, on_our_clock
from loadtests.desk import Desk
from loadtests.law import SECOND
from loadtests.log import Record, row_of
from loadtests.plan import Plan, plan_of

START_LEAD = SECOND // 2  # between the word to go and the first ticket
PATIENCE = 120  # seconds for workers to prepare, and for answers after the last ticket
_CHUNK = 2000  # records in a message
_ASKED = 5  # times that a worker is asked for its clock before the start
_ASK_EVERY = 2.0  # seconds between two questions while the run goes on
_GLANCE = 0.5  # seconds between two looks at who is still there
_SILENCE = 20  # seconds without a heartbeat after which Locust calls a worker missing; its own 3 pass in a busy start
_GONE_AFTER = 1.0  # seconds that it must call it so


class LostRunError(Exception):
    """A run that has no whole log; the text says why."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the processes of a run did: their log, how many they were, and how well their clocks are known.

    `clock_error` is nanoseconds on either side at most, `cpu` the seconds that all of them used together.
    """

    log: list[Record]
    processes: int = 1
    clock_error: int = 0
    cpu: float = 0.0


def this_machine() -> str:
    """Return a name that two processes share when they share the monotonic clock."""
    boot, clock = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/time")
    if not boot.is_file():
        return platform.node()
    return boot.read_text("ascii").strip() + (str(clock.readlink()) if clock.is_symlink() else "")


def run_alone(plan: Plan, desks: AsyncResult[Desk]) -> Sent:
    """Run the whole plan in this process; `desks` is where its users wait for the desk."""
    desk = Desk(plan, 0, 1)
    desk.prepare()
    desks.set(desk)
    desk.run(time.monotonic_ns() + START_LEAD)
    return Sent(desk.log, cpu=desk.cpu)


class Worker:
    """Does its share of what the master deals."""

    def __init__(self, runner: WorkerRunner, desks: AsyncResult[Desk]) -> None:
        self._runner, self._desks = runner, desks
        self._desk: Desk | None = None
        for name, listener in (("deal", self._deal), ("clock", self._clock), ("go", self._go)):
            runner.register_message(f"leads-{name}", listener, concurrent=True)

    def _deal(self, environment: Any, msg: Any) -> None:  # noqa: ARG002  Locust passes both by name
        self._desk = Desk(plan_of(msg.data["plan"]), msg.data["index"], msg.data["of"])
        self._desk.prepare()
        self._desks.set(self._desk)
        self._say("ready", {})

    def _clock(self, environment: Any, msg: Any) -> None:  # noqa: ARG002  as above
        self._say("clock", {"asked": msg.data["asked"], "there": time.monotonic_ns(), "machine": this_machine()})

    def _go(self, environment: Any, msg: Any) -> None:  # noqa: ARG002  as above
        if self._desk is None:
            return
        start = msg.data["start"]
        self._desk.run(start)
        log = [list(record) for record in self._desk.log]
        for first in range(0, len(log), _CHUNK):
            self._say("log", {"start": start, "rows": log[first : first + _CHUNK]})
        self._say("done", {"cpu": self._desk.cpu})

    def _say(self, name: str, document: dict[str, Any]) -> None:
        self._runner.send_message(f"leads-{name}", document)


class Master:
    """Deals the tickets of a plan to the workers and gathers their logs."""

    def __init__(self, runner: MasterRunner) -> None:
        self._runner = runner
        self._heard: SimpleQueue[tuple[str, str, dict[str, Any], int]] = SimpleQueue()
        self._readings: dict[str, list[Reading]] = {}
        self._neighbours: set[str] = set()  # workers whose clock is ours
        self._logs: list[tuple[str, dict[str, Any]]] = []
        self._cpu = 0.0
        runners.HEARTBEAT_LIVENESS = _SILENCE  # before any worker is known
        for name in ("ready", "clock", "log", "done"):
            runner.register_message(f"leads-{name}", self._listener(name))

    def _listener(self, name: str) -> Callable[..., None]:
        def listen(environment: Any, msg: Any) -> None:  # noqa: ARG001  Locust passes both by name
            self._heard.put((name, msg.node_id, msg.data, time.monotonic_ns()))

        return listen

    def run(self, plan: Plan) -> Sent:
        """Run the plan over every worker that is connected. Raises LostRunError."""
        workers = sorted(self._runner.clients)
        self._readings = {worker: [] for worker in workers}
        with gevent.Timeout(PATIENCE, LostRunError(f"a worker was not ready within {PATIENCE} s")):
            for index, worker in enumerate(workers):
                self._say("deal", {"plan": plan.document(), "index": index, "of": len(workers)}, worker)
            self._listen_until_all("ready", workers)
            self._ask_clocks(workers, _ASKED)
        start = time.monotonic_ns() + 2 * START_LEAD
        for worker in workers:
            self._say("go", {"start": start - self._clock_of(worker).offset(self._there(worker))[0]}, worker)
        asking = gevent.spawn(self._keep_asking, workers)
        patience = plan.tickets()[-1].due / SECOND + PATIENCE
        try:
            with gevent.Timeout(patience, LostRunError(f"a worker was not done {PATIENCE} s after the last request")):
                self._listen_until_all("done", workers)
        finally:
            asking.kill()
        self._ask_clocks(workers, 1)
        return self._sent(start, len(workers))

    def _sent(self, start: int, processes: int) -> Sent:
        log, most = [], 0
        clocks = {worker: self._clock_of(worker) for worker in self._readings}
        for worker, data in self._logs:
            for row in data["rows"]:
                record, error = on_our_clock(row_of(row), clocks[worker], data["start"], start)
                log.append(record)
                most = max(most, error)
        return Sent(log, processes, most, self._cpu)

    def _listen_until_all(self, last: str, workers: list[str]) -> None:
        """Listen until every worker has said its `last` word. Raises LostRunError when one is gone."""
        missing, seen = set(workers), dict.fromkeys(workers, time.monotonic())
        while missing:
            try:
                name, worker = self._take(_GLANCE)
            except Empty:
                name, worker = "", ""
            if name == last:
                missing.discard(worker)
            self._look_for(missing, seen)

    def _take(self, seconds: float) -> tuple[str, str]:
        """Take in one message and return its name and sender. Raises Empty."""
        name, worker, data, now = self._heard.get(timeout=seconds)
        if name == "log":
            self._logs.append((worker, data))
        elif name == "clock":
            if data["machine"] == this_machine():
                self._neighbours.add(worker)
            self._readings[worker].append(Reading(data["asked"], data["there"], now))
        elif name == "done":
            self._cpu += data["cpu"]
        return name, worker

    def _look_for(self, workers: set[str], seen: dict[str, float]) -> None:
        now = time.monotonic()
        for worker in workers:
            there = self._runner.clients.get(worker)
            if there is not None and there.state != STATE_MISSING:
                seen[worker] = now
            elif now - seen[worker] > _GONE_AFTER:
                raise LostRunError("a Locust worker ended, or was cut off, before it was done")

    def _keep_asking(self, workers: list[str]) -> None:
        while True:
            gevent.sleep(_ASK_EVERY)
            for worker in workers:
                self._say("clock", {"asked": time.monotonic_ns()}, worker)

    def _ask_clocks(self, workers: list[str], times: int) -> None:
        for _ in range(times):
            for worker in workers:
                self._say("clock", {"asked": time.monotonic_ns()}, worker)
            self._listen_until_all("clock", workers)

    def _there(self, worker: str) -> int:
        return self._readings[worker][-1].there

    def _clock_of(self, worker: str) -> OtherClock:
        if worker in self._neighbours:
            return OtherClock([Reading(0, 0, 0)], drift=0)
        try:
            return OtherClock(self._readings[worker])
        except ClockJumpError:
            raise LostRunError("the clock of a worker's machine jumped while the run went on") from None

    def _say(self, name: str, document: dict[str, Any], worker: str) -> None:
        self._runner.send_message(f"leads-{name}", document, client_id=worker)


def run_anywhere(runner: Runner, master: Master | None, plan: Plan, desks: AsyncResult[Desk]) -> Sent:
    """Run a plan where this Locust runs it. Raises LostRunError."""
    return run_alone(plan, desks) if master is None or not isinstance(runner, MasterRunner) else master.run(plan)
