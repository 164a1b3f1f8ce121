"""How a command ends: its exit codes, and why in words. What goes wrong is not known here."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

FAILED, USAGE, CANNOT_START, UNREACHABLE, NOTHING_RAN = 1, 2, 3, 4, 5


def leave(code: int, *lines: str) -> NoReturn:
    """End with an exit code after saying why on stderr, as much as a terminal can show."""
    for line in lines[:50]:
        click.echo(line, err=True)
    if len(lines) > 50:
        click.echo(f"... and {len(lines) - 50} more", err=True)
    sys.stdout.flush()
    raise SystemExit(code)


def fail(code: int, said: str) -> NoReturn:
    """End with an exit code after one line on stderr."""
    leave(code, f"leadsandbox: {said}")
