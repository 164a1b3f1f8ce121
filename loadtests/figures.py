"""The figures of a run: counts, rates, lateness, latency. What they mean for a scenario is `verdict.py`'s."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from loadtests import judge
from loadtests.law import SECOND
from loadtests.log import Record

MS = 1_000_000


def _expected(record: Record) -> bool:
    if record.status in {0, 429}:  # counted elsewhere
        return True
    if not record.key:
        return record.status == 401
    return 200 <= record.status < 300


def figures_of(log: Sequence[Record], planned: int) -> dict[str, Any]:
    """Return the figures of a run: counts, rates (requests/s), lateness and latency (milliseconds)."""
    first = [record for record in log if record.attempt == 0]
    statuses = Counter(record.status for record in log)
    unexpected = Counter(record.status for record in log if not _expected(record))
    return {
        "planned": planned,
        "sent": len(log),
        "unsent": planned - len(first),
        "accepted": sum(map(judge.was_accepted, log)),
        "refused": statuses[429],
        "unanswered": statuses[0],
        "unexpected": unexpected.total(),
        "statuses": _by_status(statuses),
        "unexpected_statuses": _by_status(unexpected),
        "retried": sum(record.attempt > 0 and record.endpoint != "pingtree-post" for record in log),
        "seconds": round((max((r.send for r in log), default=0) - min((r.send for r in log), default=0)) / SECOND, 3),
        "offered_rate_error": _rate_error(first),
        "lateness_ms": percentiles([(record.send - record.due) / MS for record in log]),
        "latency_ms": percentiles([(r.receive - r.send) / MS for r in log if not r.unanswered]),
        "why_unanswered": sorted({record.fault for record in log if record.unanswered})[:3],
    }


def _by_status(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(status): count for status, count in sorted(counts.items())}


def _rate_error(records: Sequence[Record]) -> float:
    """Return by how much the sent rate differs from the planned one, as a share of it.

    It is the slope of a line through all sends: a stall that was made up for is lateness, and no other rate.
    """
    if len({record.due for record in records}) < 2:
        return 0.0
    line = statistics.linear_regression([record.due for record in records], [record.send for record in records])
    return round(abs(1 / line.slope - 1), 5) if line.slope else 0.0


def percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    named = {f"p{share}": ordered[round(last * share / 100)] for share in (50, 95, 99)}
    return {name: round(value, 3) for name, value in (*named.items(), ("max", ordered[-1]))}
