"""What the benchmarks make of what they measured. They are run by `make bench`, never by a test."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tests.benchmarks import reporting
from tests.benchmarks.generator import Sample, Work
from tests.benchmarks.measuring import FLOOR, Row
from tests.benchmarks.processes import Server

SERVER = Server("http://127.0.0.1:1", [])
WORK = Work("ingest", "/")
FOUND = {
    "day": "2026-01-01",
    "busy": 0.1,
    "rounds": 3,
    "seconds": 4.0,
    "pool": 100.0,
    "delivered": {"rate": 250.0, "cpu_us": 4000.0},
    "half_load": {
        "floor_rate": 500.0,
        "floor_top": 1000.0,
        "floor_p99_ms": 2.0,
        "ping_rate": 100.0,
        "ping_top": 200.0,
        "ping_p99_ms": 31.0,
        "added_p99_ms": 11.0,
    },
    "start": {"start_s": 1.0, "floor_start_s": 0.4},
    "large_store": {
        "leads": 1000,
        "size_mib": 2.0,
        "rate_large": 90.0,
        "rate_empty": 100.0,
        "cpu_us_large": 10.0,
        "cpu_us_empty": 10.0,
        "start_s_large": 3.1,
        "start_s_empty": 1.0,
        "resident_mib_large": 130.0,
        "resident_mib_empty": 100.0,
    },
}


def row(name: str, *rates: float) -> Row:
    return Row(name, SERVER, WORK, samples=[Sample(rate, 1e6 / rate, 1.0, 2.0, 100) for rate in rates])


ROWS = [
    row(FLOOR, 900, 1000, 5000),
    row("ingest", 500, 499, 700),
    row("Lead Distro ping", 599, 599, 599),
    row("Pingtree ping, 3 buyers", 500, 500, 500),
    row("Prism", 501, 501, 501),
]


def verdicts() -> dict[str, bool]:
    return {name: met for name, _, _, met in reporting.judged(FOUND, ROWS)}


def test_a_goal_is_judged_by_medians_and_its_bound_counts_as_met() -> None:
    met = verdicts()
    assert met["ingest, of the floor's requests/s"]
    assert not met["Lead Distro ping, of the floor's requests/s"]
    assert not met["ingest, of the fastest peer that validates or keeps state"]
    assert met["Pingtree ping with 3 buyers, of a requests-per-buyer pool"]


def test_latency_store_and_start_are_judged_against_what_they_are_measured_beside() -> None:
    met = verdicts()
    assert not met["p99 added to the slowest buyer at half load, of the floor's p99"]
    assert met["ingest at 1,000 leads, of an empty store's"]
    assert not met["start at 1,000 leads, of an empty store's"]
    assert met["memory at 1,000 leads, of an empty store's"]
    assert met["start to ready, against 1.5 times a bare Flask app's + 0.5 s"]


def test_what_could_not_be_measured_stands_in_the_table_with_the_reason() -> None:
    table = reporting.table(ROWS, {"MockServer": "brings no program | of its own"})
    assert "| MockServer | not measured: brings no program / of its own |" in table
    assert "| ingest | 500 | 499 to 700 | 50% |" in table


def test_what_webhooks_cost_stands_beside_what_ingests_cost() -> None:
    page = reporting.page({**FOUND, "goals": reporting.judged(FOUND, ROWS)}, ROWS, {})
    assert "250 ingests/s, 25% of the floor, at 4,000 CPU µs each" in page


def test_what_workers_bring_is_told_where_it_was_measured() -> None:
    assert "PostgreSQL" not in reporting.scaling(FOUND, ROWS)
    two = {"rate_1": 100.0, "cpu_us_1": 2000.0, "rate_2": 180.0, "cpu_us_2": 2100.0}
    told = reporting.scaling({**FOUND, "two_workers": two}, ROWS)
    assert "| one process, SQLite | 500 | 2,000 | one core |" in told
    assert "| two workers, PostgreSQL | 180 | 2,100 |" in told


def test_the_drawing_has_a_bar_for_every_row_and_nothing_to_load() -> None:
    text = reporting.drawing(ROWS)
    bars = [one for one in ET.fromstring(text).iter() if one.tag.endswith("rect")]
    assert len(bars) == len(ROWS) + 1
    assert "href" not in text
