"""What a ping or a decided lead leaves in the store: its record, its webhook; and a record as answers tell it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from simulator.contract.model import Contract, Delivered
from simulator.dice import new_id
from simulator.exchange.call import Call
from simulator.routing.agreed import Buyer
from simulator.routing.decision import Bid, Decision, KeptLead, Reason
from simulator.store import DeliveryRecord, LeadRecord, PingRecord

# What a lead is called in the store, whatever the platform calls it in its answer.
_STATUS = {
    Reason.SOLD: "ACCEPTED",
    Reason.SOLD_PAST_SUPPRESSION: "ACCEPTED",
    Reason.DUPLICATE_ROUTED: "ACCEPTED",
    Reason.UNMATCHED: "UNMATCHED",
    Reason.UNSOLD: "UNSOLD",
    Reason.DUPLICATE: "DUPLICATE",
}


def ping_record(call: Call, transaction_id: str, bids: tuple[Bid, ...]) -> PingRecord:
    """Return a ping with its bids, highest first. It was accepted when there is one."""
    return PingRecord(
        tenant=call.tenant.id,
        platform=call.contract.platform,
        transaction_id=transaction_id,
        source_id=call.source.id,
        campaign_id=call.terms.campaign_id,
        at=call.now,
        expires_at=call.now + call.terms.ping_lifetime,
        accepted=bool(bids),
        lead=call.lead,
        bids=bids,
    )


def lead_record(call: Call, decision: Decision) -> LeadRecord:
    """Return the lead as it was decided; one that is answered before distribution is called by its end."""
    known = _STATUS.get(decision.reason)
    return LeadRecord(
        tenant=call.tenant.id,
        id=decision.lead_id,
        platform=call.contract.platform,
        source_id=call.source.id,
        campaign_id=call.terms.campaign_id,
        transaction_id=decision.transaction_id,
        at=call.now,
        status=known or ("ACCEPTED" if decision.buyer_id else "UNMATCHED"),
        values=call.values,
        buyer_id=decision.buyer_id,
        price_cents=cents(decision.price) if decision.price is not None else None,
        is_test=call.terms.is_test,
        is_duplicate=decision.is_duplicate,
        phone=call.lead.phone,
        email=call.lead.email,
    )


@lru_cache  # few prices are agreed
def cents(dollars: Decimal) -> int:
    return int((dollars * 100).to_integral_value(ROUND_HALF_UP))


def delivery(call: Call, decision: Decision, buyer: Buyer) -> DeliveryRecord | None:
    """Return the webhook of a sold lead, due at once; None for a buyer that has none."""
    wire = call.contract.webhook_wire
    if buyer.webhook is None or wire is None:
        return None
    sold = Delivered(
        lead_id=decision.lead_id,
        campaign_id=call.terms.campaign_id,
        source_id=call.source.id,
        buyer_id=buyer.id,
        price=decision.price or Decimal(0),
        is_test=call.terms.is_test,
        at=call.now,
        values=call.values,
    )
    return DeliveryRecord(
        tenant=call.tenant.id,
        platform=call.contract.platform,
        lead_id=decision.lead_id,
        buyer_id=buyer.id,
        event_id=new_id("evt_"),
        url=buyer.webhook.url,
        body=wire.body(sold),
        created_at=call.now,
        due_at=call.now,
    )


def kept_lead(contract: Contract, record: LeadRecord, redirect_url: str = "") -> KeptLead:
    """Return a stored lead as an answer may tell it."""
    lead = contract.normalise(record.values)
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
        transaction_id=record.transaction_id,
        is_duplicate=record.is_duplicate,
        redirect_url=redirect_url,
        values=record.values,
    )
