"""The journey of a platform that lets a source find the leads it sent. Nothing is changed here."""

from __future__ import annotations

from simulator.exchange.call import Call
from simulator.exchange.records import kept_lead
from simulator.routing.decision import Decision, FieldError, Reason
from simulator.store import LeadRecord, Store, index_key

MOST = 100  # leads in one answer; ours
_NOTHING_ASKED = "one of id, phone and email is required"


class LookupJourney:
    """Finds by `id`, `phone` or `email`: names of ours, since no vendor documents any."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def lookup(self, call: Call) -> Decision:
        """Return the source's own leads that match everything asked for, newest first."""
        if missing := nothing_asked(call):
            return missing
        found = tuple(kept_lead(call.contract, record) for record in asked_for(self._store, call, MOST))
        return Decision(Reason.FOUND, f"{len(found)} found", found=found)


def nothing_asked(call: Call) -> Decision | None:
    """Return the refusal of a request that names no lead."""
    if call.values.keys() & {"id", "phone", "email"}:
        return None
    missing = FieldError("id", "required", _NOTHING_ASKED)
    return Decision(Reason.MISSING_FIELD, _NOTHING_ASKED, errors=(missing,))


def asked_for(store: Store, call: Call, limit: int) -> list[LeadRecord]:
    """Return the source's own leads that match everything asked for, newest first."""
    if "id" in call.values:
        record = store.lead(call.tenant.id, call.values["id"])
        return [record] if record is not None and _is_asked_for(call, record) else []
    return store.leads(
        call.tenant.id,
        platform=call.contract.platform,
        source_id=call.source.id,
        phone=call.lead.phone or None,
        email=call.lead.email or None,
        limit=limit,
    )


def _is_asked_for(call: Call, record: LeadRecord) -> bool:
    is_own = (record.platform, record.source_id) == (call.contract.platform, call.source.id)
    phone, email = index_key(call.lead.phone), index_key(call.lead.email)
    return is_own and phone in {"", record.phone} and email in {"", record.email}
