"""Records a million requests in one journal and watches resident memory. Writes a CSV, an SVG and a line of figures.

    python tests/benchmarks/journal_memory.py [--requests 1000000] [--out DIRECTORY]

Exit code 1 when memory grew by more than a tenth after the ring was full, or when a count is wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from simulator.journal import EvidenceGoneError, Filter, Journal, Label

START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = [("PT-PING-201-ACCEPT", 201), ("PT-PING-201-REJECT", 201), ("PT-PING-400-FIELD", 400)]
SAMPLES = 200
FULL = 20_000  # requests after which the ring is full
GROWTH = 1.1


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def blob(number: int) -> bytes:
    """Return an entry of 1.5 to 6 KiB, in sizes that differ, as requests do."""
    body = "x" * (1500 + number * 7919 % 4500)
    return orjson.dumps({"path": f"/api/lead/ping/lnk_{number % 50}", "request": {"body": body}, "n": number})


def record(requests: int) -> tuple[Journal, list[tuple[int, float]], float]:
    journal = Journal(10_000, 32 * 2**20)
    samples = [(0, resident_mib())]
    began = time.process_time()
    for number in range(requests):
        row, http = ROWS[number % 3]
        at = START + timedelta(milliseconds=number)
        journal.record(Label(at, "pingtree", "ping", row, http, f"src_{number % 50}", "POST"), blob(number))
        if (number + 1) % max(requests // SAMPLES, 1) == 0:
            samples.append((number + 1, resident_mib()))
    return journal, samples, (time.process_time() - began) / requests * 1e6


def svg(samples: list[tuple[int, float]]) -> str:
    last, top = samples[-1][0], max(mib for _, mib in samples) * 1.2
    points = " ".join(f"{50 + 700 * n / last:.1f},{320 - 300 * mib / top:.1f}" for n, mib in samples)
    labels = "".join(
        f'<text x="45" y="{324 - 300 * mib / top:.0f}" text-anchor="end">{mib:.0f}</text>'
        for mib in (0, round(top / 2), round(top))
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 360" font-family="sans-serif" font-size="11">'
        '<rect width="800" height="360" fill="white"/><path d="M50 20V320H750" fill="none" stroke="black"/>'
        f'{labels}<text x="50" y="345">0</text><text x="750" y="345" text-anchor="end">{last:,} requests</text>'
        '<text x="60" y="15">resident memory, MiB</text>'
        f'<polyline points="{points}" fill="none" stroke="#0057b7" stroke-width="2"/></svg>\n'
    )


def faults(journal: Journal, samples: list[tuple[int, float]], requests: int) -> list[str]:
    found = []
    if journal.count(Filter()) != requests:
        found.append(f"counted {journal.count(Filter())} of {requests}")
    if journal.count(Filter(row=ROWS[0][0])) != (requests + 2) // 3:
        found.append("the count of one row is wrong")
    try:
        journal.count(Filter(method="POST"))
        found.append("a count that needs evicted evidence was answered")
    except EvidenceGoneError:
        pass
    full = [mib for number, mib in samples if number >= FULL]
    if full and max(full) > full[0] * GROWTH:
        found.append(f"memory grew from {full[0]:.1f} to {max(full):.1f} MiB after {FULL} requests")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path("journal-memory"))
    arguments = parser.parse_args()
    journal, samples, micros = record(arguments.requests)
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines = [f"{number},{mib:.2f}" for number, mib in samples]
    (arguments.out / "journal_memory.csv").write_text("requests,resident_mib\n" + "\n".join(lines) + "\n")
    (arguments.out / "journal_memory.svg").write_text(svg(samples))
    full = [mib for number, mib in samples if number >= FULL] or [samples[-1][1]]
    sys.stdout.write(
        f"{arguments.requests} requests, {micros:.1f} us each, making the entry included\n"
        f"resident MiB: {samples[0][1]:.1f} at the start, {full[0]:.1f} after {FULL}, {max(full):.1f} at most, "
        f"{full[-1]:.1f} at the end\n{journal.size()}\n"
    )
    problems = faults(journal, samples, arguments.requests)
    sys.stdout.writelines(f"FAULT {one}\n" for one in problems)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
