"""docs/cli.md: the command line, from click's own objects."""  # noqa: INP001  a script's neighbour, not a package

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click
from schema_words import code, table

from simulator import cli, leaving

_INTRO = """\
# Command line

Every command, option and environment variable. This page is generated from the commands themselves by
`python docs/generate.py`; do not edit it.

`make sandbox` runs `.venv/bin/leadsandbox up`. An option on the command line wins over its environment variable.
`leadsandbox COMMAND --help` says the same as this page.
"""

_EXIT_CODES = {
    0: "Fine. Also `logs --follow` when Ctrl-C stopped it, and `up`, `serve` and `buyers` when that or SIGTERM did.",
    leaving.FAILED: "Checks failed.",
    leaving.USAGE: "Wrong usage, a wrong sandbox or personas file (every error is listed with its line and key), or "
    "output that cannot be written.",
    leaving.CANNOT_START: "Cannot start: port taken, database not writable or in use, mock buyers gone.",
    leaving.UNREACHABLE: "Nothing answers at the target's address.",
    leaving.NOTHING_RAN: "Nothing ran: an empty run is a failure.",
    leaving.INTERRUPTED: "Stopped by Ctrl-C before it was done; `rehearse` and `load` also by SIGTERM.",
    leaving.CLOSED: "Nobody read on, as in `leadsandbox spec src_abc123 | head -1`; nothing is said.",
}


def page() -> str:
    """Return the page as Markdown."""
    group = click.Context(cli.main, info_name="leadsandbox")
    names = cli.main.list_commands(group)
    sections = [line for name in names for line in _command(group, name)]
    codes = table(("code", "meaning"), ([str(number), meaning] for number, meaning in _EXIT_CODES.items()))
    return "\n".join([_INTRO, *sections, "## Exit codes", "", *codes, "", ""])


def _command(group: click.Context, name: str) -> Iterator[str]:
    command = cli.main.get_command(group, name)
    assert command is not None  # its name was listed
    context = click.Context(command, parent=group, info_name=name)
    yield from (f"## `{name}`", "", "```text", " ".join([context.command_path, *_pieces(context)]), "```", "")
    yield from (inspect.cleandoc(command.help or "").replace("\b\n", ""), "")
    options = [item for item in command.params if isinstance(item, click.Option) and not item.hidden]
    if options:
        yield from table(("option", "value", "default", "environment", "meaning"), map(_option, options))
        yield ""


def _pieces(context: click.Context) -> list[str]:
    return context.command.collect_usage_pieces(context)


def _option(option: click.Option) -> list[str]:
    variables = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
    return [
        ", ".join(map(code, option.opts)),
        _kind(option),
        _default(option),
        ", ".join(map(code, variables)),
        re.sub(r"\s+", " ", option.help or ""),
    ]


def _kind(option: click.Option) -> str:
    kind = option.type
    if option.is_flag:
        return "switch"
    if isinstance(kind, click.Choice):
        return ", ".join(code(str(choice)) for choice in kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        if kind.max is None:
            return f"{'more than' if kind.min_open else 'from'} {_number(kind.min)}"
        return f"{_number(kind.min)} to {_number(kind.max)}"
    return "file" if isinstance(kind, click.Path) else kind.name


def _number(number: float | None) -> str:
    return f"{number:,g}" if isinstance(number, float) else f"{number:,}"


def _default(option: click.Option) -> str:
    # What click means by "no default" differs between its versions; only texts and numbers are shown.
    shown = isinstance(option.default, str | int | float) and not option.is_flag and option.default != ""
    return code(str(option.default)) if shown else ""
