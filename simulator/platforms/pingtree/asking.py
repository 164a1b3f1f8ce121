"""What Pingtree's list and event requests ask for: where their parameters' names end. Nothing is looked up here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from simulator.platforms.pingtree.readings import Readings
from simulator.routing.decision import Decision, FieldError, Listing, Postback, Reason
from simulator.routing.fields import iso_day

STATUSES: Mapping[str, str] = {
    "accepted": "ACCEPTED",
    "unsold": "UNSOLD",
    "duplicate": "DUPLICATE",
    "rejected": "REJECTED",
}
"""leadStatus: what the store calls it. A rejected lead is not stored, so that list is always empty."""

_ORDERS: Mapping[str, str] = {
    **dict.fromkeys(("", "createdAt", "_id"), ""),  # when it came
    "transaction_id": "transaction_id",
    "leadStatus": "status",
}
_SEARCHED = ("email", "mobile", "first_name", "last_name")
_GENERATION_1_LEAST = 10
_DAY = timedelta(days=1)


def listing(values: Mapping[str, Any], readings: Readings) -> Listing | Decision:
    """Read the parameters of the generation in force; days are UTC. The other generation's mean nothing."""
    is_first = readings.envelope == "gen1"
    if is_first and int(values.get("limit", _GENERATION_1_LEAST)) < _GENERATION_1_LEAST:
        return _invalid("limit", f"limit must be at least {_GENERATION_1_LEAST}")
    days = _generation_1_days(values) if is_first else (_day(values.get("from")), _day(values.get("to")))
    if days is None:
        return _invalid("dateRange", "dateRange must be YYYY-MM-DD - YYYY-MM-DD")
    since, until = days
    sort, order = ("sortField", "sortOrder") if is_first else ("sort", "order")
    return Listing(
        page=int(values.get("page", 1)),
        limit=int(values.get("limit", 10)),
        newest_first=str(values.get(order, "desc")).lower() != "asc",
        order_by=_ORDERS[str(values.get(sort, ""))],
        source_id=str(values.get("pid", "")),
        status=STATUSES.get(str(values.get("leadStatus", "")), ""),
        since=_midnight(since) if since else None,
        until=_midnight(until) + _DAY if until else None,
        search=str(values.get("search", "")),
        searched=_SEARCHED,
    )


def postback(values: Mapping[str, Any], readings: Readings) -> Postback:
    """Read an event; `amount` is the playground's name for `revenue` (C20)."""
    revenue = values.get("revenue")
    if revenue is None and readings.event_amount:
        revenue = values.get("amount")
    return Postback(
        event_id=str(values.get("event_id", "")),
        transaction_id=str(values.get("transaction_id", "")),
        source_id=str(values.get("pid", "")),
        revenue=None if revenue is None else Decimal(str(revenue)),
    )


def _generation_1_days(values: Mapping[str, Any]) -> tuple[date | None, date | None] | None:
    """Return the days of whichever of the three ways is used; None when a range cannot be read."""
    if one := _day(values.get("singleDayDate")):
        return one, one
    if "dateRange" not in values:
        return _day(values.get("startDate")), _day(values.get("endDate"))
    first, dash, last = str(values["dateRange"]).partition(" - ")
    days = _day(first), _day(last)
    return days if dash and None not in days else None


def _day(value: Any) -> date | None:
    return iso_day(str(value)) if value is not None else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _invalid(field: str, detail: str) -> Decision:
    return Decision(Reason.INVALID_FIELD, detail, errors=(FieldError(field, "invalid_format", detail),))
