"""How Lead Distro AI words a decision on the supplier side. Which row it is was decided before; no rule here.

Four shapes: the lead under `data`, the leads that a look-up found, the flat answer of a ping, and the flat error.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from simulator.contract.model import Rendered, Row
from simulator.contract.people import lifted
from simulator.platforms.leaddistro.readings import Readings
from simulator.routing.decision import Check, Decision, FieldError, KeptLead, Lead, Reason

_LEAD_STATUSES = frozenset({"ACCEPTED", "UNMATCHED", "DUPLICATE", "NEW"})
_PING_REFUSALS = frozenset({Reason.FILTERED, Reason.SUPPRESSED, Reason.NO_BUYER, Reason.DUPLICATE})

# The codes of field_errors for a ping token: ours, but for `required`.
_TOKEN_CODES = {
    Reason.PING_EXPIRED: "expired",
    Reason.PING_MISMATCH: "mismatch",
    Reason.PING_USED: "used",
    Reason.PING_MISSING: "required",
    Reason.PING_INVALID: "invalid",
}
# "One or more fields …" is printed on the response-codes page, the others are ours.
_MESSAGES = {
    "validation_failed": "One or more fields failed validation",
    "internal_error": "Something went wrong on our side; retry later",
    "service_unavailable": "Under maintenance; retry later",
    "rate_limited": "Rate limit exceeded",
    "method_not_allowed": "Method not allowed",
    "not_found": "Not found",
    "lead_not_found": "Lead not found",
}


def render(row: Row, decision: Decision, readings: Readings) -> Rendered:
    """Return the answer of one row."""
    return Rendered(_body(row, decision, readings), _headers(decision, readings))


def normalise(values: Mapping[str, Any]) -> Lead:
    """Lift what routing needs; the phone's field is `phone`."""
    return lifted(values, phone="phone")


def _body(row: Row, decision: Decision, readings: Readings) -> dict[str, Any]:
    if decision.reason is Reason.AVAILABLE:
        return _offer(decision, readings)
    if row.operation == "ping" and decision.reason in _PING_REFUSALS:
        return {"accepted": False, "reason": row.code, "message": decision.detail or "Lead rejected"}
    if decision.reason is Reason.UPDATED:
        return {"data": {"id": decision.lead_id, "campaign_id": decision.campaign_id, "updated": True}}
    if decision.reason is Reason.FOUND:
        return {"data": {"leads": [_kept(lead) for lead in decision.found]}}
    if row.code in _LEAD_STATUSES:
        return {"data": _lead(row, decision)}
    return _error(row, decision, readings)


def _offer(decision: Decision, readings: Readings) -> dict[str, Any]:
    body: dict[str, Any] = {"accepted": True, "ping_id": decision.ping_token, "message": "Lead accepted"}
    if readings.ping_bids == "on":
        body[readings.ping_bids_key] = [
            {"buyer_id": bid.buyer_id, "price": f"{bid.amount:.2f}"} for bid in decision.bids
        ]
    return body


def _lead(row: Row, decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.lead_id,
        "status": row.code,
        "buyer_id": decision.buyer_id if row.code == "ACCEPTED" else None,
        "campaign_id": decision.campaign_id,
    }


def _kept(lead: KeptLead) -> dict[str, Any]:
    """Word a lead for the look-up. Ours; the keys are a subset of those that a client of the vendor's has."""
    return {
        "id": lead.id,
        "campaign_id": lead.campaign_id,
        "supplier_id": lead.source_id,
        "buyer_id": lead.buyer_id or None,
        "status": lead.status,
        "state": lead.state or None,
        "zip_code": lead.zip_code or None,
        "price": None if lead.price is None else f"{lead.price:.2f}",
        "is_test": lead.is_test,
        "created_at": lead.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _error(row: Row, decision: Decision, readings: Readings) -> dict[str, Any]:
    message = _MESSAGES.get(row.code) or decision.detail or "Request rejected"
    body: dict[str, Any] = {"error": row.code, "message": message}
    if row.code == "validation_failed":
        body["field_errors"] = _field_errors(decision)
    elif decision.reason in {Reason.FILTERED, Reason.SUPPRESSED}:
        body["filter_errors"] = _filter_errors(row, decision, readings)
    elif decision.reason is Reason.RATE_LIMITED and readings.retry_after_body:
        body["retry_after"] = _seconds(decision)
    return body


def _field_errors(decision: Decision) -> list[dict[str, str]]:
    if decision.reason in _TOKEN_CODES:
        message = decision.detail or "flo_ping_id does not go with this lead"
        return [{"field": "flo_ping_id", "code": _TOKEN_CODES[decision.reason], "message": message}]
    errors = decision.errors or (FieldError("body", "", decision.detail or "The body cannot be read"),)
    return [{"field": error.field, "code": _code(error), "message": error.message} for error in errors]


def _code(error: FieldError) -> str:
    """Only two codes are documented; whatever is not an absence is a matter of format."""
    return "required" if error.code == "required" else "invalid_format"


def _filter_errors(row: Row, decision: Decision, readings: Readings) -> list[Any]:
    failed = decision.failed_rules or (Check(row.code, passed=False, detail=decision.detail),)
    if readings.filter_errors_shape == "strings":
        return [check.rule for check in failed]
    return [{"rule": check.rule, "message": check.detail or "The lead does not pass this rule"} for check in failed]


def _headers(decision: Decision, readings: Readings) -> tuple[tuple[str, str], ...]:
    if decision.reason is Reason.WRONG_METHOD:
        return (("Allow", ", ".join(decision.allow)),)
    if decision.reason is not Reason.RATE_LIMITED:
        return ()
    carriers = {
        "Retry-After": readings.retry_after_header,
        "retry_after": readings.retry_after_underscore_header,
    }
    return tuple((name, str(_seconds(decision))) for name, sent in carriers.items() if sent)


def _seconds(decision: Decision) -> int:
    return max(1, decision.retry_after or 1)
