"""What stands before any distribution: rules, caps and duplicates, read from memory. Nothing is claimed here."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from simulator.exchange.call import Call
from simulator.routing import caps, duplicates, rules
from simulator.routing.agreed import Buyer
from simulator.routing.decision import Asked, CapClaim, Check, Decision, Reason
from simulator.store import Original, Store


class Gates:
    """Reads what the store knows and applies the rules. A claim that decides is made later, by one statement."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pass_through(self, call: Call) -> Decision | tuple[Check, ...]:
        """Try every rule of the source or campaign; return the refusal, or the checks that were passed."""
        checks = rules.refusals(call.terms, call.lead, call.now)
        claims = source_claims(call)
        return _outcome((*checks, self._caps(call, claims)) if claims else checks)

    def pass_rules(self, call: Call) -> Decision | tuple[Check, ...]:
        """Do the same without the caps, for a journey that learns of a full cap when it claims a share."""
        return _outcome(rules.refusals(call.terms, call.lead, call.now))

    def _caps(self, call: Call, claims: tuple[CapClaim, ...]) -> Check:
        full = caps.full(claims, self._usage(call, claims))
        detail = f"{full.label} used up" if full else "room left"
        return Check("caps", full is None, detail, Reason.CAP_REACHED if full else None)

    def _usage(self, call: Call, claims: Iterable[CapClaim]) -> dict[tuple[str, str], int]:
        return dict(self._store.usage(call.tenant.id, [(claim.scope, claim.period) for claim in claims]))

    def eligible(self, call: Call) -> tuple[tuple[Buyer, ...], tuple[Asked, ...]]:
        """Split the buyers into those that may have the lead and those that may not, and why."""
        by_buyer = {buyer.id: buyer_claims(call, buyer, buyer.price) for buyer in call.terms.buyers if buyer.caps}
        full: dict[str, str] = {}
        if by_buyer:
            usage = self._usage(call, [claim for claims in by_buyer.values() for claim in claims])
            for buyer_id, claims in by_buyer.items():
                if claim := caps.full(claims, usage):
                    full[buyer_id] = claim.label
        return rules.eligible(call.terms, call.lead, call.now, full)

    def original(self, call: Call) -> Original | None:
        """Return the lead that this one repeats, if any."""
        rule = call.terms.duplicates
        keys = duplicates.keys(rule, call.lead) if rule else ()
        if rule is None or not keys:
            return None
        return self._store.find_person(call.tenant.id, person_scope(call), keys, duplicates.cutoff(rule, call.now))


def _outcome(checks: tuple[Check, ...]) -> Decision | tuple[Check, ...]:
    refusal = rules.refused(checks)
    if refusal is None:
        return checks
    failed = tuple(check for check in checks if not check.passed and check.reason is refusal.reason)
    assert refusal.reason is not None  # a failed check always has one
    return Decision(refusal.reason, f"{refusal.rule}: {refusal.detail}", failed_rules=failed, checks=checks)


def person_scope(call: Call) -> str:
    """Duplicates are looked for per campaign (seed:002: each campaign has a window)."""
    return f"{call.contract.platform}:{call.terms.campaign_id}"


def source_claims(call: Call) -> tuple[CapClaim, ...]:
    terms = call.terms
    if not (terms.counts_caps and terms.caps):
        return ()
    prefix = f"{terms.platform}:source:{terms.source_id}:{terms.campaign_id}"
    return caps.claims(prefix, terms.caps, call.now, terms.timezone, Decimal(0))


def buyer_claims(call: Call, buyer: Buyer, price: Decimal) -> tuple[CapClaim, ...]:
    if not (call.terms.counts_caps and buyer.caps):
        return ()
    return caps.claims(f"{call.terms.platform}:buyer:{buyer.id}", buyer.caps, call.now, call.terms.timezone, price)
