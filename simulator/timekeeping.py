"""Moving a tenant's clock so that whatever falls due on the way happens, in order and at its time.

Only webhooks fall due by themselves: windows, caps and lifetimes are looked at when a lead comes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from simulator.clock import END
from simulator.routing.values import value
from simulator.store import DeliveryStatus, Store
from simulator.tenants import Tenant
from simulator.webhooks import Courier

MOST_ATTEMPTS = 100_000
PATIENCE = 60.0  # seconds of real time: a receiver that never answers costs its timeout at each attempt


@value(frozen=True, slots=True)
class Fired:
    """What happened on the way: attempts at webhooks, and how many ended by arriving or by being given up."""

    now: datetime
    attempts: int = 0
    delivered: int = 0
    given_up: int = 0


class TooMuchDueError(Exception):
    """More fell due than can be delivered in one go. The clock stands at `fired.now`; move it again to go on."""

    def __init__(self, target: datetime, fired: Fired) -> None:
        super().__init__(
            f"the clock got to {fired.now.isoformat()} on its way to {target.isoformat()}: {fired.attempts} webhook "
            "attempts on the way are as much as one call makes; advance again to go on, or make a receiver answer "
            "faster"
        )
        self.target = target
        self.fired = fired


@value(frozen=True, slots=True)
class Bounds:
    """How much one journey may deliver, and for how many seconds of real time."""

    attempts: int = MOST_ATTEMPTS
    seconds: float = PATIENCE


BOUNDS = Bounds()


def advance_to(tenant: Tenant, target: datetime, courier: Courier, store: Store, bounds: Bounds = BOUNDS) -> Fired:
    """Move the clock to `target` and deliver what falls due until then, each at its own due time.

    The clock stands still while something is delivered. Afterwards it runs, or is frozen, as before. To go back
    delivers nothing. Callers for one tenant take turns. Raises ValueError beyond the years 1970 to 9000, and for
    a moment without a zone; TooMuchDueError.
    """
    with courier.sole_sender(tenant.id):
        return _travel(tenant, target, courier, store, bounds)


def advance(tenant: Tenant, by: timedelta, courier: Courier, store: Store, bounds: Bounds = BOUNDS) -> Fired:
    """Move on by `by`; two callers at once move the clock by both."""
    with courier.sole_sender(tenant.id):
        try:
            target = tenant.clock.now() + by
        except OverflowError as error:
            raise ValueError("a clock can't be moved so far") from error
        return _travel(tenant, target, courier, store, bounds)


def freeze(tenant: Tenant, at: datetime | None, courier: Courier, store: Store, bounds: Bounds = BOUNDS) -> Fired:
    """Stop the clock where it is, or at `at`, to which it moves as `advance_to` does."""
    with courier.sole_sender(tenant.id):
        now = tenant.clock.freeze()
        return Fired(now) if at is None else _travel(tenant, at, courier, store, bounds)


def unfreeze(tenant: Tenant, courier: Courier) -> Fired:
    """Let the clock run on from where it was frozen."""
    with courier.sole_sender(tenant.id):
        return Fired(tenant.clock.unfreeze())


def reset(tenant: Tenant, courier: Courier) -> Fired:
    """Let the clock run with the machine's. What is overdue then is delivered in the background."""
    with courier.sole_sender(tenant.id):
        now = tenant.clock.reset()
    courier.announce()
    return Fired(now)


def _travel(tenant: Tenant, target: datetime, courier: Courier, store: Store, bounds: Bounds) -> Fired:
    clock = tenant.clock
    if target.tzinfo is None or target >= END or target <= clock.now():
        return Fired(clock.set(target))  # which refuses what is no moment for a clock
    ends = time.monotonic() + bounds.seconds
    outcome: Counter[DeliveryStatus] = Counter()
    with _standing_still(tenant):
        while (due := store.next_due(tenant.id)) is not None and due <= target:
            if outcome.total() >= bounds.attempts or time.monotonic() > ends:
                raise TooMuchDueError(target, _fired(clock.now(), outcome))
            clock.freeze(max(due, clock.now()))
            outcome += courier.deliver_due(tenant)
        return _fired(clock.freeze(target), outcome)


@contextmanager
def _standing_still(tenant: Tenant) -> Iterator[None]:
    """Freeze the clock for as long as the block takes; a clock that ran runs on from where the block left it."""
    was_frozen = tenant.clock.is_frozen
    tenant.clock.freeze()
    try:
        yield
    finally:
        if not was_frozen:
            tenant.clock.unfreeze()


def _fired(now: datetime, outcome: Counter[DeliveryStatus]) -> Fired:
    delivered, given_up = outcome[DeliveryStatus.DELIVERED], outcome[DeliveryStatus.GIVEN_UP]
    return Fired(now, outcome.total(), delivered, given_up)
