"""How a command ends: its exit codes, and why in words. What goes wrong is not known here."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TextIO, cast

import click

FAILED, USAGE, CANNOT_START, UNREACHABLE, NOTHING_RAN = 1, 2, 3, 4, 5
INTERRUPTED, CLOSED = 130, 141  # what a shell calls the ends by SIGINT and SIGPIPE


def leave(code: int, *lines: str) -> NoReturn:
    """End with an exit code after saying why on stderr, as much as a terminal can show."""
    with contextlib.suppress(OSError):  # stderr may be as full as stdout is
        for line in lines[:50]:
            click.echo(line, err=True)
        if len(lines) > 50:
            click.echo(f"... and {len(lines) - 50} more", err=True)
    if sys.stdout:
        sys.stdout.flush()
    raise SystemExit(code)


def fail(code: int, said: str) -> NoReturn:
    """End with an exit code after one line on stderr."""
    leave(code, f"leadsandbox: {said}")


def refuse(problems: Sequence[Any]) -> NoReturn:
    """End because of a sandbox file. What has a line in it is told as compilers do, which editors can jump to."""
    leave(USAGE, *(str(item) if item.line else f"leadsandbox: {item}" for item in problems))


def stopped(said: str = "stopped") -> NoReturn:
    """End because of Ctrl-C, or a signal that means the same."""
    if sys.stderr and sys.stderr.isatty():
        click.echo(err=True)  # the terminal has written ^C
    fail(INTERRUPTED, said)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """End the command when its output can't be written: in one line, or quietly when nobody reads on."""
    if sys.stdout is None:  # closed by who started us
        yield
        return
    with contextlib.redirect_stdout(cast("TextIO", _Output(sys.stdout))):
        yield


class _Output:
    """Standard output that ends the command when it can't be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._worded():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._worded():
            self._stream.flush()

    @contextlib.contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._discard()
            if error.errno == errno.EPIPE:
                raise SystemExit(CLOSED) from None
            fail(USAGE, f"cannot write standard output: {error.strerror}")

    def _discard(self) -> None:
        """Send to nowhere what is left in the buffer, which Python would try to write once more when it ends."""
        with contextlib.suppress(OSError, ValueError):  # a stream of a test has no descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
