"""`leadsandbox rehearse`: reads options, words results. What a rehearsal does is `rehearsal.py`'s."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simulator import scorecard
from simulator.leaving import CANNOT_START, FAILED, NOTHING_RAN, UNREACHABLE, USAGE, fail

if TYPE_CHECKING:
    from simulator.rehearsal import Run, Situation
    from simulator.testing import Server

# What a rehearsal needs is imported where it is used: no other command should wait for it.
# ruff: noqa: PLC0415


_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
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
@click.option("--fail-on", type=click.Choice(["fail", "warn"]), default="fail", show_default=True,
              help="The least severe outcome that fails.")  # fmt: skip
@click.option("--require", default="", metavar="D10,D42", help="Duties that must have been seen; not seen fails.")
@click.option("--severity", multiple=True, metavar="D05:off",
              help="Another severity of a duty: fail, warn, info or off. May be given again.")  # fmt: skip
@click.option("--junit", type=_FILE, help="Write the scorecard as JUnit XML to this file.")
@click.option("--json", "json_file", type=_FILE, help="Write the scorecard as JSON to this file.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def rehearse(
    *,
    url: str | None,
    control_token: str,
    config: Path | None,
    names: tuple[str, ...],
    timeout: float,
    slow: int,
    fail_on: str,
    require: str,
    severity: tuple[str, ...],
    junit: Path | None,
    json_file: Path | None,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND, which sends leads, through every situation that a platform may put it in, and grade what it sent.

    It runs once in each: accept, reject, duplicate, slow_auction, rate_limited, outage, expired_ping, post_refused.
    Each run has a fresh tenant, and finds in its environment LEADSANDBOX_URL, LEADSANDBOX_TENANT,
    LEADSANDBOX_SITUATION, and ids and credentials such as PINGTREE_PING_TOKEN and LEADDISTRO_API_KEY.

    Fails when a duty is broken, when the run that should be accepted exits with another code than 0, or when a run
    takes too long. COMMAND's output goes to stderr, the scorecard to stdout.
    """
    from simulator.rehearsal import Command, Terms
    from simulator.rehearsal import rehearse as runs_of
    from simulator.testing import SandboxError

    chosen, required = _chosen(names), [name.strip() for name in require.split(",") if name.strip()]
    try:
        with _server(url, control_token, config) as server:
            runs = list(runs_of(server, Command(command, timeout), chosen, Terms(slow, severity), _announce))
    except SandboxError as error:
        fail(USAGE if 400 <= error.status < 500 else UNREACHABLE, str(error))
    except OSError as error:
        fail(USAGE, f"cannot run {command[0]}: {error.strerror}")
    _report(runs, fail_on, required, junit, json_file)


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
        fail(CANNOT_START, str(error))


def _announce(situation: Situation) -> None:
    click.echo(f"--- {situation.name}: {situation.meaning}", err=True)


def _report(
    runs: Sequence[Run], fail_on: str, required: Sequence[str], junit: Path | None, json_file: Path | None
) -> None:
    from simulator.rehearsal import merged

    card = merged(runs)
    # Shown before any file is written: one that cannot be written should not lose what took minutes.
    for line in [*map(_line, runs), "", *scorecard.lines(card)]:
        click.echo(line)
    failures = [*_troubles(runs), *(scorecard.failures(card, fail_on, required) if card["requests"] else ())]
    if not card["requests"]:
        failures.append("the command sent nothing to the sandbox; does it read LEADSANDBOX_URL?")
    for line in failures:
        click.echo(f"leadsandbox: {line}", err=True)
    _write(junit, scorecard.junit(card, fail_on, required))
    _write(json_file, json.dumps(card, indent=2) + "\n")
    if failures:
        raise SystemExit(FAILED if card["requests"] else NOTHING_RAN)


def _line(run: Run) -> str:
    if run.skipped:
        return f"{run.situation.name:<13} skipped: the command calls nothing that this could happen to"
    ended = "took too long" if run.code is None else f"exit {run.code}"
    return f"{run.situation.name:<13} {ended}, {run.requests} requests"


def _troubles(runs: Sequence[Run]) -> Iterator[str]:
    if runs[0].code:
        yield f"the command exits with {runs[0].code} though every lead is accepted"
    yield from (f"{run.situation.name}: the command took too long" for run in runs if run.code is None)


def _write(file: Path | None, text: str) -> None:
    if file is None:
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(USAGE, f"cannot write {file}: {error.strerror}")
