"""Reads `targets/*.toml`: a server of somebody's own, or a vendor's test account. Secrets come from the environment."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import ValidationError

from conformance.case import Lever
from conformance.target import Account, Budget, Ground, Target, Variant, World, contract_of, words_under

REQUESTS = 1000
PER_SECOND = 1.0
"""How much and how fast a server is asked when its file does not say: vendors' accounts are to be treated gently."""


class TargetFileError(ValueError):
    """A target file is wrong, or a variable that it names is not set. One line."""


_TEXTS = {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}
_VARIANT = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"set": {"type": "object"}, "drop": {"type": "array", "items": {"type": "string"}}},
}
_ACCOUNT = {
    "type": "object",
    "required": ["credentials"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "credentials": _TEXTS,
        "lead": {"type": "object"},
        "variants": {"type": "object", "additionalProperties": _VARIANT},
        "arguments": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_PLATFORM = {
    "type": "object",
    "required": ["accounts"],
    "additionalProperties": False,
    "properties": {
        "readings": {"type": "object"},
        "accounts": {"type": "object", "required": ["main"], "additionalProperties": _ACCOUNT},
    },
}
_BUDGET = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "requests": {"type": "integer", "minimum": 1},
        "per_second": {"type": "number", "exclusiveMinimum": 0},
    },
}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["base_url", "platforms"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "base_url": {"type": "string", "pattern": "^https?://[^/ ]+"},
        "levers": {"type": "array", "items": {"enum": [lever.value for lever in Lever]}},
        "judge_ours": {"type": "boolean"},
        "baseline": {"type": "string"},
        "budget": _BUDGET,
        "platforms": {"type": "object", "minProperties": 1, "additionalProperties": _PLATFORM},
    },
}


def load(path: Path, environment: Mapping[str, str]) -> Target:
    """Read a target file. Raises TargetFileError, OSError."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TargetFileError(f"{path}: {error}") from error
    for fault in Draft202012Validator(SCHEMA).iter_errors(document):
        raise TargetFileError(f"{path}: {fault.json_path}: {fault.message}")
    return _target(path, document, environment)


def _target(path: Path, document: Mapping[str, Any], environment: Mapping[str, str]) -> Target:
    secrets: dict[str, str] = {}
    grounds = {name: _ground(path, name, entry, environment, secrets) for name, entry in document["platforms"].items()}
    levers = {Lever(word) for word in document.get("levers", ())}
    if any("second" in ground.accounts for ground in grounds.values()):
        levers.add(Lever.SECOND_ACCOUNT)
    budget = document.get("budget", {})
    baseline = document.get("baseline", "")
    return Target(
        name=document.get("name", path.stem),
        base_url=document["base_url"].rstrip("/"),
        levers=frozenset(levers),
        judges_ours=document.get("judge_ours", False),
        worlds=(World("target", "", grounds),),
        budget=Budget(budget.get("requests", REQUESTS), budget.get("per_second", PER_SECOND)),
        baseline=str(path.parent / baseline) if baseline else "",
        secrets=secrets,
    )


def _ground(
    path: Path, platform: str, entry: Mapping[str, Any], environment: Mapping[str, str], secrets: dict[str, str]
) -> Ground:
    try:
        contract = contract_of(platform)
        words = words_under(contract, entry.get("readings", {}))
    except LookupError as error:
        raise TargetFileError(f"{path}: platforms: {error.args[0]}") from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise TargetFileError(f"{path}: platforms.{platform}.readings.{place}: {fault['msg']}") from error
    accounts = {role: _account(path, role, item, environment, secrets) for role, item in entry["accounts"].items()}
    return Ground(contract, words, accounts)


def _account(
    path: Path, role: str, entry: Mapping[str, Any], environment: Mapping[str, str], secrets: dict[str, str]
) -> Account:
    credentials = {}
    for kind, variable in entry["credentials"].items():
        value = environment.get(variable, "")
        if not value:
            raise TargetFileError(f"{path}: account {role}: the environment variable {variable} is not set")
        credentials[kind] = value
        secrets[value] = variable
    variants = {
        name: Variant(item.get("set", {}), tuple(item.get("drop", ())))
        for name, item in entry.get("variants", {}).items()
    }
    name = entry.get("name", "") or entry.get("id", "")
    own = {"source_unique_id": name} | entry.get("arguments", {})
    return Account(role, entry.get("id", name), name, credentials, entry.get("lead", {}), variants, own)
