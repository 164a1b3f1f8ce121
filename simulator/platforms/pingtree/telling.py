"""How Pingtree words answers about leads that were sent before. Which row it is was decided before; no rule here.

Endpoints that take GET give their status as a number, the others as a string (C18). Only the keys that
`fixtures/documented` has are printed; the others, and generation 1 but for the list's and the events' keys, are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from simulator.contract.model import Row
from simulator.platforms.pingtree.asking import STATUSES
from simulator.routing.agreed import Offer
from simulator.routing.decision import Decision, KeptLead, Reason

BASE_URL = "https://api.pingtree.com"
OPERATIONS = frozenset({"fetch", "list", "event", "global_event", "clicks", "click"})

_EVENTS = frozenset({"event", "global_event"})
_LEAD_STATUSES = {kept: said for said, kept in STATUSES.items()}
_GENERATION_1_STATUS = {"accepted": "sold"}
_PERSON = ("first_name", "last_name", "email", "mobile", "state", "zip_code")
# The first three are printed, the others are ours.
_MESSAGES = {
    "fetch": "Lead response fetched successfully",
    "list": "Leads retrieved successfully",
    "clicks": "Click listing retrieved successfully",
    "event": "Event fired",
    "global_event": "Event fired",
    "click": "Found",
}


def success(row: Row, decision: Decision) -> dict[str, Any]:
    """Return the answer in generation 2."""
    data: Callable[[Decision], dict[str, Any]] = _DATA[row.operation]
    return {"status": status(row), "message": _MESSAGES[row.operation], "data": data(decision)}


def flat_success(row: Row, decision: Decision) -> dict[str, Any]:
    """Return the answer in generation 1."""
    flat: Callable[[Decision], dict[str, Any]] = _FLAT[row.operation]
    return {"status": status(row), "type": "success", "message": _MESSAGES[row.operation], **flat(decision)}


def faults(row: Row, decision: Decision) -> dict[str, Any]:
    """Return what generation 1 says of a refusal besides its message."""
    if row.operation not in _EVENTS:
        return {}
    missing = {error.field: error.message for error in decision.errors if error.code == "required"}
    invalid = {error.field: error.message for error in decision.errors if error.code != "required"}
    return {"missingFields": missing, "invalidFields": invalid}


def status(row: Row) -> str | int:
    return str(row.http) if row.operation in _EVENTS or row.operation not in OPERATIONS else row.http


def _lead(lead: KeptLead) -> dict[str, Any]:
    """Name redirect_url only when there is one."""
    redirect = {"redirect_url": lead.redirect_url} if lead.redirect_url else {}
    return {
        "transaction_id": lead.transaction_id,
        "leadStatus": "duplicate" if lead.is_duplicate else _LEAD_STATUSES.get(lead.status, "unsold"),
        **redirect,
        "isDeDupe": lead.is_duplicate,
        "cid": lead.campaign_id,
        "pid": lead.source_id,
        "createdAt": _moment(lead.at),
    }


def _flat_lead(lead: KeptLead) -> dict[str, Any]:
    told = _lead(lead)
    said = _GENERATION_1_STATUS.get(told.pop("leadStatus"), "unsold")
    return told | {"lead_status": said, "isDeDupe": str(lead.is_duplicate).lower()}


def _listed(lead: KeptLead, told: dict[str, Any]) -> dict[str, Any]:
    return told | {name: str(lead.values[name]) for name in _PERSON if name in lead.values}


def _list(decision: Decision) -> dict[str, Any]:
    return {"leads": [_listed(lead, _lead(lead)) for lead in decision.found], "total": decision.total}


def _flat_list(decision: Decision) -> dict[str, Any]:
    leads = [_listed(lead, _flat_lead(lead)) for lead in decision.found]
    return {"leadsList": leads, "totalRecord": decision.total}


def _offers(decision: Decision) -> list[dict[str, str]]:
    return [_offer(offer, decision) for offer in decision.offers]


def _offer(offer: Offer, decision: Decision) -> dict[str, str]:
    ids = (offer.id, decision.campaign_id, decision.source_id, decision.transaction_id)
    told = {
        "clickListingId": offer.id,
        "title": offer.title,
        "description": offer.description,
        "logoUrl": offer.logo_url,
        "clickUrl": f"{decision.origin or BASE_URL}/api/click/{'/'.join(quote(part, safe='') for part in ids)}",
        "callToAction": offer.label,
    }
    return {name: value for name, value in told.items() if value}


def _event(decision: Decision) -> dict[str, Any]:
    return {"event_id": decision.event_id, "transaction_id": decision.transaction_id}


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_DATA: Mapping[str, Callable[[Decision], dict[str, Any]]] = {
    "fetch": lambda decision: _lead(decision.found[0]),
    "list": _list,
    "event": _event,
    "global_event": _event,
    "clicks": lambda decision: {"offers": _offers(decision)},
    "click": lambda decision: {"redirect_url": decision.redirect_url},
}
_FLAT: Mapping[str, Callable[[Decision], dict[str, Any]]] = {
    "fetch": lambda decision: _flat_lead(decision.found[0]),
    "list": _flat_list,
    "event": lambda _: {"missingFields": {}, "invalidFields": {}},
    "global_event": lambda _: {"missingFields": {}, "invalidFields": {}},
    "clicks": lambda decision: {"offerList": _offers(decision)},
    "click": lambda decision: {"redirect_url": decision.redirect_url},
}

SUCCESSES = frozenset(
    {Reason.FOUND, Reason.FOUND_DUPLICATE, Reason.FIRED, Reason.OFFERED, Reason.NO_OFFER, Reason.REDIRECTED}
)
