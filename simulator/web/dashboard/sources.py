"""Sources and suppliers: addresses, credentials, what they may send, how fast, and what they sent last."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from flask import Blueprint, Response

from simulator.contract.account import Source
from simulator.contract.model import Contract, Operation, in_force
from simulator.recording import shorts
from simulator.tenants import Tenant
from simulator.web.control import PREFIX
from simulator.web.dashboard.figures import UNLIMITED
from simulator.web.dashboard.frame import UI, Frame, origin
from simulator.web.dashboard.parts import Parts
from simulator.welcome import curl, path_of

RECENT = 5
LOOKED_AT = 500  # of the newest requests: to tell one takes a tenth of a millisecond
WINDOW = 10.0  # seconds in which refusals are counted

Latest = Mapping[tuple[str, str], list[dict[str, Any]]]
Rates = Mapping[tuple[str, str, str], Mapping[str, int]]


def add(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    @pages.get(f"{UI}/sources")
    def sources() -> Response:
        tenant = parts.tenant()
        journal = parts.journals.of(tenant.id)
        seen = rates(list(islice(journal.newest_first(), LOOKED_AT)), time.monotonic())
        latest = journal.latest_of_each(RECENT)
        return frame.page(
            "sources.html.jinja",
            "sources",
            "Sources & suppliers",
            platforms=[_platform(contract, tenant, latest, seen) for contract in parts.contracts.values()],
            formats=("html", "markdown", "schema", "openapi", "curl"),
            specs=f"{PREFIX}/specs",
            window=WINDOW,
        )


def rates(newest: Sequence[Mapping[str, Any]], now: float) -> Rates:
    """Return, by platform, source and operation, what came in the last second (`now`) and was refused in WINDOW.

    `peak` is the most that came in one of WINDOW's seconds, or nobody would see a burst between two looks.
    `now` is monotonic seconds, as the journal's `began`: rate limits are about real load, not sandbox time. Where more
    came in that second than is looked at, the part that is tells the whole.
    """
    came: dict[tuple[str, str, str], Counter[int]] = {}
    refused: Counter[tuple[str, str, str]] = Counter()
    for entry in newest:
        age = now - entry["began"]
        if age <= WINDOW and entry["reason"] not in UNLIMITED:
            key = entry["platform"], entry["source_id"], entry["operation"]
            came.setdefault(key, Counter())[int(age)] += 1
            refused[key] += entry["http"] == 429
    oldest = now - newest[-1]["began"] if len(newest) >= LOOKED_AT else 1.0
    share = min(1.0, max(0.01, oldest))
    return {
        key: {"now": round(seconds[0] / share), "peak": max(seconds.values()), "refused": refused[key]}
        for key, seconds in came.items()
    }


def _platform(contract: Contract, tenant: Tenant, latest: Latest, seen: Rates) -> dict[str, Any]:
    account = tenant.accounts[contract.platform]
    return {
        "contract": contract,
        "sources": [_source(contract, tenant, source, latest, seen) for source in account.sources.values()],
    }


def _source(contract: Contract, tenant: Tenant, source: Source, latest: Latest, seen: Rates) -> dict[str, Any]:
    words = tenant.accounts[contract.platform].words
    return {
        "source": source,
        "named": source.name if source.name not in source.credentials.values() else "",
        "operations": [_operation(contract, item, source, words) for item in contract.operations],
        "credentials": [_credential(contract, source, kind) for kind in source.credentials],
        "gauges": list(_gauges(contract, source, seen)),
        "fields": _fields(source),
        "recent": shorts(latest.get((contract.platform, source.id), [])),
    }


def _operation(contract: Contract, operation: Operation, source: Source, words: Mapping[str, str]) -> dict[str, Any]:
    methods = [name for name, reading in operation.methods.items() if in_force(reading, words)]
    return {
        "name": operation.name,
        "methods": methods,
        "summary": operation.summary,
        "url": origin() + path_of(operation, source).replace("'$TXN'", "$TXN"),
        "takes_lead": operation.takes_lead,
        "credential": operation.credential,
        "curl": curl(origin(), contract, operation, source),
    }


def _credential(contract: Contract, source: Source, kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "value": source.credentials[kind],
        "opens": [item.name for item in contract.operations if item.credential == kind],
        "retired": sum(old.kind == kind for old in source.retired),
    }


def _gauges(contract: Contract, source: Source, seen: Rates) -> Iterator[dict[str, Any]]:
    documented = {item.name: item.limit for item in contract.operations}
    for name, limit in source.limits.items():
        counts = seen.get((contract.platform, source.id, name), {})
        yield {
            "operation": name,
            "rate": limit.rate,
            "burst": limit.burst,
            "seconds": limit.seconds,
            "is_documented": limit == documented.get(name),
            "now": counts.get("now", 0),
            "peak": max(counts.get("peak", 0), counts.get("now", 0)),
            "refused": counts.get("refused", 0),
        }


def _fields(source: Source) -> list[dict[str, Any]]:
    """Return the fields of its own that the source may send, for each campaign."""
    return [
        {
            "campaign": name,
            "ping_required": terms.ping_required,
            "ping_lifetime": terms.ping_lifetime,
            "fields": terms.fields,
        }
        for name, terms in source.terms.items()
    ]
