"""Posting specifications of a sandbox file, without a running sandbox: who may send what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simulator.clock import Clock
from simulator.configuration import sandboxes
from simulator.configuration.loading import ConfigurationError
from simulator.configuration.model import Sandbox
from simulator.configuration.problems import Problem
from simulator.contract.account import Source
from simulator.contract.model import Contract, Operation
from simulator.contract.specification import request_schema
from simulator.dice import Dice
from simulator.platforms import CONTRACTS
from simulator.routing.model import Terms
from simulator.tenants import DEFAULT, Tenant, Tenants


@dataclass(frozen=True, slots=True)
class PostingSpecification:
    """What one source may send to one operation for one campaign."""

    contract: Contract
    source: Source
    operation: Operation
    terms: Terms
    schema: dict[str, Any]


def checked(path: Path | None) -> list[PostingSpecification]:
    """Read a sandbox file, or the built-in one, and every file that it names; return what its sources may send.

    Raises ConfigurationError with every fault.
    """
    sandbox, read_file = sandboxes.load(path)
    try:
        return specifications(sandbox, read_file)
    except ValueError as error:  # a file that it names is not there, or not what it should be
        said = str(error).removeprefix(f"{path}: ")
        raise ConfigurationError([Problem(str(path), 0, 0, "", said)]) from error


def specifications(sandbox: Sandbox, read_file: Callable[[str], str]) -> list[PostingSpecification]:
    tenant = Tenant(DEFAULT, sandbox, datetime(2026, 1, 1, tzinfo=UTC), Clock(), Dice(0), read_file)
    Tenants("", lambda _: {}).add(tenant)
    return [item for name, contract in CONTRACTS.items() for item in _of(contract, tenant, name)]


def _of(contract: Contract, tenant: Tenant, platform: str) -> Iterator[PostingSpecification]:
    for source in tenant.accounts[platform].sources.values():
        for terms in source.terms.values():
            for operation in filter(lambda item: item.takes_lead, contract.operations):
                schema = request_schema(contract, terms, operation.name)
                yield PostingSpecification(contract, source, operation, terms, schema)


def listing(items: Iterable[PostingSpecification]) -> str:
    """Return one line per source, in the order of the sandbox file."""
    return "\n".join(
        dict.fromkeys(f"{item.contract.platform}  {item.source.id}  {item.terms.campaign_id}" for item in items)
    )


def schemas(items: Iterable[PostingSpecification]) -> str:
    found = {f"{item.terms.campaign_id} {item.operation.name}": item.schema for item in items}
    return json.dumps(found, indent=2)


def markdown(items: Iterable[PostingSpecification]) -> str:
    return "\n\n".join(_page(item) for item in items)


def _page(item: PostingSpecification) -> str:
    path = item.operation.path
    header, _ = item.contract.admission.header(item.source, item.operation) or ("no header", "")
    required = set(item.schema["required"])
    rows = [
        [f"`{name}`", "yes" if name in required else "no", _kind(schema)]
        for name, schema in item.schema["properties"].items()
    ]
    title = f"## {item.contract.title}: {item.operation.name}, {item.source.id} in {item.terms.campaign_id}"
    call = f"`{'|'.join(item.operation.methods)} {path}` with `{header}` ({item.operation.credential})"
    lines = [" | ".join(row) for row in (["field", "required", "value"], ["---"] * 3, *rows)]
    return f"{title}\n\n{call}\n\n" + "\n".join(f"| {line} |" for line in lines)


def _kind(schema: dict[str, Any]) -> str:
    return str(schema.get("description") or schema.get("format") or schema.get("pattern") or schema.get("type", "any"))
