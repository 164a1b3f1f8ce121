"""Rate-limit state of one process, for all of its threads. The law is `law.py`'s."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable

from simulator.contract.account import Limit
from simulator.limits import law
from simulator.limits.law import LimiterUnavailableError


class MemoryLimiter:
    """Keeps at most `room` keys, and forgets those that have rested. `now` tells monotonic nanoseconds."""

    def __init__(self, now: Callable[[], int] = time.monotonic_ns, room: int = 10_000) -> None:
        self._now = now
        self._room = room
        self._lock = threading.Lock()
        self._states: dict[tuple[str, Limit], array[int]] = {}

    def ask(self, key: str, limit: Limit) -> int:
        name = (key, limit)
        with self._lock:
            now = self._now()  # under the lock, so that time never runs backwards for a key
            state = self._states.get(name)
            if state is None:
                state = self._states[name] = self._fresh(limit, now)
            return law.ask(state, 0, limit, now)

    def _fresh(self, limit: Limit, now: int) -> array[int]:
        if len(self._states) >= self._room:
            self._states = {name: state for name, state in self._states.items() if not law.has_rested(state, 0, now)}
        if len(self._states) >= self._room:
            raise LimiterUnavailableError(f"more than {self._room} keys are being limited at once")
        state = array("q", bytes(8 * law.size(limit)))
        state[law.RATE] = limit.rate
        return state
