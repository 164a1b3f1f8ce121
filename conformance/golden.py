"""The golden list: every row id and every required key of every answer, written down a second time.

A table that is read alone only agrees with itself. Whoever drops a row or a required key has to drop it here as well:
`python -m conformance.golden` prints the list as it would be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import click

from simulator.contract.model import Contract
from simulator.platforms import CONTRACTS

REQUEST = "request"

List = Mapping[str, Mapping[str, Any]]


def written() -> List:
    """Return the list as it is kept: platform to `rows` (id to "operation HTTP code") and `required` (to pointers)."""
    found: List = json.loads(files("conformance").joinpath("golden.json").read_text("utf-8"))
    return found


def current(contracts: Mapping[str, Contract]) -> List:
    """Return the list as the contracts make it."""
    return {name: {"rows": _rows(contract), "required": _required(contract)} for name, contract in contracts.items()}


def differences(contracts: Mapping[str, Contract], golden: List | None = None) -> tuple[str, ...]:
    """Return one line for each difference between the contracts and the list."""
    kept, made = golden or written(), current(contracts)
    found: list[str] = []
    for platform in sorted({*kept, *made}):
        for part in ("rows", "required"):
            old, new = kept.get(platform, {}).get(part, {}), made.get(platform, {}).get(part, {})
            found += [
                f"{platform} {part} {key}: the golden list has {old.get(key)}, the contract {new.get(key)}"
                for key in sorted({*old, *new})
                if old.get(key) != new.get(key)
            ]
    return tuple(found)


def _rows(contract: Contract) -> dict[str, str]:
    return {row.id: f"{row.operation} {row.http} {row.code}" for row in contract.rows}


def _required(contract: Contract) -> dict[str, list[str]]:
    return {
        key: sorted(required_keys(schema))
        for schemas in contract.schemas.values()
        for key, schema in schemas.items()
        if key != REQUEST
    }


def required_keys(schema: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """Yield a pointer for each required key of a schema, at any depth; `*` stands for every item of a list."""
    for key in schema.get("required", ()):
        yield f"{place}/{key}"
    for key, inner in schema.get("properties", {}).items():
        yield from required_keys(inner, f"{place}/{key}")
    for part in ("items", "additionalProperties"):
        inner = schema.get(part)
        if isinstance(inner, Mapping):
            yield from required_keys(inner, f"{place}/*")


if __name__ == "__main__":
    click.echo(json.dumps(current(CONTRACTS), indent=1, sort_keys=True))
