"""What is measured, in which turns: interleaved rounds, medians. Nothing is worded or written here."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.benchmarks import fanout
from tests.benchmarks.generator import Sample, Work, load
from tests.benchmarks.million import many_leads
from tests.benchmarks.processes import BenchError, Server, compiled, free_port
from tests.benchmarks.sandboxes import INGEST, Sandbox, first_answer, mock_buyers_url, sandbox, seconds_to_ready
from tests.postgres import postgres

FLOOR = "bare Flask echo (the floor)"
SLOWEST = 20.0  # milliseconds that the slowest buyer of `src_bench_late` takes


@dataclass(frozen=True)
class Plan:
    """How long everything takes."""

    rounds: int = 3
    seconds: float = 4.0
    leads: int = 1_000_000
    connections: int = 16


@dataclass
class Row:
    """One line of the table: what is asked of which server. `after` is the row whose leads it continues."""

    name: str
    server: Server
    work: Work
    note: str = ""
    continues: bool = False
    samples: list[Sample] = field(default_factory=list)

    def median(self, figure: str) -> float:
        return float(statistics.median(getattr(sample, figure) for sample in self.samples))

    def spread(self) -> tuple[float, float]:
        rates = [sample.rate for sample in self.samples]
        return min(rates), max(rates)


class Runs:
    """Numbers that tell the leads of one measurement from all others'."""

    def __init__(self) -> None:
        self._last = 9

    def next(self) -> int:
        self._last += 1
        return self._last


def floor_command(port: int, threads: int = 0) -> Sequence[str]:
    """Return how the floor is started: on the sandbox's own server, or on so many threads of granian's."""
    if not threads:
        return (sys.executable, "-m", "tests.benchmarks.floor", str(port))
    return (sys.executable, "-m", "tests.benchmarks.on_granian", str(port), str(threads), "tests.benchmarks.floor:app")


def compare(rows: Sequence[Row], plan: Plan, runs: Runs, say: Callable[[str], None]) -> None:
    """Fill the rows' samples: every row once in each round, after a round of warming up that does not count."""
    for row in rows:
        if not row.continues:
            load(row.server, row.work, run=runs.next(), seconds=plan.seconds / 2, connections=plan.connections)
    for number in range(plan.rounds):
        run = 0
        for row in rows:
            row.server.settle()
            run = run if row.continues else runs.next()
            # What continues works on the leads of the row before, and must not run out of them.
            seconds = plan.seconds / 2 if row.continues else plan.seconds
            row.samples.append(load(row.server, row.work, run=run, seconds=seconds, connections=plan.connections))
            say(f"round {number + 1}: {row.name}: {row.samples[-1].rate:,.0f}/s")


def delivered(one: Sandbox, plan: Plan, runs: Runs) -> dict[str, float]:
    """Return an ingest's rate and cost where it counts as done when its webhook has arrived too."""
    rates, costs = [], []
    for _ in range(plan.rounds):
        one.server.settle()
        began, used = time.monotonic(), one.server.cpu()
        sample = load(one.server, INGEST, run=runs.next(), seconds=plan.seconds, connections=plan.connections)
        while requests.get(f"{one.server.url}/__sandbox/deliveries?status=pending&limit=1", timeout=60).json()[
            "deliveries"
        ]:
            time.sleep(0.05)
        rates.append(sample.requests / (time.monotonic() - began))
        costs.append((one.server.cpu() - used) / sample.requests * 1e6)
    return {"rate": statistics.median(rates), "cpu_us": statistics.median(costs)}


def fan_out(one: Sandbox, plan: Plan) -> float:
    """Return pings a second of the requests-per-buyer thread pool, on the mock buyers of this sandbox."""
    command = [sys.executable, fanout.__file__, mock_buyers_url(one), "p3b1,p3b2,p3b3", str(plan.seconds)]
    found = [
        float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
        for _ in range(plan.rounds)
    ]
    return statistics.median(found)


