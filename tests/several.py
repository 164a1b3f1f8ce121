"""Several simulators of one sandbox on one PostgreSQL, each with an address of its own. No test lives here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import requests

from tests.running import PATIENCE, alive, descendants, environment, wait_until
from tests.two_simulators import free_port


@dataclass
class Simulator:
    """One that serves. It can be killed, and leaves nothing behind but what it had begun."""

    url: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def answer(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{self.url}/__sandbox/{path}", json=body, timeout=PATIENCE)

    def control(self, method: str, path: str, body: Any = None, expect: int | None = None) -> Any:
        return control(self.url, method, path, body, expect)

    def vendor(self, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
        answer = requests.post(f"{self.url}{path}", json=body, headers=headers, timeout=PATIENCE)
        return answer.status_code, answer.json()

    @property
    def stderr(self) -> str:
        self.log.seek(0)
        return self.log.read().decode()

    def kill(self) -> None:
        """End it and its worker at once, as a machine does that fails."""
        victims = [self.process.pid, *descendants(self.process.pid)]
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        wait_until(lambda: not alive(victims), "the killed simulator is gone")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)


def control(url: str, method: str, path: str, body: Any = None, expect: int | None = None) -> Any:
    """Call the control API on a connection of its own; return the JSON that it answers."""
    answer = requests.request(method, f"{url}/__sandbox/{path}", json=body, timeout=PATIENCE)
    assert answer.ok if expect is None else answer.status_code == expect, answer.text
    return answer.json()


@contextmanager
def simulator(database: str, *options: str) -> Iterator[Simulator]:
    """Run `serve` with the database for as long as the block takes."""
    port = free_port()
    command = [sys.executable, "-m", "simulator", "serve", "--db", database, "--port", str(port), *options]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=log)
        running = Simulator(f"http://127.0.0.1:{port}", process, log)
        try:
            wait_until(lambda: _answers(running), "a simulator answers")
            yield running
        finally:
            running.stop()


@contextmanager
def simulators(database: str, number: int, *options: str) -> Iterator[list[Simulator]]:
    with ExitStack() as stack:
        yield [stack.enter_context(simulator(database, *options)) for _ in range(number)]


def _answers(running: Simulator) -> bool:
    assert running.process.poll() is None, running.stderr
    with suppress(requests.RequestException):
        return requests.get(f"{running.url}/healthz", timeout=5).ok
    return False
