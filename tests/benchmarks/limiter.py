"""What one check of a rate limit costs: `python tests/benchmarks/limiter.py [--redis URL]`. A script, not a test.

The aims are under 5 microseconds in one process and under 10 across processes; figures depend on the machine. Where
other programs run, only the processor time says something.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from simulator.contract.account import Limit
from simulator.limits import Limiter, MemoryLimiter, RedisLimiter, SharedLimiter

CHECKS, ROUNDS = 50_000, 5
INGEST = Limit(100, 200, 10)


class Cost(NamedTuple):
    """Microseconds per check, by the clock and of the processor."""

    clock: float
    cpu: float


def cost(limiter: Limiter, limit: Limit, checks: int = CHECKS) -> Cost:
    ask, key = limiter.ask, "default leaddistro supplier_xyz789 ingest"
    since = _moment()
    for _ in range(checks):
        ask(key, limit)
    return _spent(since, checks)


def _moment() -> Cost:
    return Cost(time.perf_counter(), time.process_time())


def _spent(since: Cost, checks: int) -> Cost:
    now = _moment()
    return Cost((now.clock - since.clock) / checks * 1e6, (now.cpu - since.cpu) / checks * 1e6)


def stepping(step: int) -> Callable[[], int]:
    """Return a clock that moves on by `step` nanoseconds with each reading, so that every request passes."""
    moment = time.monotonic_ns()

    def now() -> int:
        nonlocal moment
        moment += step
        return moment

    return now


def between_threads(limiter: Limiter, count: int) -> Cost:
    threads = [threading.Thread(target=cost, args=(limiter, INGEST)) for _ in range(count)]
    since = _moment()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _spent(since, count * CHECKS)


def _process(path: str) -> Cost:
    return cost(SharedLimiter.open(path), INGEST)


def between_processes(path: str, count: int) -> Cost:
    """Return microseconds per check as each of `count` processes sees it, all at work on one key."""
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        pool.map(_process, [path] * count)  # imports, and the file
        found = pool.map(_process, [path] * count)
    return Cost(statistics.mean(each.clock for each in found), statistics.mean(each.cpu for each in found))


def report(name: str, measure: Callable[[], Cost]) -> None:
    found = [measure() for _ in range(ROUNDS)]
    clock, cpu = (sorted(each) for each in zip(*found, strict=True))
    figures = (
        f"{clock[0]:7.2f} best {statistics.median(clock):7.2f} median {statistics.median(cpu):7.2f} of the processor"
    )
    sys.stdout.write(f"{name:52} {figures}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis", help="URL of a Redis to measure as well")
    url = parser.parse_args().redis
    tick = 10_000_000  # 100 requests a second
    sys.stdout.write("microseconds per check\n")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "limits")
        report("in process, passing", lambda: cost(MemoryLimiter(stepping(tick)), INGEST))
        report("in process, refusing", lambda: cost(MemoryLimiter(), INGEST))
        report("in process, 4 threads", lambda: between_threads(MemoryLimiter(), 4))
        report("shared file, passing", lambda: cost(SharedLimiter.open(f"{path} 1", stepping(tick)), INGEST))
        report("shared file, refusing", lambda: cost(SharedLimiter.open(path), INGEST))
        report("shared file, 4 threads", lambda: between_threads(SharedLimiter.open(path), 4))
        report("shared file, 2 processes on one key without a pause", lambda: between_processes(path, 2))
        if url:
            report("Redis, refusing", lambda: cost(RedisLimiter.connect(url), INGEST, 2000))


if __name__ == "__main__":
    main()
