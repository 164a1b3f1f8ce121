"""What a lead would take from which cap, and when caps start anew. Counting is the store's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from simulator.routing.agreed import Cap, Period
from simulator.routing.decision import CapClaim
from simulator.routing.schedule import local


def period_key(period: Period, now: datetime, timezone: str) -> str:
    """Name the period around `now`: `2026-11-20T14`, `2026-11-20`, the Monday of a week, `2026-11`, or "".

    Keys of one period and zone sort by time. The hour that the end of summer time repeats gets a `b`.
    """
    here = local(now, timezone)
    if period is Period.HOUR:
        return f"{here:%Y-%m-%dT%H}" + ("b" if here.fold else "")
    if period is Period.TOTAL:
        return ""
    start = _first_day(period, here.date()).isoformat()
    return start[:7] if period is Period.MONTH else start


def _first_day(period: Period, day: date) -> date:
    if period is Period.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period is Period.MONTH else day


def next_reset(period: Period, now: datetime, timezone: str) -> datetime | None:
    """Return the moment (UTC) at which the period's key changes; None for TOTAL, which is reset by hand.

    Midnight, Monday 00:00 and the 1st 00:00 of the account's zone (Lead Distro, /docs/campaign-daily-caps).
    """
    if period is Period.TOTAL:
        return None
    here = local(now, timezone)
    if period is Period.HOUR:
        # In elapsed time, not wall time: a clock that goes back an hour still ends the hour it is in.
        past = timedelta(minutes=here.minute, seconds=here.second, microseconds=here.microsecond)
        return now.astimezone(UTC) + timedelta(hours=1) - past
    first = _first_day(period, here.date())
    following = _first_day(period, first + _LONGEST[period])
    return datetime(following.year, following.month, following.day, tzinfo=here.tzinfo).astimezone(UTC)


_LONGEST = {Period.DAY: timedelta(days=1), Period.WEEK: timedelta(days=7), Period.MONTH: timedelta(days=31)}


def claims(prefix: str, caps: tuple[Cap, ...], now: datetime, timezone: str, price: Decimal) -> tuple[CapClaim, ...]:
    """Return what one lead at `price` US dollars takes: 1 of each lead cap, its cents of each money cap.

    `prefix` names whose caps they are (`buyer:b1`); the scope adds period and kind: `buyer:b1:day:leads`.
    """
    return tuple(_claim(prefix, cap, now, timezone, price) for cap in _tightest(caps))


def _tightest(caps: Iterable[Cap]) -> Iterable[Cap]:
    """Keep one cap of each scope: two would count each lead twice."""
    found: dict[tuple[Period, bool], Cap] = {}
    for cap in caps:
        known = found.get((cap.period, cap.money))
        if known is None or cap.limit < known.limit:
            found[cap.period, cap.money] = cap
    return found.values()


def _claim(prefix: str, cap: Cap, now: datetime, timezone: str, price: Decimal) -> CapClaim:
    return CapClaim(
        scope=f"{prefix}:{cap.period}:{'money' if cap.money else 'leads'}",
        period=period_key(cap.period, now, timezone),
        limit=cap.limit,
        amount=_cents(price) if cap.money else 1,
        label=label(cap),
    )


def _cents(price: Decimal) -> int:
    return int((price * 100).to_integral_value(ROUND_HALF_UP))


def label(cap: Cap) -> str:
    """Word a cap: `50 leads a day`, `$2,000.00 in total`."""
    if cap.money:
        limit = f"${cap.limit // 100:,}.{cap.limit % 100:02}"
    else:
        limit = f"{cap.limit:,} lead{'' if cap.limit == 1 else 's'}"
    return f"{limit} {_WHEN[cap.period]}"


_WHEN = {
    Period.HOUR: "an hour",
    Period.DAY: "a day",
    Period.WEEK: "a week",
    Period.MONTH: "a month",
    Period.TOTAL: "in total",
}


def full(claims: Iterable[CapClaim], usage: Mapping[tuple[str, str], int]) -> CapClaim | None:
    """Return the first claim that no longer fits what is used of its (scope, period).

    A money cap is never overshot by its last lead (the documentation does not say), and one that is used up
    is full even for a lead whose price is 0 or not known yet.
    """
    for claim in claims:
        used = usage.get((claim.scope, claim.period), 0)
        if used >= claim.limit or used + claim.amount > claim.limit:
            return claim
    return None
