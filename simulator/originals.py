"""What a tenant is made from: the built-in sandbox, a posted one, another tenant's, what was saved. It keeps none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import ValidationError

from simulator.clock import Clock
from simulator.configuration import sandboxes
from simulator.configuration.loading import read
from simulator.configuration.model import Sandbox, findings
from simulator.dice import Dice
from simulator.tenants import Tenant

MOST_ALIKE = 16  # saved sandboxes that are remembered for the next tenant that has one like it

_built_in: list[Sandbox] = []


def built_in() -> Sandbox:
    """Return the built-in sandbox, read once: a tenant per test must cost milliseconds."""
    if not _built_in:
        _built_in.append(sandboxes.load(None)[0])
    return _built_in[0]


def posted(document: Mapping[str, Any]) -> Sandbox:
    """Read a sandbox that came as JSON, which is YAML too. Raises ConfigurationError."""
    return read(orjson.dumps(document).decode(), name="sandbox", model=Sandbox, checks=findings)


@lru_cache(maxsize=MOST_ALIKE)
def _saved(words: bytes) -> Sandbox:
    """Read a sandbox that was sound when it was saved, in a tenth of the time. Raises ConfigurationError, as `posted`.

    Tenants are alike, more often than not, and share what was read.
    """
    try:
        sandbox = Sandbox.model_validate_json(words)
    except ValidationError:  # of a release that allowed it
        return posted(orjson.loads(words))
    return posted(orjson.loads(words)) if any(findings(sandbox)) else sandbox


def copied(tenant: Tenant) -> Sandbox:
    """Return a tenant's sandbox with what it names files for in it: a copy outlives them. Raises ValueError."""
    document = tenant.sandbox.model_dump(mode="json", by_alias=True)
    lists = [item for item in _below(document) if item.get("csv_file")]
    for item in lists:
        if item["csv"]:
            raise ValueError("a suppression list that has both csv and csv_file cannot be copied; make it two lists")
        item["csv"], item["csv_file"] = tenant.read_file(item["csv_file"]), ""
    return posted(document) if lists else tenant.sandbox


def _below(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        yield document
    inside = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    for item in inside:
        yield from _below(item)


def restored(name: str, document: Mapping[str, Any]) -> Tenant:
    """Return a tenant as it was saved."""
    clock, dice = Clock(), Dice()
    clock.restore(document["clock"])
    dice.restore(document["dice"])
    sandbox = _saved(orjson.dumps(document["sandbox"]))
    since = datetime.fromisoformat(document["since"])
    return Tenant(name, sandbox, since, clock, dice, sandboxes.no_files, kept_clock=document["clock"])
