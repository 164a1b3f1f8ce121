"""Mutants that ignore a rule of a source or campaign: areas, conditions, lists, caps, hours, duplicates, demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from conformance.mutants.lenient import rows_that_answer
from conformance.mutants.model import Ask, Got, Made, Mutant, Scene, Sent, Tampering
from conformance.mutants.recognising import accounts, operation_of, sender, values_of
from conformance.mutants.repairing import changing, credential, good_lead, mutant, with_values
from conformance.suite_sandbox import document
from conformance.target import Account
from simulator.contract.model import Contract, Operation
from simulator.platforms import CONTRACTS
from simulator.routing.decision import Reason

Change = Callable[[Scene, Account, dict[str, Any]], Mapping[str, Any]]


def mutants() -> Iterator[Mutant]:
    for contract in CONTRACTS.values():
        for operation in contract.operations:
            if operation.takes_lead:
                yield from _ignoring(contract, operation)
    yield from _half_blind()
    yield from _rerouted()
    yield from _unasked()


def _ignoring(contract: Contract, operation: Operation) -> Iterator[Mutant]:
    """Yield mutants that change a lead which a rule would stop, so that the rule never sees it."""
    for kind, (what, reason, variant, change) in _CHANGES.items():
        if kind == "filter" and rows_that_answer(contract, operation, Reason.OUTSIDE_AREA):
            continue  # there the variant is the area's
        breaks = rows_that_answer(contract, operation, reason) + _INVARIANTS.get((operation.prefix, kind), ())
        if breaks and (not variant or variant in _variants(contract.platform)):
            says = f"{operation.name} ignores {what}"
            name = f"{operation.prefix}/ignored/{kind}"
            yield mutant(name, "rule", contract.platform, operation.name, says, breaks, changing(change))


def _back_to_good(*names: str) -> Change:
    """Make a change that puts what an account's own lead has in the place of what some variants have."""

    def change(scene: Scene, account: Account, values: dict[str, Any]) -> Mapping[str, Any]:
        known = accounts(scene, _platform(scene, account)).values()
        bad = {
            (name, str(value))
            for item in known
            for called, variant in item.variants.items()
            if called in names
            for name, value in variant.set.items()
        }
        stopped = [name for name, value in values.items() if (name, str(value)) in bad]
        good = good_lead(scene, account) if stopped else {}
        return {name: good.get(name) for name in stopped}

    return change


def _platform(scene: Scene, account: Account) -> str:
    grounds = scene.world.grounds if scene.world else {}
    return next(name for name, ground in grounds.items() if account in ground.accounts.values())


def _somebody_new(*fields: str) -> Change:
    def change(scene: Scene, account: Account, values: dict[str, Any]) -> Mapping[str, Any]:
        fresh = good_lead(scene, account)
        return {name: fresh[name] for name in fields if name in values and name in fresh}

    return change


_CHANGES: Mapping[str, tuple[str, Reason, str, Change]] = {
    "area": ("where the lead is from", Reason.OUTSIDE_AREA, "refused", _back_to_good("refused")),
    "condition": ("a condition on a field", Reason.FILTERED, "poor", _back_to_good("poor")),
    "filter": ("an inbound filter", Reason.FILTERED, "refused", _back_to_good("refused")),
    "accepted-values": ("Acceptable Values", Reason.UNACCEPTED_VALUE, "unaccepted", _back_to_good("unaccepted")),
    "suppression": ("a suppression list", Reason.SUPPRESSED, "suppressed", _back_to_good("suppressed")),
    "buyer-list": ("a buyer's list", Reason.SOLD_PAST_SUPPRESSION, "skipped", _back_to_good("skipped")),
    "no-demand": ("that no buyer wants the lead", Reason.UNMATCHED, "unmatched", _back_to_good("unmatched")),
    "no-buyer": ("that no buyer wants the lead", Reason.NO_BUYER, "unmatched", _back_to_good("unmatched")),
    "duplicate": ("that the person was here", Reason.DUPLICATE, "", _somebody_new("phone", "mobile", "email")),
}
"""What is ignored: in words, the reason otherwise given, the variant that brings it about, the change of the lead."""


def _half_blind() -> Iterator[Mutant]:
    """Yield mutants that know a person by one field alone, where two count."""
    for platform, invariant, operations, fields in (
        ("pingtree", "INV-NAMESAKES", ("form",), ("mobile", "email")),
        ("leaddistro", "INV-SAME-CONTACT", ("ping", "ingest"), ("phone", "email")),
    ):
        for operation in operations:
            for field in fields:
                name, says = f"{invariant}/{operation}/{field}", f"{operation} does not compare the {field}"
                yield mutant(name, "rule", platform, operation, says, (invariant,), changing(_somebody_new(field)))


_INVARIANTS = {
    ("PT-POST", "area"): ("INV-POST-RULES",),
    ("LD-PING", "accepted-values"): ("INV-ACCEPTABLE-VALUES",),
    ("LD-ING", "accepted-values"): ("INV-ACCEPTABLE-VALUES",),
}


def _variants(platform: str) -> set[str]:
    senders = document()["accounts"][platform].values()
    return {name for item in senders for name in item.get("variants", {})}


