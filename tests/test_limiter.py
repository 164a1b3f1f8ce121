"""The rate law, against its definition, and the three places where its state is kept."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.contract.account import Limit
from simulator.limits import (
    Limiter,
    LimiterUnavailableError,
    MemoryLimiter,
    RedisLimiter,
    SharedLimiter,
    law,
    open_limiter,
    retry_after,
    shared,
)
from simulator.platforms import CONTRACTS
from tests.programs import program
from tests.running import wait_until

INGEST, PING, LOOKUP = Limit(100, 200, 10), Limit(500, 1000, 10), Limit(10, 20, 5)
SECOND = 1_000_000_000
START = 5_000 * SECOND


class Hand:
    """A monotonic clock that is moved by hand, in nanoseconds."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000) * 1000


limits = st.builds(
    lambda rate, more, seconds: Limit(rate, rate + more, seconds),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 4),
)
microseconds = st.sampled_from([0, 0, 0, 1, 999_999, 1_000_000]) | st.integers(0, 3_000_000) | st.integers(0, 60_000)
schedules = st.lists(microseconds, max_size=150)


def asked(limiter: Limiter, clock: Hand, limit: Limit, gaps: list[int], key: str = "a") -> Iterator[tuple[int, int]]:
    """Ask after each gap (microseconds); yield the time and the wait."""
    for gap in gaps:
        clock.now += gap * 1000
        yield clock.now, limiter.ask(key, limit)


def passed(limiter: Limiter, clock: Hand, limit: Limit, per_second: int, seconds: float, key: str = "a") -> int:
    """Ask at an even pace; return how many passed."""
    gap = 1 / per_second
    count = 0
    for _ in range(round(per_second * seconds)):
        count += limiter.ask(key, limit) == 0
        clock.move(gap)
    return count


# The law


def may_pass(limit: Limit, before: list[int], now: int) -> bool:
    """The definition, without a bucket: no window that ends now holds more than the law lets it hold."""
    capacity = (limit.burst - limit.rate) * limit.seconds
    in_bound = all(
        (len(before) - n + 1 - capacity) * SECOND <= limit.rate * (now - start) for n, start in enumerate(before)
    )
    return capacity >= 1 and in_bound and sum(now - at < SECOND for at in before) < limit.burst


@given(limit=limits, gaps=schedules)
def test_exactly_those_requests_pass_that_every_window_has_room_for(limit: Limit, gaps: list[int]) -> None:
    clock, before = Hand(), list[int]()
    for now, wait in asked(MemoryLimiter(clock), clock, limit, gaps):
        assert (wait == 0) == may_pass(limit, before, now)
        before += [now] if wait == 0 else []


