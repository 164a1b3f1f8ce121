"""`/__sandbox/requests`, `metrics`: what happened, why, and how often. Nothing is recorded here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from flask import Blueprint, Response, request
from pydantic import Field, model_validator

from simulator.contract.model import ANY_OPERATION, Contract
from simulator.events import Hub
from simulator.explaining import explain, text
from simulator.journal import (
    EvictedError,
    EvidenceGoneError,
    Filter,
    FilterError,
    Readable,
    Requests,
    UnknownRequestError,
    Vocabulary,
    parsed,
)
from simulator.recording import shorts
from simulator.routing.agreed import Terms
from simulator.tenants import Tenant, Tenants
from simulator.web.control import PREFIX
from simulator.web.problems import Body, ProblemError, as_json, body_of, tenant_of, whole_number

_NOT_FILTERS = frozenset({"tenant", "limit", "after"})


class Bounds(Body):
    """How many there must be: a number, or an object with at least one of the two."""

    at_least: int | None = Field(None, ge=0)
    at_most: int | None = Field(None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _exactly(cls, value: Any) -> Any:
        exact = isinstance(value, int) and not isinstance(value, bool)
        return {"at_least": value, "at_most": value} if exact else value

    @model_validator(mode="after")
    def _bounds_something(self) -> Bounds:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give a number, at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least is more than at_most, so no count would do")
        return self

    def holds(self, count: int) -> bool:
        return (self.at_least or 0) <= count and (self.at_most is None or count <= self.at_most)

    def decided_by_at_least(self, count: int) -> bool | None:
        """Say what `count` or more requests make of it; None when it depends on how many more."""
        if self.at_most is not None and count > self.at_most:
            return False
        return True if self.at_most is None and self.holds(count) else None


class Verification(Body):
    """What must be true of the journal."""

    filter: dict[str, Any] = Field(default_factory=dict)
    count: Bounds


def blueprint(
    tenants: Tenants, journals: Readable, measured: Callable[[], bytes], contracts: Mapping[str, Contract], hub: Hub
) -> Blueprint:
    observation = Blueprint("observation", __name__)
    words = vocabulary(contracts)
    _add_counting(observation, tenants, journals, words)

    @observation.get(f"{PREFIX}/requests")
    def listed() -> Response:
        journal = journals.of(tenant_of(tenants).id)
        wanted = chosen(words, *_NOT_FILTERS)
        try:
            page = journal.select(wanted, whole_number("limit", 100), request.args.get("after", ""))
        except UnknownRequestError as error:
            raise ProblemError(400, "Bad request", f"after: no request has the id {str(error)[:80]!r}") from None
        return as_json({"requests": shorts(page.requests), "next": page.next or None, "journal": journal.size()})

    @observation.get(f"{PREFIX}/requests/<request_id>")
    def explanation_of(request_id: str) -> Response:
        _, entry, explanation = explained(tenants, journals, contracts, request_id)
        return as_json(entry | {"explanation": explanation, "text": text(entry, explanation)})

    @observation.delete(f"{PREFIX}/requests")
    def clear() -> Response:
        tenant = tenant_of(tenants)
        journals.of(tenant.id).clear()
        hub.publish("state", tenant.id, lambda: {"reset": ["journal"]})
        return Response(status=204)

    @observation.get(f"{PREFIX}/metrics")
    def metrics() -> Response:
        from simulator.metrics.exposition import CONTENT_TYPE  # noqa: PLC0415  heavy: no start should wait for it

        return Response(measured(), content_type=CONTENT_TYPE)

    return observation


def _add_counting(observation: Blueprint, tenants: Tenants, journals: Readable, words: Vocabulary) -> None:
    @observation.get(f"{PREFIX}/requests/count")
    def count() -> Response:
        tenant = tenant_of(tenants)
        return as_json({"count": _count(journals.of(tenant.id), chosen(words, "tenant")), "exact": True})

    @observation.post(f"{PREFIX}/requests/verify")
    def verify() -> Response:
        journal = journals.of(tenant_of(tenants).id)
        wanted = body_of(Verification)
        actual = _verified(journal, wanted.count, _readable(wanted.filter, words))
        return as_json({"verified": True, "expected": _expected(wanted.count), "actual": actual})


def explained(
    tenants: Tenants, journals: Readable, contracts: Mapping[str, Contract], request_id: str
) -> tuple[Tenant, dict[str, Any], dict[str, Any]]:
    """Return a request with the tenant that keeps it and its explanation. Raises ProblemError 404 or 410."""
    tenant = _tenant_keeping(tenants, journals, request_id)
    entry = _entry(journals.of(tenant.id), request_id)
    return tenant, entry, explain(entry, _buyers(tenant, contracts, entry))


def vocabulary(contracts: Mapping[str, Contract]) -> Vocabulary:
    operations = {item.name for contract in contracts.values() for item in contract.operations}
    rows = {row.id for contract in contracts.values() for row in contract.rows}
    return Vocabulary(frozenset(contracts), frozenset({*operations, ANY_OPERATION}), frozenset(rows))


def chosen(words: Vocabulary, *others: str) -> Filter:
    return _readable({name: value for name, value in request.args.items() if name not in others}, words)


def _readable(parameters: Mapping[str, Any], words: Vocabulary) -> Filter:
    try:
        return parsed(parameters, words)
    except FilterError as error:
        raise ProblemError(400, "Bad request", str(error), errors=error.problems) from None


def _count(journal: Requests, wanted: Filter) -> int:
    try:
        return journal.count(wanted)
    except EvidenceGoneError as error:
        raise _evidence_gone(error) from None


def _evidence_gone(error: EvidenceGoneError, **more: Any) -> ProblemError:
    detail = (
        f"Evidence was evicted: {error}; at least {error.kept} match. The counters that outlive eviction know only "
        "platform, operation, source, row and http. Count by these, or give the journal more room "
        "(--journal-entries, --journal-bytes)"
    )
    return ProblemError(409, "Evidence was evicted", detail, at_least=error.kept, evicted=error.evicted, **more)


def _verified(journal: Requests, bounds: Bounds, wanted: Filter) -> int | dict[str, int]:
    """Return how many there are. Raises ProblemError when that is not as expected, or can't be known any more."""
    try:
        actual = journal.count(wanted)
    except EvidenceGoneError as error:
        decided = bounds.decided_by_at_least(error.kept)
        if decided is None:
            raise _evidence_gone(error, expected=_expected(bounds)) from None
        if decided:
            return {"at_least": error.kept}
        raise _unexpected(journal, bounds, wanted, {"at_least": error.kept}) from None
    if not bounds.holds(actual):
        raise _unexpected(journal, bounds, wanted, actual)
    return actual


