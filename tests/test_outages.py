"""What a sandbox depends on fails under load: answers stay documented, it recovers by itself, nothing is lost."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import postgres
from tests.programs import program
from tests.running import COMMAND, Running, environment, run, sandbox, wait_until, written
from tests.sandbox import Answer, Sandbox, Source, Supplier, readings_of
from tests.several import simulator
from tests.test_kill import UNSETTLED, rows

pytestmark = pytest.mark.long

SOME = 40  # answers of a kind that make the point
FIELDS = [{"name": "state", "type": "state", "required": ["ping", "post"]}]
CAPS = {"total": 10**9}
UNAVAILABLE = {"LD-ING-500", "LD-ING-503", "PT-PING-500-INTERNAL", "PT-POST-500-INTERNAL"}
LIMIT = {"rate": 4000, "burst": 4096, "seconds": 1}


def config(limit: Mapping[str, int] | None = None) -> dict[str, Any]:
    return {
        "leaddistro": {
            "suppliers": [{"id": "sup", "api_key": "key_outage", "limits": {"ingest": limit}, "campaigns": ["sold"]}],
            "campaigns": [{"id": "sold", "buyers": [{"id": "buyer", "price": 1, "caps": CAPS}]}],
        },
        "pingtree": {
            "campaigns": [
                {
                    "id": "auction",
                    "sources": [{"id": "src", "link_id": "lnk_outage", "fields": FIELDS, "caps": CAPS}],
                    "buyers": [{"id": "buys", "persona": {"persona": "eager", "latency": 5}, "caps": CAPS}],
                }
            ]
        },
    }


@dataclass
class Traffic:
    """Sources that go on sending whatever is answered, and what they were told."""

    box: Sandbox
    leads: list[str] = field(default_factory=list)
    posted: list[tuple[str, bool]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    surprises: list[Exception] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def acknowledged(self) -> tuple[int, int]:
        """How many leads were acknowledged at either platform."""
        return len(self.leads), len(self.posted)

    def more(self, of: Callable[[], int]) -> None:
        """Wait until some more of it came."""
        before = of()
        wait_until(lambda: self.surprises or of() >= before + SOME, f"{SOME} more answers; so far {self.refused}")

    def more_leads(self) -> None:
        self.more(lambda: len(self.leads))
        self.more(lambda: len(self.posted))

    def send(self, work: Callable[[], None]) -> None:
        try:
            while not self.stopped.is_set():
                work()
        except Exception as surprise:  # noqa: BLE001  the test is told of it
            self.surprises.append(surprise)

    def ingest(self) -> None:
        answer = self._supplier().ingest()
        if answer.status in {200, 201}:
            self.leads.append(answer.data["id"])
        else:
            self.refused.update(_row(answer))

    def ping_and_post(self) -> None:
        ping = self._source().ping()
        if ping.status >= 500:
            self.refused.update(_row(ping))
            return
        post = self._source().post(ping.data["transaction_id"])
        if post.status == 201:
            self.posted.append((ping.data["transaction_id"], post.lead_status == "accepted"))
        else:
            self.refused.update(_row(post))

    def _supplier(self) -> Supplier:
        return self.box.supplier("sup", "sold")

    def _source(self) -> Source:
        return self.box.source("lnk_outage")


def _row(answer: Answer) -> list[str]:
    """Return the documented row that the answer is; `Sandbox.call` has held it against all of them."""
    return sorted(answer.rows)[:1]


@contextmanager
def traffic(up: Running, document: Mapping[str, Any]) -> Iterator[Traffic]:
    """Send from six threads for as long as the block takes; whatever surprised one of them fails the test."""
    found = Traffic(Sandbox(up.welcome, Path(), Path(), readings_of(document)))
    threads = [
        threading.Thread(target=found.send, args=(work,)) for work in (found.ingest, found.ping_and_post) for _ in "123"
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        found.stopped.set()
        for thread in threads:
            thread.join()
    assert found.surprises == []


def nothing_is_lost(database: str, seen: Traffic) -> None:
    """Hold the store against what was acknowledged, and against itself."""
    leads = set(rows(database, "SELECT id FROM leads"))
    sales = set(rows(database, "SELECT transaction_id, buyer_id != '' FROM leads WHERE platform = 'pingtree'"))
    assert set(seen.leads) - leads == set()
    assert set(seen.posted) - {(name, bool(sold)) for name, sold in sales} == set()
    assert rows(database, UNSETTLED) == []
    ended = run("check-state", "--db", database)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_database_that_dies_is_answered_with_503_or_500_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    with postgres() as server:
        database = server.database()
        with sandbox("--config", written(tmp_path, config()), "--db", database) as up:
            with traffic(up, config()) as seen:
                seen.more_leads()
                server.kill()
                seen.more(seen.refused.total)
                server.start()
                seen.more_leads()
            assert set(seen.refused) <= UNAVAILABLE
            nothing_is_lost(database, seen)


@contextmanager
def mock_buyers(listening: socket.socket) -> Iterator[None]:
    """Run the mock buyers as a program of their own, and end them as a machine does that fails."""
    fd = listening.fileno()
    command = [COMMAND, "buyers", "--fd", str(fd)]
    process = subprocess.Popen(command, env=environment(), pass_fds=[fd], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_mock_buyers_that_die_do_not_bid_and_are_told_whom_they_play_when_they_are_back(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as stack:
        buyers = stack.enter_context(ExitStack())
        buyers.enter_context(mock_buyers(listening))
        options = ("--config", written(tmp_path, config()))
        at = ("--mock-buyers-url", f"http://127.0.0.1:{listening.getsockname()[1]}")
        with simulator(str(tmp_path / "sandbox.db"), *options, *at) as serving:
            box = Sandbox(serving.control("GET", "welcome"), Path(), Path(), readings_of(config()))
            assert box.source("lnk_outage").ping().lead_status == "ping_accept"
            buyers.close()
            assert box.source("lnk_outage").ping().lead_status == "ping_reject"
            stack.enter_context(mock_buyers(listening))
            wait_until(lambda: box.source("lnk_outage").ping().lead_status == "ping_accept", "they bid again")


@contextmanager
def redis(at: Path) -> Iterator[None]:
    options = ["--port", "0", "--unixsocket", str(at), "--save", "", "--dir", str(at.parent)]
    command = [program("redis-server", "valkey-server"), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(at.exists, "Redis listens")
            yield
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            at.unlink(missing_ok=True)


def test_a_limiter_that_dies_lets_nothing_pass_unlimited_and_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    database, at = str(tmp_path / "sandbox.db"), tmp_path / "redis"
    arguments = ("--config", written(tmp_path, config(LIMIT)), "--db", database, "--redis", f"unix://{at}")
    with redis(at):
        running = sandbox(*arguments)
        up = running.__enter__()
    try:
        with traffic(up, config(LIMIT)) as seen:
            seen.more(seen.refused.total)
            assert seen.leads == []
            with redis(at):
                seen.more_leads()
                assert set(seen.refused) == {"LD-ING-503"}
        nothing_is_lost(database, seen)
    finally:
        running.__exit__(None, None, None)


def owner_of(up: Running, database: Path) -> int:
    """Return the process that has the database open."""

    def has_it_open(pid: int) -> bool:
        try:
            return any(os.path.realpath(entry) == str(database) for entry in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return False

    [*_, owner] = [pid for pid in up.tree() if has_it_open(pid)]
    return owner


def test_a_file_that_cannot_grow_is_answered_with_500_and_written_again_when_it_can(tmp_path: Path) -> None:
    database = tmp_path / "sandbox.db"
    with sandbox("--config", written(tmp_path, config()), "--db", str(database)) as up:
        owner = owner_of(up, database)
        with traffic(up, config()) as seen:
            seen.more_leads()
            soft, hard = resource.prlimit(owner, resource.RLIMIT_FSIZE)
            journal = database.with_name(database.name + "-wal").stat().st_size
            resource.prlimit(owner, resource.RLIMIT_FSIZE, (journal, hard))
            seen.more(seen.refused.total)
            resource.prlimit(owner, resource.RLIMIT_FSIZE, (soft, hard))
            seen.more_leads()
        assert set(seen.refused) <= UNAVAILABLE
        nothing_is_lost(str(database), seen)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"only root may mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_answered_with_500_and_used_again_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    database, ballast = small_disk / "sandbox.db", small_disk / "ballast"
    with sandbox("--config", written(tmp_path, config()), "--db", str(database)) as up:
        with traffic(up, config()) as seen:
            seen.more_leads()
            with ballast.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass  # which was to be shown
            seen.more(seen.refused.total)
            ballast.unlink()
            seen.more_leads()
        assert set(seen.refused) <= UNAVAILABLE
        nothing_is_lost(str(database), seen)
