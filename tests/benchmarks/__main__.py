"""Measures the sandbox beside a bare Flask application and other people's mock servers: `make bench`. Rules: none here.

python -m tests.benchmarks [--short] [--no-peers] [--write-docs] [--rounds N] [--seconds S] [--leads N]
"""

from __future__ import annotations

# ruff: noqa: T201  a command prints
import argparse
import os
import sys
import time
from contextlib import ExitStack
from typing import Any

from tests.benchmarks import peers, reporting
from tests.benchmarks.measuring import (
    FLOOR,
    Plan,
    Row,
    Runs,
    compare,
    delivered,
    fan_out,
    floor_command,
    half_load,
    large_store,
    starts,
    two_workers,
)
from tests.benchmarks.processes import BenchError, Server, free_port, serving
from tests.benchmarks.sandboxes import INGEST, PRECHECK, Sandbox, sandbox

FLOORS = {FLOOR: 0, "the same on granian, one thread": 1, "the same on granian, 32 threads": 32}
SHORT = Plan(rounds=1, seconds=2, leads=20_000)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure the sandbox beside its peers.")
    full = Plan()
    parser.add_argument("--short", action="store_true", help="one short round of everything: does it still run?")
    parser.add_argument("--no-peers", action="store_true", help="leave out other people's servers")
    parser.add_argument("--write-docs", action="store_true", help="write the results into docs/performance.md")
    parser.add_argument("--rounds", type=int, default=full.rounds)
    parser.add_argument("--seconds", type=float, default=full.seconds, help="of one measurement")
    parser.add_argument("--leads", type=int, default=full.leads, help="in the large store")
    return parser.parse_args()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def ours(one: Sandbox) -> list[Row]:
    server = one.server
    return [
        Row("ingest", server, INGEST, "ours"),
        Row("Lead Distro ping", server, PRECHECK, "ours"),
        Row("Pingtree ping, 1 buyer", server, one.pingtree("ping", "src_bench_1"), "ours"),
        Row("Pingtree post", server, one.pingtree("post", "src_bench_1"), "ours", continues=True),
        Row("Pingtree ping, 3 buyers", server, one.pingtree("ping", "src_bench_3"), "ours"),
        Row("Pingtree ping, 10 buyers", server, one.pingtree("ping", "src_bench_10"), "ours"),
    ]


def _floor(stack: ExitStack, threads: int) -> Server:
    port = free_port()
    return stack.enter_context(serving(floor_command(port, threads), port))


def others(stack: ExitStack, missing: dict[str, str]) -> list[Row]:
    rows = []
    for peer in peers.PEERS:
        say(f"installing {peer.name}, unless it is there")
        why = peers.install(peer)
        try:
            if not why:
                rows.append(Row(peer.name, stack.enter_context(peers.running(peer)), peer.work))
        except BenchError as error:
            why = str(error)
        if why:
            missing[peer.name] = why
            say(f"{peer.name} is not measured: {why}")
    return rows


def measured(plan: Plan, *, with_peers: bool) -> tuple[dict[str, Any], list[Row], dict[str, str]]:
    """Run everything; return the findings, the rows, and what could not be measured and why."""
    runs, missing = Runs(), dict[str, str]()
    found: dict[str, Any] = {
        "day": time.strftime("%Y-%m-%d"),
        "busy": os.getloadavg()[0],
        "rounds": plan.rounds,
        "seconds": plan.seconds,
    }
    with ExitStack() as stack:
        floor, *floors = (Row(name, _floor(stack, threads), INGEST) for name, threads in FLOORS.items())
        one = stack.enter_context(sandbox())
        rows = [floor, *floors, *ours(one), *(others(stack, missing) if with_peers else [])]
        compare(rows, plan, runs, say)
        found["delivered"] = delivered(one, plan, runs)
        say(f"ingests with their webhooks: {found['delivered']['rate']:,.0f}/s")
        found["pool"] = fan_out(one, plan)
        say(f"requests-per-buyer pool: {found['pool']:,.0f}/s")
        found["half_load"] = half_load(one, floor.server, floor.work, plan, runs)
    found["start"] = starts(plan)
    say(f"start: {found['start']}")
    found["large_store"] = large_store(plan, Runs(), say)
    try:
        found["two_workers"] = two_workers(plan, Runs(), say)
    except BenchError as error:
        missing["two workers on PostgreSQL"] = str(error)
    found["goals"] = reporting.judged(found, rows)
    return found, rows, missing


def main() -> int:
    """Measure, print and write. Exit code 1 when something could not be measured that must be."""
    asked = arguments()
    plan = SHORT if asked.short else Plan(asked.rounds, asked.seconds, asked.leads)
    began = time.monotonic()
    try:
        found, rows, missing = measured(plan, with_peers=not asked.no_peers)
    except BenchError as error:
        say(f"stopped: {error}")
        return 1
    reporting.write(found, rows, missing, into_docs=asked.write_docs)
    print(reporting.page(found, rows, missing))
    say(f"{time.monotonic() - began:.0f} s; written to {peers.CACHE}/results.json, .md and .svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
