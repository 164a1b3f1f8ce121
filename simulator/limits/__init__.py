"""Rate limits: whether one more request may pass, and who keeps count. Which limit applies is not decided here."""

from __future__ import annotations

from typing import Protocol

from simulator.contract.account import Limit
from simulator.limits.law import LimiterUnavailableError, retry_after
from simulator.limits.memory import MemoryLimiter
from simulator.limits.redis import RedisLimiter
from simulator.limits.shared import SharedLimiter


class Limiter(Protocol):
    """Keeps count per key and limit. Safe to share between threads."""

    def ask(self, key: str, limit: Limit) -> int:
        """Count one request and return 0, or refuse it and return how long to wait, in nanoseconds.

        A refused request costs nothing. Raises LimiterUnavailableError when nobody can tell.
        """
        ...


def open_limiter(state: str) -> Limiter:
    """Keep the state where `state` says: "" in this process, `redis://…` in a Redis, else in that file.

    Raises LimiterUnavailableError with one line that says what to do.
    """
    if not state:
        return MemoryLimiter()
    if state.startswith(("redis://", "rediss://", "unix://")):
        return RedisLimiter.connect(state)
    return SharedLimiter.open(state)


__all__ = [
    "Limiter",
    "LimiterUnavailableError",
    "MemoryLimiter",
    "RedisLimiter",
    "SharedLimiter",
    "open_limiter",
    "retry_after",
]
