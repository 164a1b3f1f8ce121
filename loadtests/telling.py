"""Words while runs go on: a bar in a terminal, a line now and then elsewhere, and the table at the end."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from loadtests.report import Result, sentences, table

_WIDTH = 110  # columns, where no terminal says how many there are
_EVERY = 10.0  # seconds between two lines where no bar can be drawn


class Teller:
    """Tells people on standard error how the runs go, and on standard output what they showed.

    `quiet` leaves standard output to a program; `waits` says what a run has to wait for before it can begin.
    """

    def __init__(self, *, terminal: bool, quiet: bool, waits: str = "") -> None:
        self._waits = waits
        self._out = Console(stderr=quiet, highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
        self._err = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[seen]}"),
        )
        self._bar = Progress(*columns, console=self._err, transient=True) if terminal else None
        self._results: list[Result] = []
        self._name, self._seconds, self._began, self._said = "", 0.0, 0.0, 0.0

    def begins(self, name: str, seconds: float) -> None:
        self._name, self._seconds, self._began = name, seconds, time.monotonic()
        self._said = self._began
        if self._waits:
            self._err.print(f"{name}: {self._waits}")
        if self._bar is None:
            self._err.print(f"{name}: {seconds:.0f} s")
            return
        self._bar.start()
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._bar.add_task(name, total=seconds or 1.0, seen="")

    def progress(self, sent: int, refused: int) -> None:
        now = time.monotonic()
        if not sent:  # leads are being made
            self._began = now
        seen = f"{sent} sent, {refused} refused"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[-1], completed=now - self._began, seen=seen)
        elif now - self._said >= _EVERY:
            self._said = now
            self._err.print(f"{self._name}: {now - self._began:.0f} of {self._seconds:.0f} s, {seen}")

    def pause(self, seconds: float) -> None:
        self._err.print(f"waiting {seconds:.0f} s until the keys are surely fresh: they may have been used just now")
        time.sleep(seconds)

    def judged(self, result: Result) -> None:
        self._results.append(result)
        if self._bar is not None:
            self._bar.stop()
        word = result.verdict.verdict + (f" ({result.verdict.why})" if result.verdict.why else "")
        attempt = f", attempt {result.attempt}" if result.attempt > 1 else ""
        self._err.print(f"{result.verdict.scenario}{attempt}: {word}")

    def page(self, url: str) -> None:
        self._show()
        self._err.print(f"Locust's page stays at {url} until Ctrl-C")

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._show()

    def _show(self) -> None:
        if self._results:
            self._out.print(table(self._results))
            for sentence in sentences(self._results):
                self._out.print(f"  {sentence}", markup=False, soft_wrap=True)
        self._results = []
