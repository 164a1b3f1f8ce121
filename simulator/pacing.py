"""How long who works in the background gives way to calls that are under way. What the work is is not known here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

STEP = 0.01  # seconds between looks whether calls are still under way
LONGEST = 1.0  # seconds of a rest, however long the work took


class Pace:
    """Keeps the background's share of the time small while there are calls, whatever it consists of.

    It rests so many `times` as long as all of it worked. When no call is under way it goes on, and owes nothing.
    `wait` waits so many seconds and returns whether all is over. Safe between threads.
    """

    def __init__(
        self,
        times: int,
        is_busy: Callable[[], bool],
        wait: Callable[[float], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._times = times
        self._is_busy = is_busy
        self._wait = wait
        self._now = now
        self._lock = threading.Lock()
        self._worked = 0.0

    def spent(self, seconds: float) -> None:
        """Say how long some of the work took, also during a rest: it becomes longer."""
        with self._lock:
            self._worked += seconds

    def give_way(self) -> None:
        """Rest for what was done since the last rest, one step at least and `LONGEST` at most."""
        began = self._now()
        while not self._wait(STEP) and self._is_busy() and self._now() - began < self._due():
            pass
        with self._lock:
            self._worked = 0.0

    def _due(self) -> float:
        return min(self._times * self._worked, LONGEST)
