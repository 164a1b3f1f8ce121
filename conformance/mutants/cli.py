"""`leadsandbox conform --self-test`: runs the suite and its mutants at a sandbox of its own, and words the outcome."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from conformance import page, report, session
from conformance.mutants.outcome import KillMatrix, Outcome
from conformance.mutants.proving import prove
from conformance.own import StartError, own_sandbox
from conformance.passive import FormatsMissingError
from conformance.preflight import UnreachableError
from conformance.results import Exit, RunResult

MOST = 50
"""So many survivors are named on the terminal; the reports name all."""


def self_test(html_file: Path | None = None, json_file: Path | None = None) -> int:
    """Prove the suite, write the reports that were asked for, and return the exit code."""
    try:
        run, matrix = proved()
    except (StartError, FormatsMissingError, UnreachableError) as error:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        return Exit.UNREACHABLE if isinstance(error, UnreachableError) else Exit.CANNOT_START
    if json_file:
        report.write(run, json_file)
    if html_file:
        page.write(run, html_file)
    for line in lines(matrix, run):
        click.echo(line)
    return run.exit_code


def proved() -> tuple[RunResult, KillMatrix]:
    """Run the suite and then the mutants at one sandbox. Raises StartError, UnreachableError."""
    with own_sandbox() as welcome:
        with session.at_url(welcome["base_url"], name="own sandbox") as opened:
            run = session.conduct(opened, session.questions(), datetime.now(UTC))  # noqa: TID251  the edge
        matrix = prove(welcome, done=_progress)
    return with_proof(run, matrix), matrix


def with_proof(run: RunResult, matrix: KillMatrix) -> RunResult:
    """Return the run with the last column of its matrix filled in."""
    rows = tuple(replace(row, falsified=row.id in matrix.falsified) for row in run.rows)
    proof: Mapping[str, object] = matrix.document()
    code = run.exit_code if matrix.holds and all(row.falsified for row in rows) else Exit.SELF_TEST
    return replace(run, rows=rows, self_test=proof, exit_code=code)


def lines(matrix: KillMatrix, run: RunResult) -> Iterator[str]:
    """Yield what the terminal shows."""
    for kind, (made, killed) in sorted(matrix.kinds().items()):
        yield f"  {kind:<14} {killed:>5} of {made:>5} caught"
    for outcome in matrix.survivors[:MOST]:
        yield _survivor(outcome)
    if len(matrix.survivors) > MOST:
        yield f"… and {len(matrix.survivors) - MOST} more survivors; the report has them all"
    for name in matrix.stale:
        yield f"stale excuse: {name} is caught, or there is no such mutant"
    for row in run.rows:
        if not row.falsified:
            yield f"not falsified: no mutant of {row.id} was caught by a case that claims it"
    falsified = sum(bool(row.falsified) for row in run.rows)
    yield (
        f"{matrix.killed} of {len(matrix.outcomes)} mutants caught, {len(matrix.survivors)} survive "
        f"({len(matrix.unexcused)} without a reason); {falsified} of {len(run.rows)} rows falsified; "
        f"identity {len(matrix.identity)} times; {matrix.seconds:.0f} s"
    )
    yield f"The self-test is void: {matrix.void}" if matrix.void else _ending(run)


def _survivor(outcome: Outcome) -> str:
    why = " ".join(outcome.excuse.split()) or ("NO REASON" if outcome.acted else "NO REASON, and it changed nothing")
    return f"survives: {outcome.id} ({', '.join(outcome.missed)}): {why}"


def _ending(run: RunResult) -> str:
    if run.exit_code == Exit.SELF_TEST:
        return "The self-test failed."
    return (
        "The suite is proved."
        if run.exit_code == Exit.ALL_GREEN
        else "The suite is proved; the run itself is not green."
    )


def _progress(now: int, every: int) -> None:
    if sys.stderr.isatty() and (now % 20 == 0 or now == every):
        click.echo(f"\r\033[K{now}/{every} mutants" if now < every else "\r\033[K", file=sys.stderr, nl=False)
