"""One program as a child: its start, what it says, how it ended. Which programs there are is not known here."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import IO

KEPT = 200  # lines of stderr that explain a start that failed
MOST_STARTS = 3  # times that a program is started again
WITHIN = 60.0  # seconds


class Murmur:
    """What a child says on stderr: kept until it is ready, passed on after that.

    It is read all the time, since a child that logs into a full pipe stops in the middle of its work.
    """

    def __init__(self, stream: IO[bytes], *, passes_on: bool) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._kept: deque[str] = deque(maxlen=KEPT)
        self._passes_on = passes_on
        self._thread = threading.Thread(target=self._run, name="stderr", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._stream:
            for line in self._stream:
                text = line.decode("utf-8", "replace")
                with self._lock:
                    if self._passes_on:
                        say(text)
                    else:
                        self._kept.append(text)

    def pass_on(self) -> None:
        with self._lock:
            say("".join(self._kept))
            self._kept.clear()
            self._passes_on = True

    def kept(self) -> str:
        # Not for ever: a grandchild may outlive the child and hold the pipe.
        self._thread.join(1.0)
        with self._lock:
            return "".join(self._kept).strip()


def say(text: str) -> None:
    """Write to stderr, and don't mind if nobody reads it any more."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


class Child:
    """A program of ours, started at once. The descriptors in `fds` are its own too; they must stay open here."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        fds: Sequence[int],
        *,
        stdin: int = subprocess.DEVNULL,
        loses: str = "",
    ) -> None:
        """`loses` says what is gone when the program is started again; "" when it must not be."""
        self.name = name
        self.loses = loses
        self._arguments = tuple(arguments)
        self._fds = tuple(fds)
        self._stdin = stdin
        self._started_again: deque[float] = deque(maxlen=MOST_STARTS)
        self.process, self.murmur = self._start(passes_on=False)

    def _start(self, *, passes_on: bool) -> tuple[subprocess.Popen[bytes], Murmur]:
        process = subprocess.Popen(  # noqa: S603  our own programs  # nosec B603
            [sys.executable, "-P", "-m", *self._arguments],  # -P: nothing in the folder where a user stands is ours
            stdin=self._stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=self._fds,
            start_new_session=True,  # a Ctrl-C in the terminal is for the supervisor, which ends them in order
        )
        assert process.stderr is not None  # it is a pipe
        return process, Murmur(process.stderr, passes_on=passes_on)

    def start_again(self) -> bool:
        """Start it once more after its end; return whether that may be, which it may not when it ends all the time."""
        now = time.monotonic()
        tried = self._started_again
        if not self.loses or (len(tried) == MOST_STARTS and now - tried[0] < WITHIN):
            return False
        tried.append(now)
        try:
            self.process, self.murmur = self._start(passes_on=True)
        except OSError:  # what ended it may be what ends us next: no memory, no descriptors
            return False
        return True

    def how(self) -> str:
        """Word its end: by an exit code, or by a signal."""
        code = self.process.returncode
        return f"ended unexpectedly, {f'with exit code {code}' if code >= 0 else f'by signal {-code}'}"
