"""Tells which operation a request is for, whose it is, and which row an answer keeps. Changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator

from conformance.mutants.model import Got, Scene, Sent
from conformance.target import Account
from simulator.contract.model import ANY_OPERATION, Contract, Operation, Row
from simulator.platforms import CONTRACTS


def operation_of(sent: Sent, platform: str) -> Operation | None:
    """Return the operation whose path a request has, whatever its method."""
    path = sent.path.partition("?")[0]
    for operation in CONTRACTS[platform].operations:
        if any(_pattern(template).fullmatch(path) for template in (operation.path, *operation.aliases)):
            return operation
    return None


def name_in(sent: Sent, operation: Operation) -> str:
    """Return what a path names in the place of `<…>`, "" when there is no such place."""
    found = _pattern(operation.path).fullmatch(sent.path.partition("?")[0])
    return found[1] if found and found.groups() else ""


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"<[^>]+>", template)
    return re.compile("([^/]+)".join(re.escape(part) for part in parts))


def is_row(row: Row, sent: Sent, got: Got) -> bool:
    """Whether an answer has a row's operation and status and keeps one of its schemas, under whatever reading."""
    platform = _platform(row)
    if got.status != row.http:
        return False
    operation = operation_of(sent, platform.platform)
    if (operation.name if operation else ANY_OPERATION) != row.operation:
        return False
    body = got.parsed()
    return any(validator.is_valid(body) for validator in validators(row.id))


@cache
def _platform(row: Row) -> Contract:
    return next(contract for contract in CONTRACTS.values() if row in contract.rows)


@cache
def rows() -> Mapping[str, Row]:
    """Return every row of every platform by its id."""
    return {row.id: row for contract in CONTRACTS.values() for row in contract.rows}


@cache
def validators(row_id: str) -> tuple[Draft202012Validator, ...]:
    """Return one validator for each schema of a row: the usual one and those of other readings."""
    row = rows()[row_id]
    schemas = _platform(row).schemas[row.operation]
    return tuple(Draft202012Validator(schema) for key, schema in schemas.items() if key.partition("@")[0] == row_id)


def values_of(sent: Sent) -> dict[str, Any]:
    """Return the lead in a request; empty when it cannot be read."""
    if sent.method == "GET" or not sent.body:
        return dict(parse_qsl(sent.path.partition("?")[2], keep_blank_values=True))
    if "form-urlencoded" in sent.header("Content-Type"):
        return dict(parse_qsl(sent.body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        found = json.loads(sent.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def accounts(scene: Scene, platform: str) -> Mapping[str, Account]:
    """Return the senders of the world that is asked, by role."""
    assert scene.world is not None  # set before any mutant is asked
    return scene.world.grounds[platform].accounts


def sender(scene: Scene, platform: str, sent: Sent, operation: Operation) -> Account:
    """Return whom a request says it is from; the main account when it does not say."""
    known = accounts(scene, platform)
    claimed = name_in(sent, operation) or str(values_of(sent).get("flo_supplier_id", ""))
    return next((account for account in known.values() if claimed in {account.name, account.id}), known["main"])
