"""The journeys of a platform that asks its buyers first: ping, post, and both in one call."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from simulator.dice import new_id
from simulator.exchange.call import Call
from simulator.exchange.desk import Auction
from simulator.exchange.gates import Gates
from simulator.exchange.records import ping_record
from simulator.exchange.sale import Sale, Sales, unredeemable
from simulator.routing import rules
from simulator.routing.decision import Check, Decision, Reason
from simulator.store import PingRecord, PingStored, Store


class PingPostJourneys:
    """A ping remembers its bids; a post claims the ping once and sells to the highest bidder that buys."""

    def __init__(self, store: Store, gates: Gates, sales: Sales) -> None:
        self._store = store
        self._gates = gates
        self._sales = sales

    def ping(self, call: Call) -> Decision:
        """Ask every eligible buyer at once, remember the bids, answer the highest."""
        passed = self._gates.pass_through(call)
        if isinstance(passed, Decision):
            return passed
        transaction_id = _transaction_id(call)
        if self._refuses_repeated(call, transaction_id):
            return _repeated(transaction_id, passed)
        held = self._sales.auction(call)
        is_duplicate = self._gates.original(call) is not None
        record = ping_record(call, transaction_id, held.bids)
        if self._store.transact(lambda tx: tx.add_ping(record)) is PingStored.REFUSED:
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
            return Decision(refusal, unredeemable(refusal, ping))
        passed = self._gates.pass_through(call)
        if isinstance(passed, Decision):
            return passed
        if refusal:
            ping = replace(ping, bids=self._sales.auction(call).bids)
        return self._sales.sell(call, Sale(ping, new_id(), passed))

    def form(self, call: Call) -> Decision:
        """Auction and sale in one call."""
        passed = self._gates.pass_through(call)
        if isinstance(passed, Decision):
            return passed
        transaction_id = _transaction_id(call)
        if self._refuses_repeated(call, transaction_id):
            return _repeated(transaction_id, passed)
        held = self._sales.auction(call)
        record = replace(ping_record(call, transaction_id, held.bids), accepted=True)
        if self._store.transact(lambda tx: tx.add_ping(record)) is PingStored.REFUSED:
            return _repeated(record.transaction_id, passed)
        stored = self._ping(call, record.transaction_id)
        assert stored is not None  # written a moment ago
        sold = self._sales.sell(call, Sale(stored, new_id(), passed))
        lost = tuple(item for item in held.asked if item.outcome != "won")
        return replace(sold, asked=(*sold.asked, *lost))

    def _refuses_repeated(self, call: Call, transaction_id: str) -> bool:
        return call.terms.refuses_repeated_transaction_ids and self._ping(call, transaction_id) is not None

    def _ping(self, call: Call, transaction_id: str) -> PingRecord | None:
        return self._store.ping(call.tenant.id, call.contract.platform, transaction_id)


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


def _answered_before(ping: PingRecord) -> Decision:
    answer = dict(ping.answer or {})
    if "reason" not in answer:  # the process died in the middle of that sale
        return Decision(Reason.PING_USED, unredeemable(Reason.PING_USED, ping))
    price = answer.pop("price")
    return Decision(Reason(answer.pop("reason")), price=Decimal(price) if price else None, **answer)
