"""The command `load`: options, words and exit codes. What it does is `session.py`'s."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from loadtests.report import Result
    from loadtests.scenarios import Book
    from loadtests.session import Watcher, Wishes

USAGE, CANNOT_START, UNREACHABLE, NOTHING_RAN, INTERRUPTED = 2, 3, 4, 5, 130

F = TypeVar("F", bound=Callable[..., Any])

# Imports stand inside the functions: `leadsandbox --help` should not wait for what it does not use.
# ruff: noqa: PLC0415


class _Number(click.FloatRange):
    """A number within bounds; `nan` is within none, and `inf` no amount."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


_PLAN = [
    click.option("--list", "listing", is_flag=True, help="List the scenarios and what each catches."),
    click.option("--target", default="", help="Base URL to test. Default: a sandbox of its own, ended afterwards."),
    click.option("--key", "keys", multiple=True, metavar="KEY[,SUPPLIER[,CAMPAIGN]]",
                 help="Supplier key of the target, repeatable. Default: those that a sandbox tells."),
    click.option("--users", type=click.IntRange(1, 1000), help="Connections. Default: the scenario's own."),
    click.option("--rate", type=_Number(0, min_open=True),
                 help="Scale the plan to this many requests/s at its peak."),
    click.option("--duration", type=_Number(0, min_open=True),
                 help="Scale the plan to this many seconds."),
    click.option("--accept-rate", type=_Number(0, 1), default=1.0, show_default=True,
                 help="Share of Pingtree pings that the buyer of our own sandbox takes."),
    click.option("--scenarios", "book", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="Scenarios, limits and thresholds of your own, as TOML."),
]  # fmt: skip

_REPORTS = [
    click.option("--html", type=click.Path(dir_okay=False, path_type=Path),
                 help="Write our report with plots here, and Locust's own beside it."),
    click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
                 help="Write verdicts and figures here; - is standard output."),
    click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path),
                 help="Write every request here."),
]  # fmt: skip

_PROCESSES = [
    click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True,
                 help="Locust processes that send, on this machine."),
    click.option("--master", is_flag=True, help="Wait for workers and let them send."),
    click.option("--expect-workers", type=click.IntRange(1, 1000), default=1, show_default=True,
                 help="Workers that a master waits for."),
    click.option("--worker", is_flag=True, help="Send what a master deals; needs no scenario."),
    click.option("--master-host", default="127.0.0.1", show_default=True, help="Where a worker finds its master."),
    click.option("--master-port", type=click.IntRange(1, 65535), default=5557, show_default=True,
                 help="The master's port."),
    click.option("--ui", is_flag=True, help="Show Locust's web page while one scenario runs, until Ctrl-C."),
    click.option("--ui-port", type=click.IntRange(1, 65535), default=8089, show_default=True,
                 help="Port of that page."),
]  # fmt: skip

_CARE = [
    click.option("--attempts", type=click.IntRange(1, 5),
                 help="Times that a scenario runs that shows nothing. Default: 2 on this machine, 1 on any other."),
    click.option("--seed", type=click.IntRange(0, 2**30), help="Send the same leads again."),
    click.option("--max-rate", type=_Number(0, min_open=True),
                 help="Most requests/s to allow. Default: 2000 on this machine, 100 on any other."),
    click.option("--i-have-permission", "permission", is_flag=True,
                 help="You may load-test this target, which is not this machine."),
]  # fmt: skip


def _options(command: F) -> F:
    for option in reversed([*_PLAN, *_REPORTS, *_PROCESSES, *_CARE]):
        command = option(command)
    return command


@click.command("load")
@click.argument("names", nargs=-1, metavar="[SCENARIO]...")
@_options
def load(*, names: tuple[str, ...], book: Path | None, listing: bool, worker: bool, **given: Any) -> None:
    """Send load and judge the rate limits: every SCENARIO gets a verdict.

    Without --target it starts a sandbox of its own. `all` stands for every scenario of the law. The short one is
    `lookup`, about ten seconds.

    \b
    Verdicts: PASS, VIOLATED (the figures prove it), INCONCLUSIVE (not-pressed or generator-invalid).
    Exit codes: 0 all passed, 1 a limit was violated, 2 usage, 3 cannot start or failed, 4 target unreachable,
    5 nothing ran, 21 a run showed nothing.
    """  # noqa: D301  click's mark for lines that stay as they are
    if find_spec("locust") is None:
        _leave(CANNOT_START, "leadsandbox: load tests need Locust: pip install 'leadsandbox[load]'")
    if worker:
        from loadtests.run import work

        try:
            raise SystemExit(work(given["master_host"], given["master_port"]))
        except KeyboardInterrupt:
            _leave(INTERRUPTED, "leadsandbox: stopped")
    read = _read(book)
    if listing:
        _list(read)
    elif names:
        raise SystemExit(_run_or_say(read, _wishes(read, names, given), given["json_file"], given["csv_file"]))
    else:
        _leave(USAGE, "leadsandbox: name a scenario; `leadsandbox load --list` shows them, `lookup` is the short one")


def _read(path: Path | None) -> Book:
    from loadtests import scenarios

    try:
        return scenarios.read(path)
    except (scenarios.ScenarioError, OSError, UnicodeDecodeError) as error:
        _leave(USAGE, f"leadsandbox: {error}")


