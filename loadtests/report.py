"""What is shown of finished runs: the table, JSON, CSV and our HTML page. The figures come from `verdict.py`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from loadtests.law import Limit
from loadtests.log import Record
from loadtests.plots import plots
from loadtests.scenarios import Scenario
from loadtests.verdict import INCONCLUSIVE, PASS, VIOLATED, Verdict

FINE, LIMIT_VIOLATED, NOTHING_RAN, RUN_INVALID = 0, 1, 5, 21
_COLOURS = {PASS: "green", VIOLATED: "red", INCONCLUSIVE: "yellow"}


@dataclass(frozen=True, slots=True)
class Result:
    """One attempt at a scenario. `locust_report` is the file name of Locust's own page, "" without one."""

    scenario: Scenario
    verdict: Verdict
    log: Sequence[Record]
    locust_report: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Report:
    """What a call of `leadsandbox load` showed. `failure` says what ended it before every scenario was run."""

    results: Sequence[Result]
    url: str
    wanted: Sequence[str]
    failure: str = ""

    @property
    def missing(self) -> list[str]:
        """The scenarios that were asked for and have no verdict."""
        shown = {result.verdict.scenario for result in self.results}
        return [name for name in self.wanted if name not in shown]


def final(results: Iterable[Result]) -> list[Result]:
    """Return the last attempt at each scenario, which is the one that counts."""
    return list({result.verdict.scenario: result for result in results}.values())


def exit_code(results: Sequence[Result]) -> int:
    """Return 1 when any limit was violated, else 21 when any run showed nothing, 5 when nothing was sent, else 0."""
    counting = final(results)
    words = {result.verdict.verdict for result in counting}
    if not any(result.log or result.verdict.figures.get("lost") for result in counting):
        return NOTHING_RAN
    if VIOLATED in words:
        return LIMIT_VIOLATED
    return RUN_INVALID if INCONCLUSIVE in words else FINE


def table(results: Sequence[Result]) -> Table:
    """Return one line per attempt; times are milliseconds."""
    shown = Table(box=SIMPLE)
    shown.add_column("scenario", no_wrap=True)
    repeated = any(result.attempt > 1 for result in results)
    if repeated:
        shown.add_column("attempt", justify="right", no_wrap=True)
    shown.add_column("verdict", no_wrap=True)
    for name in ("sent", "accepted", "predicted", "429", "late p99", "p50", "p99"):
        shown.add_column(name, justify="right", no_wrap=True)
    for result in results:
        verdict = result.verdict
        attempt = [str(result.attempt)] if repeated else []
        word = f"[{_COLOURS[verdict.verdict]}]{verdict.verdict}[/]"
        shown.add_row(verdict.scenario, *attempt, word, *_cells(verdict))
    return shown


def _cells(verdict: Verdict) -> list[str]:
    figures = verdict.figures
    times = (figures["lateness_ms"].get("p99"), figures["latency_ms"].get("p50"), figures["latency_ms"].get("p99"))
    predicted = sum(group.predicted for group in verdict.groups)
    counts = (figures["sent"], figures["accepted"], predicted, figures["refused"])
    return [*map(str, counts), *("" if value is None else f"{value:.1f}" for value in times)]


def sentences(results: Iterable[Result]) -> Iterator[str]:
    """Yield why a verdict is not PASS."""
    for result in results:
        for reason in result.verdict.reasons:
            why = f" ({result.verdict.why})" if result.verdict.why else ""
            yield f"{_titled(result)}{why}: {reason}"


def _titled(result: Result) -> str:
    return result.verdict.scenario + (f", attempt {result.attempt}" if result.attempt > 1 else "")


def as_json(report: Report) -> str:
    """Return one entry per scenario: its last attempt, and under `attempts` the verdicts of the earlier ones."""
    scenarios = [_entry(result, report.results) for result in final(report.results)]
    document: dict[str, Any] = {"target": report.url, "scenarios": scenarios}
    if report.failure:
        document |= {"failure": report.failure, "not_run": report.missing}
    return json.dumps(document, indent=2)


def _entry(last: Result, results: Iterable[Result]) -> dict[str, Any]:
    before = [each for each in results if each.verdict.scenario == last.verdict.scenario and each is not last]
    return {
        **last.verdict.document(),
        "attempt": last.attempt,
        "attempts": [each.verdict.document() for each in before],
    }


def write_csv(path: Path, results: Iterable[Result]) -> None:
    """Write every request of every run; times are nanoseconds after the start of its run, `run` counts attempts."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("scenario", "run", *Record._fields))
        for result in results:
            writer.writerows((result.verdict.scenario, result.attempt, *record) for record in result.log)


def page(report: Report, limits: Mapping[str, Limit], folder: Path) -> str:
    """Return our HTML page: verdicts, findings, figures and plots. It loads nothing; `folder` is where it will lie."""
    body = "".join(_section(result, limits, folder) for result in report.results)
    missing = f" Without a verdict: {', '.join(report.missing)}." if report.missing else ""
    failure = f"<p class='failure'>{escape(report.failure + '.' + missing)}</p>" if report.failure else ""
    return _PAGE.format(target=escape(report.url), body=failure + body)


def _section(result: Result, limits: Mapping[str, Limit], folder: Path) -> str:
    verdict = result.verdict
    word = verdict.verdict + (f" ({verdict.why})" if verdict.why else "")
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in verdict.reasons)
    there = result.locust_report and (folder / result.locust_report).exists()
    link = f'<p><a href="{escape(result.locust_report)}">Locust\'s own report</a></p>' if there else ""
    figures = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in verdict.figures.items()
    )
    return (
        f"<section><h2>{escape(_titled(result))} <span class='{verdict.verdict.lower()}'>{escape(word)}</span></h2>"
        f"<p>{escape(result.scenario.title)}</p><ul>{reasons}</ul>{_groups(verdict)}{link}"
        + "".join(f"<figure>{plot}</figure>" for plot in plots(result.log, limits))
        + f"<details><summary>All figures</summary><dl>{figures}</dl></details></section>"
    )


def _groups(verdict: Verdict) -> str:
    names = ("key", "endpoint", "sent", "accepted", "predicted", "429", "short of bucket", "short of ceiling")
    rows = [
        (
            g.key or "none",
            g.endpoint,
            g.sent,
            g.accepted,
            g.predicted,
            g.refused,
            _gap(g.bucket_gap),
            _gap(g.ceiling_gap),
        )
        for g in verdict.groups
    ]
    head = "".join(f"<th>{name}</th>" for name in names)
    cells = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{cells}</table>"


def _gap(gap: float | None) -> str:
    return "" if gap is None else f"{gap:.1f}"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>leadsandbox load</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
figure {{ margin: 1rem 0; }} svg {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem .2rem 0; text-align: left; }}
h2 span {{ font-size: .8em; padding: .1em .5em; border-radius: .3em; border: 2px solid; }}
.pass {{ border-color: #009e73; }} .violated {{ border-color: #d55e00; }} .inconclusive {{ border-color: #e69f00; }}
.failure {{ border-left: 4px solid #d55e00; padding-left: 1rem; }}
dl {{ display: grid; grid-template-columns: max-content auto; gap: 0 1rem; }} dd {{ margin: 0; }}
</style></head>
<body><h1>Load test of {target}</h1>
<p>Times are seconds after the start of each run. "Accepted" and "429" stand where their answer was received, so
that a correct limiter may show more than its burst in one second; the verdict counts what the intervals prove.</p>
{body}</body></html>
"""
