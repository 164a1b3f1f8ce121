"""Options of the commands that grade, checked before anything runs, and the files that a scorecard is written to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from simulator import scorecard
from simulator.leaving import USAGE, fail

# What checks an option is imported where it is used: no other command should wait for it.
# ruff: noqa: PLC0415

F = TypeVar("F", bound=Callable[..., Any])


class _Place(click.Path):
    """A file that can be written. It is tried when options are read, so that no work is done for nothing."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        file = Path(os.fsdecode(super().convert(value, param, ctx)))
        new = not os.path.lexists(file)
        if file.is_file() or not file.exists():  # a pipe waits for its reader
            try:
                file.open("ab").close()
            except OSError as error:
                fail(USAGE, f"cannot write {file}: {error.strerror}")
            if new:
                file.unlink()
        return file


def _duties(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if names:
        from simulator.platforms import CONTRACTS

        known = {duty.id for contract in CONTRACTS.values() if contract.duties for duty in contract.duties.catalogue}
        if unknown := [name for name in names if name not in known]:
            raise click.BadParameter(f"no duty is called {', '.join(unknown)}; they are {min(known)} to {max(known)}")
    return names


def _severities(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if value:
        from simulator.auditing import SeverityError, severities
        from simulator.platforms import CONTRACTS

        try:
            severities(value, CONTRACTS)
        except SeverityError as error:
            raise click.BadParameter(str(error)) from None
    return value


def graded(command: F) -> F:
    """Add the options that a Report is made of."""
    options = [
        click.option("--fail-on", type=click.Choice(["fail", "warn"]), default="fail", show_default=True,
                     help="The least severe outcome that fails."),
        click.option("--require", default="", metavar="D10,D42", callback=_duties,
                     help="Duties that must have been seen; not seen fails."),
        click.option("--severity", multiple=True, metavar="D05:off", callback=_severities,
                     help="Another severity of a duty: fail, warn, info or off. May be given again."),
        click.option("--junit", type=_Place(), help="Write JUnit XML to this file."),
        click.option("--json", "json_file", type=_Place(), help="Write the scorecard as JSON to this file."),
        click.option("--html", "html_file", type=_Place(), help="Write the scorecard as one HTML page to this file."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Report:
    """What a scorecard has to show, and where it goes."""

    fail_on: str
    require: Sequence[str]
    severity: Sequence[str]
    junit: Path | None
    json_file: Path | None
    html_file: Path | None

    def failures(self, card: Mapping[str, Any]) -> list[str]:
        return scorecard.failures(card, self.fail_on, self.require)

    def write(self, card: Mapping[str, Any], base_url: str | None) -> list[str]:
        """Write the files; return a line for each that could not be written. `base_url` is where requests are kept."""
        texts: tuple[tuple[Path | None, Callable[[], str]], ...] = (
            (self.junit, lambda: scorecard.junit(card, self.fail_on, self.require)),
            (self.json_file, lambda: json.dumps(card, indent=2) + "\n"),
            (self.html_file, lambda: scorecard.html(card, base_url)),
        )
        return [said for file, text in texts if file and (said := _written(file, text()))]


def _written(file: Path, text: str) -> str:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        return f"cannot write {file}: {error.strerror}"
    return ""