def half_load(one: Sandbox, floor: Server, floor_work: Work, plan: Plan, runs: Runs) -> dict[str, float]:
    """Return p99 at half of the ceiling: of the floor, and what a ping adds to its slowest buyer."""
    found: dict[str, float] = {}
    late = one.pingtree("ping", "src_bench_late")
    for name, server, work in (("floor", floor, floor_work), ("ping", one.server, late)):
        server.settle()
        top = load(server, work, run=runs.next(), seconds=plan.seconds, connections=32)
        pause = max(0.0, 2 * 32_000 / top.rate - top.p50_ms)
        server.settle()
        half = load(server, work, run=runs.next(), seconds=2 * plan.seconds, connections=32, pause_ms=pause)
        found |= {f"{name}_rate": half.rate, f"{name}_top": top.rate, f"{name}_p99_ms": half.p99_ms}
    found["added_p99_ms"] = max(0.0, found["ping_p99_ms"] - SLOWEST)
    return found


def large_store(plan: Plan, runs: Runs, say: Callable[[str], None]) -> dict[str, Any]:
    """Return throughput, start and memory on an empty store and on one of many leads, in turns."""
    with tempfile.TemporaryDirectory(prefix="leadsandbox-bench-") as folder:
        empty, large = Path(folder) / "empty.db", Path(folder) / "large.db"
        size = many_leads(large, plan.leads)
        say(f"a store of {plan.leads:,} leads, {size:,.0f} MiB")
        starts: dict[str, list[float]] = {"empty": [], "large": []}
        with compiled() as environment:
            seconds_to_ready(database=str(empty), environment=environment)  # it compiles
            for _ in range(plan.rounds):
                starts["empty"].append(seconds_to_ready(database=str(empty), environment=environment))
                starts["large"].append(seconds_to_ready(database=str(large), environment=environment))
        with sandbox("--direct", database=str(empty)) as one, sandbox("--direct", database=str(large)) as other:
            rows = [Row("empty", one.server, INGEST), Row("large", other.server, INGEST)]
            compare(rows, plan, runs, say)
            return {
                "leads": plan.leads,
                "size_mib": size,
                **{f"rate_{row.name}": row.median("rate") for row in rows},
                **{f"cpu_us_{row.name}": row.median("cpu_us") for row in rows},
                **{f"resident_mib_{row.name}": row.server.resident_mib() for row in rows},
                **{f"start_s_{name}": statistics.median(seconds) for name, seconds in starts.items()},
            }


def starts(plan: Plan) -> dict[str, float]:
    """Return the seconds from start to the first answer, of ours and of the bare application."""
    ours, bare = [], []
    with compiled() as environment:
        for _ in range(plan.rounds + 1):
            port = free_port()
            bare.append(first_answer(floor_command(port), f"http://127.0.0.1:{port}/", environment))
            with tempfile.TemporaryDirectory(prefix="leadsandbox-bench-") as folder:
                ours.append(seconds_to_ready(database=f"{folder}/store.db", environment=environment))
    # The first ones compiled.
    return {"start_s": statistics.median(ours[1:]), "floor_start_s": statistics.median(bare[1:])}


def two_workers(plan: Plan, runs: Runs, say: Callable[[str], None]) -> dict[str, float]:
    """Return an ingest's throughput and cost on PostgreSQL with one worker and with two, in turns.

    Raises BenchError where there is no PostgreSQL.
    """
    try:
        with postgres() as server, ExitStack() as stack:
            rows = []
            for workers in ("1", "2"):
                arguments = ("--direct", "--workers", workers)
                one = stack.enter_context(sandbox(*arguments, database=server.database()))
                rows.append(Row(f"{workers} on PostgreSQL", one.server, INGEST))
            compare(rows, plan, runs, say)
    except pytest.skip.Exception as missing:
        raise BenchError(str(missing)) from missing
    return {
        **{f"rate_{row.name[0]}": row.median("rate") for row in rows},
        **{f"cpu_us_{row.name[0]}": row.median("cpu_us") for row in rows},
    }
