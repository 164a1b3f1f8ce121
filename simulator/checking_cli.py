"""`leadsandbox check-state`: options, words and exit codes. What is a contradiction is the store's."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

CONTRADICTED, CANNOT_READ = 1, 3
MOST = 200  # contradictions that are shown

# Imports stand inside the command: `leadsandbox --help` should not wait for them.
# ruff: noqa: PLC0415


@click.command("check-state")
@click.option("--db", envvar="LEADSANDBOX_DB", show_envvar=True, default="",
              help="Database file, or SQLAlchemy URL. Default: the file that `up` uses.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON line.")
def check_state(*, db: str, as_json: bool) -> None:
    """Recompute everything that a sandbox's store counts, and name each contradiction in one line.

    Caps and turns are recounted from the leads that were sold, each person, ping, ping token, webhook and attempt
    is followed to its lead. It reads one moment's state and writes nothing, so the sandbox may be running.
    Exit codes: 0 no contradiction, 1 contradictions, 3 the store cannot be read.
    """
    from simulator.settings import default_database
    from simulator.store import StoreError
    from simulator.store.checking import check
    from simulator.tenants import DEFAULT

    try:
        report = check(db or str(default_database()), always=(DEFAULT,))
    except (StoreError, OSError) as error:
        click.echo(f"leadsandbox: {error}", err=True)
        raise SystemExit(CANNOT_READ) from None
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        _show(report.place, dict(report.rows), report.contradictions, report.notes)
    sys.stdout.flush()
    raise SystemExit(CONTRADICTED if report.contradictions else 0)


def _show(place: str, rows: dict[str, int], contradictions: tuple[str, ...], notes: tuple[str, ...]) -> None:
    for line in contradictions[:MOST]:
        click.echo(line)
    if len(contradictions) > MOST:
        click.echo(f"... and {len(contradictions) - MOST} more")
    for note in notes:
        click.echo(f"note: {note}")
    looked_at = ", ".join(f"{count:,} {name}" for name, count in rows.items() if count) or "nothing"
    outcome = f"{len(contradictions):,} contradictions" if contradictions else "no contradiction"
    click.echo(f"{place}: {outcome} in {looked_at}")
