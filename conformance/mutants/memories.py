"""Mutants that keep no books of pings: posts without one, late ones, used ones, another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.mutants.lenient import rows_that_answer
from conformance.mutants.model import Ask, Got, Made, Mutant, Scene, Sent, Tampering
from conformance.mutants.recognising import (
    accounts,
    has_twin,
    is_really,
    is_row,
    name_in,
    operation_of,
    rows,
    values_of,
)
from conformance.mutants.repairing import credential, good_lead, with_values
from simulator.contract.model import Operation
from simulator.platforms import CONTRACTS
from simulator.routing.decision import Reason

_TOKENS = {
    "expired": ("an expired ping_id", Reason.PING_EXPIRED),
    "mismatch": ("a ping_id of another campaign or supplier", Reason.PING_MISMATCH),
    "used": ("a ping_id a second time", Reason.PING_USED),
    "required": ("a lead without a ping_id on a ping-post campaign", Reason.PING_MISSING),
    "invalid": ("a ping_id that nobody signed", Reason.PING_INVALID),
}
_POSTS = {
    "missing": ("a post without a transaction id", ("PT-POST-400-MISSING",)),
    "unknown": ("a post without a ping", ("PT-POST-400-RULE",)),
    "rejected": ("a post of a rejected ping", ("PT-POST-400-RULE",)),
    "foreign": ("a post of another source's ping", ("INV-FOREIGN-PING",)),
    "used": ("a second post of one ping", ("INV-ONE-SALE",)),
    "expired": ("a post of an expired ping", ("INV-PING-EXPIRES",)),
}
_INVARIANTS = {"expired": ("INV-TOKEN-LIFETIME",), "used": ("INV-TOKEN-ONCE",)}
_REFUSALS = ("PT-POST-400-RULE", "PT-POST-400-MISSING")


def mutants() -> Iterator[Mutant]:
    for fate, (what, breaks) in _POSTS.items():
        yield Mutant(f"PT-POST/{fate}", "memory", "pingtree", f"post accepts {what}", breaks, _posts(fate))
    contract = CONTRACTS["leaddistro"]
    ingest = next(item for item in contract.operations if item.name == "ingest")
    for code, (what, reason) in _TOKENS.items():
        refused = rows_that_answer(contract, ingest, reason) + _INVARIANTS.get(code, ())
        yield Mutant(f"LD-ING/token/{code}", "memory", "leaddistro", f"ingest accepts {what}", refused, _ingests(code))
    for operation, broken in (("form", "PT-FORM-400-REPEATED"), ("ping", "INV-TRANSACTION-ONCE")):
        says = f"{operation} accepts a transaction id a second time"
        yield Mutant(f"{broken}/accepted", "memory", "pingtree", says, (broken,), _anew(operation))
    says = "a repeated post gets another answer"
    yield Mutant("INV-REPLAYED/changed", "memory", "pingtree", says, ("INV-REPLAYED",), _changing_its_mind)
    yield from _identities()


@dataclass
class Books:
    """What a mutant saw of Pingtree's pings: whose each was, which were rejected, which were posted."""

    owner: dict[str, str] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    posted: set[str] = field(default_factory=set)

    def note(self, operation: Operation, sent: Sent, got: Got) -> None:
        document = got.parsed() or {}
        inner = document.get("data", document)
        transaction_id = str(inner.get("transaction_id", ""))
        if got.status != 201:
            return
        if operation.name == "ping":
            self.owner[transaction_id] = name_in(sent, operation)
            if "amount" not in inner:
                self.rejected.add(transaction_id)
        else:
            self.posted.add(transaction_id)

    def fate(self, name: str, transaction_id: str) -> str:
        """Return why a post of this source is refused, as far as the books say."""
        if not transaction_id:
            return "missing"
        if transaction_id not in self.owner:
            return "unknown"
        if self.owner[transaction_id] != name:
            return "foreign"
        if transaction_id in self.rejected:
            return "rejected"
        return "used" if transaction_id in self.posted else "expired"


def _posts(fate: str) -> Made:
    """Accept refused posts of one fate: ping anew for the main source and post that."""

    def made(scene: Scene) -> Tampering:
        books = Books()

        def tamper(sent: Sent, ask: Ask) -> Got:
            got, operation = ask(sent), operation_of(sent, "pingtree")
            if operation is None:
                return got
            wanted = str(values_of(sent).get("transaction_id", ""))
            refused = operation.name == "post" and any(is_row(rows()[row_id], sent, got) for row_id in _REFUSALS)
            if refused and books.fate(name_in(sent, operation), wanted) == fate:
                return _sold_after_all(scene, sent, ask, wanted)
            books.note(operation, sent, got)
            return got

        return tamper

    return made


