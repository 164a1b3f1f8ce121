"""Faults that were armed beforehand: for whom, how often, how long. Nothing is performed here."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulator.routing.values import value
from simulator.triggers.table import Trigger

MOST_ARMED = 100


class TooManyFaultsError(ValueError):
    """So many faults are armed that one more is a mistake."""


@value(frozen=True, slots=True)
class Scope:
    """Whose requests a fault meets; "" is everybody's."""

    platform: str = ""
    operation: str = ""
    source: str = ""

    def covers(self, platform: str, operation: str, source: str) -> bool:
        pairs = ((self.platform, platform), (self.operation, operation), (self.source, source))
        return all(wanted in {"", given} for wanted, given in pairs)


@dataclass(slots=True)
class Armed:
    """One fault. `count` is how often it may still fire, None without end; `until` is sandbox time."""

    id: str
    trigger: Trigger
    scope: Scope
    count: int | None
    probability: float
    until: datetime | None
    fired: int
    dice: Callable[[], float]


class Faults:
    """The armed faults of one tenant, oldest first. The oldest that fires wins."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._armed: tuple[Armed, ...] = ()
        self._number = 0

    def __bool__(self) -> bool:
        return bool(self._armed)

    def arm(
        self,
        trigger: Trigger,
        scope: Scope,
        *,
        count: int | None,
        probability: float,
        seed: int | None,
        ttl: timedelta | None,
        now: datetime,
    ) -> Armed:
        """Arm a fault. Raises TooManyFaultsError."""
        with self._lock:
            if len(self._armed) >= MOST_ARMED:
                raise TooManyFaultsError(f"at most {MOST_ARMED} faults can be armed; disarm some")
            self._number += 1
            number = f"fault_{self._number}"
            until = now + ttl if ttl is not None else None
            armed = Armed(number, trigger, scope, count, probability, until, 0, seeded(seed, self._number))
            self._armed = (*self._armed, armed)
            return armed

    def fire(
        self, platform: str, operation: str, source: str, now: datetime, fits: Callable[[Trigger], bool]
    ) -> Armed | None:
        """Return the fault that meets this request, and count it. What does not fit is kept for another request."""
        with self._lock:
            self._armed = tuple(item for item in self._armed if is_alive(item, now))
            for item in self._armed:
                meets = item.scope.covers(platform, operation, source) and fits(item.trigger)
                if meets and item.dice() < item.probability and self._spent(item):
                    return item
        return None

    def _spent(self, item: Armed) -> bool:
        """Count one firing. Returns False when somebody else used up what was left."""
        item.fired += 1
        return True

    def armed(self, now: datetime) -> tuple[Armed, ...]:
        return tuple(item for item in self._armed if is_alive(item, now))

    def disarm(self, number: str | None = None) -> int:
        """Disarm one fault, or all; return how many."""
        with self._lock:
            kept = tuple(item for item in self._armed if number is not None and item.id != number)
            gone = len(self._armed) - len(kept)
            self._armed = kept
        return gone


def seeded(seed: int | None, number: int) -> Callable[[], float]:
    """Return the dice of a fault: repeatable, and those of its number when no seed was given."""
    return random.Random(seed if seed is not None else number).random  # noqa: S311  chance for a simulation  # nosec B311


def is_alive(item: Armed, now: datetime) -> bool:
    return (item.count is None or item.fired < item.count) and (item.until is None or now < item.until)
