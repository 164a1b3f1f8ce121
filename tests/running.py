"""Starts the programs as a user does, talks to them over HTTP, and ends them by force. No test lives here."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

COMMAND = str(Path(sys.executable).with_name("leadsandbox"))
PATIENCE = 60.0  # seconds after which a test gives up; never a measure of anything
Request = tuple[str, Mapping[str, Any], Mapping[str, str]]
Answer = tuple[int, Any]


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without what would reconfigure a sandbox."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LEADSANDBOX_")} | more


def run(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run `leadsandbox` to its end; return exit code, stdout and stderr. `before` stands before the command."""
    return subprocess.run(
        [*before, COMMAND, *arguments],
        env=environment() if env is None else dict(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


@dataclass
class Running:
    """A sandbox that is up. `welcome` is the JSON line that it printed."""

    process: subprocess.Popen[bytes]
    log: IO[bytes]
    welcome: dict[str, Any]

    @property
    def stderr(self) -> str:
        self.log.seek(0)
        return self.log.read().decode()

    @property
    def base_url(self) -> str:
        return str(self.welcome["base_url"])

    def credentials(self, name: str) -> dict[str, str]:
        """Return the credentials of the source or supplier with this id or link id."""
        for sources in self.welcome["platforms"].values():
            for entry in next(iter(sources.values())):
                if name in {entry["id"], entry["name"]}:
                    found: dict[str, str] = entry["credentials"]
                    return found
        raise KeyError(name)

    def tree(self) -> list[int]:
        """Return the process ids of the command and all that it started, the command first."""
        return [self.process.pid, *descendants(self.process.pid)]

    def kill(self) -> None:
        """End every process of it at once, as a machine does that runs out of memory."""
        victims = self.tree()
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        wait_until(lambda: not alive(victims), "the killed processes are gone")

    def stop(self) -> None:
        """End it as a user does; whatever is left after that is killed, so that no test leaves a process behind."""
        if self.process.poll() is not None:
            return
        victims = self.tree()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        for pid in alive(victims):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)


@contextlib.contextmanager
def sandbox(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, command: Sequence[str] = (COMMAND,)
) -> Iterator[Running]:
    """Run `leadsandbox up --port 0 --json`, with more arguments, for as long as the block takes."""
    with tempfile.TemporaryFile() as log:  # a pipe would be full at some time, and stop who writes into it
        process = subprocess.Popen(
            [*command, "up", "--port", "0", "--json", *arguments],
            env=environment() if env is None else dict(env),
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        running = Running(process, log, {})
        try:
            running.welcome = json.loads(_first_line(running))
            yield running
        finally:
            running.stop()
            assert process.stdout is not None
            process.stdout.close()


def _first_line(running: Running) -> bytes:
    assert running.process.stdout is not None
    ready, _, _ = select.select([running.process.stdout], [], [], PATIENCE)
    line: bytes = running.process.stdout.readline() if ready else b""
    assert line, f"the sandbox did not start: {running.stderr}"
    return line


class Client:
    """One connection that stays open."""

    def __init__(self, base_url: str) -> None:
        host = urlsplit(base_url)
        self._connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=PATIENCE)

    def ask(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Send a POST; `answer` reads what comes back."""
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})

    def answer(self) -> Answer:
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        self.ask(path, body, headers)
        return self.answer()

    def get(self, path: str) -> Answer:
        self._connection.request("GET", path)
        return self.answer()

    def close(self) -> None:
        self._connection.close()


def all_at_once(base_url: str, requests: Sequence[Request], connections: int = 250) -> list[Answer]:
    """Send the requests over so many connections, and read no answer of a round before all of it was sent."""
    clients = [Client(base_url) for _ in range(min(connections, len(requests)))]
    answers: list[Answer] = []
    try:
        for start in range(0, len(requests), len(clients)):
            round_ = requests[start : start + len(clients)]
            for client, request in zip(clients, round_, strict=False):
                client.ask(*request)
            answers += [client.answer() for client, _ in zip(clients, round_, strict=False)]
    finally:
        for client in clients:
            client.close()
    return answers


def wait_until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition. Fails the test, naming what was waited for, when it does not come."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience:.0f} s in vain until {what}"
        time.sleep(0.02)


def processes() -> dict[int, tuple[int, str]]:
    """Return the parent and the state of every process that is there."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = (line.split() for line in listed.stdout.splitlines())
    return {int(pid): (int(parent), state) for pid, parent, state in rows}


def alive(pids: Sequence[int]) -> list[int]:
    """Return which of the processes still run; one that only waits to be buried does not."""
    there = processes()
    return [pid for pid in pids if pid in there and not there[pid][1].startswith("Z")]


def descendants(pid: int) -> list[int]:
    children = defaultdict(list)
    for child, (parent, _) in processes().items():
        children[parent].append(child)
    found = list(children[pid])
    for child in found:
        found += children[child]
    return found


def running_as(up: Running, module: str) -> list[int]:
    """Return the processes of a sandbox that run this module."""
    found = []
    for pid in up.tree():
        with contextlib.suppress(OSError):  # it ended meanwhile
            if module in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
                found.append(pid)
    return found


def written(folder: Path, document: Mapping[str, Any], name: str = "sandbox.yaml") -> str:
    """Write a sandbox file (JSON is YAML) and return its path."""
    path = folder / name
    path.write_text(json.dumps(document, indent=1))
    return str(path)
