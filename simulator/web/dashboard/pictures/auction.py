"""An auction as lanes: what each buyer bid, how long it took of the time it had, and why it lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WIDTH = 1000  # units of a lane; a browser stretches them
_GOOD = frozenset({"won", "sold", "bought", "available"})
_LATE = frozenset({"timeout", "unreachable", "oversized", "broken"})


def lanes(buyers: Sequence[Mapping[str, Any]], timeouts: Mapping[str, float]) -> dict[str, Any]:
    """Return the picture: `lanes`, one for each buyer, and the `scale` in milliseconds, 0 when nobody was timed.

    A lane has the buyer's own keys, and `kind` (won, lost, failed, unasked), `bar` and `limit` (units of WIDTH,
    None where there is none), `bid` (units; the highest bid is WIDTH).
    """
    timed = [item["latency_ms"] for item in buyers if item["latency_ms"] is not None]
    allowed = [timeouts[item["buyer_id"]] for item in buyers if _is_timed(item, timeouts)]
    scale = _scale(timed, allowed)
    highest = max((_number(item["amount"]) for item in buyers), default=0.0)
    return {
        "scale": scale,
        "width": WIDTH,
        "lanes": [_lane(item, timeouts.get(item["buyer_id"]), scale, highest) for item in buyers],
    }


def _is_timed(item: Mapping[str, Any], timeouts: Mapping[str, float]) -> bool:
    return item["latency_ms"] is not None and item["buyer_id"] in timeouts


def _scale(timed: Iterable[float], allowed: Iterable[float]) -> float:
    """Return how many milliseconds a whole lane is: the longest time that anybody took or had, and a little more."""
    longest = max((*timed, *allowed), default=0.0)
    return longest * 1.05


def _lane(item: Mapping[str, Any], limit: float | None, scale: float, highest: float) -> dict[str, Any]:
    latency = item["latency_ms"]
    return {
        **item,
        "kind": kind(item),
        "timeout_ms": limit,
        "bar": _units(latency, scale),
        "limit": _units(limit, scale) if latency is not None else None,
        "bid": _units(_number(item["amount"]), highest) if item["amount"] is not None else None,
    }


def kind(item: Mapping[str, Any]) -> str:
    """Return how it ended for a buyer, in one of four words."""
    outcome = item["outcome"]
    if outcome in _GOOD:
        return "won"
    if outcome in _LATE:
        return "failed"
    return "unasked" if item["latency_ms"] is None and item["amount"] is None else "lost"


def _units(value: float | None, whole: float) -> int | None:
    if value is None or whole <= 0:
        return None
    return max(2, min(WIDTH, round(WIDTH * value / whole)))


def _number(amount: Any) -> float:
    try:
        return float(amount)
    except (TypeError, ValueError):
        return 0.0
