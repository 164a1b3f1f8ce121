"""The journey of an event that happened to a lead: it is configured, complete, and comes once. Nobody is told of it."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.exchange.call import Call
from simulator.routing.agreed import EventType, Terms
from simulator.routing.decision import Decision, FieldError, Postback, Reason
from simulator.store import EventClaimed, LeadRecord, Store

_CLAIMED: Mapping[EventClaimed, tuple[Reason, str]] = {
    EventClaimed.FIRED: (Reason.FIRED, "The event was fired"),
    EventClaimed.LOCKED: (Reason.EVENT_LOCKED, "The same event of this transaction came a moment ago"),
    EventClaimed.REPEATED: (Reason.EVENT_REPEATED, "This event of this transaction was fired before"),
}


class EventJourney:
    """The caller names a campaign, or an account: then the lead says which campaign it is."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fire(self, call: Call) -> Decision:
        """Check in the order of event, transaction, source and revenue; then claim the event by one statement."""
        assert call.contract.asking is not None  # a contract with events has one
        sent = call.contract.asking.postback(call.values, call.account.readings)
        if not sent.event_id:
            return _refused(Reason.EVENT_UNKNOWN, "event_id", "event_id is required", code="required")
        if not sent.transaction_id:
            return _refused(Reason.TRANSACTION_MISSING, "transaction_id", "transaction_id is required", code="required")
        if not any(sent.event_id in terms.events for terms in call.source.terms.values()):
            return _unknown_event(sent)
        record = self._lead(call, sent.transaction_id)
        terms = call.source.terms.get(record.campaign_id) if record else None
        if record is None or terms is None:
            detail = f"No lead has the transaction_id {sent.transaction_id[:80]!r}"
            return _refused(Reason.LEAD_UNKNOWN, "transaction_id", detail)
        return self._fired(call, sent, terms, record)

    def _fired(self, call: Call, sent: Postback, terms: Terms, record: LeadRecord) -> Decision:
        event = terms.events.get(sent.event_id)
        if event is None:
            return _unknown_event(sent)
        if not _is_active(call, sent.source_id, terms.campaign_id):
            return Decision(Reason.SOURCE_INACTIVE, f"The source {sent.source_id[:80]!r} is inactive")
        if event.is_conversion and sent.revenue is None:
            detail = f"{event.id} is a conversion: revenue is required"
            return _refused(Reason.REVENUE_MISSING, "revenue", detail, code="required")
        reason, detail = _CLAIMED[self._claimed(call, sent, event, terms)]
        return Decision(
            reason,
            detail,
            lead_id=record.id,
            campaign_id=terms.campaign_id,
            source_id=sent.source_id,
            event_id=sent.event_id,
            transaction_id=sent.transaction_id,
            price=sent.revenue,
        )

    def _claimed(self, call: Call, sent: Postback, event: EventType, terms: Terms) -> EventClaimed:
        with self._store.transaction() as tx:
            return tx.claim_event(
                call.tenant.id,
                call.contract.platform,
                sent.transaction_id,
                event.id,
                at=call.now,
                cutoff=call.now - terms.event_lock,
                repeats=event.repeats,
            )

    def _lead(self, call: Call, transaction_id: str) -> LeadRecord | None:
        """Return the newest lead of the transaction in any campaign that the caller speaks for."""
        found = self._store.leads(
            call.tenant.id,
            platform=call.contract.platform,
            campaign_id=next(iter(call.source.terms)) if len(call.source.terms) == 1 else None,
            transaction_id=transaction_id,
            limit=1,
        )
        return found[0] if found else None


def _is_active(call: Call, source_id: str, campaign_id: str) -> bool:
    """Whether the named source may fire events; nobody, and a name that nobody has, may: that is unmatched traffic."""
    sources = call.account.sources.values()
    return all(item.active for item in sources if item.id == source_id and campaign_id in item.terms)


def _unknown_event(sent: Postback) -> Decision:
    return _refused(Reason.EVENT_UNKNOWN, "event_id", f"No event {sent.event_id[:80]!r} is configured")


def _refused(reason: Reason, field: str, detail: str, code: str = "invalid_format") -> Decision:
    return Decision(reason, detail, errors=(FieldError(field, code, detail),))
