"""A PostgreSQL server of a test's own, and empty databases in it. No test lives here.

PostgreSQL refuses to run as root: there the server runs as another user, in a folder that is that user's.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.programs import program
from tests.running import PATIENCE, alive, descendants, wait_until

_QUICK = {
    "fsync": "off",  # the machine stays; a commit still waits for the server's own write, which outlives its death
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "listen_addresses": "",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}
_numbers = itertools.count(1)


@dataclass
class Postgres:
    """A server behind a Unix socket in `folder`. It can be killed and started again; its data stay."""

    folder: Path
    user: str | None
    process: subprocess.Popen[bytes] | None = None
    reused: str = ""

    def database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"sandbox_{next(_numbers)}"
        self.run("psql", "-q", "-d", "postgres", "-c", f"CREATE DATABASE {name}")
        return self.url(name)

    def emptied(self) -> str:
        """Return the URL of a database that every call empties: quicker than one more, for one test at a time."""
        if not self.reused:
            self.reused = self.database()
        self.query(self.reused, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return self.reused

    def url(self, name: str) -> str:
        return f"postgresql://sandbox@/{name}?host={self.folder}"

    def query(self, url: str, sql: str) -> list[tuple[str, ...]]:
        """Run SQL in the database of that URL, from outside; return its rows as text."""
        name = url.partition("@/")[2].partition("?")[0]
        found = self.run("psql", "-q", "-A", "-t", "-F", "\t", "-d", name, "-c", sql)
        return [tuple(line.split("\t")) for line in found.splitlines()]

    def execute(self, url: str, sql: str) -> None:
        self.query(url, sql)

    def run(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            [program(name), "-h", str(self.folder), "-U", "sandbox", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [part for name, value in _QUICK.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program("postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **_as_user(self.user),
            )
        wait_until(self.answers, "PostgreSQL answers")

    def answers(self) -> bool:
        ready = [program("pg_isready"), "-q", "-h", str(self.folder), "-U", "sandbox", "-d", "postgres"]
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return subprocess.run(ready, check=False, timeout=PATIENCE).returncode == 0

    def kill(self) -> None:
        """End the server and every process of it at once, as a machine does that fails."""
        if self.process is None:
            return
        # Each of its processes has a session of its own, and none may be left to hold the shared memory.
        victims = [self.process.pid, *descendants(self.process.pid)]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.process = None
        wait_until(lambda: not alive(victims), "the killed server is gone")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)  # at once; nobody needs the data any more
            try:
                self.process.wait(20)
            finally:
                self.kill()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server in a folder of its own for as long as the block takes."""
    initdb = program("initdb", "postgres")  # one package has both
    program("postgres")
    user = _somebody()
    # Not pytest's folder, whose parents are private to root; and a short path, since it holds a socket.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        folder.chmod(0o755)
        command = [initdb, "-D", str(folder / "data"), "-U", "sandbox", "-A", "trust", "-E", "UTF8", "--no-sync"]
        made = subprocess.run(
            [*command, "--locale=C"],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            cwd=folder,
            **_as_user(user),
        )
        assert made.returncode == 0, made.stderr
        server = Postgres(folder, user)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _somebody() -> str | None:
    """Return the user that the server is to run as; None for this one."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _as_user(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "env": {**os.environ, "HOME": "/"}}
