"""How Pingtree words a decision on the publisher side. Which row it is was decided before; no rule here.

Two generations of documents exist (C18). Generation 2 nests the lead under `data`; generation 1 is flat, and
all of its bodies here are ours, made of the keys that its pages name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.contract.model import Rendered, Row
from simulator.contract.people import lifted
from simulator.platforms.pingtree import telling
from simulator.platforms.pingtree.readings import Readings
from simulator.routing.decision import Decision, Lead, Reason

# leadStatus -> (message, data.message). The ping's are printed in seed:001, the others are ours.
_SUCCESSES = {
    "ping_accept": ("Ping accepted", "Ping accepted"),
    "ping_reject": ("Ping rejected", "No buyers available for this lead"),
    "accepted": ("Lead accepted", "Lead accepted"),
    "unsold": ("Lead unsold", "No buyer took this lead"),
    "duplicate": ("Duplicate lead", "This lead was submitted before"),
}
_UPDATED = ("Lead updated", "Lead updated")
# "Unauthorized" is printed in seed:001, the others are ours. They say nothing of how the sandbox came to it.
_REFUSALS = {
    Reason.UNAUTHORIZED: "Unauthorized",
    Reason.WRONG_METHOD: "Method not allowed",
    Reason.RATE_LIMITED: "Too many requests",
    Reason.INTERNAL_ERROR: "Internal server error",
    Reason.MAINTENANCE: "Under maintenance",
    Reason.UNKNOWN_PATH: "Not found",
}
_GENERATION_1_STATUS = {
    "ping_accept": "new",
    "ping_reject": "unsold",
    "accepted": "sold",
    "unsold": "unsold",
    "duplicate": "unsold",
}


def render(row: Row, decision: Decision, readings: Readings) -> Rendered:
    """Return the answer of one row. Amounts are US dollars as decimal strings."""
    is_first = readings.envelope == "gen1"
    if row.operation in telling.OPERATIONS:
        body = _told_flat(row, decision) if is_first else _told(row, decision)
    else:
        body = _flat(row, decision, readings) if is_first else _nested(row, decision, readings)
    return Rendered(body, _headers(decision))


def normalise(values: Mapping[str, Any]) -> Lead:
    """Lift what routing needs; the phone's field is `mobile`."""
    return lifted(values, phone="mobile")


def _told(row: Row, decision: Decision) -> dict[str, Any]:
    if decision.reason in telling.SUCCESSES:
        return telling.success(row, decision)
    return {"status": telling.status(row), "message": _refusal(decision)}


def _told_flat(row: Row, decision: Decision) -> dict[str, Any]:
    if decision.reason in telling.SUCCESSES:
        return telling.flat_success(row, decision)
    refusal = {"status": telling.status(row), "type": "error", "message": _refusal(decision)}
    return refusal | telling.faults(row, decision)


def _nested(row: Row, decision: Decision, readings: Readings) -> dict[str, Any]:
    lead: dict[str, Any] = {"leadStatus": row.code}
    if row.code not in _SUCCESSES:
        return {"status": str(row.http), "message": _refusal(decision), "data": lead}
    message, inner_message = _UPDATED if row.operation == "update" else _SUCCESSES[row.code]
    lead |= {
        "transaction_id": decision.transaction_id,
        "isDeDupe": _is_duplicate(row, decision),
        "message": inner_message,
    }
    lead |= _extras(row, decision, named=readings.name_buyer)
    return {"status": str(row.http), "message": message, "data": lead}


def _flat(row: Row, decision: Decision, readings: Readings) -> dict[str, Any]:
    if row.code not in _SUCCESSES:
        return {"status": str(row.http), "type": "error", "message": _refusal(decision)}
    if row.operation == "update":
        return {"status": str(row.http), "type": "success", "message": _UPDATED[0]}
    return {
        "status": str(row.http),
        "type": "success",
        "message": _SUCCESSES[row.code][0],
        "isDeDupe": str(_is_duplicate(row, decision)).lower(),
        "lead_status": _GENERATION_1_STATUS[row.code],
        "transaction_id": decision.transaction_id,
        **_extras(row, decision, named=readings.name_buyer or row.code == "accepted"),
    }


def _extras(row: Row, decision: Decision, *, named: bool) -> dict[str, str]:
    """Return the keys that only some answers have, each only when there is something to say."""
    found: dict[str, str] = {}
    if row.code == "ping_accept":
        found = {"amount": f"{decision.price or 0:.2f}", "buyerTcpa": decision.tcpa}
    elif row.code != "ping_reject":
        found = {"redirect_url": decision.redirect_url}
    if named and row.code in {"ping_accept", "accepted"}:
        found["buyer_name"] = decision.buyer_name
    return {key: value for key, value in found.items() if value}


def _is_duplicate(row: Row, decision: Decision) -> bool:
    return decision.is_duplicate or row.code == "duplicate"


def _refusal(decision: Decision) -> str:
    if decision.reason is Reason.MISSING_FIELD and decision.errors:
        missing = [error.field for error in decision.errors if error.code == "required"]
        return f"Missing required field: {(missing or [decision.errors[0].field])[0]}"
    return _REFUSALS.get(decision.reason) or decision.detail or "Lead rejected"


def _headers(decision: Decision) -> tuple[tuple[str, str], ...]:
    if decision.reason is Reason.WRONG_METHOD:
        return (("Allow", ", ".join(decision.allow)),)
    if decision.reason is Reason.REDIRECTED:
        return (("Location", decision.redirect_url),)
    if decision.reason is Reason.RATE_LIMITED:
        return (("Retry-After", str(decision.retry_after or 1)),)
    return ()
