"""From a request to a call that a journey can work on, or to the decision why not. No buyers, no store."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from simulator.contract import body
from simulator.contract.account import Account, Received, Source
from simulator.contract.model import BodyType, Contract, Operation, in_force
from simulator.contract.specification import REQUIRED, Specification, request_schema
from simulator.exchange.call import Call
from simulator.routing import fields
from simulator.routing.model import Decision, FieldError, Reason, Terms
from simulator.tenants import Tenant


class Reception:
    """Admits requests. Compiled posting specifications are kept for as long as their terms are in use."""

    def __init__(self) -> None:
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
        """Check method, credential, body and fields, in this order."""
        account = tenant.accounts[contract.platform]
        allowed = allowed_methods(operation, account)
        if received.method not in allowed:
            detail = f"Use {' or '.join(allowed)}, not {received.method[:20]}"
            return Decision(Reason.WRONG_METHOD, detail, allow=allowed)
        if refusal := contract.admission.admit(received, source, operation, now):
            return refusal
        assert source is not None  # admit refuses a caller that nobody knows
        found = body.fields_of(received, _allowed_bodies(operation, account))
        if isinstance(found, body.Unreadable):
            return Decision(
                found.reason, found.detail, errors=(FieldError("body", "invalid_format", found.detail),)
            )
        terms = contract.admission.terms_for(account, source, found.values)
        if isinstance(terms, Decision):
            return self._with_all_errors(terms, contract, operation, found.values)
        return self._understood(contract, operation, tenant, source, terms, found, now)

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
        values = prepared(terms, found)
        if errors := specification.errors(values):
            return _invalid(errors, unaccepted=specification.unaccepted(errors))
        account = tenant.accounts[contract.platform]
        lead = contract.normalise(transformed(terms, values))
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


def allowed_methods(operation: Operation, account: Account) -> tuple[str, ...]:
    return tuple(name for name, reading in operation.methods.items() if in_force(reading, account.words))


def _allowed_bodies(operation: Operation, account: Account) -> frozenset[BodyType]:
    return frozenset(kind for kind, reading in operation.bodies.items() if in_force(reading, account.words))


def prepared(terms: Terms, found: body.Fields) -> dict[str, Any]:
    """Drop what was sent empty, and give form values the types that the specification asks for."""
    values = fields.without_blanks(found.values)
    if found.as_text:
        for item in terms.fields:
            if item.name in values:
                values[item.name] = fields.coerce(item, values[item.name])
    return values


def transformed(terms: Terms, values: dict[str, Any]) -> dict[str, Any]:
    changes = {
        item.name: fields.transformed(item, values[item.name])
        for item in terms.fields
        if item.transform and item.name in values
    }
    return {**values, **changes}


def _invalid(errors: tuple[FieldError, ...], *, unaccepted: bool) -> Decision:
    first = errors[0]
    if first.code == REQUIRED:
        return Decision(Reason.MISSING_FIELD, f"Missing required field: {first.field}", errors=errors)
    reason = Reason.UNACCEPTED_VALUE if unaccepted else Reason.INVALID_FIELD
    return Decision(reason, first.message, errors=errors)
