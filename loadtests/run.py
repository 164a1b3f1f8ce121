"""One run: starts Locust with a plan, follows it, reads the log that it leaves. Judging is `verdict.py`'s."""

from __future__ import annotations

import json
import os
import signal
import site
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtests import log
from loadtests.log import Record
from loadtests.plan import Plan

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_GLANCE = 0.2  # seconds between two looks at a run
_TAIL = 20  # lines of Locust's own log that are shown when it fails
_LAST_WORDS = 10  # seconds that Locust has to write its report and end


class RunError(Exception):
    """Locust ended without a log; the text is the end of what it said."""


class PortError(Exception):
    """Somebody else listens where Locust should."""


@dataclass(frozen=True, slots=True)
class Engine:
    """How Locust runs: its processes on this machine, or as master of workers that come by themselves."""

    connections: int | None = None
    processes: int = 1
    master: bool = False
    expect_workers: int = 1
    master_port: int = 5557
    ui: bool = False
    ui_port: int = 8089

    def check_ports(self) -> None:
        """Raise PortError when a port that Locust needs is taken."""
        if self.ui:
            _check_port("127.0.0.1", self.ui_port, "Locust's page", "--ui-port")
        if self.master:
            _check_port("", self.master_port, "the master", "--master-port")

    def options(self) -> list[str]:
        if self.ui:
            page = ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(self.ui_port)]
        else:
            page = ["--headless", "--only-summary"]
        if self.master:
            expected = ["--master", "--expect-workers", str(self.expect_workers)]
            return [*page, *expected, "--master-bind-port", str(self.master_port)]
        if self.processes > 1:
            port = str(_free_port())
            here = ["--master-host", "127.0.0.1", "--master-bind-host", "127.0.0.1"]
            return [*page, "--processes", str(self.processes), *here, "--master-port", port, "--master-bind-port", port]
        return page


def _check_port(host: str, port: int, whose: str, option: str) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            raise PortError(f"port {port} is not free for {whose}: {error.strerror}; see {option}") from error


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def locust(*options: str) -> list[str]:
    return [sys.executable, "-P", "-m", "locust", "-f", str(LOCUSTFILE), *options, "--until-stdin-ends"]


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment that tells Locust nothing: it would obey LOCUST_* and a ~/.locust.conf.

    `folder` has no locust.conf; Locust runs there and takes it for its home, too.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    return {"PYTHONUSERBASE": site.getuserbase(), **kept, "HOME": str(folder)}


def _popen(options: list[str], folder: Path, said: int) -> subprocess.Popen[bytes]:
    """Start Locust in a folder of its own. A Ctrl-C is for us alone, and Locust ends when its standard input does."""
    return subprocess.Popen(  # noqa: S603  our own program  # nosec B603
        locust(*options),
        stdin=subprocess.PIPE,
        stdout=said,
        stderr=said,
        cwd=folder,
        env=_environment(folder),
        start_new_session=True,
    )


def _end(child: subprocess.Popen[bytes]) -> None:
    """End Locust as Ctrl-C does, upon which it writes its report."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
    try:
        child.wait(_LAST_WORDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdin:
        child.stdin.close()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: its log by send, the tickets it should have sent, the processes that sent them.

    `clock_error` is by how many nanoseconds the moments of other machines are known, on either side; `cpu` is the
    seconds of it that the generator used. `lost` says why there is no log.
    """

    log: list[Record]
    planned: int
    processes: int = 1
    clock_error: int = 0
    cpu: float = 0.0
    lost: str = ""


class Run:
    """Locust at work on one plan. A context manager: Locust is ended on the way out."""

    def __init__(self, plan: Plan, engine: Engine, folder: Path, html: Path | None) -> None:
        self._folder = folder
        planfile = folder / "plan.json"
        planfile.touch(mode=0o600)  # it holds keys
        planfile.write_text(json.dumps(plan.document()), "utf-8")
        users = str(engine.connections or plan.scenario.connections)
        options = ["--host", plan.url, "--users", users, "--spawn-rate", users, "--exit-code-on-error", "0"]
        options += ["--plan", str(planfile), "--out", str(folder), *engine.options()]
        self._said = (folder / "locust.txt").open("wb")
        page = ["--html", str(html.resolve())] if html else []
        self._child = _popen([*options, *page], folder, self._said.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._child)
        self._said.close()

    def outcome(self, on_progress: Callable[[int, int], None]) -> Outcome:
        """Wait for the log; `on_progress` hears how many were sent and refused. Raises RunError."""
        done = self._folder / "run.json"
        while not done.exists():
            if self._child.poll() is not None and not done.exists():
                raise RunError(self.said())
            self._look(on_progress)
            time.sleep(_GLANCE)
        facts = json.loads(done.read_text("utf-8"))
        records = [] if "lost" in facts else log.read(self._folder / "log.csv")
        return Outcome(records, **facts)

    def _look(self, on_progress: Callable[[int, int], None]) -> None:
        progress = self._folder / "progress.json"
        if progress.exists():
            seen = json.loads(progress.read_text("utf-8"))
            on_progress(seen["sent"], seen["refused"])

    def wait(self) -> None:
        """Wait until Locust ends: when its report is written, or when somebody stops its page."""
        self._child.wait()

    def said(self) -> str:
        """Return the last lines of what Locust said."""
        lines = (self._folder / "locust.txt").read_text("utf-8", "replace").strip().splitlines()
        return "\n".join(lines[-_TAIL:])


def work(host: str, port: int) -> int:
    """Be a worker of the master at this address until it ends; return Locust's exit code."""
    with tempfile.TemporaryDirectory(prefix="leadsandbox-load-") as folder:
        options = ["--worker", "--master-host", host, "--master-port", str(port)]
        child = _popen(options, Path(folder), sys.stdout.fileno())
        try:
            return child.wait()
        finally:
            _end(child)
