"""The journey of a platform that lets a source find the leads it sent. Nothing is changed here."""

from __future__ import annotations

from decimal import Decimal

from simulator.exchange.call import Call
from simulator.routing.model import Decision, FieldError, KeptLead, Reason
from simulator.store import LeadRecord, Store

MOST = 100  # leads in one answer; ours
_NOTHING_ASKED = "one of id, phone and email is required"


class LookupJourney:
    """Finds by `id`, `phone` or `email`: names of ours, since no vendor documents any."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def lookup(self, call: Call) -> Decision:
        """Return the source's own leads that match everything asked for, newest first."""
        if not call.values.keys() & {"id", "phone", "email"}:
            missing = FieldError("id", "required", _NOTHING_ASKED)
            return Decision(Reason.MISSING_FIELD, _NOTHING_ASKED, errors=(missing,))
        found = tuple(_kept(call, record) for record in self._records(call))
        return Decision(Reason.FOUND, f"{len(found)} found", found=found)

    def _records(self, call: Call) -> list[LeadRecord]:
        if "id" in call.values:
            record = self._store.lead(call.tenant.id, call.values["id"])
            return [record] if record is not None and _is_asked_for(call, record) else []
        return self._store.leads(
            call.tenant.id,
            platform=call.contract.platform,
            source_id=call.source.id,
            phone=call.lead.phone or None,
            email=call.lead.email or None,
            limit=MOST,
        )


def _is_asked_for(call: Call, record: LeadRecord) -> bool:
    is_own = (record.platform, record.source_id) == (call.contract.platform, call.source.id)
    return is_own and call.lead.phone in {"", record.phone} and call.lead.email in {"", record.email}


def _kept(call: Call, record: LeadRecord) -> KeptLead:
    lead = call.contract.normalise(record.values)
    return KeptLead(
        id=record.id,
        campaign_id=record.campaign_id,
        source_id=record.source_id,
        buyer_id=record.buyer_id,
        status=record.status,
        state=lead.state,
        zip_code=lead.zip_code,
        price=None if record.price_cents is None else Decimal(record.price_cents) / 100,
        is_test=record.is_test,
        at=record.at,
    )
