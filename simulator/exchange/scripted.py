"""Outcomes on purpose: what a trigger asked for, with the state that the outcome has. No buyer is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from simulator.contract.model import Journey, Operation
from simulator.contract.specification import INVALID, REQUIRED
from simulator.dice import new_id
from simulator.exchange.call import Call
from simulator.exchange.records import delivery, lead_record, ping_record
from simulator.routing.agreed import Buyer, Offer
from simulator.routing.decision import ON_PURPOSE, Asked, Bid, Check, Decision, FieldError, KeptLead, Reason
from simulator.store import Booking, Store
from simulator.triggers.table import Script

PHANTOM = "sandbox_bidder"
"""The buyers of the sandbox's own, which only exist in triggered auctions: their bids are good and they buy."""

FIRST_BID = Decimal(45)

_WITH_STATE = frozenset(
    {
        *(Reason.BID, Reason.NO_BID, Reason.AVAILABLE, Reason.NO_BUYER),
        *(Reason.SOLD, Reason.SOLD_PAST_SUPPRESSION, Reason.QUEUED, Reason.UNSOLD, Reason.UNMATCHED),
        *(Reason.DUPLICATE, Reason.DUPLICATE_ROUTED),
    }
)
_NOWHERE = "https://example.com/"
_ABOUT_A_LEAD = frozenset(
    {
        *(Reason.FOUND, Reason.FOUND_DUPLICATE, Reason.UPDATED, Reason.UPDATED_UNSOLD, Reason.FIRED),
        *(Reason.OFFERED, Reason.NO_OFFER, Reason.REDIRECTED),
    }
)
_SOLD = frozenset({Reason.SOLD, Reason.SOLD_PAST_SUPPRESSION, Reason.DUPLICATE_ROUTED, Reason.QUEUED})
_DUPLICATE = frozenset({Reason.DUPLICATE, Reason.DUPLICATE_ROUTED})


def is_refusal(script: Script) -> bool:
    """Whether the outcome needs nothing of the request and leaves nothing behind, as a refusal does."""
    return script.reason not in _WITH_STATE


def refusal(script: Script, operation: Operation, allow: tuple[str, ...]) -> Decision:
    """Return a refusal with all the details that its row's answer can have."""
    reason = script.reason
    return Decision(
        reason,
        ON_PURPOSE,
        errors=_errors(reason),
        failed_rules=(Check("sandbox trigger", passed=False, detail=ON_PURPOSE, reason=reason),),
        retry_after=1 if reason is Reason.RATE_LIMITED else None,
        allow=allow if reason is Reason.WRONG_METHOD else (),
        checks=(Check(f"trigger on {operation.name}", passed=False, detail=ON_PURPOSE, reason=reason),),
        **_made_up(operation, reason),
    )


def _made_up(operation: Operation, reason: Reason) -> dict[str, Any]:
    """Return what an answer about a lead sent before must tell of it, where a trigger asks for one."""
    if operation.journey is Journey.LOOKUP or reason not in _ABOUT_A_LEAD:
        return {}
    offers = (Offer(f"{PHANTOM}_offer", title="Sandbox offer", url=_NOWHERE),) if reason is Reason.OFFERED else ()
    ids = {"campaign_id": PHANTOM, "source_id": PHANTOM, "transaction_id": PHANTOM, "event_id": PHANTOM}
    lead = KeptLead(
        id=PHANTOM,
        campaign_id=PHANTOM,
        source_id=PHANTOM,
        buyer_id=PHANTOM,
        status="DUPLICATE" if reason is Reason.FOUND_DUPLICATE else "ACCEPTED",
        state="",
        zip_code="",
        price=FIRST_BID,
        is_test=False,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        transaction_id=PHANTOM,
        is_duplicate=reason is Reason.FOUND_DUPLICATE,
    )
    redirect_url = _NOWHERE if reason is Reason.REDIRECTED else ""
    return {**ids, "lead_id": PHANTOM, "found": (lead,), "total": 1, "offers": offers, "redirect_url": redirect_url}


