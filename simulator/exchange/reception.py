"""From a request to a call that a journey can work on, or to the decision why not. No buyers, no store."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from simulator.contract import body
from simulator.contract.account import Account, Received, Source
from simulator.contract.model import BodyType, Contract, Operation, in_force
from simulator.contract.specification import REQUIRED, Specification, request_schema
from simulator.exchange.call import Call
from simulator.limits import Limiter, LimiterUnavailableError, retry_after
from simulator.routing import fields
from simulator.routing.agreed import Field, FieldType, Terms
from simulator.routing.decision import Decision, FieldError, Reason
from simulator.routing.values import once
from simulator.tenants import Tenant

_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")

log = logging.getLogger(__name__)


class Reception:
    """Admits requests. Compiled posting specifications are kept for as long as their terms are in use."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._specifications: dict[tuple[int, str], tuple[Terms, Specification]] = {}

    def receive(
        self,
        contract: Contract,
        operation: Operation,
        received: Received,
        tenant: Tenant,
        source: Source | None,
        now: datetime,
    ) -> Call | Decision:
        """Check method, credential, rate limit, body and fields, in this order."""
        account = tenant.accounts[contract.platform]
        allowed, bodies = allowances(operation, account)
        if received.method not in allowed:
            detail = f"Use {' or '.join(allowed)}, not {received.method[:20]}"
            return Decision(Reason.WRONG_METHOD, detail, allow=allowed)
        if refusal := contract.admission.admit(received, source, operation, now):
            return refusal
        assert source is not None  # admit refuses a caller that nobody knows
        if refusal := self._over_limit(tenant, contract, operation, source):
            return refusal
        found = body.fields_of(received, bodies)
        if isinstance(found, body.Unreadable):
            return Decision(found.reason, found.detail, errors=(FieldError("body", "invalid_format", found.detail),))
        if named := _named(operation, received):
            found = replace(found, values=found.values | named)
        terms = _terms(contract, operation, account, source, found.values)
        if isinstance(terms, Decision):
            return self._with_all_errors(terms, contract, operation, found.values)
        understood = self._understood(contract, operation, tenant, source, terms, found, now)
        return replace(understood, origin=_origin(received)) if named and isinstance(understood, Call) else understood

    def _over_limit(self, tenant: Tenant, contract: Contract, operation: Operation, source: Source) -> Decision | None:
        limit = source.limits.get(operation.name)
        if limit is None:
            return None
        try:
            # A space is in none of the names. The campaign is not part of it: the limit is the supplier's.
            wait = self._limiter.ask(f"{tenant.id} {contract.platform} {source.id} {operation.name}", limit)
        except LimiterUnavailableError as error:
            log.error("rate limits cannot be kept: %s", error)  # noqa: TRY400  the line says all
            return Decision(Reason.MAINTENANCE, "The rate limiter is unavailable")
        if not wait:
            return None
        detail = f"{limit.rate} requests a second, bursts of {limit.burst} a second for {limit.seconds} s"
        return Decision(Reason.RATE_LIMITED, detail, retry_after=retry_after(wait))

    def _understood(
        self,
        contract: Contract,
        operation: Operation,
        tenant: Tenant,
        source: Source,
        terms: Terms,
        found: body.Fields,
        now: datetime,
    ) -> Call | Decision:
        specification = self.specification(contract, terms, operation.name)
        # What a transform makes of a value is what must be valid: MM/DD/YYYY with a date formatter is a date.
        values = transformed(terms, prepared(typed(contract, operation, terms), found))
        if errors := specification.errors(values):
            return _invalid(errors, unaccepted=specification.unaccepted(errors))
        account = tenant.accounts[contract.platform]
        lead = contract.normalise(values)
        return Call(tenant, contract, account, operation, source, terms, lead, now)

    def specification(self, contract: Contract, terms: Terms, operation: str) -> Specification:
        key = (id(terms), operation)
        kept = self._specifications.get(key)
        if kept is None or kept[0] is not terms:
            kept = (terms, Specification(request_schema(contract, terms, operation)))
            self._specifications[key] = kept
        return kept[1]

    def forget(self) -> None:
        """Drop what was compiled; terms that are no longer in use would otherwise stay for ever."""
        self._specifications = {}

    def _with_all_errors(
        self, refusal: Decision, contract: Contract, operation: Operation, values: dict[str, Any]
    ) -> Decision:
        """Without a campaign there is no mapping, but the documented fields can still be named all at once."""
        if not refusal.errors:
            return refusal
        documented = Specification(contract.schemas[operation.name]["request"])
        named = {item.field for item in refusal.errors}
        more = documented.errors(fields.without_blanks(values))
        errors = (*refusal.errors, *(item for item in more if item.field not in named))
        return Decision(refusal.reason, refusal.detail, errors=errors)


