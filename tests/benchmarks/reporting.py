"""Results as JSON, as a Markdown table, as a drawing, and in docs/performance.md. Nothing is measured here."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import FLOOR, Row
from tests.benchmarks.peers import CACHE
from tests.benchmarks.processes import ROOT

PAGE = ROOT / "docs" / "performance.md"
SCALING = ROOT / "docs" / "scaling.md"
DRAWING = ROOT / "docs" / "performance.svg"
STRICT = ("Prism", "WireMock", "MockServer", "moto")  # peers that validate or keep state
BEGIN, END = "<!-- last run: begin -->", "<!-- last run: end -->"


def table(rows: Sequence[Row], missing: Mapping[str, str]) -> str:
    floor = _named(FLOOR, rows)
    lines = [
        "| | requests/s | lowest to highest | of the floor | CPU µs/request | times the floor's | p50 ms | p99 ms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        low, high = row.spread()
        share = row.median("rate") / floor.median("rate")
        cost = row.median("cpu_us") / floor.median("cpu_us")
        lines.append(
            f"| {row.name} | {row.median('rate'):,.0f} | {low:,.0f} to {high:,.0f} | {share:.0%} "
            f"| {row.median('cpu_us'):,.0f} | {cost:.1f} | {row.median('p50_ms'):.1f} | {row.median('p99_ms'):.1f} |"
        )
    lines += [f"| {name} | not measured: {why.replace('|', '/')} | | | | | | |" for name, why in missing.items()]
    return "\n".join(lines)


def _named(name: str, rows: Sequence[Row]) -> Row:
    return next(row for row in rows if row.name == name)


def goals(found: Mapping[str, Any]) -> str:
    lines = ["| goal | wanted | measured | |", "|---|--:|--:|---|"]
    lines += [
        f"| {name} | {wanted} | {value} | {'met' if met else 'not met'} |"
        for name, wanted, value, met in found["goals"]
    ]
    return "\n".join(lines)


Goal = tuple[str, str, str, bool]


def judged(found: Mapping[str, Any], rows: Sequence[Row]) -> list[Goal]:
    """Return each goal with what was wanted, what was measured, and whether that is enough."""
    return [*_of_the_table(found, rows), *_of_the_rest(found)]


def _of_the_table(found: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Goal]:
    rate = {row.name: row.median("rate") for row in rows}
    floor = rate[FLOOR]
    yield _at_least("ingest, of the floor's requests/s", 0.5, rate["ingest"] / floor)
    keeping = [rate[name] for name in STRICT if name in rate]
    if keeping:
        ratio = rate["ingest"] / max(keeping)
        yield _at_least("ingest, of the fastest peer that validates or keeps state", 1, ratio, " times")
    yield _at_least("Lead Distro ping, of the floor's requests/s", 0.6, rate["Lead Distro ping"] / floor)
    ratio = rate["Pingtree ping, 3 buyers"] / found["pool"]
    yield _at_least("Pingtree ping with 3 buyers, of a requests-per-buyer pool", 5, ratio, " times")


def _of_the_rest(found: Mapping[str, Any]) -> Iterator[Goal]:
    half, large, start = found["half_load"], found["large_store"], found["start"]
    ratio = half["added_p99_ms"] / half["floor_p99_ms"]
    yield _at_most("p99 added to the slowest buyer at half load, of the floor's p99", 5, ratio)
    many = f"at {large['leads']:,} leads, of an empty store's"
    yield _at_least(f"ingest {many}", 0.9, large["rate_large"] / large["rate_empty"])
    yield _at_most(f"start {many}", 3, large["start_s_large"] / large["start_s_empty"])
    yield _at_most(f"memory {many}", 1.3, large["resident_mib_large"] / large["resident_mib_empty"])
    allowed = 1.5 * start["floor_start_s"] + 0.5
    met = start["start_s"] <= allowed
    said = (f"at most {allowed:.2f} s", f"{start['start_s']:.2f} s", met)
    yield ("start to ready, against 1.5 times a bare Flask app's + 0.5 s", *said)
    if two := found.get("two_workers"):
        ratio = two["rate_2"] / two["rate_1"]
        yield _at_least("two workers on PostgreSQL, of one worker there", 1.5, ratio, " times")


def _at_least(name: str, wanted: float, value: float, unit: str = "%") -> Goal:
    return name, f"at least {_said(wanted, unit)}", _said(value, unit), value >= wanted


def _at_most(name: str, wanted: float, value: float) -> Goal:
    return name, f"at most {_said(wanted, ' times')}", _said(value, " times"), value <= wanted


def _said(value: float, unit: str) -> str:
    return f"{value:.0%}" if unit == "%" else f"{value:.1f} times"


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
    known = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
    model = next((value.strip() for name, _, value in known if name.strip() == "model name"), platform.machine())
    system = f"Linux {platform.release().partition('-')[0]}"
    return f"{os.cpu_count()} cores ({model}), {system}, Python {platform.python_version()}"


def page(found: Mapping[str, Any], rows: Sequence[Row], missing: Mapping[str, str]) -> str:
    """Return the section of docs/performance.md that a run writes."""
    parts = [
        _circumstances(found),
        "![requests a second](performance.svg)",
        table(rows, missing),
        goals(found),
    ]
    tellers: Mapping[str, Callable[[Any], str]] = {
        "two_workers": _two_workers,
        "pool": _pool,
        "half_load": _half_load,
        "large_store": _large_store,
    }
    parts.append(_delivered(found["delivered"], _named(FLOOR, rows)))
    parts += [tell(found[name]) for name, tell in tellers.items() if name in found]
    return "\n\n".join(parts)


def _circumstances(found: Mapping[str, Any]) -> str:
    busy = f"load of the machine at the beginning {found['busy']:.1f}"
    return f"{found['day']}, {machine()}; {busy}. {found['rounds']} rounds of {found['seconds']:g} s, medians."


def _delivered(ingests: Mapping[str, float], floor: Row) -> str:
    return (
        "Webhooks give way to calls, so that under wrk most of an ingest's come after it. Counted until they have "
        f"arrived: {ingests['rate']:,.0f} ingests/s, {ingests['rate'] / floor.median('rate'):.0%} of the floor, at "
        f"{ingests['cpu_us']:,.0f} CPU µs each."
    )


def _pool(rate: float) -> str:
    return f"The requests-per-buyer pool: {rate:,.0f} fan-outs/s."


def _two_workers(two: Mapping[str, float]) -> str:
    return (
        f"On PostgreSQL: one worker {two['rate_1']:,.0f}/s at {two['cpu_us_1']:,.0f} CPU µs an ingest, two workers "
        f"{two['rate_2']:,.0f}/s at {two['cpu_us_2']:,.0f}; generator, workers and database share the cores, "
        "and the database's own time is not in these figures."
    )


def _half_load(half: Mapping[str, float]) -> str:
    return (
        f"Half load: the floor at {half['floor_rate']:,.0f}/s of {half['floor_top']:,.0f}/s has a p99 of "
        f"{half['floor_p99_ms']:.1f} ms. A ping whose slowest buyer takes 20 ms, at {half['ping_rate']:,.0f}/s of "
        f"{half['ping_top']:,.0f}/s, has one of {half['ping_p99_ms']:.1f} ms: {half['added_p99_ms']:.1f} ms are ours."
    )


def _large_store(large: Mapping[str, float]) -> str:
    return (
        f"A store of {large['leads']:,} leads ({large['size_mib']:,.0f} MiB), and an empty one: "
        f"ingest {large['rate_large']:,.0f}/s and {large['rate_empty']:,.0f}/s, "
        f"CPU {large['cpu_us_large']:,.0f} and {large['cpu_us_empty']:,.0f} µs, "
        f"start {large['start_s_large']:.2f} and {large['start_s_empty']:.2f} s, "
        f"resident {large['resident_mib_large']:,.0f} and {large['resident_mib_empty']:,.0f} MiB."
    )


def scaling(found: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Return the section of docs/scaling.md that a run writes."""
    one, two = _named("ingest", rows), found.get("two_workers")
    lines = [
        f"{found['day']}, {machine()}:",
        "",
        "| | ingests/s | CPU µs | what limits it |",
        "| --- | --: | --: | --- |",
        f"| one process, SQLite | {one.median('rate'):,.0f} | {one.median('cpu_us'):,.0f} | one core |",
    ]
    if two:
        lines += [
            f"| one worker, PostgreSQL | {two['rate_1']:,.0f} | {two['cpu_us_1']:,.0f} | the database |",
            f"| two workers, PostgreSQL | {two['rate_2']:,.0f} | {two['cpu_us_2']:,.0f} | the cores, which all share |",
        ]
    return "\n".join(lines)


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
        _put(PAGE, text)
        _put(SCALING, scaling(found, rows))
        DRAWING.write_text(drawing(rows))


def _put(page: Path, text: str) -> None:
    """Replace what stands between the marks."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")
