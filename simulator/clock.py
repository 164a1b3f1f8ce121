"""Sandbox time: the machine's clock plus an offset that a tenant may move. Rate limits do not use it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from simulator.routing.values import value

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(9001, 1, 1, tzinfo=UTC)  # far enough from 9999 that no window or lifetime runs past it
_MICROSECOND = timedelta(microseconds=1)


@value(frozen=True, slots=True)
class ClockState:
    """Where a clock stands, in JSON's own types, so that it can be written down as it is.

    `offset_us` is the distance to the machine's clock in microseconds, `frozen_at` a moment in ISO 8601. When
    the clock is frozen, the offset is only what it had before.
    """

    offset_us: int = 0
    frozen_at: str | None = None


class _Position(NamedTuple):
    offset: timedelta
    frozen_at: datetime | None


class Clock:
    """A movable clock. Every moment it tells is aware and in UTC. Safe to share between threads.

    It can be moved to any moment of the years 1970 to 9000; beyond them every method raises ValueError.
    Moving it delivers nothing: `timekeeping` does both.
    """

    def __init__(self, offset: timedelta = timedelta(0), frozen_at: datetime | None = None) -> None:
        self._lock = threading.Lock()
        # One value that is swapped whole, so that a reader never meets half of a change.
        self._position = _Position(offset, None if frozen_at is None else _possible(frozen_at))

    def now(self) -> datetime:
        offset, frozen_at = self._position
        return frozen_at or datetime.now(UTC) + offset  # noqa: TID251  the edge itself

    def advance(self, by: timedelta) -> datetime:
        """Move on by `by`, which may be negative, and return the new now."""
        with self._lock:
            try:
                there = self.now() + by
            except OverflowError as error:
                raise ValueError("a clock can't be moved so far") from error
            return self._stand(there)

    def set(self, at: datetime) -> datetime:
        """Move to `at`; a frozen clock stays frozen there, a running one runs on from there."""
        with self._lock:
            return self._stand(at)

    def freeze(self, at: datetime | None = None) -> datetime:
        """Stop at `at`, or where it is, and return that moment."""
        with self._lock:
            there = _possible(self.now() if at is None else at)
            self._position = _Position(self._position.offset, there)
            return there

    def unfreeze(self) -> datetime:
        """Run on from the moment it was frozen at. A running clock is left alone."""
        with self._lock:
            if self._position.frozen_at is not None:
                self._position = _running_from(self._position.frozen_at)
            return self.now()

    def reset(self) -> datetime:
        """Run with the machine's clock again."""
        with self._lock:
            self._position = _Position(timedelta(0), None)
            return self.now()

    @property
    def is_frozen(self) -> bool:
        return self._position.frozen_at is not None

    def state(self) -> ClockState:
        offset, frozen_at = self._position
        return ClockState(offset // _MICROSECOND, frozen_at.isoformat() if frozen_at else None)

    def restore(self, state: ClockState | Mapping[str, Any]) -> None:
        """Stand as `state` says: a frozen clock at its moment, a running one at its distance to the machine's.

        A state that went through JSON will do. Raises KeyError, TypeError or ValueError for what is none, and
        stays as it was.
        """
        known = state if isinstance(state, ClockState) else ClockState(state["offset_us"], state["frozen_at"])
        try:
            offset = known.offset_us * _MICROSECOND
            running = datetime.now(UTC) + offset  # noqa: TID251  the edge itself
        except OverflowError as error:
            raise ValueError("a clock can't be moved so far") from error
        frozen = None if known.frozen_at is None else _possible(datetime.fromisoformat(known.frozen_at))
        _possible(frozen or running)
        with self._lock:
            self._position = _Position(offset, frozen)

    def _stand(self, at: datetime) -> datetime:
        there = _possible(at)
        frozen = self._position.frozen_at is not None
        self._position = _Position(self._position.offset, there) if frozen else _running_from(there)
        return there


def _running_from(at: datetime) -> _Position:
    return _Position(at - datetime.now(UTC), None)  # noqa: TID251  the edge itself


def _possible(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a moment needs a time zone: end it with Z or an offset such as -05:00")
    if not EARLIEST <= at < END:
        raise ValueError(f"a clock can stand between the years 1970 and 9000, not at {at.isoformat()}")
    return at.astimezone(UTC)
