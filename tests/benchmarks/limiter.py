"""What one check of a rate limit costs: `python tests/benchmarks/limiter.py [--redis URL]`. A script, not a test.

The aims are under 5 microseconds in one process and under 10 across processes; figures depend on the machine.
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

from simulator.contract.account import Limit
from simulator.limits import Limiter, MemoryLimiter, RedisLimiter, SharedLimiter

CHECKS, ROUNDS = 50_000, 5
INGEST = Limit(100, 200, 10)


def cost(limiter: Limiter, limit: Limit, checks: int = CHECKS) -> float:
    """Return microseconds per check."""
    ask, key = limiter.ask, "default leaddistro supplier_xyz789 ingest"
    begin = time.perf_counter()
    for _ in range(checks):
        ask(key, limit)
    return (time.perf_counter() - begin) / checks * 1e6


def stepping(step: int) -> Callable[[], int]:
    """Return a clock that moves on by `step` nanoseconds with each reading, so that every request passes."""
    moment = time.monotonic_ns()

    def now() -> int:
        nonlocal moment
        moment += step
        return moment

    return now


def between_threads(limiter: Limiter, count: int) -> float:
    threads = [threading.Thread(target=cost, args=(limiter, INGEST)) for _ in range(count)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - begin) / (count * CHECKS) * 1e6


def _process(path: str) -> float:
    return cost(SharedLimiter.open(path), INGEST)


def between_processes(path: str, count: int) -> float:
    """Return microseconds per check as each of `count` processes sees it, all at work on one key."""
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        pool.map(_process, [path] * count)  # imports, and the file
        return statistics.mean(pool.map(_process, [path] * count))


def report(name: str, measure: Callable[[], float]) -> None:
    found = sorted(measure() for _ in range(ROUNDS))
    sys.stdout.write(f"{name:58} {found[0]:7.2f} best {statistics.median(found):7.2f} median\n")


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
