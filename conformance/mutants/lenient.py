"""Mutants that let pass what they should refuse: credentials, methods, fields, filters, lists, duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator

from conformance.mutants.model import Mutant, Scene, Sent
from conformance.mutants.recognising import accounts, sender, values_of
from conformance.mutants.repairing import (
    Repair,
    changing,
    credential,
    good_lead,
    mutant,
    platform_of,
    presented,
    with_values,
)
from conformance.suite_sandbox import document
from conformance.target import Account
from simulator.contract.model import Contract, Journey, Operation
from simulator.platforms import CONTRACTS
from simulator.routing.decision import Reason

_CREDENTIALS = {
    "none": "no credential",
    "wrong": "a credential that nobody has",
    "kind": "a credential of another kind",
    "foreign": "another account's credential",
}
_APART = frozenset({Journey.AUCTION, Journey.REDEEM, Journey.OFFER})  # of these that invariant speaks
_TEXTS = frozenset({"first_name", "last_name", "transaction_id", "flo_ping_id"})
_FREE = frozenset({"type", "description", "minLength"})
_OTHERWISE: Mapping[str, Any] = {
    "age": 40,
    "date_of_birth": "1980-12-31",
    "transaction_id": None,
    "flo_ping_id": None,
}


def mutants() -> Iterator[Mutant]:
    for contract in CONTRACTS.values():
        for operation in contract.operations:
            if operation.credential:
                yield from _credentials(contract, operation)
            yield from _method(contract, operation)
            if operation.takes_lead:
                yield from _fields(contract, operation)


def rows_that_answer(contract: Contract, operation: Operation, *reasons: Reason) -> tuple[str, ...]:
    """Return the ids of the rows of an operation that word one of the reasons, under whatever reading."""
    return tuple(row.id for row in contract.rows_of(operation.name) if set(reasons) & set(row.answers))


def _credentials(contract: Contract, operation: Operation) -> Iterator[Mutant]:
    refused = rows_that_answer(contract, operation, Reason.UNAUTHORIZED)
    foreign = rows_that_answer(contract, operation, Reason.FOREIGN_SUPPLIER) or refused
    several = len({item.credential for item in contract.operations}) > 1
    kinds = ["none", "wrong", *(["kind"] if several else []), *(["foreign"] if several or foreign != refused else [])]
    for kind in kinds:
        apart = ("INV-TOKENS-APART",) if kind == "kind" and operation.journey in _APART else ()
        breaks = foreign if kind == "foreign" else (*refused, *apart)
        name = f"{operation.prefix}/credential/{kind}"
        says = f"{operation.name} accepts {_CREDENTIALS[kind]}"
        yield mutant(name, "credential", contract.platform, operation.name, says, breaks, _accepting(kind))


def _accepting(kind: str) -> Repair:
    def repair(scene: Scene, operation: Operation, sent: Sent) -> Sent:
        if presented(scene, operation, sent) != kind:
            return sent
        return sent.with_header(*credential(sender(scene, platform_of(operation), sent, operation), operation))

    return repair


def _method(contract: Contract, operation: Operation) -> Iterator[Mutant]:
    documented = next(iter(operation.methods))

    def repair(scene: Scene, operation: Operation, sent: Sent) -> Sent:
        if sent.method in operation.methods:
            return sent
        return replace(_with_lead(scene, operation, sent), method=documented)

    breaks = rows_that_answer(contract, operation, Reason.WRONG_METHOD)
    says = f"{operation.name} accepts whatever method"
    name = f"{operation.prefix}/method"
    yield mutant(name, "method", contract.platform, operation.name, says, breaks, repair)


def _with_lead(scene: Scene, operation: Operation, sent: Sent) -> Sent:
    """Return the request with a lead in the place where the documented method wants it."""
    platform = platform_of(operation)
    account = sender(scene, platform, sent, operation)
    values = values_of(sent) or good_lead(scene, account)
    body = with_values(replace(sent, method="POST", headers=()), values).body
    return replace(sent, body=body, path=sent.path.partition("?")[0]).with_header("Content-Type", "application/json")


def _fields(contract: Contract, operation: Operation) -> Iterator[Mutant]:
    """Yield one mutant for each field that is not validated, and one for bodies that cannot be read."""
    request = contract.schemas[operation.name]["request"]
    bad = rows_that_answer(contract, operation, Reason.INVALID_FIELD)
    for field in checked_fields(contract, operation):
        yield _field("format", contract, operation, field, bad, _formatted(request["properties"][field], field))
    missing = rows_that_answer(contract, operation, Reason.MISSING_FIELD)
    for field in (name for name in required_fields(contract, operation) if name not in _OTHERWISE):
        yield _field("missing", contract, operation, field, missing, _given(field))
    says = f"{operation.name} accepts a body that cannot be read"
    name = f"{operation.prefix}/unreadable"
    yield mutant(name, "validation", contract.platform, operation.name, says, bad, _readable)


def checked_fields(contract: Contract, operation: Operation) -> list[str]:
    """Return the fields whose format a page documents: all but the free texts."""
    found = contract.schemas[operation.name]["request"]["properties"]
    return [
        name for name, schema in found.items() if name in _TEXTS or set(schema) - _FREE or schema["type"] != "string"
    ]


def required_fields(contract: Contract, operation: Operation) -> list[str]:
    """Return the fields that the request schema or the suite's own sources require."""
    named = contract.schemas[operation.name]["request"].get("required", ())
    senders = document()["accounts"][contract.platform].values()
    left_out = {name for item in senders for name in item.get("variants", {}).get("missing", {}).get("drop", ())}
    return list(dict.fromkeys((*named, *sorted(left_out))))


def _field(
    kind: str, contract: Contract, operation: Operation, field: str, breaks: tuple[str, ...], repair: Repair
) -> Mutant:
    says = f"{operation.name} accepts a lead " + (
        f"without {field}" if kind == "missing" else f"whose {field} is malformed"
    )
    name = f"{operation.prefix}/{kind}/{field}"
    return mutant(name, "validation", contract.platform, operation.name, says, breaks, repair)


def _formatted(schema: Mapping[str, Any], field: str) -> Repair:
    valid = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)

    def change(scene: Scene, account: Account, values: dict[str, Any]) -> Mapping[str, Any]:
        if field not in values or valid.is_valid(values[field]):
            return {}
        return {field: _good(scene, account, field)}

    return changing(change)


def _given(field: str) -> Repair:
    def change(scene: Scene, account: Account, values: dict[str, Any]) -> Mapping[str, Any]:
        return {} if field in values or not values else {field: _good(scene, account, field)}

    return changing(change)


def _good(scene: Scene, account: Account, field: str) -> Any:
    if field in _OTHERWISE:
        return _OTHERWISE[field]
    return good_lead(scene, account).get(field)


def _readable(scene: Scene, operation: Operation, sent: Sent) -> Sent:
    if values_of(sent) or sent.method == "GET":
        return sent
    account = accounts(scene, platform_of(operation))["main"]
    lead = good_lead(scene, account)
    return with_values(sent.with_header("Content-Type", "application/json"), lead)
