"""Figures from the journal: what was asked, how fast, what was bid and paid. Pure; the pictures are drawn elsewhere."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from simulator.explaining import ACCEPTED, TOOK_IT
from simulator.routing.decision import Reason

MOST_PLACES = 60
LATENCIES = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)  # milliseconds
_SALES = frozenset({Reason.SOLD, Reason.SOLD_PAST_SUPPRESSION, Reason.QUEUED, Reason.DUPLICATE_ROUTED})
UNLIMITED = frozenset({Reason.WRONG_METHOD, Reason.UNAUTHORIZED, Reason.UNKNOWN_PATH})
"""Answers given before the rate limit is asked, which do not count for it."""
_STEPS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400, 604_800, 2_592_000)


class Sample(NamedTuple):
    """What the charts need of one request. `revenue` is what a buyer pays, `cost` what the source was told ($)."""

    at: datetime
    began: float
    ms: float
    platform: str
    source: str
    operation: str
    row: str
    http: int
    accepted: bool
    bids: tuple[tuple[float, bool], ...]
    revenue: Decimal
    cost: Decimal
    limited: bool


def samples(entries: Iterable[Mapping[str, Any]], tests: frozenset[tuple[str, str]]) -> list[Sample]:
    """Return the samples, oldest first. Leads of sources in `tests` (platform, id) earn nothing."""
    found = [_sample(entry, tests) for entry in entries]
    found.sort(key=lambda item: item.at)
    return found


def _sample(entry: Mapping[str, Any], tests: frozenset[tuple[str, str]]) -> Sample:
    reason = entry["reason"]
    is_sale = reason in _SALES and entry["price"] is not None and (entry["platform"], entry["source_id"]) not in tests
    won = [item["amount"] for item in entry["asked"] if item["outcome"] in TOOK_IT and item["amount"] is not None]
    cost = _dollars(entry["price"]) if is_sale else Decimal(0)
    return Sample(
        at=datetime.fromisoformat(entry["at"]),
        began=entry["began"],
        ms=entry["duration_ms"],
        platform=entry["platform"],
        source=entry["source_id"],
        operation=entry["operation"],
        row=entry["row_id"],
        http=entry["http"],
        accepted=reason in ACCEPTED,
        bids=tuple(_bids(entry)) if reason in {Reason.BID, Reason.AVAILABLE, Reason.NO_BID} else (),
        revenue=_dollars(won[0]) if is_sale and won else cost,
        cost=cost,
        limited=reason not in UNLIMITED,
    )


def _bids(entry: Mapping[str, Any]) -> Iterable[tuple[float, bool]]:
    for item in entry["asked"]:
        if item["amount"] is not None:
            yield float(_dollars(item["amount"])), item["outcome"] == "won"


def _dollars(text: Any) -> Decimal:
    try:
        amount = Decimal(str(text))
    except ArithmeticError:
        return Decimal(0)
    return amount if amount.is_finite() else Decimal(0)


@dataclass(frozen=True, slots=True)
class Axis:
    """Equal places in time: `edges[n] <= at < edges[n + 1]`."""

    edges: tuple[datetime, ...]
    step: int

    def place(self, at: datetime) -> int:
        return bisect_right(self.edges, at) - 1

    @property
    def labels(self) -> tuple[str, ...]:
        form = (
            "%H:%M:%S"
            if self.step < 60
            else "%d %b %H:%M"
            if self._days
            else "%H:%M"
            if self.step < 86_400
            else "%d %b"
        )
        return tuple(f"{edge:{form}}" for edge in self.edges[:-1])

    @property
    def _days(self) -> bool:
        return self.step < 86_400 and self.edges[-1] - self.edges[0] > timedelta(days=1)


def axis(found: Sequence[Sample]) -> Axis:
    """Return places that hold all samples: the finest steps of which MOST_PLACES are enough."""
    first, last = found[0].at, found[-1].at
    span = (last - first).total_seconds()
    step = next((item for item in _STEPS if span / item < MOST_PLACES - 1), int(span / (MOST_PLACES - 2)) + 1)
    start = datetime.fromtimestamp(first.timestamp() // step * step, UTC)
    count = int((last - start).total_seconds() // step) + 1
    return Axis(tuple(start + timedelta(seconds=step * n) for n in range(max(count, 10) + 1)), step)


def by_class(found: Iterable[Sample], along: Axis) -> Mapping[str, list[int]]:
    """Return, by the class of the status, how many requests each place had."""
    counts = {name: [0] * (len(along.edges) - 1) for name in ("2xx", "4xx", "5xx")}
    for item in found:
        name = "2xx" if item.http < 400 else "4xx" if item.http < 500 else "5xx"
        counts[name][along.place(item.at)] += 1
    return counts


def accept_rates(found: Iterable[Sample], along: Axis) -> list[float]:
    """Return the share of accepted requests at each place, NaN where there was none."""
    places = len(along.edges) - 1
    accepted, total = [0] * places, [0] * places
    for item in found:
        total[along.place(item.at)] += 1
        accepted[along.place(item.at)] += item.accepted
    return [good / every if every else float("nan") for good, every in zip(accepted, total, strict=True)]


def money(found: Iterable[Sample], along: Axis) -> tuple[list[float], list[float]]:
    """Return revenue and cost at each place, in dollars."""
    revenue, cost = ([0.0] * (len(along.edges) - 1) for _ in range(2))
    for item in found:
        revenue[along.place(item.at)] += float(item.revenue)
        cost[along.place(item.at)] += float(item.cost)
    return revenue, cost


@dataclass(frozen=True, slots=True)
class Answered:
    """One row over time: how often it answered at each place. `http` is 0 for all the others together."""

    row: str
    http: int
    counts: Sequence[int]


def rows(found: Sequence[Sample], along: Axis, most: int) -> list[Answered]:
    """Return the rows that answered most, the most frequent first; what is left comes last, as `all others`."""
    often = [row for row, _ in Counter(item.row for item in found).most_common(most)]
    counts = {row: [0] * (len(along.edges) - 1) for row in [*often, ""]}
    for item in found:
        counts[item.row if item.row in counts else ""][along.place(item.at)] += 1
    status = {item.row: item.http for item in found}
    others = counts.pop("")
    told = [Answered(row, status[row], places) for row, places in counts.items()]
    return [*told, Answered("all others", 0, others)] if any(others) else told


def bids(found: Iterable[Sample], places: int = 12) -> tuple[list[str], list[int], list[int]]:
    """Return ranges of dollars with how many bids in each won, and how many lost; nothing when nobody bid."""
    given = [bid for item in found for bid in item.bids]
    if not given:
        return [], [], []
    width = _round_up(max(amount for amount, _ in given) / places)
    won, lost = [0] * places, [0] * places
    for amount, is_won in given:
        (won if is_won else lost)[min(places - 1, int(amount / width))] += 1
    places = 1 + max(place for place in range(places) if won[place] or lost[place])
    won, lost = won[:places], lost[:places]
    return [f"${width * n:g} to ${width * (n + 1):g}" for n in range(places)], won, lost


def _round_up(width: float) -> float:
    return next((step for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if step >= width), width)


def latencies(found: Iterable[Sample]) -> tuple[list[str], list[int]]:
    counts = [0] * (len(LATENCIES) + 1)
    for item in found:
        counts[bisect_left(LATENCIES, item.ms)] += 1
    return [*(f"≤ {edge:g} ms" for edge in LATENCIES), f"> {LATENCIES[-1]:g} ms"], counts


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(share * 1000) // 1000) - 1)]


def seconds(found: Sequence[Sample], places: int = 60) -> tuple[list[int], list[int]]:
    """Return for each of the last seconds of real time how many passed and how many were answered 429."""
    last = max(item.began for item in found)
    passed, refused = [0] * places, [0] * places
    for item in found:
        back = int(last - item.began)
        if back < places:
            (refused if item.http == 429 else passed)[places - 1 - back] += 1
    return passed, refused
