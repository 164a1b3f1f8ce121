"""What Locust runs: users that send tickets. `leadsandbox load` starts it and judges the log that it leaves.

By hand: locust -f loadtests/locustfile.py --plan plan.json --out folder --host http://127.0.0.1:8080
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, cast

import gevent
import gevent.socket
from gevent.event import AsyncResult
from locust import User, events, task
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests import log
from loadtests.connection import Answer, Connection
from loadtests.dealing import LostRunError, Master, Worker, run_anywhere
from loadtests.desk import Desk, Errand
from loadtests.plan import plan_of

desks: AsyncResult[Desk] = AsyncResult()
logger = logging.getLogger(__name__)


class Sender(User):
    """One connection. Takes a ticket that is due, sends it, writes down what came back; never waits of itself."""

    def on_start(self) -> None:
        self._desk = cast("Desk", desks.get())
        self._connection = Connection(self._desk.place)
        self._connection.freshen()
        self._desk.enlist()

    def on_stop(self) -> None:
        self._connection.close()

    @task
    def send(self) -> None:
        while True:  # Locust ends it from outside
            errand = self._desk.take()
            if errand is None:
                self._connection.freshen()
            else:
                self._send(errand)

    def _send(self, errand: Errand) -> None:
        sent = time.monotonic_ns()
        answer = self._connection.exchange(errand.request)
        received = time.monotonic_ns()
        self._desk.finish(errand.ticket, sent, received, answer)
        self._tell(errand, (received - sent) / 1e6, answer)

    def _tell(self, errand: Errand, milliseconds: float, answer: Answer) -> None:
        """Tell Locust, for its report. A 429 is an answer like any other, and a line of its own in it."""
        name = errand.ticket.endpoint + (" 429" if answer.status == 429 else "")
        wrong = answer.fault or (f"status {answer.status}" if answer.status >= 500 else "")
        self.environment.events.request.fire(
            request_type=errand.method,
            name=name,
            response_time=milliseconds,
            response_length=len(answer.body),
            exception=ConnectionError(wrong) if wrong else None,
            context={},
        )


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # Locust's has no types
def _options(parser: Any) -> None:
    parser.add_argument("--plan", default="", help="The plan of the run, a JSON file.", include_in_web_ui=False)
    parser.add_argument("--out", default="", help="Folder for the log of the run.", include_in_web_ui=False)
    parser.add_argument(
        "--until-stdin-ends",
        action="store_true",
        help="End when standard input does: whoever started this is gone.",
        include_in_web_ui=False,
    )


@events.init.add_listener  # type: ignore[untyped-decorator]  # Locust's has no types
def _arrange(environment: Environment, runner: Any, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        Worker(runner, desks)
    elif environment.parsed_options and environment.parsed_options.plan:
        master = Master(runner) if isinstance(runner, MasterRunner) else None
        conductor = Conductor(environment, runner, master)
        environment.events.spawning_complete.add_listener(conductor.begin)  # type: ignore[no-untyped-call]  # as above


def _end_with_stdin() -> None:
    while True:
        gevent.socket.wait_read(0)
        if not os.read(0, 4096):
            os.kill(os.getpid(), signal.SIGTERM)
            return


class Conductor:
    """Runs the plan once, when all users stand ready, and leaves its log and its progress in the folder."""

    def __init__(self, environment: Environment, runner: Any, master: Master | None) -> None:
        options: Any = environment.parsed_options
        self._environment, self._runner, self._master = environment, runner, master
        self._plan = plan_of(json.loads(Path(options.plan).read_text("utf-8")))
        self._out = Path(options.out)
        self._begun = False

    def begin(self, **_: Any) -> None:
        if self._begun:
            logger.warning("this plan has been run; its keys are no longer fresh")
            gevent.spawn(self._runner.stop)
            return
        self._begun = True
        gevent.spawn(self._watch)
        gevent.spawn(self._run)

    def _run(self) -> None:
        planned = len(self._plan.tickets())
        try:
            sent = run_anywhere(self._runner, self._master, self._plan, desks)
            log.write(self._out / "log.csv", sent.log)
            facts = {"processes": sent.processes, "clock_error": sent.clock_error, "cpu": sent.cpu}
            self._leave("run.json", {"planned": planned, **facts})
        except LostRunError as error:
            self._leave("run.json", {"planned": planned, "lost": str(error)})
        finally:
            gevent.spawn(self._runner.stop if self._environment.web_ui else self._runner.quit)

    def _watch(self) -> None:
        while True:
            entries = self._runner.stats.entries.values()
            refused = sum(entry.num_requests for entry in entries if entry.name.endswith(" 429"))
            self._leave("progress.json", {"sent": self._runner.stats.total.num_requests, "refused": refused})
            gevent.sleep(0.5)

    def _leave(self, name: str, document: dict[str, Any]) -> None:
        """Write a file that is complete as soon as it is there."""
        draft = self._out / f"{name}.draft"
        draft.write_text(json.dumps(document), "utf-8")
        draft.replace(self._out / name)


if "--until-stdin-ends" in sys.argv:  # now: a worker looks for its master before any event is told
    gevent.spawn(_end_with_stdin)
