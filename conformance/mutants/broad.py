"""Mutants that are wrong everywhere at once, and those that read bodies and credentials in another way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from conformance.mutants.lenient import rows_that_answer
from conformance.mutants.model import Ask, Got, Made, Mutant, Scene, Sent, Tampering
from conformance.mutants.recognising import accounts, has_twin, is_really, is_row, operation_of, rows, sender, values_of
from conformance.mutants.repairing import Repair, credential, mutant, platform_of
from simulator.contract.model import Contract, Operation, Row
from simulator.platforms import CONTRACTS
from simulator.routing.decision import Reason

_FORM = "form-urlencoded"


def mutants() -> Iterator[Mutant]:
    for contract in CONTRACTS.values():
        for operation in contract.operations:
            yield _always_200(contract, operation)
            yield from _cheats(contract, operation)
    yield from _encodings()
    yield from _headers()
    yield from _forgiving()


def _always_200(contract: Contract, operation: Operation) -> Mutant:
    """Return the mutant that answers every refusal with 200."""
    refusals = tuple(row.id for row in contract.rows_of(operation.name) if row.http >= 400)
    name, says = f"{operation.prefix}/always-200", f"{operation.name} answers 200 whatever happened"

    def tamper(sent: Sent, ask: Ask) -> Got:
        got, asked = ask(sent), operation_of(sent, contract.platform)
        return replace(got, status=200) if asked is operation and got.status >= 400 else got

    return Mutant(name, "always-200", contract.platform, says, refusals, lambda _scene: tamper)


def _cheats(contract: Contract, operation: Operation) -> Iterator[Mutant]:
    """Yield the answer-key cheat: the operation's first documented answer, in the place of each other row's."""
    first, *others = contract.rows_of(operation.name)
    for row in others:
        says = f"{row.id}: answered with {first.id}, whatever was asked"
        yield Mutant(f"{row.id}/cheat", "cheat", contract.platform, says, (row.id,), _cheating(first, row))


def _cheating(first: Row, row: Row) -> Made:
    def made(scene: Scene) -> Tampering:
        def tamper(sent: Sent, ask: Ask) -> Got:
            got = ask(sent)
            meant = is_row(row, sent, got) and (not has_twin(row) or is_really(row, got, ask))
            return scene.samples[first.id] if meant else got

        return tamper

    return made


def _encodings() -> Iterator[Mutant]:
    """Yield mutants that take form-encoded bodies where they must not, and refuse them where they must."""
    for platform, operation, strict, lax in (
        ("pingtree", "ping", "INV-PING-JSON", "INV-PING-ENCODED"),
        ("pingtree", "post", "INV-PING-JSON", "INV-PING-ENCODED"),
        ("pingtree", "form", "INV-FORM-STRICT", "PT-FORM-201-ACCEPTED"),
        ("leaddistro", "ping", "INV-JSON-ONLY", "INV-FORM-ENCODED"),
        ("leaddistro", "ingest", "INV-JSON-ONLY", "INV-FORM-ENCODED"),
    ):
        says = f"{operation} takes form-encoded bodies where it must not"
        name = f"{platform}-{operation}"
        yield mutant(f"{strict}/{name}/encoded", "encoding", platform, operation, says, (strict,), _as_json)
        says = f"{operation} refuses form-encoded bodies where it must not"
        yield mutant(f"{lax}/{name}/json-only", "encoding", platform, operation, says, (lax,), _as_text)
    says = "form refuses GET where it must not"
    yield mutant("INV-FORM-BY-GET/refused", "encoding", "pingtree", "form", says, ("INV-FORM-BY-GET",), _put_for_get)


def _as_json(_scene: Scene, _operation: Operation, sent: Sent) -> Sent:
    if _FORM not in sent.header("Content-Type"):
        return sent
    values = {name: _typed(value) if name in _TYPED else value for name, value in values_of(sent).items()}
    return replace(sent, body=json.dumps(values).encode()).with_header("Content-Type", "application/json")


_TYPED = frozenset({"loan_amount", "home_owner", "age"})


def _typed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _as_text(_scene: Scene, _operation: Operation, sent: Sent) -> Sent:
    return sent.with_header("Content-Type", "text/plain") if _FORM in sent.header("Content-Type") else sent


def _put_for_get(_scene: Scene, _operation: Operation, sent: Sent) -> Sent:
    return replace(sent, method="PUT") if sent.method == "GET" else sent


def _headers() -> Iterator[Mutant]:
    """Yield mutants that find a credential where it is none: bare, or in another header."""
    for contract in CONTRACTS.values():
        for operation in contract.operations:
            invariant = {"PT-PING": "INV-BEARER", "LD-PING": "INV-KEY-HEADER", "LD-ING": "INV-KEY-HEADER"}
            if operation.prefix in invariant:
                says = f"{operation.name} accepts a credential in whatever header"
                name = f"{operation.prefix}/credential/anywhere"
                breaks = (invariant[operation.prefix],)
                yield mutant(name, "credential", contract.platform, operation.name, says, breaks, _anywhere)


def _anywhere(scene: Scene, operation: Operation, sent: Sent) -> Sent:
    name, value = credential(sender(scene, platform_of(operation), sent, operation), operation)
    secret = value.rpartition(" ")[2]
    return sent.with_header(name, value) if any(secret in given for _, given in sent.headers) else sent


def _forgiving() -> Iterator[Mutant]:
    """Yield mutants that keep the usual reading where another one is in force."""
    refused = _instead("LD-ING-200-UNMATCHED", "LD-ING-422-SUPPRESS", _is_suppressed)
    name, says = "INV-SILENT-SKIP", "a list refuses the lead"
    yield Mutant(f"{name}/refused", "reading", "leaddistro", says, (name,), refused)
    unforgiven = _instead("LD-ING-201-ACCEPTED", "LD-ING-PING-INVALID", _with_token)
    name, says = "INV-TOKEN-FORGIVEN", "a bad ping_id is refused"
    yield Mutant(f"{name}/refused", "reading", "leaddistro", says, (name,), unforgiven)
    objects = _instead("LD-ING-422-FILTER", "LD-ING-422-FILTER", _is_named)
    name, says = "INV-FILTER-NAMES", "filter_errors are objects"
    yield Mutant(f"{name}/objects", "reading", "leaddistro", says, (name,), objects)
    name, says = "INV-RETRY-AFTER", "the body says how long to wait"
    yield Mutant(f"{name}/in-body", "reading", "leaddistro", says, (name,), lambda _scene: _waiting)
    says = "generation 1 is answered as generation 2"
    yield Mutant("INV-GENERATION-1/nested", "reading", "pingtree", says, ("INV-GENERATION-1",), _nested)
    says = "the buyer is not named"
    yield Mutant(
        "INV-BUYER-NAMED/nameless", "reading", "pingtree", says, ("INV-BUYER-NAMED",), lambda _scene: _nameless
    )


def _is_suppressed(scene: Scene, sent: Sent) -> bool:
    account = accounts(scene, "leaddistro")["suppressed"]
    return bool(values_of(sent).get("flo_campaign_id") == account.lead["flo_campaign_id"])


def _is_named(scene: Scene, _sent: Sent) -> bool:
    words = scene.world.grounds["leaddistro"].words if scene.world else {}
    return words.get("filter_errors_shape") == "strings"


def _waiting(sent: Sent, ask: Ask) -> Got:
    got = ask(sent)
    return got.with_json({**got.parsed(), "retry_after": 1}) if got.status == 429 else got


def _with_token(_scene: Scene, sent: Sent) -> bool:
    return "flo_ping_id" in values_of(sent)


def _instead(row_id: str, other: str, when: Any) -> Made:
    def made(scene: Scene) -> Tampering:
        def tamper(sent: Sent, ask: Ask) -> Got:
            got = ask(sent)
            return scene.samples[other] if is_row(rows()[row_id], sent, got) and when(scene, sent) else got

        return tamper

    return made


def _nested(scene: Scene) -> Tampering:
    def tamper(sent: Sent, ask: Ask) -> Got:
        got = ask(sent)
        return scene.samples["PT-PING-201-ACCEPT"] if is_row(rows()["PT-PING-201-ACCEPT"], sent, got) else got

    return tamper


def _nameless(sent: Sent, ask: Ask) -> Got:
    got = ask(sent)
    body = got.parsed()
    if isinstance(body, dict) and isinstance(body.get("data"), dict):
        body["data"].pop("buyer_name", None)
        return got.with_json(body)
    return got


__all__ = ["Reason", "Repair", "mutants", "rows_that_answer"]
