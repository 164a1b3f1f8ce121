"""Clock, faults and tenants: the controls of the sandbox as forms, each beside its curl."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from simulator.contract.model import ANY_OPERATION
from simulator.tenants import DEFAULT, Tenant
from simulator.triggers.table import behaviours
from simulator.web.dashboard.frame import UI, Frame
from simulator.web.dashboard.parts import Parts

TENANTS = 200
SCOPES = ("leads", "pings", "caps", "deliveries", "journal", "faults", "clock")
STEPS = ("5 min", "31 min", "1 h", "1 day", "30 days")


def add(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    @pages.get(f"{UI}/steering")
    def steering() -> Response:
        tenant = parts.tenant()
        every = list(parts.tenants)
        return frame.page(
            "steering.html.jinja",
            "steering",
            "Clock, faults, tenants",
            armed=tenant.faults.armed(tenant.clock.now()),
            triggers=_triggers(parts),
            contracts=parts.contracts,
            operations=_operations(parts),
            sources=_sources(tenant),
            steps=STEPS,
            scopes=SCOPES,
            snapshots=parts.tenancy.snapshots(tenant),
            every=every[:TENANTS],
            many=len(every),
            default=DEFAULT,
            reload=parts.health().get("sandbox_file"),
            kept=parts.journals.of(tenant.id).size(),
        )


def _triggers(parts: Parts) -> list[dict[str, Any]]:
    """Return the words that a fault may have, those that a person wants first."""
    told = [
        {"word": f"{item.name}={item.example}" if item.example else item.name, "meaning": item.meaning}
        for item in behaviours().values()
    ]
    rows = [
        {"word": row.id, "meaning": f"{row.http}: {row.meaning}"}
        for contract in parts.contracts.values()
        for row in contract.rows
        if row.operation != ANY_OPERATION
    ]
    return told + rows


def _operations(parts: Parts) -> list[str]:
    names = (item.name for contract in parts.contracts.values() for item in contract.operations)
    return list(dict.fromkeys(names))


def _sources(tenant: Tenant) -> list[str]:
    found = (source.id for account in tenant.accounts.values() for source in account.sources.values())
    return list(dict.fromkeys(found))