def _unexpected(journal: Requests, bounds: Bounds, wanted: Filter, actual: int | dict[str, int]) -> ProblemError:
    expected = _expected(bounds)
    detail = f"Expected {_worded(expected)} requests, there were {_worded(actual)}"
    seen = journal.by_row(Filter(platform=wanted.platform, operation=wanted.operation, source=wanted.source))
    return ProblemError(422, "Not verified", detail, verified=False, expected=expected, actual=actual, rows_seen=seen)


def _expected(bounds: Bounds) -> int | dict[str, int]:
    if bounds.at_least == bounds.at_most and bounds.at_least is not None:
        return bounds.at_least
    return bounds.model_dump(exclude_none=True)


def _worded(count: int | dict[str, int]) -> str:
    if isinstance(count, int):
        return str(count)
    return " and ".join(f"{name.replace('_', ' ')} {value}" for name, value in count.items())


def _tenant_keeping(tenants: Tenants, journals: Readable, request_id: str) -> Tenant:
    """Return the tenant that was named; without one, the tenant whose journal gave the id."""
    name = None if "tenant" in request.args else journals.keeping(request_id)
    return (tenants.get(name) if name else None) or tenant_of(tenants)


def _entry(journal: Requests, request_id: str) -> dict[str, Any]:
    try:
        return journal.find(request_id)
    except EvictedError:
        detail = f"{request_id} was evicted from the journal or cleared; its counters remain unless they were cleared"
        raise ProblemError(410, "Gone", detail) from None
    except UnknownRequestError:
        raise ProblemError(404, "Not found", f"No request has the id {request_id[:80]!r}") from None


def _buyers(tenant: Tenant, contracts: Mapping[str, Contract], entry: Mapping[str, Any]) -> list[str]:
    """Return the buyers of the request's campaign as it is configured now."""
    account = tenant.accounts[entry["platform"]]
    sources = [item for item in account.sources.values() if item.id == entry["source_id"]]
    for source in sources:
        terms = source.terms.get(entry["campaign_id"])
        found = terms or contracts[entry["platform"]].admission.terms_for(account, source, _values(entry))
        if isinstance(found, Terms):
            return [buyer.id for buyer in found.buyers]
    return []


def _values(entry: Mapping[str, Any]) -> dict[str, Any]:
    body = entry["request"]["body"]
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return dict(parse_qsl(body))
    return found if isinstance(found, dict) else {}
