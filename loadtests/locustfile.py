"""What Locust runs: users that send tickets. `leadsandbox load` starts it and judges the log that it leaves.

By hand: locust -f loadtests/locustfile.py --plan plan.json --out folder --host http://127.0.0.1:8080
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import gevent
from gevent.event import AsyncResult
from locust import FastHttpUser, events, task
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests import log
from loadtests.dealing import Master, Worker, run_anywhere
from loadtests.desk import Answer, Desk
from loadtests.plan import plan_of
from loadtests.requesting import Wire
from loadtests.schedule import Ticket

STALE = 2.0  # seconds after which a connection is opened anew: the server may be closing it at this moment

desks: AsyncResult[Desk] = AsyncResult()
logger = logging.getLogger(__name__)


class Sender(FastHttpUser):
    """One connection. Takes a ticket that is due, sends it, writes down what came back; never waits of itself."""

    max_redirects = 0  # a redirect could lead to another machine
    max_retries = 0  # a request that is sent twice would be counted once
    insecure = False  # keys go to whom the certificate names
    concurrency = 1
    connection_timeout = 10.0
    network_timeout = 20.0

    def on_start(self) -> None:
        self._desk = cast("Desk", desks.get())
        self._used = time.monotonic()

    @task
    def send(self) -> None:
        ticket, wire = self._desk.take()
        if time.monotonic() - self._used > STALE:
            self.client.client.clientpool.close()
        sent = time.monotonic_ns()
        answer, received = self._answer(ticket, wire)
        self._used = time.monotonic()
        self._desk.finish(ticket, sent, received, answer)

    def _answer(self, ticket: Ticket, wire: Wire) -> tuple[Answer, int]:
        with self.client.request(
            wire.method, wire.path, ticket.endpoint, data=wire.body, headers=wire.headers, catch_response=True
        ) as response:
            received = time.monotonic_ns()
            status = int(response.status_code or 0)
            if status == 0:
                return Answer(0, {}, "", f"{type(response.error).__name__}: {response.error}"[:300]), received
            if status == 429:  # an answer like any other, and a line of its own in Locust's report
                response.request_meta["name"] = f"{ticket.endpoint} 429"
            if status < 500:
                response.success()
            headers: Mapping[str, str] = response.headers or {}
            return Answer(status, headers, (response.content or b"").decode("utf-8", "replace")), received


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: Any) -> None:
    parser.add_argument("--plan", default="", help="The plan of the run, a JSON file.", include_in_web_ui=False)
    parser.add_argument("--out", default="", help="Folder for the log of the run.", include_in_web_ui=False)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _arrange(environment: Environment, runner: Any, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        Worker(runner, desks)
    elif environment.parsed_options and environment.parsed_options.plan:
        master = Master(runner) if isinstance(runner, MasterRunner) else None
        conductor = Conductor(environment, runner, master)
        environment.events.spawning_complete.add_listener(conductor.begin)  # type: ignore[no-untyped-call]


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
        try:
            records, processes = run_anywhere(self._runner, self._master, self._plan, desks)
            log.write(self._out / "log.csv", records)
            self._leave("run.json", {"planned": len(self._plan.tickets()), "processes": processes})
        except gevent.Timeout:
            logger.exception("a worker stayed silent; the run has no log")
        finally:
            gevent.spawn(self._runner.stop if self._environment.web_ui else self._runner.quit)

    def _watch(self) -> None:
        while True:
            entries = self._runner.stats.entries.values()
            refused = sum(entry.num_requests for entry in entries if entry.name.endswith(" 429"))
            self._leave("progress.json", {"sent": self._runner.stats.total.num_requests, "refused": refused})
            gevent.sleep(0.5)

    def _leave(self, name: str, document: dict[str, int]) -> None:
        """Write a file that is complete as soon as it is there."""
        draft = self._out / f"{name}.draft"
        draft.write_text(json.dumps(document), "utf-8")
        draft.replace(self._out / name)