def _rerouted() -> Iterator[Mutant]:
    """Yield mutants that serve one sender as if it were another, which no rule stops."""
    for name, says, breaks, role in (
        ("PT/no-source-cap", "a source's cap is not kept", ("INV-SOURCE-CAP",), "capped"),
        ("PT/no-hours", "a source's hours are not kept", ("INV-HOURS",), "hours"),
        ("PT/demand-for-all", "a ping that nobody wants is accepted", ("PT-PING-201-REJECT",), "nobody"),
        ("PT/always-sold", "a post that is refused is sold", ("PT-POST-201-UNSOLD", "PT-FORM-201-UNSOLD"), "unsold"),
        ("PT/no-dedupe", "nobody is a duplicate", _DUPLICATES, "dedupe"),
    ):
        yield Mutant(name, "rule", "pingtree", says, breaks, _as_main(role))
    linked = _campaign({"unlinked"})
    for name, says, breaks, change in (
        ("LD/no-buyer-cap", "a buyer's cap is not kept", ("INV-BUYER-CAP",), _campaign({"capped"})),
        ("LD/any-supplier", "a supplier is linked to every campaign", ("LD-PING-403", "LD-ING-403-FORBIDDEN"), linked),
        ("LD/any-campaign", "every campaign id exists", ("LD-PING-404", "LD-ING-404-CAMPAIGN"), _unknown_campaign),
        ("LD/test-counts", "test leads use up caps", ("INV-TEST-MODE",), _live),
    ):
        yield Mutant(name, "rule", "leaddistro", says, breaks, _sent_as("leaddistro", change))


_DUPLICATES = ("PT-POST-201-DUPLICATE", "PT-FORM-201-DUPLICATE", "INV-DEDUPE-WINDOW")


def _as_main(role: str) -> Made:
    """Serve a Pingtree source as the main one: its path and, where its own credential is right, its credential."""

    def change(scene: Scene, operation: Operation, sent: Sent) -> Sent:
        known = accounts(scene, "pingtree")
        if sender(scene, "pingtree", sent, operation).role != role:
            return sent
        path = sent.path.replace(known[role].name, known["main"].name)
        own, main = (credential(known[item], operation) for item in (role, "main"))
        right = sent.header(own[0]) == own[1]
        return replace(sent.with_header(*main) if right else sent, path=path)

    return _sent_as("pingtree", change)


def _sent_as(platform: str, change: Callable[[Scene, Operation, Sent], Sent]) -> Made:
    def made(scene: Scene) -> Tampering:
        def tamper(sent: Sent, ask: Ask) -> Got:
            operation = operation_of(sent, platform)
            return ask(change(scene, operation, sent) if operation else sent)

        return tamper

    return made


def _campaign(roles: set[str]) -> Callable[[Scene, Operation, Sent], Sent]:
    """Send what is for a role's campaign to the main account's."""

    def change(scene: Scene, _operation: Operation, sent: Sent) -> Sent:
        known, values = accounts(scene, "leaddistro"), values_of(sent)
        if values.get("flo_campaign_id") not in {known[role].lead["flo_campaign_id"] for role in roles}:
            return sent
        return with_values(sent, {**values, "flo_campaign_id": known["main"].lead["flo_campaign_id"]})

    return change


def _unknown_campaign(scene: Scene, _operation: Operation, sent: Sent) -> Sent:
    known, values = accounts(scene, "leaddistro"), values_of(sent)
    there = {account.lead.get("flo_campaign_id") for account in known.values()}
    if values.get("flo_campaign_id") in {None, *there}:
        return sent
    return with_values(sent, {**values, "flo_campaign_id": known["main"].lead["flo_campaign_id"]})


def _live(scene: Scene, operation: Operation, sent: Sent) -> Sent:
    """Send a test supplier's lead as the main supplier's."""
    known, values = accounts(scene, "leaddistro"), values_of(sent)
    if values.get("flo_supplier_id") != known["test"].id:
        return sent
    live = with_values(sent, {**values, "flo_supplier_id": known["main"].id})
    return live.with_header(*credential(known["main"], operation))


def _unasked() -> Iterator[Mutant]:
    """Yield mutants that remember a person for ever: no window ends."""
    for platform, field, answer, breaks in (
        ("pingtree", "mobile", "PT-FORM-201-DUPLICATE", "INV-DEDUPE-WINDOW"),
        ("leaddistro", "phone", "LD-ING-200-DUPLICATE", "INV-DUPLICATE-WINDOW"),
    ):
        says = "a person is a duplicate for ever"
        yield Mutant(f"{breaks}/for-ever", "rule", platform, says, (breaks,), _for_ever(field, answer))


def _for_ever(field: str, row_id: str) -> Made:
    def made(scene: Scene) -> Tampering:
        seen: set[str] = set()

        def tamper(sent: Sent, ask: Ask) -> Got:
            got, person = ask(sent), str(values_of(sent).get(field, ""))
            again = person in seen and got.status == 201
            seen.add(person)
            return scene.samples[row_id] if again else got

        return tamper

    return made
