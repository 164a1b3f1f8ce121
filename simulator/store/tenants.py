"""Forgetting and counting what a tenant left. Nothing about one lead."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Table, bindparam, delete, func, select

from simulator.store.connection import Connection, Statement
from simulator.store.records import Scope
from simulator.store.tables import (
    attempts,
    caps,
    credentials,
    leads,
    outbox,
    persons,
    pings,
    redeemed,
    turns,
)

# Attempts before the deliveries that they point to.
_TABLES: Mapping[Scope, tuple[Table, ...]] = {
    Scope.LEADS: (leads, persons),
    Scope.PINGS: (pings, redeemed),
    Scope.CAPS: (caps, turns),
    Scope.DELIVERIES: (attempts, outbox),
}
_EVERY = (*(table for tables in _TABLES.values() for table in tables), credentials)
_DELETE = {
    table.name: Statement(delete(table).where(table.c.tenant == bindparam("tenant"))) for table in _EVERY
}
_COUNT = {
    table.name: Statement(
        select(func.count()).select_from(table).where(table.c.tenant == bindparam("tenant"))
    )
    for table in _EVERY
}


def reset(connection: Connection, tenant: str, scopes: Collection[Scope]) -> dict[str, int]:
    """Empty what the scopes name. Returns how many rows went, per table. Credentials stay."""
    names = [table.name for scope in Scope if scope in scopes for table in _TABLES[scope]]
    return {name: connection.change(_DELETE[name], tenant=tenant) for name in names}


def forget_tenant(connection: Connection, tenant: str) -> dict[str, int]:
    """Delete everything of a tenant. Returns how many rows went, per table."""
    return {name: connection.change(statement, tenant=tenant) for name, statement in _DELETE.items()}


def row_counts(connection: Connection, tenant: str) -> dict[str, int]:
    """Return how many rows a tenant has, per table."""
    return {name: connection.value(statement, tenant=tenant) for name, statement in _COUNT.items()}
