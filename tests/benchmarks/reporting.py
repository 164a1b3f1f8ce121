"""Results as JSON, as a Markdown table, as a drawing, and in docs/performance.md. Nothing is measured here."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import FLOOR, Row
from tests.benchmarks.peers import CACHE
from tests.benchmarks.processes import ROOT

PAGE = ROOT / "docs" / "performance.md"
DRAWING = ROOT / "docs" / "performance.svg"
BEGIN, END = "<!-- last run: begin -->", "<!-- last run: end -->"


def table(rows: Sequence[Row], missing: Mapping[str, str]) -> str:
    floor = next(row for row in rows if row.name == FLOOR)
    lines = [
        "| | requests/s | lowest–highest | of the floor | CPU µs/request | times the floor's | p50 ms | p99 ms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        low, high = row.spread()
        share = row.median("rate") / floor.median("rate")
        cost = row.median("cpu_us") / floor.median("cpu_us")
        lines.append(
            f"| {row.name} | {row.median('rate'):,.0f} | {low:,.0f}–{high:,.0f} | {share:.0%} "
            f"| {row.median('cpu_us'):,.0f} | {cost:.1f} | {row.median('p50_ms'):.1f} | {row.median('p99_ms'):.1f} |"
        )
    lines += [f"| {name} | not measured: {escape(why)} | | | | | | |" for name, why in missing.items()]
    return "\n".join(lines)


def goals(found: Mapping[str, Any]) -> str:
    lines = ["| goal | wanted | measured | |", "|---|--:|--:|---|"]
    for name, wanted, value, met in found["goals"]:
        lines.append(f"| {name} | {wanted} | {value} | {'met' if met else 'not met'} |")
    return "\n".join(lines)


def judged(found: Mapping[str, Any], rows: Sequence[Row]) -> list[tuple[str, str, str, bool]]:
    """Return each goal with what was wanted, what was measured, and whether that is enough."""
    rate = {row.name: row.median("rate") for row in rows}
    floor = rate[FLOOR]
    judged = [
        _at_least("ingest, of the floor's requests/s", 0.5, rate["ingest"] / floor),
        _at_least("Lead Distro ping, of the floor's requests/s", 0.6, rate["Lead Distro ping"] / floor),
    ]
    if "pool" in found:
        ratio = rate["Pingtree ping, 3 buyers"] / found["pool"]
        judged.append(_at_least("Pingtree ping with 3 buyers, of a requests-per-buyer pool", 5, ratio, "×"))
    if half := found.get("half_load"):
        ratio = half["added_p99_ms"] / half["floor_p99_ms"]
        judged.append(_at_most("p99 added to the slowest buyer at half load, of the floor's p99", 5, ratio))
    if large := found.get("large_store"):
        many = f"{large['leads']:,} leads"
        judged += [
            _at_least(f"ingest at {many}, of an empty store's", 0.9, large["rate_large"] / large["rate_empty"]),
            _at_most(f"start at {many}, of an empty store's", 3, large["start_s_large"] / large["start_s_empty"]),
            _at_most(
                f"memory at {many}, of an empty store's", 1.3, large["resident_mib_large"] / large["resident_mib_empty"]
            ),
        ]
    if start := found.get("start"):
        allowed = 1.5 * start["floor_start_s"] + 0.5
        met = start["start_s"] <= allowed
        said = (f"at most {allowed:.2f} s", f"{start['start_s']:.2f} s", met)
        judged.append(("start to ready, against 1.5 × a bare Flask app's + 0.5 s", *said))
    return judged


def _at_least(name: str, wanted: float, value: float, unit: str = "%") -> tuple[str, str, str, bool]:
    return name, f"at least {_said(wanted, unit)}", _said(value, unit), value >= wanted


def _at_most(name: str, wanted: float, value: float) -> tuple[str, str, str, bool]:
    return name, f"at most {_said(wanted, '×')}", _said(value, "×"), value <= wanted


def _said(value: float, unit: str) -> str:
    return f"{value:.0%}" if unit == "%" else f"{value:.1f}×"


def drawing(rows: Sequence[Row]) -> str:
    """Return bars of requests a second: ours, the floor, the others."""
    top = max(row.median("rate") for row in rows)
    height = 30 * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="820" height="{height}" fill="white"/>',
    ]
    for place, row in enumerate(rows):
        y, rate = 15 + 30 * place, row.median("rate")
        low, high = (260 + 460 * value / top for value in row.spread())
        colour = "#888" if row.name == FLOOR else "#2a6fb0" if row.note == "ours" else "#c98a2b"
        parts += [
            f'<text x="250" y="{y + 15}" text-anchor="end">{escape(row.name)}</text>',
            f'<rect x="260" y="{y}" width="{460 * rate / top:.1f}" height="20" fill="{colour}"/>',
            f'<path d="M{low:.1f} {y + 10}H{high:.1f}" stroke="black"/>',
            f'<text x="{max(high, 260 + 460 * rate / top) + 6:.1f}" y="{y + 15}">{rate:,.0f}/s</text>',
        ]
    return "".join([*parts, "</svg>\n"])


def machine() -> str:
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"


def page(found: Mapping[str, Any], rows: Sequence[Row], missing: Mapping[str, str]) -> str:
    """Return the section of docs/performance.md that a run writes."""
    parts = [
        f"{found['day']}, {machine()}; load of the machine at the beginning {found['busy']:.1f}. "
        f"{found['rounds']} rounds of {found['seconds']:g} s, medians.",
        "![requests a second](performance.svg)",
        table(rows, missing),
        goals(found),
    ]
    if pool := found.get("pool"):
        parts.append(f"The requests-per-buyer pool: {pool:,.0f} fan-outs/s.")
    if half := found.get("half_load"):
        parts.append(
            f"Half load: the floor at {half['floor_rate']:,.0f}/s of {half['floor_top']:,.0f}/s has a p99 of "
            f"{half['floor_p99_ms']:.1f} ms; a ping whose slowest buyer takes 20 ms, at {half['ping_rate']:,.0f}/s of "
            f"{half['ping_top']:,.0f}/s, {half['ping_p99_ms']:.1f} ms, which is {half['added_p99_ms']:.1f} ms more than the buyer's."
        )
    if large := found.get("large_store"):
        parts.append(
            f"{large['leads']:,} leads ({large['size_mib']:,.0f} MiB) and an empty store: ingest {large['rate_large']:,.0f}/s and "
            f"{large['rate_empty']:,.0f}/s ({large['cpu_us_large']:,.0f} and {large['cpu_us_empty']:,.0f} CPU µs), start "
            f"{large['start_s_large']:.2f} s and {large['start_s_empty']:.2f} s, resident {large['resident_mib_large']:,.0f} MiB and "
            f"{large['resident_mib_empty']:,.0f} MiB."
        )
    return "\n\n".join(parts)


def write(found: Mapping[str, Any], rows: Sequence[Row], missing: Mapping[str, str], *, into_docs: bool) -> None:
    """Write results.json, results.md and results.svg into the cache, and into docs when asked."""
    CACHE.mkdir(exist_ok=True)
    measured = {row.name: [vars(sample) for sample in row.samples] for row in rows}
    document = {**found, "machine": machine(), "rows": measured, "missing": dict(missing)}
    (CACHE / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    text = page(found, rows, missing)
    (CACHE / "results.md").write_text(text.replace("performance.svg", "results.svg") + "\n")
    (CACHE / "results.svg").write_text(drawing(rows))
    if into_docs:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")
        DRAWING.write_text(drawing(rows))
