"""`leadsandbox rehearse`: reads options, words results. What a rehearsal does is `rehearsal.py`'s."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simulator import scorecard
from simulator.leaving import CANNOT_START, FAILED, NOTHING_RAN, UNREACHABLE, USAGE, fail, leave, stopped
from simulator.reporting import Report, graded

if TYPE_CHECKING:
    from simulator.rehearsal import Run, Situation
    from simulator.testing import Server

# What a rehearsal needs is imported where it is used: no other command should wait for it.
# ruff: noqa: PLC0415


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--url", envvar="LEADSANDBOX_URL", show_envvar=True,
              help="Base URL of a running sandbox. Default: one is started.")  # fmt: skip
@click.option("--control-token", default="", envvar="LEADSANDBOX_CONTROL_TOKEN", show_envvar=True,
              help="Its control token, if it asks for one.")  # fmt: skip
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE",
              help="Sandbox file of the sandbox that is started.")  # fmt: skip
@click.option("--situation", "names", multiple=True, help="Only this one, after accept. May be given again.")
@click.option("--timeout", type=click.FloatRange(min=1), default=120.0, show_default=True,
              help="Seconds that one run may take.")  # fmt: skip
@click.option("--slow", type=click.IntRange(1, 60_000), default=4000, show_default=True,
              help="Milliseconds that the slow auction takes.")  # fmt: skip
@graded
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def rehearse(
    *,
    url: str | None,
    control_token: str,
    config: Path | None,
    names: tuple[str, ...],
    timeout: float,
    slow: int,
    command: tuple[str, ...],
    **wanted: Any,
) -> None:
    """Run COMMAND, which sends leads, through every situation that a platform may put it in, and grade what it sent.

    It runs once in each: accept, reject, duplicate, slow_auction, rate_limited, outage, expired_ping, post_refused.
    Each run has a fresh tenant, and finds in its environment LEADSANDBOX_URL, LEADSANDBOX_TENANT,
    LEADSANDBOX_SITUATION, and ids and credentials such as PINGTREE_PING_TOKEN and LEADDISTRO_API_KEY.

    Fails when a duty is broken, when the run that should be accepted exits with another code than 0, or when a run
    takes too long. COMMAND's output goes to stderr, the scorecard to stdout.
    """
    from simulator.rehearsal import Command, CommandError, Terms
    from simulator.rehearsal import rehearse as runs_of
    from simulator.supervisor import signals_as_interrupts
    from simulator.testing import SandboxError

    chosen, report = _chosen(names), Report(**wanted)
    _find(command[0])
    try:
        with signals_as_interrupts(), _server(url, control_token, config) as server:
            terms = Terms(slow, report.severity)
            runs = list(runs_of(server, Command(command, timeout), chosen, terms, _announce))
    except SandboxError as error:
        fail(USAGE if 400 <= error.status < 500 else UNREACHABLE, str(error))
    except CommandError as error:
        fail(USAGE, str(error))
    except KeyboardInterrupt:
        stopped("stopped; a rehearsal that was not ended has no scorecard")
    _report(runs, report)


def _find(name: str) -> None:
    """End when there is no such command, before a sandbox is started for it."""
    if shutil.which(name) is None:
        fail(USAGE, f"cannot run {name}: there is no such program, or it may not be executed")


def _chosen(names: Sequence[str]) -> list[Situation]:
    from simulator.rehearsal import SITUATIONS

    known = {item.name: item for item in SITUATIONS}
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"no situation is called {', '.join(unknown)}; there are {', '.join(known)}")
    return [item for name, item in known.items() if not names or name in names]


@contextlib.contextmanager
def _server(url: str | None, control_token: str, config: Path | None) -> Iterator[Server]:
    from simulator.testing import Server, StartError, started

    if url and config:
        raise click.UsageError("--config is for a sandbox that is started; that of --url has its own file")
    if url:
        server = Server(url, control_token)
        server.check()
        yield server
        return
    try:
        with started(*(["--config", str(config)] if config else [])) as server:
            yield server
    except StartError as error:
        leave(USAGE if error.code == USAGE else CANNOT_START, *str(error).splitlines())


def _announce(situation: Situation) -> None:
    click.echo(f"--- {situation.name}: {situation.meaning}", err=True)


def _report(runs: Sequence[Run], report: Report) -> None:
    from simulator.rehearsal import merged

    card = merged(runs)
    failures = [*_troubles(runs), *(report.failures(card) if card["requests"] else ())]
    if not card["requests"]:
        failures.append("the command sent nothing to the sandbox; does it read LEADSANDBOX_URL?")
    faults = report.write(card, None)  # before it is shown: who reads it may hang up. The tenants are gone
    for line in [*map(_line, runs), "", *scorecard.lines(card)]:
        click.echo(line)
    for line in [*failures, *faults]:
        click.echo(f"leadsandbox: {line}", err=True)
    if faults:
        leave(USAGE)
    if failures:
        leave(FAILED if card["requests"] else NOTHING_RAN)


def _line(run: Run) -> str:
    if run.skipped:
        return f"{run.situation.name:<13} skipped: the command calls nothing that this could happen to"
    ended = "took too long" if run.code is None else f"exit {run.code}"
    return f"{run.situation.name:<13} {ended}, {run.requests} requests"


def _troubles(runs: Sequence[Run]) -> Iterator[str]:
    if runs[0].code:
        yield f"the command exits with {runs[0].code} though every lead is accepted"
    yield from (f"{run.situation.name}: the command took too long" for run in runs if run.code is None)
