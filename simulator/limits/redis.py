"""Rate-limit state that several machines share, in a Redis. The law is one script, `law.lua`.

The clock is Redis's own: it is the only one that all machines have in common, since monotonic clocks count from each
machine's start. It is a wall clock: when it is set back, the script gives no credit and counts on from there, so that
the wait it tells stays true; when it is set forward, nobody can tell that from time that went by, and keys are rested.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from simulator.contract.account import Limit
from simulator.limits.law import LimiterUnavailableError

SCRIPT = files(__package__).joinpath("law.lua").read_text("utf-8")
PATIENCE = 1.0  # seconds for an answer of Redis

Script = Callable[[Sequence[str], Sequence[int | str]], int]


class RedisLimiter:
    """Asks the script. `failures` are the exceptions it may raise; `now` (microseconds) replaces Redis's clock."""

    def __init__(
        self, script: Script, failures: tuple[type[Exception], ...], now: Callable[[], int] | None = None
    ) -> None:
        self._script = script
        self._failures = failures
        self._now = now

    @classmethod
    def connect(cls, url: str, now: Callable[[], int] | None = None) -> RedisLimiter:
        """Connect to `redis://…`, `rediss://…` or `unix://…`. Raises LimiterUnavailableError."""
        try:
            redis: Any = importlib.import_module("redis")
            retries: Any = importlib.import_module("redis.retry")
            backoff: Any = importlib.import_module("redis.backoff")
        except ImportError as error:
            raise LimiterUnavailableError(
                "rate limits in Redis need its client: pip install 'leadsandbox[scale]'"
            ) from error
        try:
            client = redis.Redis.from_url(
                url,
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
                # A second try could count a request twice, when only the answer to the first was lost.
                retry=retries.Retry(backoff.NoBackoff(), 0),
            )
            client.ping()
        except (redis.RedisError, ValueError) as error:
            raise LimiterUnavailableError(f"cannot keep rate limits in Redis: {error}") from error
        return cls(client.register_script(SCRIPT), (redis.RedisError, OSError), now)

    def ask(self, key: str, limit: Limit) -> int:
        # The braces keep both keys on one machine of a cluster.
        name = f"leadsandbox:limits:{{{key} {limit.rate}/{limit.burst}/{limit.seconds}}}"
        now = "" if self._now is None else self._now()
        try:
            wait = self._script((f"{name}:bucket", f"{name}:times"), (*limit, now))
        except self._failures as error:
            raise LimiterUnavailableError(f"Redis: {error}") from error
        return int(wait) * 1000
