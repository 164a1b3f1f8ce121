"""The sale of a lead: claim what only one can have, then offer it to each bidder, highest first. No rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from simulator.exchange.call import Call
from simulator.exchange.desk import Auction, BuyerDesk
from simulator.exchange.gates import Gates, buyer_claims, person_scope, source_claims
from simulator.exchange.leftovers import Leftovers
from simulator.exchange.records import cents, lead_record
from simulator.exchange.scripted import PHANTOM
from simulator.routing import duplicates
from simulator.routing.agreed import Buyer
from simulator.routing.decision import Asked, Bid, CapClaim, Check, Decision, Reason
from simulator.routing.values import value
from simulator.store import Booking, LeadRecord, PingRecord, Store, StoreUnavailableError, Transaction

UNSOLD = "UNSOLD"
"""What the store calls a lead that nobody bought."""


@value(frozen=True, slots=True)
class Sale:
    """A lead on its way to a buyer: the ping it redeems, the id it will have, the rules it passed.

    `again` is set when the lead is there already and nobody bought it: it holds its person since then.
    """

    ping: PingRecord
    lead_id: str
    checks: tuple[Check, ...]
    is_duplicate: bool = False
    again: bool = False

    @property
    def held_lead_id(self) -> str:
        """The lead whose person goes free when the process dies in the middle of the sale."""
        return "" if self.again else self.lead_id


class Sales:
    """Sells leads to bidders. What a sale in flight holds is written down, so that a dead process gives it back."""

    def __init__(self, store: Store, gates: Gates, desk: BuyerDesk) -> None:
        self._store = store
        self._gates = gates
        self._desk = desk
        self._leftovers = Leftovers(store)

    def auction(self, call: Call) -> Auction:
        """Ask every eligible buyer for a bid."""
        buyers, passed_over = self._gates.eligible(call)
        return self._desk.auction(call, buyers, passed_over)

    def sell(self, call: Call, sale: Sale) -> Decision:
        """Claim ping, person and source caps in one transaction; then offer to each bidder, highest first."""
        claims = source_claims(call)
        self._leftovers.release()
        with self._leftovers.watching(sale.ping):
            refusal = self._store.transact(lambda tx: _refused(call, sale, claims, tx))
            return refusal or self._offer(call, sale)

    def _offer(self, call: Call, sale: Sale) -> Decision:
        asked: list[Asked] = []
        buyers = {buyer.id: buyer for buyer in call.terms.buyers}
        for bid in sale.ping.bids:
            if bid.buyer_id.startswith(PHANTOM):
                return self._sold(call, sale, Buyer(bid.buyer_id), bid, "", (*asked, _phantom(bid)))
            buyer = buyers.get(bid.buyer_id)
            if buyer is None:  # the sandbox file changed between ping and post
                continue
            claims = buyer_claims(call, buyer, bid.amount)
            if full := self._take(call, sale, claims):
                asked.append(Asked(buyer.id, "passed over", f"cap full: {full.label}", bid.amount))
                continue
            bought, redirect_url, evidence = self._desk.offer(call, buyer, bid)
            asked.append(evidence)
            if bought:
                return self._sold(call, sale, buyer, bid, redirect_url, tuple(asked))
            self._give_back(call, sale, claims)
        return self._unsold(call, sale, tuple(asked))

    def _take(self, call: Call, sale: Sale, claims: tuple[CapClaim, ...]) -> CapClaim | None:
        if not claims:
            return None

        def work(tx: Transaction) -> CapClaim | None:
            held = tx.held(sale.ping)
            full = tx.take(call.tenant.id, claims)
            if full is None and not tx.hold(sale.ping, (*held, *claims), sale.held_lead_id):
                _still_ours(tx, sale, changed=False)
                tx.give_back(call.tenant.id, claims)  # a reset took the ping away: nobody will count this sale
            return full

        return self._store.transact(work)

    def _give_back(self, call: Call, sale: Sale, claims: tuple[CapClaim, ...]) -> None:
        """Give back what a reset of the caps has left of the claims."""

        def work(tx: Transaction) -> None:
            held = tx.held(sale.ping)
            left = [claim for claim in held if claim not in claims]
            _still_ours(tx, sale, changed=tx.hold(sale.ping, left, sale.held_lead_id))
            tx.give_back(call.tenant.id, [claim for claim in claims if claim in held])

        if claims:
            self._store.transact(work)

    def _sold(
        self, call: Call, sale: Sale, buyer: Buyer, bid: Bid, redirect_url: str, asked: tuple[Asked, ...]
    ) -> Decision:
        decision = _decision(
            call, sale, Reason.SOLD, buyer=buyer, price=bid.amount, redirect_url=redirect_url, asked=asked
        )

        def work(tx: Transaction) -> None:
            booking = Booking(tx.held(sale.ping))
            settled = tx.settle_ping(sale.ping, summary(decision))
            _still_ours(tx, sale, changed=settled)
            if settled:
                _keep(tx, call, sale, decision, booking)
                tx.set_person_buyer(call.tenant.id, sale.lead_id, buyer.id)

        self._store.transact(work)
        return decision

    def _unsold(self, call: Call, sale: Sale, asked: tuple[Asked, ...]) -> Decision:
        decision = _decision(call, sale, Reason.UNSOLD, asked=asked)

        def work(tx: Transaction) -> None:
            held = tx.held(sale.ping)
            settled = tx.settle_ping(sale.ping, summary(decision))
            _still_ours(tx, sale, changed=settled)
            tx.give_back(call.tenant.id, held)
            if settled:
                _keep(tx, call, sale, decision, Booking())

        self._store.transact(work)
        return decision

    def resell(self, call: Call, record: LeadRecord, checks: tuple[Check, ...]) -> Decision | None:
        """Hold another auction for a lead that nobody bought; None when it cannot be sold (again) now."""
        ping = self._store.ping(call.tenant.id, call.contract.platform, record.transaction_id)
        if ping is None or ping.answer is None:
            return None
        held = self.auction(call)
        claims = source_claims(call)
        sale = Sale(replace(ping, bids=held.bids), record.id, checks, is_duplicate=record.is_duplicate, again=True)
        with self._store.transaction() as tx:
            if not tx.reopen_ping(ping, call.now):
                return None
            kept = tx.lead_to_change(call.tenant.id, record.id)
            if kept is None or kept.status != UNSOLD or tx.take(call.tenant.id, claims):
                tx.settle_ping(ping, ping.answer)
                return None
            tx.hold(ping, claims)
        with self._leftovers.watching(ping):
            sold = self._offer(call, sale)
        lost = tuple(item for item in held.asked if item.outcome != "won")
        return replace(sold, asked=(*sold.asked, *lost))


def _still_ours(tx: Transaction, sale: Sale, *, changed: bool) -> None:
    """Raise when another simulator took this one for dead and gave the sale up. A reset may have emptied the pings."""
    ping = sale.ping
    if not changed and tx.ping(ping.tenant, ping.platform, ping.transaction_id) is not None:
        raise StoreUnavailableError("the sale was given up while a buyer was asked")


def _refused(call: Call, sale: Sale, claims: tuple[CapClaim, ...], tx: Transaction) -> Decision | None:
    """Claim ping, person and source caps for the sale, or say why it ends here."""
    if not tx.claim_ping(sale.ping, call.now):
        return Decision(Reason.PING_USED, unredeemable(Reason.PING_USED, sale.ping), checks=sale.checks)
    if rule := call.terms.duplicates:
        keys = duplicates.keys(rule, call.lead)
        cutoff = duplicates.cutoff(rule, call.now)
        scope = person_scope(call)
        if tx.claim_persons(call.tenant.id, scope, keys, lead_id=sale.lead_id, at=call.now, cutoff=cutoff):
            decision = _decision(call, replace(sale, is_duplicate=True), Reason.DUPLICATE)
            tx.settle_ping(sale.ping, summary(decision))
            tx.add_lead(lead_record(call, decision))
            return decision
    if full := tx.take(call.tenant.id, claims):
        tx.release_persons(call.tenant.id, sale.lead_id)  # who was turned away may come again
        decision = Decision(Reason.CAP_REACHED, f"{full.label} used up", checks=sale.checks)
        tx.settle_ping(sale.ping, summary(decision))
        return decision
    tx.hold(sale.ping, claims, sale.held_lead_id)
    return None


def _keep(tx: Transaction, call: Call, sale: Sale, decision: Decision, booking: Booking) -> None:
    """Write down how the lead ended and what it took. Not of a ping that a reset took away: its lead went with it."""
    if not sale.again:
        tx.add_lead(lead_record(call, decision), booking)
    elif decision.buyer_id:
        price = cents(decision.price or Decimal(0))
        tx.set_lead_status(
            call.tenant.id,
            decision.lead_id,
            "ACCEPTED",
            buyer_id=decision.buyer_id,
            price_cents=price,
            booking=booking,
        )


def _phantom(bid: Bid) -> Asked:
    return Asked(bid.buyer_id, "bought", "a buyer of a triggered auction", bid.amount)


def unredeemable(reason: Reason, ping: PingRecord) -> str:
    said = {
        Reason.PING_REJECTED: "This ping was rejected; do not post",
        Reason.PING_USED: "This ping was already posted",
        Reason.PING_EXPIRED: f"This ping expired at {ping.expires_at.isoformat(timespec='seconds')}",
    }
    return said[reason]


def _decision(
    call: Call,
    sale: Sale,
    reason: Reason,
    *,
    buyer: Buyer | None = None,
    price: Decimal | None = None,
    redirect_url: str = "",
    asked: tuple[Asked, ...] = (),
) -> Decision:
    said = {
        Reason.SOLD: "Lead accepted",
        Reason.UNSOLD: "No buyer bought this lead",
        Reason.DUPLICATE: "Duplicate lead",
    }
    return Decision(
        reason,
        said[reason],
        lead_id=sale.lead_id,
        campaign_id=call.terms.campaign_id,
        transaction_id=sale.ping.transaction_id,
        is_duplicate=sale.is_duplicate,
        buyer_id=buyer.id if buyer else "",
        buyer_name=buyer.name if buyer else "",
        price=price,
        redirect_url=redirect_url,
        checks=sale.checks,
        asked=asked,
    )


def summary(decision: Decision) -> Mapping[str, Any]:
    """Keep what a repeated post may be answered with (reading repeated_post=replay)."""
    return {
        "reason": decision.reason.value,
        "detail": decision.detail,
        "lead_id": decision.lead_id,
        "campaign_id": decision.campaign_id,
        "transaction_id": decision.transaction_id,
        "is_duplicate": decision.is_duplicate,
        "buyer_id": decision.buyer_id,
        "buyer_name": decision.buyer_name,
        "price": str(decision.price) if decision.price is not None else None,
        "redirect_url": decision.redirect_url,
    }