@given(limit=limits | st.sampled_from([INGEST, PING, LOOKUP]), gaps=schedules, flood=st.integers(1, 40))
@settings(max_examples=50)
def test_no_window_ever_holds_more_than_the_bound(limit: Limit, gaps: list[int], flood: int) -> None:
    clock = Hand()
    every = [part for gap in gaps for part in (gap, *[0] * flood)]
    times = [now for now, wait in asked(MemoryLimiter(clock), clock, limit, every) if wait == 0]
    capacity = (limit.burst - limit.rate) * limit.seconds
    for n, first in enumerate(times[:: max(1, len(times) // 200)]):
        inside = [at for at in times if at >= first]
        for count, last in enumerate(inside, start=1):
            width = last - first
            assert (count - capacity) * SECOND <= limit.rate * width, n
            assert count <= limit.burst * (width // SECOND + 1), n


@given(limit=limits, gaps=schedules)
def test_whoever_waits_as_long_as_told_passes_and_not_a_nanosecond_earlier(limit: Limit, gaps: list[int]) -> None:
    clock = Hand()
    limiter = MemoryLimiter(clock)
    before = [now for now, wait in asked(limiter, clock, limit, gaps) if wait == 0]
    while (wait := limiter.ask("a", limit)) == 0:
        before.append(clock.now)
    clock.now += wait - 1
    assert limiter.ask("a", limit) == 1
    assert not may_pass(limit, before, clock.now)
    clock.now += 1
    assert may_pass(limit, before, clock.now)
    assert limiter.ask("a", limit) == 0


@pytest.mark.parametrize("limit", [INGEST, PING, LOOKUP])
def test_a_rested_source_may_send_at_the_ceiling_for_as_long_as_documented_and_then_at_the_rate(limit: Limit) -> None:
    clock = Hand()
    limiter = MemoryLimiter(clock)
    # The very last of them finds half a token: the bucket was full, so what flowed in before the first was lost.
    assert passed(limiter, clock, limit, limit.burst, limit.seconds) == limit.burst * limit.seconds - 1
    for _ in range(5):
        assert passed(limiter, clock, limit, limit.burst, 1) in {limit.rate, limit.rate + 1}
    clock.move(limit.seconds)
    assert passed(limiter, clock, limit, limit.burst, limit.seconds) == limit.burst * limit.seconds - 1


@pytest.mark.parametrize("limit", [INGEST, LOOKUP])
def test_the_sustained_rate_is_never_refused(limit: Limit) -> None:
    clock = Hand()
    assert passed(MemoryLimiter(clock), clock, limit, limit.rate, 60) == limit.rate * 60


def test_credit_does_not_grow_beyond_the_bucket() -> None:
    clock = Hand()
    limiter = MemoryLimiter(clock)
    assert limiter.ask("a", INGEST) == 0
    clock.move(3600)
    # 1,000 and 1,400 less what would have flowed in after the last request.
    assert passed(limiter, clock, INGEST, 190, 14) == 2399


def test_refused_requests_cost_nothing() -> None:
    clock = Hand()
    assert passed(MemoryLimiter(clock), clock, INGEST, 400, 6) == 1200


def test_the_ceiling_slides_and_is_not_aligned_to_the_second() -> None:
    clock = Hand()
    limiter = MemoryLimiter(clock)
    clock.move(0.75)
    assert [limiter.ask("a", INGEST) == 0 for _ in range(300)].count(True) == 200
    clock.move(0.5)
    assert limiter.ask("a", INGEST) == SECOND // 2
    clock.move(0.5)
    assert [limiter.ask("a", INGEST) == 0 for _ in range(300)].count(True) == 200


@pytest.mark.parametrize(("wait", "seconds"), [(1, 1), (SECOND, 1), (SECOND + 1, 2), (5 * SECOND, 5)])
def test_retry_after_is_whole_seconds_rounded_up_and_at_least_one(wait: int, seconds: int) -> None:
    assert retry_after(wait) == seconds


@given(gaps=schedules, limit=st.sampled_from([INGEST, PING, LOOKUP]))
@settings(max_examples=30)
def test_under_the_documented_limits_the_wait_is_always_one_second(gaps: list[int], limit: Limit) -> None:
    clock = Hand()
    every = [part for gap in gaps for part in (gap // 20, *[0] * 30)]
    waits = [wait for _, wait in asked(MemoryLimiter(clock), clock, limit, every) if wait]
    assert {retry_after(wait) for wait in waits} <= {1}


def test_the_documented_limits_are_those_of_the_contract() -> None:
    found = {item.name: item.limit for item in CONTRACTS["leaddistro"].operations}
    assert found == {"ingest": INGEST, "ping": PING, "lookup": LOOKUP, "update": None}
    assert {item.limit for item in CONTRACTS["pingtree"].operations} == {None}


class Breaking:
    """Cells whose writer is killed after some writes."""

    def __init__(self, cells: Any, writes: int) -> None:
        self.cells, self.writes = cells, writes

    def __getitem__(self, index: int) -> int:
        return int(self.cells[index])

    def __setitem__(self, index: int, value: int) -> None:
        if self.writes == 0:
            raise KeyboardInterrupt
        self.writes -= 1
        self.cells[index] = value


@given(limit=limits, before=schedules, after=schedules, writes=st.integers(0, 4), gap=microseconds)
def test_a_writer_that_is_killed_halfway_leaves_the_state_as_it_was(
    limit: Limit, before: list[int], after: list[int], writes: int, gap: int
) -> None:
    cells = array("q", bytes(8 * law.size(limit)))
    now = START
    for step in before:
        now += step * 1000
        law.ask(cells, 0, limit, now)
    untouched = array("q", cells)
    now += gap * 1000
    try:
        law.ask(Breaking(cells, writes), 0, limit, now)
    except KeyboardInterrupt:
        for step in after:
            now += step * 1000
            assert law.ask(cells, 0, limit, now) == law.ask(untouched, 0, limit, now)


# The places where the state is kept


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of our own, on a socket in a folder of our own."""
    socket = tmp_path_factory.mktemp("redis") / "s"
    process = subprocess.Popen(
        [
            program("redis-server", "valkey-server"),
            "--port",
            "0",
            "--unixsocket",
            str(socket),
            "--save",
            "",
            "--dir",
            str(socket.parent),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(socket.exists, "Redis listens")
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait(20)


MakeLimiter = Callable[[Hand], Limiter]


@pytest.fixture(params=["memory", "shared", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> MakeLimiter:
    """Makes a limiter of each kind; two that it makes share their state, but for those in memory."""
    if request.param == "memory":
        return MemoryLimiter
    if request.param == "shared":
        return lambda clock: SharedLimiter.open(str(tmp_path / "limits"), clock)
    url = request.getfixturevalue("redis_url")
    connected = RedisLimiter.connect(url)
    assert connected.ask(f"own clock {random.random()}", LOOKUP) == 0
    return lambda clock: RedisLimiter.connect(url, lambda: clock.now // 1000)


def test_every_place_decides_as_the_law_says(make: MakeLimiter) -> None:
    chance = random.Random(7)
    for run in range(20):
        rate = chance.randint(1, 20)
        limit = Limit(rate, rate + chance.randint(1, 20), chance.randint(1, 5))
        clock = Hand()
        limiter, reference = make(clock), array("q", bytes(8 * law.size(limit)))
        for _ in range(300):
            clock.now += chance.choice([0, 0, 1, chance.randint(0, 50_000), chance.randint(0, 1_200_000)]) * 1000
            expected = law.ask(reference, 0, limit, clock.now)
            wait = limiter.ask(f"schedule {run}", limit)
            assert -(-wait // 1000) == -(-expected // 1000)  # Redis counts microseconds


def test_keys_and_limits_do_not_share_a_state(make: MakeLimiter) -> None:
    clock = Hand()
    limiter = make(clock)
    while limiter.ask("a", LOOKUP) == 0:
        pass
    assert limiter.ask("b", LOOKUP) == 0
    assert limiter.ask("a", INGEST) == 0
    assert limiter.ask("a", LOOKUP) == SECOND


def test_threads_never_pass_more_than_the_ceiling(make: MakeLimiter) -> None:
    limiter = make(Hand())
    waits: list[int] = []

    def work() -> None:
        waits.extend(limiter.ask("threads", INGEST) for _ in range(60))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(waits), waits.count(0)) == (480, 200)


def test_a_limiter_in_memory_forgets_the_rested_and_turns_away_new_keys_when_none_has() -> None:
    clock = Hand()
    limiter = MemoryLimiter(clock, room=3)
    for key in "abc":
        assert limiter.ask(key, LOOKUP) == 0
    with pytest.raises(LimiterUnavailableError, match="more than 3 keys"):
        limiter.ask("d", LOOKUP)
    assert limiter.ask("a", LOOKUP) == 0
    clock.move(1.1)
    limiter.ask("c", LOOKUP)
    assert limiter.ask("d", LOOKUP) == 0
    assert len(limiter._states) == 2


@given(limit=limits, gaps=st.lists(microseconds, max_size=10), flood=st.integers(0, 30))
def test_forgetting_a_rested_source_changes_nothing(limit: Limit, gaps: list[int], flood: int) -> None:
    clock = Hand()
    cells = array("q", bytes(8 * law.size(limit)))
    cells[law.RATE] = limit.rate
    for step in [part for gap in gaps for part in (*[0] * flood, gap)]:
        clock.now += step * 1000
        if law.has_rested(cells, 0, clock.now):
            fresh, old = array("q", bytes(8 * law.size(limit))), array("q", cells)
            for later in range(150):
                at = clock.now + later // 25 * SECOND
                assert law.ask(fresh, 0, limit, at) == law.ask(old, 0, limit, at)
        law.ask(cells, 0, limit, clock.now)


# Between processes

HAMMER = """
import sys
from simulator.contract.account import Limit
from simulator.limits import SharedLimiter
limiter = SharedLimiter.open(sys.argv[1], lambda: 10**15)
print("ready", flush=True)
sys.stdin.readline()
print(sum(limiter.ask("p", Limit(500, 1000, 10)) == 0 for _ in range(3000)))
"""

HOLDER = """
import sys, time
from simulator.contract.account import Limit
from simulator.limits import SharedLimiter

def now():
    print("held", flush=True)
    time.sleep(600)

SharedLimiter.open(sys.argv[1], now).ask("p", Limit(10, 20, 5))
"""

VICTIM = """
import sys
from simulator.contract.account import Limit
from simulator.limits import SharedLimiter
limiter = SharedLimiter.open(sys.argv[1], lambda: 10**15)
print("ready", flush=True)
while True:
    limiter.ask("p", Limit(100, 200, 10))
"""


@pytest.fixture
def start() -> Iterator[Callable[[str, Path], subprocess.Popen[str]]]:
    """Starts Python programs; whatever is left of them at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def run(program: str, path: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, str(path)]
        root = str(Path(__file__).parent.parent)
        process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


Start = Callable[[str, Path], subprocess.Popen[str]]


def test_two_processes_pass_together_what_one_may_pass(start: Start, tmp_path: Path) -> None:
    processes = [start(HAMMER, tmp_path / "limits") for _ in range(2)]
    assert [line(process) for process in processes] == ["ready", "ready"]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [int(line(process)) for process in processes]
    assert sum(counts) == 1000


def test_a_holder_of_the_lock_that_hangs_is_an_error_and_one_that_is_killed_is_none(
    start: Start, tmp_path: Path
) -> None:
    limiter = SharedLimiter.open(str(tmp_path / "limits"), patience=0.05)
    assert limiter.ask("p", LOOKUP) == 0
    holder = start(HOLDER, tmp_path / "limits")
    assert line(holder) == "held"
    with pytest.raises(LimiterUnavailableError, match="does not let go"):
        limiter.ask("p", LOOKUP)
    holder.kill()
    holder.wait(60)
    assert limiter.ask("p", LOOKUP) == 0


def test_processes_that_are_killed_at_work_leave_an_exact_state_behind(start: Start, tmp_path: Path) -> None:
    clock = Hand()
    clock.now = 10**15
    limiter = SharedLimiter.open(str(tmp_path / "limits"), clock)
    victims = [start(VICTIM, tmp_path / "limits") for _ in range(3)]
    assert [line(victim) for victim in victims] == ["ready"] * 3
    wait_until(lambda: limiter.ask("p", INGEST) > 0, "the second is used up")
    for victim in victims:
        victim.kill()
        victim.wait(60)
    assert limiter.ask("p", INGEST) == SECOND
    clock.move(1)
    assert [limiter.ask("p", INGEST) == 0 for _ in range(300)].count(True) == 200


def test_a_fork_may_not_use_its_parents_limiter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = SharedLimiter.open(str(tmp_path / "limits"))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(LimiterUnavailableError, match="fork"):
        limiter.ask("a", LOOKUP)


def test_a_closed_limiter_lets_nothing_pass(tmp_path: Path) -> None:
    limiter = SharedLimiter.open(str(tmp_path / "limits"))
    limiter.close()
    with pytest.raises(LimiterUnavailableError, match="closed"):
        limiter.ask("a", LOOKUP)


def test_a_file_outlives_its_processes_and_a_restart_of_the_machine(tmp_path: Path) -> None:
    clock = Hand()
    path = str(tmp_path / "limits")
    first = SharedLimiter.open(path, clock)
    while first.ask("a", LOOKUP) == 0:
        pass
    first.close()
    assert SharedLimiter.open(path, clock).ask("a", LOOKUP) == SECOND
    clock.now = 3 * SECOND  # monotonic time starts anew with the machine
    assert [SharedLimiter.open(path, clock).ask("a", LOOKUP) == 0 for _ in range(30)].count(True) == 20


def test_another_kind_of_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("important")
    with pytest.raises(LimiterUnavailableError, match="another kind of file"):
        SharedLimiter.open(str(path))
    assert path.read_text() == "important"
    with pytest.raises(LimiterUnavailableError, match="cannot open"):
        SharedLimiter.open(str(tmp_path))


def test_a_full_file_reuses_the_places_of_the_rested_and_turns_away_new_keys_when_none_has(tmp_path: Path) -> None:
    clock = Hand()
    limiter = SharedLimiter.open(str(tmp_path / "limits"), clock)
    for n in range(shared._KEYS):
        assert limiter.ask(f"key {n}", LOOKUP) == 0
    with pytest.raises(LimiterUnavailableError, match="more than 1024 keys"):
        limiter.ask("one more", LOOKUP)
    clock.move(1)
    limiter.ask("key 1", LOOKUP)
    assert limiter.ask("one more", LOOKUP) == 0  # in the place of key 0
    assert limiter.ask("key 0", LOOKUP) == 0  # not in the place of key 1
    assert [limiter.ask("key 1", LOOKUP) == 0 for _ in range(30)].count(True) == 19
    assert [limiter.ask("one more", LOOKUP) == 0 for _ in range(30)].count(True) == 19


def test_a_full_disk_and_a_burst_without_room_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = SharedLimiter.open(str(tmp_path / "limits"))
    with pytest.raises(LimiterUnavailableError, match="4097"):
        limiter.ask("a", Limit(1, 4097, 1))
    assert limiter.ask("a", Limit(1, 4096, 1)) == 0
    monkeypatch.setattr(os, "pwrite", lambda *_: 8)
    with pytest.raises(LimiterUnavailableError, match="No space left"):
        limiter.ask("b", LOOKUP)


@pytest.mark.parametrize("length", [0, 4096, shared._SLOTS, shared._LENGTH - 1, shared._LENGTH + 1])
def test_a_file_of_another_length_is_an_error_and_kills_nobody(tmp_path: Path, length: int) -> None:
    path = tmp_path / "limits"
    limiter = SharedLimiter.open(str(path))
    limiter.ask("a", LOOKUP)
    os.truncate(path, length)
    for key in "ab":
        with pytest.raises(LimiterUnavailableError, match="truncated"):
            limiter.ask(key, LOOKUP)


def test_a_file_that_was_removed_or_replaced_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    limiter = SharedLimiter.open(str(path))
    path.unlink()
    with pytest.raises(LimiterUnavailableError, match="No such file"):
        limiter.ask("a", LOOKUP)
    assert SharedLimiter.open(str(path)).ask("a", LOOKUP) == 0
    with pytest.raises(LimiterUnavailableError, match="replaced"):
        limiter.ask("a", LOOKUP)


def test_a_file_that_is_replaced_between_two_requests_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    limiter = SharedLimiter.open(str(path))
    limiter.ask("a", LOOKUP)
    path.rename(tmp_path / "moved")
    SharedLimiter.open(str(path)).close()
    wait_until(lambda: _is_unavailable(limiter), "the limiter looks at the path again")
    assert _is_unavailable(limiter)


def _is_unavailable(limiter: SharedLimiter) -> bool:
    try:
        limiter.ask("a", LOOKUP)
    except LimiterUnavailableError:
        return True
    return False


# Cells of a key after two requests: which copy counts, and that copy's debt, moment and count.
DAMAGE = [(0, 2), (0, -1), (0, 2**62), (2, -1), (2, 2**62), (3, -1), (4, -1), (4, 2**63 - 1)]


@pytest.mark.parametrize(("cell", "value"), DAMAGE)
def test_a_state_that_nobody_can_have_written_is_an_error(cell: int, value: int) -> None:
    cells = array("q", bytes(8 * law.size(LOOKUP)))
    for _ in range(2):
        law.ask(cells, 0, LOOKUP, START)
    cells[cell] = value
    with pytest.raises(LimiterUnavailableError, match="damaged"):
        law.ask(cells, 0, LOOKUP, START)


def test_a_moment_after_the_last_one_is_damage() -> None:
    cells = array("q", bytes(8 * law.size(LOOKUP)))
    for _ in range(20):
        law.ask(cells, 0, LOOKUP, START)
    cells[law.WIDTH] = START + 1
    with pytest.raises(LimiterUnavailableError, match="damaged"):
        law.ask(cells, 0, LOOKUP, START)


@settings(max_examples=60)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=law.size(LOOKUP), max_size=law.size(LOOKUP)))
def test_whatever_the_cells_hold_there_is_an_answer_or_a_limiter_error(values: list[int]) -> None:
    for which in (values[0], 0, 1):
        cells = array("q", [which, *values[1:]])
        with suppress(LimiterUnavailableError):
            assert law.ask(cells, 0, LOOKUP, START) >= 0
        with suppress(LimiterUnavailableError):
            law.has_rested(cells, 0, START)


# Redis


@pytest.mark.parametrize("back", [0.5, 3600])
@pytest.mark.parametrize("asked_between", [0, 3])
def test_the_wait_is_true_although_the_clock_of_redis_was_set_back(
    redis_url: str, back: float, asked_between: int
) -> None:
    clock = Hand()
    clock.move(10_000)
    limiter = RedisLimiter.connect(redis_url, lambda: clock.now // 1000)
    key = f"set back {back} {asked_between}"
    assert [limiter.ask(key, LOOKUP) == 0 for _ in range(40)].count(True) == 20
    clock.move(-back)
    wait = limiter.ask(key, LOOKUP)
    assert wait == SECOND
    for _ in range(asked_between):  # refused requests change nothing, and time goes on
        clock.move(0.25)
        wait -= SECOND // 4
        assert limiter.ask(key, LOOKUP) == wait
    clock.now += wait - 1000
    assert limiter.ask(key, LOOKUP) == 1000
    clock.now += 1000
    assert [limiter.ask(key, LOOKUP) == 0 for _ in range(40)].count(True) == 20


class OutOfReachError(Exception):
    pass


def test_a_redis_that_fails_is_an_error_and_never_a_pass() -> None:
    def script(keys: object, arguments: object) -> int:
        raise OutOfReachError("connection refused")

    with pytest.raises(LimiterUnavailableError, match="connection refused"):
        RedisLimiter(script, (OutOfReachError,)).ask("a", LOOKUP)


def test_redis_is_asked_by_one_script_with_the_limit_and_its_own_clock() -> None:
    calls: list[Any] = []

    def script(keys: object, arguments: object) -> int:
        calls.append((keys, arguments))
        return 250_000

    assert RedisLimiter(script, ()).ask("t p s ingest", INGEST) == SECOND // 4
    name = "leadsandbox:limits:{t p s ingest 100/200/10}"
    assert calls == [((f"{name}:bucket", f"{name}:times"), (100, 200, 10, ""))]


def test_the_state_is_where_the_option_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_limiter(""), MemoryLimiter)
    assert isinstance(open_limiter(str(tmp_path / "limits")), SharedLimiter)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(LimiterUnavailableError, match=r"leadsandbox\[scale\]"):
        open_limiter("redis://127.0.0.1:1/0")
