"""One run over one process or many: who gets which tickets, one start for all, one log at the end.

Ticket i goes to process i mod n. All processes of a machine read the same monotonic clock; between machines the
master asks each worker for its time, and widens what that worker logged by what the asking leaves open.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.queue import SimpleQueue
from locust.runners import MasterRunner, Runner, WorkerRunner

from loadtests.desk import Desk
from loadtests.law import SECOND
from loadtests.log import Record, row_of
from loadtests.plan import Plan, plan_of

START_LEAD = SECOND // 2  # between the word to go and the first ticket
PATIENCE = 120  # seconds for workers to prepare, and for answers after the last ticket
_CHUNK = 2000  # records in a message
_ASKED = 5  # times that a worker is asked for its clock; the quickest answer counts


def this_machine() -> str:
    """Return a name that two processes share when they share the monotonic clock."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text("ascii").strip() if boot.is_file() else platform.node()


def run_alone(plan: Plan, desks: AsyncResult[Desk]) -> list[Record]:
    """Run the whole plan in this process; `desks` is where its users wait for the desk."""
    desk = Desk(plan, 0, 1)
    desk.prepare()
    desks.set(desk)
    desk.run(time.monotonic_ns() + START_LEAD)
    return desk.log


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

    def _clock(self, environment: Any, msg: Any) -> None:  # noqa: ARG002
        self._say("clock", {"asked": msg.data["asked"], "here": time.monotonic_ns(), "machine": this_machine()})

    def _go(self, environment: Any, msg: Any) -> None:  # noqa: ARG002
        if self._desk is None:
            return
        self._desk.run(msg.data["start"])
        log = [list(record) for record in self._desk.log]
        for first in range(0, len(log), _CHUNK):
            self._say("log", {"rows": log[first : first + _CHUNK]})
        self._say("done", {})

    def _say(self, name: str, document: dict[str, Any]) -> None:
        self._runner.send_message(f"leads-{name}", document)


class Master:
    """Deals the tickets of a plan to the workers and gathers their logs."""

    def __init__(self, runner: MasterRunner) -> None:
        self._runner = runner
        self._heard: SimpleQueue[tuple[str, str, dict[str, Any], int]] = SimpleQueue()
        for name in ("ready", "clock", "log", "done"):
            runner.register_message(f"leads-{name}", self._listener(name))

    def _listener(self, name: str) -> Callable[..., None]:
        def listen(environment: Any, msg: Any) -> None:  # noqa: ARG001  Locust passes both by name
            self._heard.put((name, msg.node_id, msg.data, time.monotonic_ns()))

        return listen

    def run(self, plan: Plan) -> list[Record]:
        """Run the plan over every worker that is connected. Raises gevent.Timeout when one stays silent."""
        workers = sorted(self._runner.clients)
        with gevent.Timeout(PATIENCE):
            for index, worker in enumerate(workers):
                self._say("deal", {"plan": plan.document(), "index": index, "of": len(workers)}, worker)
            self._gather("ready", set(workers))
            clocks = {worker: self._offset(worker) for worker in workers}
        start = time.monotonic_ns() + 2 * START_LEAD
        for worker, (offset, _) in clocks.items():
            self._say("go", {"start": start - offset}, worker)
        with gevent.Timeout(plan.tickets()[-1].due / SECOND + PATIENCE):
            rows = self._gather("done", set(workers))
        return [row_of(row).widened(clocks[worker][1]) for worker, data in rows for row in data["rows"]]

    def _gather(self, last: str, missing: set[str]) -> list[tuple[str, dict[str, Any]]]:
        """Listen until every worker has said its `last` word; return the log messages that came before."""
        logs = []
        while missing:
            name, worker, document, _ = self._heard.get()
            if name == "log":
                logs.append((worker, document))
            elif name == last:
                missing.discard(worker)
        return logs

    def _offset(self, worker: str) -> tuple[int, int]:
        """Return (what to add to the worker's clock to get ours, by how much that may be wrong)."""
        best = (0, 1 << 60)
        for _ in range(_ASKED):
            asked = time.monotonic_ns()
            self._say("clock", {"asked": asked}, worker)
            _, _, said, now = self._heard.get()
            if said["machine"] == this_machine():
                return 0, 0
            best = min(best, ((asked + now) // 2 - said["here"], (now - asked) // 2 + 1), key=lambda item: item[1])
        return best

    def _say(self, name: str, document: dict[str, Any], worker: str) -> None:
        self._runner.send_message(f"leads-{name}", document, client_id=worker)


def run_anywhere(
    runner: Runner, master: Master | None, plan: Plan, desks: AsyncResult[Desk]
) -> tuple[list[Record], int]:
    """Run a plan where this Locust runs it; return the log and the number of processes that sent."""
    if master is not None and isinstance(runner, MasterRunner):
        return master.run(plan), len(runner.clients)
    return run_alone(plan, desks), 1
