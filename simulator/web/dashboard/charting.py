"""Charts: the journal's figures as pictures, each with the same numbers as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from flask import Blueprint, Response

from simulator.tenants import Tenant
from simulator.web.dashboard import figures
from simulator.web.dashboard.figures import Answered, Axis, Sample
from simulator.web.dashboard.frame import UI, Frame
from simulator.web.dashboard.parts import Parts
from simulator.web.dashboard.pictures.plots import HEIGHT, WIDTH, Plot, Series, bars, lines
from simulator.web.dashboard.wording import dollars, kind_of_status, milliseconds

LOOKED_AT = 2000  # of the newest requests
ROWS = 12
CLASSES = (("2xx", "ok"), ("4xx", "odd"), ("5xx", "bad"))
ROW_KINDS = (*((kind, name) for name, kind in CLASSES), ("quiet", "all others"))
SPECK = 24.0  # of the height of a small chart: one request among many is still seen


def add(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    @pages.get(f"{UI}/charts")
    def charts() -> Response:
        tenant = parts.tenant()
        journal = parts.journals.of(tenant.id)
        found = figures.samples(islice(journal.newest_first(), LOOKED_AT), _in_test_mode(tenant))
        return frame.page(
            "charts.html.jinja",
            "charts",
            "Charts",
            found=len(found),
            evicted=journal.size()["evicted"],
            width=WIDTH,
            height=HEIGHT,
            row_kinds=ROW_KINDS,
            **(_pictures(tenant, found) if found else {}),
        )


def _in_test_mode(tenant: Tenant) -> frozenset[tuple[str, str]]:
    return frozenset(
        (platform, source.id)
        for platform, account in tenant.accounts.items()
        for source in account.sources.values()
        if source.is_test
    )


def _pictures(tenant: Tenant, found: Sequence[Sample]) -> dict[str, Any]:
    along = figures.axis(found)
    times = [item.ms for item in found]
    return {
        "requests": _requests(found, along),
        "rows": [_row(item, along) for item in figures.rows(found, along, ROWS)],
        "rates": lines(along.labels, [Series("accepted", "ok", figures.accept_rates(found, along))], _percent, 1.0),
        "bids": _bids(found),
        "latency": _latency(found),
        "percentiles": [(name, milliseconds(figures.percentile(times, share))) for name, share in _SHARES],
        "limits": list(_limits(tenant, found)),
        "money": _money(found, along),
        "totals": _totals(found),
        "accepted": sum(item.accepted for item in found) / len(found),
        "span": (found[0].at, found[-1].at),
    }


_SHARES = (("Half within", 0.5), ("95 % within", 0.95), ("99 % within", 0.99))


def _requests(found: Sequence[Sample], along: Axis) -> Plot:
    counts = figures.by_class(found, along)
    return bars(along.labels, [Series(name, kind, counts[name]) for name, kind in CLASSES], _count)


def _row(item: Answered, along: Axis) -> dict[str, Any]:
    """Return a small chart of one row, on a scale of its own: a rare row would be a line on a common one."""
    kind = kind_of_status(item.http) if item.http else "quiet"
    return {
        "name": item.row,
        "is_row": bool(item.http),
        "count": sum(item.counts),
        "plot": bars(along.labels, [Series(item.row, kind, item.counts)], _count, least=SPECK),
        "places": [(label, _count(count)) for label, count in zip(along.labels, item.counts, strict=True) if count],
    }


def _bids(found: Sequence[Sample]) -> Plot | None:
    ranges, won, lost = figures.bids(found)
    if not ranges:
        return None
    return bars(ranges, [Series("won", "ok", won), Series("lost", "quiet", lost)], _count)


def _latency(found: Sequence[Sample]) -> Plot:
    ranges, counts = figures.latencies(found)
    return bars(ranges, [Series("requests", "bar", counts)], _count)


def _limits(tenant: Tenant, found: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    """Yield a chart for each limited operation of each source that was used: the last minute before its newest call."""
    for platform, account in tenant.accounts.items():
        for source in account.sources.values():
            for operation, limit in source.limits.items():
                own = [item for item in found if item.limited and _is_of(item, platform, source.id, operation)]
                if own:
                    passed, refused = figures.seconds(own)
                    yield {
                        "title": f"{source.id}, {operation}",
                        "refused": sum(item.http == 429 for item in own),
                        "plot": bars(
                            [f"{n - 59} s" for n in range(60)],
                            [Series("passed", "ok", passed), Series("429", "bad", refused)],
                            _count,
                            [
                                (limit.rate, "rate", f"{limit.rate} a second, sustained"),
                                (limit.burst, "burst", f"{limit.burst} a second, bursts of {limit.seconds} s"),
                            ],
                        ),
                    }


def _is_of(item: Sample, platform: str, source: str, operation: str) -> bool:
    return item.platform == platform and item.source == source and item.operation == operation


def _money(found: Sequence[Sample], along: Axis) -> Plot | None:
    revenue, cost = figures.money(found, along)
    if not any(revenue):
        return None
    margin = [one - other for one, other in zip(revenue, cost, strict=True)]
    return bars(along.labels, [Series("cost", "bar", cost), Series("margin", "ok", margin)], dollars)


def _totals(found: Sequence[Sample]) -> dict[str, Any]:
    revenue = sum((item.revenue for item in found), Decimal(0))
    cost = sum((item.cost for item in found), Decimal(0))
    sold = sum(item.revenue > 0 for item in found)
    return {"revenue": revenue, "cost": cost, "margin": revenue - cost, "sold": sold}


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{value:.0%}"
