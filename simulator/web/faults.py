"""`/__sandbox/faults` and `/__sandbox/triggers`: arm, list and disarm; what can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response
from pydantic import Field

from simulator.contract.model import ANY_OPERATION, Contract
from simulator.events import Hub
from simulator.tenants import Tenants
from simulator.triggers.arming import Armed, Scope, TooManyFaultsError
from simulator.triggers.table import Trigger, Words, aliases, behaviours
from simulator.web.control import PREFIX
from simulator.web.problems import Body, ProblemError, as_json, body_of, tenant_of


class Fault(Body):
    """What to arm: a trigger word, for whom, how often, how long (sandbox seconds)."""

    trigger: str = Field(max_length=100)
    platform: str = ""
    operation: str = ""
    source: str = ""
    count: int | None = Field(None, ge=1, le=1_000_000)
    probability: float = Field(1.0, gt=0, le=1)
    seed: int | None = None
    ttl_seconds: float | None = Field(None, gt=0, le=366 * 86_400)


def blueprint(tenants: Tenants, contracts: Mapping[str, Contract], hub: Hub) -> Blueprint:
    faults = Blueprint("faults", __name__)
    _add_arming(faults, tenants, contracts, hub)
    _add_disarming(faults, tenants, hub)

    @faults.get(f"{PREFIX}/faults")
    def listed() -> Response:
        tenant = tenant_of(tenants)
        return as_json({"faults": [_shown(item) for item in tenant.faults.armed(tenant.clock.now())]})

    @faults.get(f"{PREFIX}/triggers")
    def table() -> Response:
        return as_json(triggers(contracts))

    return faults


def _add_arming(faults: Blueprint, tenants: Tenants, contracts: Mapping[str, Contract], hub: Hub) -> None:
    words = {name: Words(contract) for name, contract in contracts.items()}

    @faults.post(f"{PREFIX}/faults")
    def arm() -> Response:
        tenant, wanted = tenant_of(tenants), body_of(Fault)
        scope = _scope(wanted, contracts)
        trigger = _understood(wanted, words)
        try:
            armed = tenant.faults.arm(
                trigger,
                scope,
                count=wanted.count,
                probability=wanted.probability,
                seed=wanted.seed,
                ttl=timedelta(seconds=wanted.ttl_seconds) if wanted.ttl_seconds else None,
                now=tenant.clock.now(),
            )
        except TooManyFaultsError as error:
            raise ProblemError(409, "Conflict", str(error)) from None
        hub.publish("fault", tenant.id, lambda: {"armed": _shown(armed)})
        return as_json(_shown(armed), 201)


def _add_disarming(faults: Blueprint, tenants: Tenants, hub: Hub) -> None:
    @faults.delete(f"{PREFIX}/faults")
    def disarm_all() -> Response:
        tenant = tenant_of(tenants)
        gone = tenant.faults.disarm()
        hub.publish("fault", tenant.id, lambda: {"disarmed": "all"})
        return as_json({"disarmed": gone})

    @faults.delete(f"{PREFIX}/faults/<number>")
    def disarm(number: str) -> Response:
        tenant = tenant_of(tenants)
        gone = tenant.faults.disarm(number)
        if not gone:
            raise ProblemError(404, "Not found", f"No fault {number[:50]!r} is armed")
        hub.publish("fault", tenant.id, lambda: {"disarmed": number})
        return as_json({"disarmed": gone})


def _understood(wanted: Fault, words: Mapping[str, Words]) -> Trigger:
    names = [wanted.platform] if wanted.platform else list(words)
    for name in names:
        if trigger := words[name].understand(wanted.trigger):
            return trigger
    raise ProblemError(400, "Bad request", f"{wanted.trigger!r} is no trigger; GET {PREFIX}/triggers lists them")


def _scope(wanted: Fault, contracts: Mapping[str, Contract]) -> Scope:
    if wanted.platform and wanted.platform not in contracts:
        raise ProblemError(400, "Bad request", f"platform must be one of {', '.join(contracts)}")
    meant = [contracts[wanted.platform]] if wanted.platform else list(contracts.values())
    known = {item.name for contract in meant for item in contract.operations}
    if wanted.operation and wanted.operation not in known:
        at = f" of {wanted.platform}" if wanted.platform else ""
        raise ProblemError(400, "Bad request", f"operation{at} must be one of {', '.join(sorted(known))}")
    return Scope(wanted.platform, wanted.operation, wanted.source)


def _shown(item: Armed) -> dict[str, Any]:
    return {
        "id": item.id,
        "trigger": item.trigger.word,
        "platform": item.scope.platform or None,
        "operation": item.scope.operation or None,
        "source": item.scope.source or None,
        "probability": item.probability,
        "fired": item.fired,
        "left": None if item.count is None else item.count - item.fired,
        "until": item.until.isoformat() if item.until else None,
    }


def triggers(contracts: Mapping[str, Contract]) -> dict[str, Any]:
    """Return the table of triggers: rows, behaviours, aliases."""
    return {
        "rows": [
            {"trigger": row.id, "platform": name, "operation": row.operation, "http": row.http, "meaning": row.meaning}
            for name, contract in contracts.items()
            for row in contract.rows
            if row.operation != ANY_OPERATION
        ],
        "behaviours": [
            {"trigger": f"{item.name}={item.example}" if item.example else item.name, "meaning": item.meaning}
            for item in behaviours().values()
        ],
        "aliases": [
            {"field": item.field, "equals": item.equals, "trigger": item.trigger, "meaning": item.meaning}
            for item in aliases()
        ],
    }
