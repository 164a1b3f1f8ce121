"""Our own sandbox as a server under measurement, and the requests that are sent to it. No figures here."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.generator import Work
from tests.benchmarks.processes import PATIENCE, BenchError, Server, command_of, free_port, process, tree

CONFIG = Path(__file__).with_name("sandbox.yaml")
COMMAND = str(Path(sys.executable).with_name("leadsandbox"))
INGEST = Work("ingest", "/api/v1/ingest")
PRECHECK = Work("ingest", "/api/v1/ping")


@dataclass
class Sandbox:
    """A sandbox that is up: the server, and what its welcome says."""

    server: Server
    welcome: dict[str, Any]

    def pingtree(self, operation: str, source: str) -> Work:
        """Return a ping or post of one source of the bench's sandbox file."""
        [entry] = [item for item in self.welcome["platforms"]["pingtree"]["sources"] if item["id"] == source]
        path = f"/api/lead/{operation}/{entry['name']}"
        return Work(operation, path, {"Authorization": f"Bearer {entry['credentials'][operation]}"})


@contextlib.contextmanager
def sandbox(*arguments: str, database: str | None = None) -> Iterator[Sandbox]:
    """Run `leadsandbox up` with more arguments on the bench's sandbox file, and a new store unless one is named."""
    with tempfile.TemporaryDirectory(prefix="leadsandbox-bench-") as folder:
        where = database or f"{folder}/store.db"
        command = [COMMAND, "up", "--port", "0", "--json", "--config", str(CONFIG), "--db", where, *arguments]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            if not line:
                raise BenchError(f"the sandbox did not start: {' '.join(command)}")
            welcome = json.loads(line)
            yield Sandbox(_server(running.pid, welcome["base_url"]), welcome)
        finally:
            running.terminate()
            running.wait(PATIENCE)
            assert running.stdout is not None
            running.stdout.close()


def _server(pid: int, url: str) -> Server:
    """Split the processes: the simulator's (and its relay's) work counts, the mock buyers' does not."""
    pids = [one for one in tree(pid) if one != pid]
    buyers = [one for one in pids if "mock_buyers" in command_of(one)]
    return Server(url, [one for one in pids if one not in buyers], buyers)


def mock_buyers_url(one: Sandbox) -> str:
    return str(one.welcome["mock_buyers"])


def seconds_to_ready(*arguments: str, database: str, environment: Mapping[str, str]) -> float:
    """Return how long the simulator itself takes from its start to its first answer; mock buyers are up before."""
    with _buyers() as url:
        port = free_port()
        command = [COMMAND, "serve", "--port", str(port), "--config", str(CONFIG), "--db", database]
        command += ["--mock-buyers-url", url, *arguments]
        return first_answer(command, f"http://127.0.0.1:{port}/healthz", environment)


@contextlib.contextmanager
def _buyers() -> Iterator[str]:
    running = subprocess.Popen([sys.executable, "-m", "mock_buyers", "--port", "0"], stdout=subprocess.PIPE)
    try:
        assert running.stdout is not None
        yield json.loads(running.stdout.readline())["url"]
    finally:
        running.terminate()
        running.wait(PATIENCE)
        assert running.stdout is not None
        running.stdout.close()


def first_answer(command: Sequence[str], url: str, environment: Mapping[str, str]) -> float:
    """Start a program and return the seconds until it answers at `url`, whatever it answers."""
    address = urlsplit(url)
    began = time.monotonic()
    with process(command, **environment):
        while time.monotonic() - began < PATIENCE:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE)
                connection.request("GET", address.path)
                connection.getresponse().read()
                return time.monotonic() - began
            time.sleep(0.005)
    raise BenchError(f"{command[0]} did not answer")
