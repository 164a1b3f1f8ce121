"""The journeys of a platform that takes a lead in one call: a check beforehand, and the taking. No HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from simulator.contract.model import PingTokens, Redeemed
from simulator.dice import new_id
from simulator.exchange.call import Call
from simulator.exchange.gates import Gates, buyer_claims, person_scope, source_claims
from simulator.exchange.records import delivery, lead_record
from simulator.routing import duplicates, rules
from simulator.routing.agreed import Buyer, Distribution
from simulator.routing.decision import Asked, Bid, CapClaim, Check, Decision, Reason
from simulator.routing.values import once, value
from simulator.store import Booking, Original, Store, Transaction

_UNFORESEEN = frozenset({Distribution.ROUND_ROBIN, Distribution.WEIGHTED})


@value(frozen=True, slots=True)
class _Ground:
    """What was found out before the transaction."""

    checks: tuple[Check, ...]
    buyers: tuple[Buyer, ...]
    asked: tuple[Asked, ...]
    ping: Redeemed | None
    lead_id: str
    person: tuple[str, ...]  # the keys by which the lead is known again


@value(frozen=True, slots=True)
class _Choice:
    """Who has the lead, at what price, and what it took of caps and turns to get there."""

    buyer: Buyer | None
    price: Decimal
    asked: tuple[Asked, ...]
    claims: tuple[CapClaim, ...] = ()
    turn: int | None = None


class IngestJourneys:
    """Decides by claims in the store, so that two requests at once can never both win."""

    def __init__(self, store: Store, gates: Gates) -> None:
        self._store = store
        self._gates = gates

    def precheck(self, call: Call) -> Decision:
        """Say whether the lead would be taken, and sign that. Nothing is kept."""
        passed = self._gates.pass_through(call)
        if isinstance(passed, Decision):
            return _without_buyer(passed)
        if self._gates.original(call) is not None and not _routes_duplicates(call):
            return Decision(Reason.DUPLICATE, "The lead was submitted within the duplicate window", checks=passed)
        buyers, asked = self._gates.eligible(call)
        if not buyers:
            return Decision(Reason.NO_BUYER, "No buyer is available for this lead", checks=passed, asked=asked)
        ranked = rules.order(call.terms, buyers, turn=0, dice=0.0)
        return Decision(
            Reason.AVAILABLE,
            "At least one buyer is available",
            ping_token=_tokens(call).issue(call.account, call.terms, ranked[0], call.now, new_id()),
            campaign_id=call.terms.campaign_id,
            price=ranked[0].price,
            bids=tuple(map(_bid, ranked)),
            checks=passed,
            asked=(*asked, *map(_available, ranked)),
        )

    def ingest(self, call: Call) -> Decision:
        """Take the lead, choose its buyer and write both with the webhook, in one transaction."""
        passed = self._gates.pass_rules(call)
        if isinstance(passed, Decision):
            return passed
        ping = _tokens(call).redeem(call.account, call.terms, call.values, call.now)
        if isinstance(ping, Decision):
            return replace(ping, checks=passed)
        buyers, asked = self._gates.eligible(call)
        rule = call.terms.duplicates
        person = duplicates.keys(rule, call.lead) if rule else ()
        ground = _Ground(passed, buyers, asked, ping, new_id(), person)
        return self._store.transact(lambda tx: self._taken(call, ground, tx))

    def _taken(self, call: Call, ground: _Ground, tx: Transaction) -> Decision:
        """Everything that is claimed, in an order in which a refusal leaves nothing claimed behind."""
        if ground.ping is not None and not tx.redeem(call.tenant.id, ground.ping.token_id, call.now):
            if refusal := _tokens(call).used(call.account):
                return refusal
            ground = replace(ground, ping=None)
        likely = _likely_buyer(call, ground)
        original = self._claim_person(call, ground, tx, likely)
        if original is not None and not _routes_duplicates(call):
            return self._duplicate(call, ground, tx)
        choice = self._choose_within_caps(call, ground, tx, original)
        decision = _decision(call, ground, choice, is_duplicate=original is not None)
        if ground.person and original is None and decision.buyer_id != likely:
            tx.correct_person_buyer(
                call.tenant.id,
                person_scope(call),
                ground.person,
                lead_id=ground.lead_id,
                buyer_id=decision.buyer_id,
            )
        _write(call, tx, decision, choice, _token_id(ground))
        return decision

    def _claim_person(self, call: Call, ground: _Ground, tx: Transaction, buyer_id: str) -> Original | None:
        rule = call.terms.duplicates
        if rule is None or not ground.person:
            return None
        return tx.claim_persons(
            call.tenant.id,
            person_scope(call),
            ground.person,
            lead_id=ground.lead_id,
            buyer_id=buyer_id,
            at=call.now,
            cutoff=duplicates.cutoff(rule, call.now),
        )

    def _duplicate(self, call: Call, ground: _Ground, tx: Transaction) -> Decision:
        decision = Decision(
            Reason.DUPLICATE,
            "A lead of this person was submitted within the duplicate window",
            lead_id=ground.lead_id,
            campaign_id=call.terms.campaign_id,
            is_duplicate=True,
            checks=ground.checks,
        )
        tx.add_lead(lead_record(call, decision), Booking(token_id=_token_id(ground)))
        return decision

    def _choose_within_caps(self, call: Call, ground: _Ground, tx: Transaction, original: Original | None) -> _Choice:
        """Choose a buyer unless the campaign itself is full; only what is sold counts."""
        claims = source_claims(call)
        if full := tx.take(call.tenant.id, claims):
            why = f"the campaign's cap is full: {full.label}"
            passed_over = (Asked(buyer.id, rules.PASSED_OVER, why, buyer.price) for buyer in ground.buyers)
            return _Choice(None, Decimal(0), (*ground.asked, *passed_over))
        choice = self._choose(call, ground, tx, original)
        if choice.buyer is None:
            tx.give_back(call.tenant.id, claims)
            return choice
        return replace(choice, claims=(*claims, *choice.claims)) if claims else choice

    def _choose(self, call: Call, ground: _Ground, tx: Transaction, original: Original | None) -> _Choice:
        """Offer the lead to each buyer in order; the first whose caps have room has it."""
        asked = list(ground.asked)
        turn = self._turn(call, tx, original)
        for buyer in self._order(call, ground, original, turn or 0):
            price = _price(buyer, ground.ping)
            claims = buyer_claims(call, buyer, price)
            full = tx.take(call.tenant.id, claims)
            if full is None:
                asked.append(Asked(buyer.id, "sold", "first in order with room", price))
                return _Choice(buyer, price, tuple(asked), claims, turn)
            asked.append(Asked(buyer.id, "passed over", f"cap full: {full.label}", price))
        return _Choice(None, Decimal(0), tuple(asked), turn=turn)

    def _turn(self, call: Call, tx: Transaction, original: Original | None) -> int | None:
        """Take the next turn of the round; None where nobody takes turns, or the buyer is settled already."""
        rotates = call.terms.distribution is Distribution.ROUND_ROBIN
        if not rotates or (original is not None and original.buyer_id):
            return None
        return tx.next_turn(call.tenant.id, call.terms.campaign_id)

    def _order(self, call: Call, ground: _Ground, original: Original | None, turn: int) -> Sequence[Buyer]:
        if original is not None and original.buyer_id:
            return [buyer for buyer in call.terms.buyers if buyer.id == original.buyer_id]
        return _ranked(call, ground, turn, call.tenant.dice.roll())


@once
def _bid(buyer: Buyer) -> Bid:
    return Bid(buyer.id, buyer.price)


@once
def _available(buyer: Buyer) -> Asked:
    return Asked(buyer.id, "available", amount=buyer.price)


def _ranked(call: Call, ground: _Ground, turn: int, dice: float) -> Sequence[Buyer]:
    first = _chosen_beforehand(call, ground)
    ranked = rules.order(call.terms, ground.buyers, turn=turn, dice=dice)
    return sorted(ranked, key=lambda buyer: buyer.id != first) if first else ranked


def _likely_buyer(call: Call, ground: _Ground) -> str:
    """Return who has the lead unless a cap is full, so that the claim can say so; "" where chance or turns choose."""
    if not ground.buyers or call.terms.distribution in _UNFORESEEN:
        return ""
    return _ranked(call, ground, 0, 0.0)[0].id


def _write(call: Call, tx: Transaction, decision: Decision, choice: _Choice, token_id: str) -> None:
    sent = delivery(call, decision, choice.buyer) if choice.buyer else None
    booking = Booking(choice.claims, token_id, choice.turn, sent.event_id if sent else "")
    tx.add_lead(lead_record(call, decision), booking)
    if sent is not None:
        tx.add_delivery(sent)


def _token_id(ground: _Ground) -> str:
    return ground.ping.token_id if ground.ping else ""


def _tokens(call: Call) -> PingTokens:
    assert call.contract.ping_tokens is not None  # a contract with these journeys has them
    return call.contract.ping_tokens


def _without_buyer(refusal: Decision) -> Decision:
    """Turn a full cap into what it means here: it refuses no lead, but nobody is left to take it."""
    return replace(refusal, reason=Reason.NO_BUYER) if refusal.reason is Reason.CAP_REACHED else refusal


def _routes_duplicates(call: Call) -> bool:
    rule = call.terms.duplicates
    return rule is not None and rule.route_to_original


def _chosen_beforehand(call: Call, ground: _Ground) -> str:
    """Who goes first whatever the distribution: the buyer that was named (C4), or that the ping was promised to."""
    named = call.values.get(call.terms.chosen_buyer_field) if call.terms.chosen_buyer_field else None
    if named:
        return str(named)
    return ground.ping.buyer_id if ground.ping else ""


def _price(buyer: Buyer, ping: Redeemed | None) -> Decimal:
    locked = ping is not None and ping.buyer_id == buyer.id and ping.price is not None
    return ping.price if ping is not None and locked and ping.price is not None else buyer.price


def _decision(call: Call, ground: _Ground, choice: _Choice, *, is_duplicate: bool) -> Decision:
    return Decision(
        _reason(call, choice, is_duplicate=is_duplicate),
        f"Distributed to {choice.buyer.id}" if choice.buyer else "No buyer is available for this lead",
        lead_id=ground.lead_id,
        campaign_id=call.terms.campaign_id,
        is_duplicate=is_duplicate,
        buyer_id=choice.buyer.id if choice.buyer else "",
        buyer_name=choice.buyer.name if choice.buyer else "",
        price=choice.price if choice.buyer else None,
        checks=ground.checks,
        asked=choice.asked,
    )


def _reason(call: Call, choice: _Choice, *, is_duplicate: bool) -> Reason:
    if call.terms.answers_before_distribution:
        return Reason.QUEUED
    if choice.buyer is None:
        return Reason.UNMATCHED
    if is_duplicate:
        return Reason.DUPLICATE_ROUTED
    skipped = any(asked.outcome == rules.SUPPRESSED for asked in choice.asked)
    return Reason.SOLD_PAST_SUPPRESSION if skipped else Reason.SOLD