def _sold_after_all(scene: Scene, sent: Sent, ask: Ask, wanted: str) -> Got:
    main = accounts(scene, "pingtree")["main"]
    ping, post = (item for item in CONTRACTS["pingtree"].operations if item.name in {"ping", "post"})
    pinged = ask(_request(scene, main.name, ping, {}))
    inner = (pinged.parsed() or {}).get("data", {})
    sold = ask(_request(scene, main.name, post, values_of(sent) | {"transaction_id": inner.get("transaction_id")}))
    document = sold.parsed() or {}
    if isinstance(document.get("data"), dict):
        document["data"]["transaction_id"] = wanted
    return sold.with_json(document)


def _request(scene: Scene, name: str, operation: Operation, values: dict[str, Any]) -> Sent:
    """Return a good request of the main source, with these values in the place of its own."""
    main = accounts(scene, "pingtree")["main"]
    lead = good_lead(scene, main) | values
    if operation.name == "ping":
        lead = dict(main.lead)
    path = operation.path.partition("<")[0] + name
    blank = Sent("POST", path, (("Content-Type", "application/json"),))
    return with_values(blank.with_header(*credential(main, operation)), lead)


def _ingests(code: str) -> Made:
    """Accept leads that are refused for their ping_id: fetch a new one for them."""

    def made(_scene: Scene) -> Tampering:
        def tamper(sent: Sent, ask: Ask) -> Got:
            got, operation = ask(sent), operation_of(sent, "leaddistro")
            errors = (got.parsed() or {}).get("field_errors") or [{}]
            about = (errors[0].get("field"), errors[0].get("code"))
            if operation is None or operation.name != "ingest" or about != ("flo_ping_id", code):
                return got
            values = values_of(sent)
            pinged = ask(replace(_without_token(sent), path="/api/v1/ping"))
            token = (pinged.parsed() or {}).get("ping_id")
            return ask(with_values(sent, {**values, "flo_ping_id": token}))

        return tamper

    return made


def _without_token(sent: Sent) -> Sent:
    return with_values(sent, {name: value for name, value in values_of(sent).items() if name != "flo_ping_id"})


def _anew(operation: str) -> Made:
    """Forget which transaction ids were used: a repeated one is made a new one."""

    def made(scene: Scene) -> Tampering:
        seen: set[str] = set()

        def tamper(sent: Sent, ask: Ask) -> Got:
            asked, values = operation_of(sent, "pingtree"), values_of(sent)
            given = str(values.get("transaction_id", ""))
            if asked is None or asked.name != operation or not given:
                return ask(sent)
            again = given in seen
            seen.add(given)
            return ask(with_values(sent, {**values, "transaction_id": scene.people.fresh_id()})) if again else ask(sent)

        return tamper

    return made


def _changing_its_mind(_scene: Scene) -> Tampering:
    seen: set[bytes] = set()

    def tamper(sent: Sent, ask: Ask) -> Got:
        got, operation = ask(sent), operation_of(sent, "pingtree")
        again = operation is not None and operation.name == "post" and got.body in seen
        seen.add(got.body)
        return replace(got, body=got.body + b" ") if again else got

    return tamper


def _identities() -> Iterator[Mutant]:
    """Yield mutants that answer under another id than they were asked under."""
    for row_id, *more in (
        ("PT-PING-201-ACCEPT",),
        ("PT-POST-201-ACCEPTED", "INV-PING-THEN-POST"),
        ("PT-POST-201-DUPLICATE",),
        ("PT-POST-201-UNSOLD",),
    ):
        says = f"{row_id}: another transaction id than was sent"
        breaks = (row_id, *more)
        yield Mutant(f"{row_id}/other-id", "memory", "pingtree", says, breaks, _under(row_id, "transaction_id"))
    for row_id, key in (
        ("LD-ING-201-ACCEPTED", "campaign_id"),
        ("LD-ING-200-UNMATCHED", "campaign_id"),
        ("LD-ING-201-DUP-ROUTED", "buyer_id"),
        ("LD-ING-2XX-SUPPRESS-SKIP", "buyer_id"),
    ):
        says = f"{row_id}: another {key}"
        yield Mutant(f"{row_id}/other-{key}", "memory", "leaddistro", says, (row_id,), _under(row_id, key))


def _under(row_id: str, key: str) -> Made:
    """Answer under another id, always a different one."""

    def made(scene: Scene) -> Tampering:
        def tamper(sent: Sent, ask: Ask) -> Got:
            got = ask(sent)
            row = rows()[row_id]
            if not is_row(row, sent, got) or (has_twin(row) and not is_really(row, got, ask)):
                return got
            document = got.parsed()
            document.get("data", document)[key] = scene.people.fresh_id()
            return got.with_json(document)

        return tamper

    return made
