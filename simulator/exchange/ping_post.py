"""The journeys of a platform that asks its buyers first: ping, post, and both in one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from simulator.dice import new_id
from simulator.exchange.call import Call
from simulator.exchange.desk import Auction, BuyerDesk
from simulator.exchange.gates import Gates, buyer_claims, person_scope, source_claims
from simulator.exchange.records import lead_record, ping_record
from simulator.exchange.scripted import PHANTOM
from simulator.routing import duplicates, rules
from simulator.routing.model import Asked, Bid, Buyer, CapClaim, Check, Decision, Reason
from simulator.store import PingRecord, PingStored, Store


@dataclass(frozen=True, slots=True)
class _Sale:
    """A post on its way: the ping it redeems, the id its lead will have, the rules it passed."""

    ping: PingRecord
    lead_id: str
    checks: tuple[Check, ...]
    is_duplicate: bool = False


class PingPostJourneys:
    """A ping remembers its bids; a post claims the ping once and sells to the highest bidder that buys."""

    def __init__(self, store: Store, gates: Gates, desk: BuyerDesk) -> None:
        self._store = store
        self._gates = gates
        self._desk = desk

    def ping(self, call: Call) -> Decision:
        """Ask every eligible buyer at once, remember the bids, answer the highest."""
        passed = self._gates.pass_through(call)
        if isinstance(passed, Decision):
            return passed
        transaction_id = _transaction_id(call)
        if self._refuses_repeated(call, transaction_id):
            return _repeated(transaction_id, passed)
        held = self._auction(call)
        is_duplicate = self._gates.original(call) is not None
        record = ping_record(call, transaction_id, held.bids)
        with self._store.transaction() as tx:
            if tx.add_ping(record) is PingStored.REFUSED:
                return _repeated(transaction_id, passed)
        return _answer_to_ping(call, record, held, passed, is_duplicate=is_duplicate)

    def post(self, call: Call) -> Decision:
        """Redeem an accepted ping with the full lead."""
        transaction_id = str(call.values["transaction_id"])
        ping = self._ping(call, transaction_id)
        if ping is None or ping.source_id != call.source.id or ping.campaign_id != call.terms.campaign_id:
            return Decision(
                Reason.PING_UNKNOWN, f"No ping of this source has the transaction_id {transaction_id[:80]!r}"
            )
        if ping.answer is not None and call.terms.repeats_answer_to_repeated_post:
            return _answered_before(ping)
        refusal = rules.redeemable(
            accepted=ping.accepted,
            expires_at=ping.expires_at,
            claimed=ping.claimed_at is not None,
            now=call.now,
        )
        if refusal and not (refusal is Reason.PING_EXPIRED and call.terms.reevaluates_expired_pings):
            return Decision(refusal, _unredeemable(refusal, ping))
        passed = self._gates.pass_through(call)
        if isinstance(passed, Decision):
            return passed
        if refusal:
            ping = replace(ping, bids=self._auction(call).bids)
        return self._sell(call, _Sale(ping, new_id(), passed))

    def form(self, call: Call) -> Decision:
        """Auction and sale in one call."""
        passed = self._gates.pass_through(call)
        if isinstance(passed, Decision):
            return passed
        transaction_id = _transaction_id(call)
        if self._refuses_repeated(call, transaction_id):
            return _repeated(transaction_id, passed)
        held = self._auction(call)
        record = replace(ping_record(call, transaction_id, held.bids), accepted=True)
        with self._store.transaction() as tx:
            if tx.add_ping(record) is PingStored.REFUSED:
                return _repeated(record.transaction_id, passed)
        stored = self._ping(call, record.transaction_id)
        assert stored is not None  # written a moment ago
        sold = self._sell(call, _Sale(stored, new_id(), passed))
        lost = tuple(item for item in held.asked if item.outcome != "won")
        return replace(sold, asked=(*sold.asked, *lost))

    def _refuses_repeated(self, call: Call, transaction_id: str) -> bool:
        return call.terms.refuses_repeated_transaction_ids and self._ping(call, transaction_id) is not None

    def _ping(self, call: Call, transaction_id: str) -> PingRecord | None:
        return self._store.ping(call.tenant.id, call.contract.platform, transaction_id)

    def _auction(self, call: Call) -> Auction:
        buyers, passed_over = self._gates.eligible(call)
        return self._desk.auction(call, buyers, passed_over)

    def _sell(self, call: Call, sale: _Sale) -> Decision:
        """Claim ping, person and source caps in one transaction; then offer to each bidder, highest first."""
        claims = source_claims(call)
        with self._store.transaction() as tx:
            if not tx.claim_ping(sale.ping, call.now):
                return Decision(Reason.PING_USED, _unredeemable(Reason.PING_USED, sale.ping), checks=sale.checks)
            if rule := call.terms.duplicates:
                keys = duplicates.keys(rule, call.lead)
                cutoff = duplicates.cutoff(rule, call.now)
                scope = person_scope(call)
                if tx.claim_persons(call.tenant.id, scope, keys, lead_id=sale.lead_id, at=call.now, cutoff=cutoff):
                    decision = _decision(call, replace(sale, is_duplicate=True), Reason.DUPLICATE)
                    tx.settle_ping(sale.ping, _summary(decision))
                    tx.add_lead(lead_record(call, decision))
                    return decision
            if full := tx.take(call.tenant.id, claims):
                tx.release_persons(call.tenant.id, sale.lead_id)  # who was turned away may come again
                decision = Decision(Reason.CAP_REACHED, f"{full.label} used up", checks=sale.checks)
                tx.settle_ping(sale.ping, _summary(decision))
                return decision
            tx.hold(sale.ping, claims, sale.lead_id)
        return self._offer(call, sale, claims)

    def _offer(self, call: Call, sale: _Sale, source: tuple[CapClaim, ...]) -> Decision:
        asked: list[Asked] = []
        buyers = {buyer.id: buyer for buyer in call.terms.buyers}
        for bid in sale.ping.bids:
            if bid.buyer_id.startswith(PHANTOM):
                return self._sold(call, sale, Buyer(bid.buyer_id), bid, "", (*asked, _phantom(bid)))
            buyer = buyers.get(bid.buyer_id)
            if buyer is None:  # the sandbox file changed between ping and post
                continue
            claims = buyer_claims(call, buyer, bid.amount)
            if full := self._take(call, sale, source, claims):
                asked.append(Asked(buyer.id, "passed over", f"cap full: {full.label}", bid.amount))
                continue
            bought, redirect_url, evidence = self._desk.offer(call, buyer, bid)
            asked.append(evidence)
            if bought:
                return self._sold(call, sale, buyer, bid, redirect_url, tuple(asked))
            self._give_back(call, sale, source, claims)
        return self._unsold(call, sale, source, tuple(asked))

    def _take(
        self, call: Call, sale: _Sale, source: tuple[CapClaim, ...], claims: tuple[CapClaim, ...]
    ) -> CapClaim | None:
        if not claims:
            return None
        with self._store.transaction() as tx:
            full = tx.take(call.tenant.id, claims)
            if full is None:
                tx.hold(sale.ping, (*source, *claims), sale.lead_id)
        return full

    def _give_back(self, call: Call, sale: _Sale, source: tuple[CapClaim, ...], claims: tuple[CapClaim, ...]) -> None:
        if claims:
            with self._store.transaction() as tx:
                tx.give_back(call.tenant.id, claims)
                tx.hold(sale.ping, source, sale.lead_id)

    def _sold(
        self, call: Call, sale: _Sale, buyer: Buyer, bid: Bid, redirect_url: str, asked: tuple[Asked, ...]
    ) -> Decision:
        decision = _decision(
            call, sale, Reason.SOLD, buyer=buyer, price=bid.amount, redirect_url=redirect_url, asked=asked
        )
        with self._store.transaction() as tx:
            tx.add_lead(lead_record(call, decision))
            tx.set_person_buyer(call.tenant.id, sale.lead_id, buyer.id)
            tx.settle_ping(sale.ping, _summary(decision))
        return decision

    def _unsold(self, call: Call, sale: _Sale, source: tuple[CapClaim, ...], asked: tuple[Asked, ...]) -> Decision:
        decision = _decision(call, sale, Reason.UNSOLD, asked=asked)
        with self._store.transaction() as tx:
            tx.give_back(call.tenant.id, source)
            tx.add_lead(lead_record(call, decision))
            tx.settle_ping(sale.ping, _summary(decision))
        return decision


def _phantom(bid: Bid) -> Asked:
    return Asked(bid.buyer_id, "bought", "a buyer of a triggered auction", bid.amount)


def _transaction_id(call: Call) -> str:
    return str(call.values.get("transaction_id") or new_id("txn_"))


def _repeated(transaction_id: str, checks: tuple[Check, ...]) -> Decision:
    detail = f"The transaction_id {transaction_id[:80]!r} was used before"
    return Decision(Reason.PING_REPEATED, detail, checks=checks)


def _answer_to_ping(
    call: Call, ping: PingRecord, held: Auction, checks: tuple[Check, ...], *, is_duplicate: bool
) -> Decision:
    if not held.bids:
        return Decision(
            Reason.NO_BID,
            "No buyer bid on this lead",
            transaction_id=ping.transaction_id,
            is_duplicate=is_duplicate,
            checks=checks,
            asked=held.asked,
        )
    best = held.bids[0]
    buyer = next(buyer for buyer in call.terms.buyers if buyer.id == best.buyer_id)
    return Decision(
        Reason.BID,
        f"{buyer.id} bid highest",
        transaction_id=ping.transaction_id,
        is_duplicate=is_duplicate,
        buyer_id=buyer.id,
        buyer_name=buyer.name,
        price=best.amount,
        tcpa=best.tcpa or buyer.tcpa,
        bids=held.bids,
        checks=checks,
        asked=held.asked,
    )


def _unredeemable(reason: Reason, ping: PingRecord) -> str:
    said = {
        Reason.PING_REJECTED: "This ping was rejected; do not post",
        Reason.PING_USED: "This ping was already posted",
        Reason.PING_EXPIRED: f"This ping expired at {ping.expires_at.isoformat(timespec='seconds')}",
    }
    return said[reason]


def _decision(
    call: Call,
    sale: _Sale,
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


def _summary(decision: Decision) -> Mapping[str, Any]:
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


def _answered_before(ping: PingRecord) -> Decision:
    answer = dict(ping.answer or {})
    if "reason" not in answer:  # the process died in the middle of that sale
        return Decision(Reason.PING_USED, _unredeemable(Reason.PING_USED, ping))
    price = answer.pop("price")
    return Decision(Reason(answer.pop("reason")), price=Decimal(price) if price else None, **answer)