def _wishes(book: Book, names: Sequence[str], given: dict[str, Any]) -> Wishes:
    from loadtests.run import Engine
    from loadtests.session import Wishes

    law = [name for name, scenario in book.scenario.items() if scenario.kind == "law"]
    engine = ("processes", "master", "expect_workers", "master_port", "ui", "ui_port")
    return Wishes(
        names=tuple(dict.fromkeys(each for name in names for each in (law if name == "all" else [name]))),
        url=given["target"].rstrip("/"),
        keys=given["keys"],
        rate=given["rate"],
        seconds=given["duration"],
        accept_rate=given["accept_rate"],
        engine=Engine(connections=given["users"], **{name: given[name] for name in engine}),
        html=given["html"],
        permission=given["permission"],
        max_rate=given["max_rate"],
        seed=given["seed"],
        attempts=given["attempts"],
    )


def _run_or_say(book: Book, wishes: Wishes, json_file: Path | None, csv_file: Path | None) -> int:
    try:
        return _run(book, wishes, json_file, csv_file)
    except Exception as error:  # noqa: BLE001  Python would end with 1, which here accuses a server
        _leave(CANNOT_START, f"leadsandbox: {_unforeseen(error)}")


def _unforeseen(error: Exception) -> str:
    return f"the load test failed: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _run(book: Book, wishes: Wishes, json_file: Path | None, csv_file: Path | None) -> int:
    from loadtests import report

    _check_places(json_file, csv_file, wishes.html)
    results, failure = _results(book, wishes, quiet=str(json_file) == "-")
    if failure and not results:
        _leave(failure.code, f"leadsandbox: {failure.said}")
    shown = report.Report(results, wishes.url or "our own sandbox", wishes.names, failure.said if failure else "")
    if json_file:
        _write_json(json_file, report.as_json(shown))
    if csv_file:
        report.write_csv(csv_file, results)
    if wishes.html:
        wishes.html.write_text(report.page(shown, book.laws, wishes.html.parent), "utf-8")
    if failure:
        click.echo(f"leadsandbox: {failure.said}", err=True)
        if shown.missing:
            click.echo(f"leadsandbox: without a verdict: {', '.join(shown.missing)}", err=True)
    code = report.exit_code(results)
    return failure.code if failure and code != report.LIMIT_VIOLATED else code


def _write_json(file: Path, text: str) -> None:
    if str(file) == "-":
        click.echo(text)
    else:
        file.write_text(text + "\n", "utf-8")


def _check_places(*files: Path | None) -> None:
    """End with one line when a report could not be written: before the run, not after it."""
    for file in files:
        if file and str(file) != "-" and (file.is_file() or not file.exists()):  # a pipe waits for its reader
            new = not os.path.lexists(file)
            try:
                file.open("ab").close()
            except OSError as error:
                _leave(USAGE, f"leadsandbox: cannot write {file}: {error.strerror}")
            if new:
                file.unlink()


class Failure(NamedTuple):
    """Why not every scenario was run: an exit code and one line."""

    code: int
    said: str


def _results(book: Book, wishes: Wishes, *, quiet: bool) -> tuple[list[Result], Failure | None]:
    """Return what was judged, and what ended the runs early; what is judged is never lost."""
    from loadtests import session
    from loadtests.telling import Teller

    engine = wishes.engine
    waits = f"waiting for workers ({engine.expect_workers}) at port {engine.master_port}" if engine.master else ""
    teller = Teller(terminal=sys.stderr.isatty(), quiet=quiet, waits=waits)
    results: list[Result] = []
    failure = None
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that Locust and the sandbox end, too
    try:
        scenarios = session.chosen(wishes, book)
        with closing(session.conduct(wishes, book, scenarios, _watcher(teller))) as found:
            results.extend(found)
    except KeyboardInterrupt:
        failure = Failure(INTERRUPTED, "stopped; an unfinished run has no verdict")
    except Exception as error:  # noqa: BLE001  whatever it is, the results so far are still to be shown
        failure = _failure(error, first=not results)
    finally:
        signal.signal(signal.SIGTERM, before)
        teller.end()
    return results, failure


def _failure(error: Exception, *, first: bool) -> Failure:
    from loadtests import keys, run, session, target

    if isinstance(error, session.RefusedError | keys.TooFewKeysError | target.TargetError):
        return Failure(USAGE, str(error))
    if isinstance(error, target.UnreachableError):
        return Failure(UNREACHABLE, str(error))
    if isinstance(error, target.StartError | run.PortError):
        return Failure(CANNOT_START, str(error))
    if isinstance(error, run.RunError):
        return Failure(NOTHING_RAN if first else CANNOT_START, f"Locust ended without a log:\n{error}")
    return Failure(CANNOT_START, _unforeseen(error))


def _watcher(teller: Any) -> Watcher:
    from loadtests.session import Watcher

    return Watcher(teller.begins, teller.progress, teller.pause, teller.judged, teller.page)


def _list(book: Book) -> None:
    for name, scenario in book.scenario.items():
        click.echo(f"{name:<11} {scenario.length:4.0f} s  {scenario.peak:5.0f}/s  {scenario.title}")
        if scenario.catches:
            click.echo(f"{'':<11} catches: {', '.join(scenario.catches)}")


def _leave(code: int, *lines: str) -> NoReturn:
    for line in lines:
        click.echo(line, err=True)
    raise SystemExit(code)