@cache
def _campaignless(platform: str) -> Terms:
    """Return what a request that is no lead falls under. One object for all, as specifications are kept by it."""
    return Terms(platform, source_id="", campaign_id="")


def _terms(
    contract: Contract, operation: Operation, account: Account, source: Source, values: Mapping[str, Any]
) -> Terms | Decision:
    if operation.takes_lead:
        return contract.admission.terms_for(account, source, values)
    return _campaignless(contract.platform)


def _named(operation: Operation, received: Received) -> dict[str, str]:
    """Return the fields that stand in the path."""
    told = received.arguments
    return {name: told[argument] for argument, name in operation.arguments.items() if argument in told}


def _origin(received: Received) -> str:
    """Return the URL that the caller reached us at, "" when its Host is none."""
    host = received.headers.get("host", "")
    scheme = "https" if received.headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{host}" if _HOST.fullmatch(host) else ""


class Allowances(NamedTuple):
    """What the readings in force let an operation take."""

    methods: tuple[str, ...]
    bodies: frozenset[BodyType]


@once
def _known_allowances(_: Account) -> dict[str, Allowances]:
    return {}


def allowances(operation: Operation, account: Account) -> Allowances:
    known = _known_allowances(account)
    found = known.get(operation.name)
    if found is None:
        words = account.words
        found = known[operation.name] = Allowances(
            tuple(name for name, reading in operation.methods.items() if in_force(reading, words)),
            frozenset(kind for kind, reading in operation.bodies.items() if in_force(reading, words)),
        )
    return found


def typed(contract: Contract, operation: Operation, terms: Terms) -> Iterator[Field]:
    """Return the fields that have a type: the documented ones, then the source's own, which count more."""
    known = frozenset(FieldType)
    for name, schema in contract.schemas[operation.name]["request"]["properties"].items():
        if schema.get("type") in known:
            yield Field(name, FieldType(schema["type"]))
    yield from terms.fields


def prepared(typed_fields: Iterable[Field], found: body.Fields) -> dict[str, Any]:
    """Drop what was sent empty, and give form values the types that the specification asks for."""
    values = fields.without_blanks(found.values)
    if found.as_text:
        types = {item.name: item for item in typed_fields}
        return {name: fields.coerce(types[name], text) if name in types else text for name, text in values.items()}
    return values


def transformed(terms: Terms, values: dict[str, Any]) -> dict[str, Any]:
    """Change the values that have a transform, in place."""
    for item in _changing(terms):
        if item.name in values:
            values[item.name] = fields.transformed(item, values[item.name])
    return values


@once
def _changing(terms: Terms) -> tuple[Field, ...]:
    return tuple(item for item in terms.fields if item.transform)


def _invalid(errors: tuple[FieldError, ...], *, unaccepted: bool) -> Decision:
    first = errors[0]
    if first.code == REQUIRED:
        return Decision(Reason.MISSING_FIELD, f"Missing required field: {first.field}", errors=errors)
    reason = Reason.UNACCEPTED_VALUE if unaccepted else Reason.INVALID_FIELD
    return Decision(reason, first.message, errors=errors)
