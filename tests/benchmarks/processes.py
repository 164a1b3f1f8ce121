"""Servers under measurement: started, awaited, ended; what they have used. What is sent to them is not known here."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 60.0  # seconds that a server has to start


class BenchError(Exception):
    """A measurement that means nothing. One line."""


@dataclass
class Server:
    """A running server; `pids` are the processes whose work counts."""

    url: str
    pids: list[int]
    others: list[int] = field(default_factory=list)

    def cpu(self) -> float:
        """Return the seconds of processor time, user and system, that its processes have used."""
        return sum(map(_cpu, self.pids))

    def resident_mib(self) -> float:
        return sum(map(_resident, self.pids)) / 2**20

    def settle(self, longest: float = 15.0) -> None:
        """Wait until neither it nor what it talks to has work left, such as webhooks."""
        ends = time.monotonic() + longest
        everything = [*self.pids, *self.others]
        while time.monotonic() < ends:
            before = sum(map(_cpu, everything))
            time.sleep(0.3)
            if sum(map(_cpu, everything)) - before < 0.03:
                return


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def process(command: Sequence[str], **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a session of its own, and end all of it after the block. `more` is its environment's."""
    with tempfile.TemporaryFile() as log:
        try:
            running = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **more}, stdout=log, stderr=log, start_new_session=True
            )
        except OSError as error:
            raise BenchError(f"{command[0]}: {error.strerror}") from error
        try:
            yield running
        finally:
            _end(running)


def _end(running: subprocess.Popen[bytes]) -> None:
    victims = tree(running.pid)
    running.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(10)
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.wait(10)


@contextlib.contextmanager
def compiled() -> Iterator[Mapping[str, str]]:
    """Return an environment that keeps what Python compiles until the end of the block, and nothing for longer.

    pip compiles what it installs, the floor's packages too; an editable install whose environment forbids bytecode
    would compile all of ours in every start.
    """
    with tempfile.TemporaryDirectory(prefix="leadsandbox-bench-") as folder:
        yield {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server until it takes connections on `port`. Raises BenchError when it does not."""
    with process(command, **(environment or {})) as running:
        ends = time.monotonic() + PATIENCE
        while not _listens(port):
            if running.poll() is not None or time.monotonic() > ends:
                raise BenchError(f"{' '.join(command)[:100]} did not start")
            time.sleep(0.02)
        yield Server(f"http://127.0.0.1:{port}", tree(running.pid))


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


def tree(pid: int) -> list[int]:
    """Return a process and all that come from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu(pid: int) -> float:
    stat = _stat(pid)
    return (int(stat[11]) + int(stat[12])) / TICKS if stat else 0.0


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0
