"""The documented rate limits as one law, and a reference that keeps it. Judging a run is `judge.py`'s.

The documents give three numbers per endpoint (seed:002; public:/docs/api-response-codes): R requests per second,
and a burst of B per second for D seconds. The law that makes one rule of them is our reading: a token bucket of
rate R and capacity (B - R) * D, and at most B accepted in any sliding second.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SECOND = 1_000_000_000
HONEST_WAIT = 1  # second, of a 429: at a whole rate, a token and a slot are never further away
"""Nanoseconds: every time in this package is a whole number of them, so that no judgement rests on rounding."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`rate` and `burst` are requests per second; `seconds` is how long the burst lasts from a full bucket."""

    rate: int
    burst: int
    seconds: int

    @property
    def capacity(self) -> int:
        """Requests that a rested key may send beyond the rate."""
        return (self.burst - self.rate) * self.seconds

    @property
    def rest(self) -> int:
        """Nanoseconds of silence after which a key is as good as fresh: a full bucket and an empty second."""
        return max(SECOND, -(-self.capacity * SECOND // self.rate))

    def most(self, window: int) -> int:
        """Return the most that may be accepted in any window of so many nanoseconds."""
        return min(self.capacity + self.rate * window // SECOND, self.burst * (window // SECOND + 1))


class Reference:
    """The law for one key and endpoint, exact to the nanosecond."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._level = limit.capacity * SECOND  # in billionths of a token
        self._filled_at = 0
        self._last_second: deque[int] = deque()

    def wait(self, now: int) -> int:
        """Accept a request and return 0, or refuse it and return the nanoseconds until one would be accepted."""
        self._refill(now)
        slot = self._last_second[0] + SECOND - now if len(self._last_second) >= self._limit.burst else 0
        token = -(-max(0, SECOND - self._level) // self._limit.rate)
        if slot <= 0 and token == 0:
            self._level -= SECOND
            self._last_second.append(now)
            return 0
        return max(slot, token)

    def _refill(self, now: int) -> None:
        self._level = min(self._limit.capacity * SECOND, self._level + (now - self._filled_at) * self._limit.rate)
        self._filled_at = now
        while self._last_second and self._last_second[0] <= now - SECOND:
            self._last_second.popleft()


def retry_after(wait: int) -> int:
    """Return a wait in nanoseconds as the whole seconds of `Retry-After`: rounded up, never below 1."""
    return max(1, -(-wait // SECOND))
