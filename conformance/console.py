"""The run as lines for a terminal: progress, a line per row, and for each failure all that one needs to see why."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TextIO

import click

from conformance.results import CaseResult, Exit, Finding, Kind, RowResult, RunResult, Verdict

_COLOURS = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.ERROR: "red",
    Verdict.WARN: "yellow",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_APPLICABLE: "bright_black",
    Verdict.EXCLUDED: "bright_black",
}
_ENDINGS = {
    Exit.ALL_GREEN: "All rows that apply are asserted.",
    Exit.FAILED: "Not conforming.",
    Exit.NOTHING_RAN: "Nothing was asked.",
    Exit.INCOMPLETE: "Green as far as it goes, but not every row could be asked of this target.",
    Exit.STALE_BASELINE: "The baseline is out of date.",
}
_WIDTH = 15


class Progress:
    """Counts finished cases on one line of a terminal; says nothing where nobody watches."""

    def __init__(self, total: int, stream: TextIO = sys.stderr) -> None:
        self._total = total
        self._stream = stream
        self._done = 0
        self._shown = stream.isatty()

    def __call__(self, result: CaseResult) -> None:
        self._done += 1
        if self._shown:
            number = min(self._done, self._total)
            click.echo(f"\r\033[K{number}/{self._total} {result.id}", file=self._stream, nl=False)

    def end(self) -> None:
        if self._shown:
            click.echo("\r\033[K", file=self._stream, nl=False)


def lines(run: RunResult) -> Iterator[str]:
    """Yield the whole report."""
    yield from _rows(run.rows)
    yield from _journeys(run)
    for result in run.results:
        if result.verdict in {Verdict.FAIL, Verdict.ERROR, Verdict.WARN}:
            yield from _failure(result)
    for stale in run.stale:
        yield f"baseline: {stale.id} {stale.why}"
    yield ""
    yield from _summary(run)


def _rows(rows: tuple[RowResult, ...]) -> Iterator[str]:
    operation = ""
    for row in rows:
        heading = f"{row.platform} {row.operation}"
        if heading != operation:
            yield from ("", click.style(heading, bold=True))
            operation = heading
        words = f"{row.http} {row.code}"
        why = f"  {row.why}" if row.why and row.verdict is not Verdict.FAIL else ""
        yield f"  {_word(row.verdict)} {row.id:<28} {words:<24}{_shortened(why)}"


def _journeys(run: RunResult) -> Iterator[str]:
    told = [result for result in run.results if result.kind is not Kind.CASE]
    if told:
        yield from ("", click.style("journeys and the whole run", bold=True))
    for result in told:
        why = f"  {result.detail}" if result.detail and result.verdict is not Verdict.FAIL else ""
        yield f"  {_word(result.verdict)} {result.id:<28} {result.title}{_shortened(why)}"


def _word(verdict: Verdict) -> str:
    return click.style(f"{verdict.value:<{_WIDTH}}", fg=_COLOURS[verdict])


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _failure(result: CaseResult) -> Iterator[str]:
    known = "  (expected by the baseline)" if result.expected_failure else ""
    yield from ("", f"{_word(result.verdict).strip()} {result.id}: {result.title}{known}")
    if not result.findings:
        yield f"  {result.detail}"
    for finding in result.findings[:5]:
        yield from _finding(finding)
    if len(result.findings) > 5:
        yield f"  … and {len(result.findings) - 5} more; the report has them all"


def _finding(finding: Finding) -> Iterator[str]:
    if finding.documented:
        yield f"  documented  {finding.documented} [{finding.row}: {', '.join(finding.source)}]"
    yield f"  expected    {finding.expected}"
    yield f"  actual      {finding.actual}"
    if finding.curl:
        yield f"  try         {finding.curl}"


def _summary(run: RunResult) -> Iterator[str]:
    verdicts = Counter(result.verdict for result in run.results)
    counted = ", ".join(f"{verdicts[verdict]} {verdict.value}" for verdict in Verdict if verdicts[verdict])
    yield f"{run.target['name']} at {run.target['base_url']}: {counted}"
    why = Counter(result.why.value for result in run.results if result.why)
    if why:
        yield f"inconclusive: {_counted(why)}"
    declared = len(run.rows)
    yield (
        f"rows: {declared} declared, {_count(run, 'cased')} cased, {_count(run, 'observed')} observed, "
        f"{run.achieved} asserted; possible on this target {run.possible}, achieved {run.achieved}"
    )
    if not run.complete:
        yield "a partial run: only some cases were asked"
    yield f"{run.requests} requests in {run.seconds:.1f} s. {_ENDINGS.get(run.exit_code, '')}"


def _count(run: RunResult, column: str) -> int:
    return sum(getattr(row, column) for row in run.rows)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