def _errors(reason: Reason) -> tuple[FieldError, ...]:
    if reason in _ABOUT_A_LEAD:
        return ()
    if reason is Reason.MISSING_FIELD:
        return (FieldError("state", REQUIRED, "state is required"),)
    pings = {
        Reason.PING_EXPIRED: "expired",
        Reason.PING_MISMATCH: "mismatch",
        Reason.PING_USED: "used",
        Reason.PING_INVALID: "invalid",
        Reason.PING_MISSING: REQUIRED,
    }
    if reason in pings:
        return (FieldError("flo_ping_id", pings[reason], f"flo_ping_id: {ON_PURPOSE}"),)
    return (FieldError("state", INVALID, f"state: {ON_PURPOSE}"),)


def phantom_bids(script: Script) -> tuple[Bid, ...]:
    """Return the bids of the sandbox's own buyers, highest first."""
    top = script.price or FIRST_BID
    return tuple(Bid(f"{PHANTOM}_{n + 1}", max(top - n, Decimal("0.01"))) for n in range(script.bidders))


class ScriptedJourneys:
    """Does in the store what the outcome means, so that what follows it makes sense."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def play(self, call: Call, script: Script) -> Decision:
        match call.operation.journey:
            case Journey.AUCTION:
                return self._auction(call, script)
            case Journey.PRECHECK:
                return self._precheck(call, script)
            case _:
                return self._lead(call, script)

    def _auction(self, call: Call, script: Script) -> Decision:
        bids = phantom_bids(script) if script.reason is Reason.BID else ()
        transaction_id = str(call.values.get("transaction_id") or new_id("txn_"))
        with self._store.transaction() as tx:
            tx.add_ping(ping_record(call, transaction_id, bids))
        decision = Decision(script.reason, ON_PURPOSE, transaction_id=transaction_id, bids=bids, asked=_asked(bids))
        return replace(decision, price=bids[0].amount, buyer_id=bids[0].buyer_id) if bids else decision

    def _precheck(self, call: Call, script: Script) -> Decision:
        if script.reason is not Reason.AVAILABLE:
            return Decision(script.reason, ON_PURPOSE, campaign_id=call.terms.campaign_id)
        assert call.contract.ping_tokens is not None  # a contract with a precheck has them
        buyer = replace(_buyer(call), price=script.price or _buyer(call).price)
        token = call.contract.ping_tokens.issue(call.account, call.terms, buyer, call.now, new_id())
        return Decision(
            script.reason,
            ON_PURPOSE,
            campaign_id=call.terms.campaign_id,
            ping_token=token,
            price=buyer.price,
            bids=(Bid(buyer.id, buyer.price),),
        )

    def _lead(self, call: Call, script: Script) -> Decision:
        sold = script.reason in _SOLD
        buyer = _buyer(call)
        price = script.price or buyer.price or FIRST_BID
        decision = Decision(
            script.reason,
            ON_PURPOSE,
            lead_id=new_id(),
            campaign_id=call.terms.campaign_id,
            transaction_id=str(call.values.get("transaction_id") or new_id("txn_")),
            is_duplicate=script.reason in _DUPLICATE,
            buyer_id=buyer.id if sold else "",
            buyer_name=buyer.name if sold else "",
            price=price if sold else None,
            asked=(Asked(buyer.id, "sold", ON_PURPOSE, price),) if sold else (),
        )
        self._keep(call, decision, buyer)
        return decision

    def _keep(self, call: Call, decision: Decision, buyer: Buyer) -> None:
        ping = self._store.ping(call.tenant.id, call.contract.platform, decision.transaction_id)
        with self._store.transaction() as tx:
            if ping is not None and ping.source_id == call.source.id and tx.claim_ping(ping, call.now):
                tx.settle_ping(ping, {"triggered": decision.reason.value})
            sent = delivery(call, decision, buyer) if decision.buyer_id else None
            tx.add_lead(lead_record(call, decision), Booking(event_id=sent.event_id if sent else "", is_triggered=True))
            if sent is not None:
                tx.add_delivery(sent)


def _asked(bids: Sequence[Bid]) -> tuple[Asked, ...]:
    return tuple(
        Asked(bid.buyer_id, "won" if n == 0 else "outbid", ON_PURPOSE, bid.amount) for n, bid in enumerate(bids)
    )


def _buyer(call: Call) -> Buyer:
    """Return the buyer that a triggered lead goes to: the campaign's first, or one of the sandbox's own."""
    return min(call.terms.buyers, key=lambda buyer: (buyer.priority, buyer.id), default=Buyer(f"{PHANTOM}_1"))
