"""`leadsandbox conform`: reads options and words what goes wrong. The work is done in `session.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from conformance.results import Exit, RunResult
    from conformance.session import Session

# Imports stand inside the functions: `leadsandbox --help` should not wait for what it does not use.
# ruff: noqa: PLC0415

TARGET_HELP = "URL of a running leadsandbox, or a target file (TOML). Default: a sandbox started for the run."
_ELSEWHERE = {"buyer": "conformance.buyer:buyer", "diff": "conformance.diff:diff"}
"""Sub-commands that live in modules of their own, imported when they are used."""


class _Group(click.Group):
    """Runs the suite when no sub-command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(name for name, place in _ELSEWHERE.items() if _exists(place))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _ELSEWHERE.get(cmd_name, "")
        if not _exists(place):
            return super().get_command(ctx, cmd_name)
        module, _, name = place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


def _exists(place: str) -> bool:
    return bool(place) and find_spec(place.partition(":")[0]) is not None


@click.group(cls=_Group, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--target", default="", envvar="LEADSANDBOX_TARGET", show_envvar=True, help=TARGET_HELP)
@click.option(
    "--control-token",
    default="",
    envvar="LEADSANDBOX_CONTROL_TOKEN",
    show_envvar=True,
    help="Opens the control API of a sandbox that was started with one.",
)
@click.option(
    "--only", multiple=True, metavar="ID", help="Only cases whose id, or whose row's id, begins so. Repeatable."
)
@click.option(
    "--baseline",
    "baseline_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Expected failures (TOML), each with an end date. Default: the one that the target file names.",
)
@click.option("--junit", "junit_file", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write report.json.")
@click.option(
    "--html", "html_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a single-file HTML report."
)
@click.option(
    "--badge",
    "badge_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an SVG badge; only a complete run has one.",
)
@click.option("--self-test", is_flag=True, help="Test the suite itself: every known-bad server must be caught.")
@click.option("--quiet", is_flag=True, help="No report on the terminal; the exit code says it all.")
@click.option("--list", "listing", is_flag=True, help="List cases and journeys and ask nothing.")
@click.pass_context
def conform(
    ctx: click.Context,
    target: str,
    control_token: str,
    only: tuple[str, ...],
    baseline_file: Path | None,
    junit_file: Path | None,
    json_file: Path | None,
    html_file: Path | None,
    badge_file: Path | None,
    self_test: bool,
    quiet: bool,
    listing: bool,
) -> None:
    """Ask a server for every documented status code, and hold each answer against its documentation.

    \b
    Exit codes: 0 all asserted, 1 failed, 2 usage, 3 cannot start, 4 unreachable or another server,
    5 nothing ran, 10 green but incomplete for this target, 11 stale baseline, 13 self-test failed.
    """  # noqa: D301  click wants the backspace
    if ctx.invoked_subcommand is not None:
        return
    if listing:
        _list(only)
        return
    if self_test:
        ctx.exit(_self_test(html_file, json_file))
    with _worded_errors():
        run = _run(target, control_token, only, baseline_file)
        _write(run, {"junit": junit_file, "json": json_file, "html": html_file, "badge": badge_file})
    if not quiet:
        from conformance import console

        for line in console.lines(run):
            click.echo(line)
    ctx.exit(run.exit_code)


def _run(target: str, control_token: str, only: tuple[str, ...], baseline_file: Path | None) -> RunResult:
    from conformance import baseline, console, session

    asked = session.questions(only)
    if not asked:
        raise click.UsageError(f"no case or row begins with {' or '.join(only)}; --list shows them")
    progress = console.Progress(len(asked))
    try:
        with _opened(target, control_token) as opened:
            named = baseline_file or (Path(opened.hall.target.baseline) if opened.hall.target.baseline else None)
            expected = baseline.load(named) if named else ()
            return session.conduct(opened, asked, datetime.now(UTC), expected, progress)  # noqa: TID251  the edge
    finally:
        progress.end()


def _opened(target: str, control_token: str) -> AbstractContextManager[Session]:
    from conformance import session

    if not target:
        return session.own()
    if target.startswith(("http://", "https://")):
        return session.at_url(target, control_token=control_token)
    return session.from_file(Path(target), os.environ)


@contextmanager
def _worded_errors() -> Iterator[None]:
    """Turn what can go wrong around a run into one line and its exit code."""
    from conformance.baseline import BaselineError
    from conformance.catalogue import CaseFileError
    from conformance.own import StartError
    from conformance.passive import FormatsMissingError
    from conformance.preflight import UnreachableError
    from conformance.results import Exit
    from conformance.target_file import TargetFileError

    try:
        yield
    except (TargetFileError, BaselineError, CaseFileError) as error:
        raise _ended(str(error), Exit.USAGE) from error
    except (StartError, FormatsMissingError) as error:
        raise _ended(f"cannot start: {error}", Exit.CANNOT_START) from error
    except UnreachableError as error:
        raise _ended(str(error), Exit.UNREACHABLE) from error
    except OSError as error:
        raise _ended(f"{error.filename or 'a file'}: {error.strerror or error}", Exit.USAGE) from error


def _ended(message: str, code: Exit) -> click.exceptions.Exit:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    return click.exceptions.Exit(int(code))


def _write(run: RunResult, files: dict[str, Path | None]) -> None:
    """Write the reports that were asked for; pages and badges are `conformance.page`'s and `conformance.badge`'s."""
    from conformance import junit, report

    if files["junit"]:
        junit.write(run, files["junit"])
    if files["json"]:
        report.write(run, files["json"])
    for kind, module in (("html", "conformance.page"), ("badge", "conformance.badge")):
        if path := files[kind]:
            if find_spec(module) is None:
                raise click.UsageError(f"this build has no --{kind}")
            import_module(module).write(run, path)


def _self_test(html_file: Path | None, json_file: Path | None) -> int:
    module = "conformance.mutants.cli"
    try:
        return int(import_module(module).self_test(html_file, json_file))
    except ModuleNotFoundError as error:
        if error.name and module.startswith(error.name):
            raise click.UsageError("this build has no self-test") from error
        raise


def _list(only: tuple[str, ...]) -> None:
    from conformance import session
    from conformance.case import Lever

    for question in session.questions(only):
        needs = ", ".join(sorted(lever.value for lever in question.needs if lever is not Lever.READINGS))
        click.echo(f"{question.id:<28} {question.title}{f'  [{needs}]' if needs else ''}")
