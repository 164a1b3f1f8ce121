"""Tells which operation a request is for, whose it is, and which row an answer keeps. Changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator

from conformance.mutants.model import Ask, Got, Scene, Sent
from conformance.target import Account
from simulator.contract.model import ANY_OPERATION, Contract, Operation, Row
from simulator.platforms import CONTRACTS

CONTROL = "/__sandbox"


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


def is_row(row: Row, sent: Sent, got: Got, key: str = "") -> bool:
    """Whether an answer has a row's operation and status and keeps its schema.

    `key` names the schema (`<row id>@<reading>`); without it any of the row's will do.
    """
    platform = _platform(row)
    if got.status != row.http:
        return False
    operation = operation_of(sent, platform.platform)
    if (operation.name if operation else ANY_OPERATION) != row.operation:
        return False
    body = got.parsed()
    return any(validator.is_valid(body) for name, validator in validators(row.id).items() if key in {"", name})


@cache
def has_twin(row: Row) -> bool:
    """Whether another row is answered in the same way, so that the answer alone does not tell which it is."""
    alike = [
        other for other in _platform(row).rows_of(row.operation) if (other.http, other.code) == (row.http, row.code)
    ]
    return len(alike) > 1


def is_really(row: Row, got: Got, ask: Ask) -> bool:
    """Ask the sandbox which row its answer was."""
    request_id = got.header("X-Sandbox-Request-Id")
    told = ask(Sent("GET", f"{CONTROL}/requests/{request_id}", ())).parsed() or {}
    return bool(told.get("row", {}).get("id") == row.id)


@cache
def _platform(row: Row) -> Contract:
    return next(contract for contract in CONTRACTS.values() if row in contract.rows)


@cache
def rows() -> Mapping[str, Row]:
    """Return every row of every platform by its id."""
    return {row.id: row for contract in CONTRACTS.values() for row in contract.rows}


@cache
def validators(row_id: str) -> Mapping[str, Draft202012Validator]:
    """Return one validator for each schema of a row, by its key: the usual one first, then those of other readings."""
    row = rows()[row_id]
    schemas = _platform(row).schemas[row.operation]
    keys = sorted(key for key in schemas if key.partition("@")[0] == row_id)
    return {key: Draft202012Validator(schemas[key]) for key in keys}


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
