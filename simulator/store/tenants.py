"""Keeping, forgetting and counting what belongs to a tenant. Nothing about one lead."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, not_, select, update

from simulator.store import encoding, notes, snapshots
from simulator.store.connection import Connection, Statement
from simulator.store.faults import remove_faults
from simulator.store.pings import drop_claims, release_unsettled
from simulator.store.records import Scope
from simulator.store.tables import (
    UNSETTLED,
    attempts,
    caps,
    credentials,
    events,
    leads,
    outbox,
    persons,
    pings,
    redeemed,
    turns,
)
from simulator.store.tables import tenants as tenant_table

# Attempts before the deliveries that they point to.
_TABLES: Mapping[Scope, tuple[Table, ...]] = {
    Scope.LEADS: (leads, persons, events),
    Scope.PINGS: (pings, redeemed),
    Scope.CAPS: (caps, turns),
    Scope.DELIVERIES: (attempts, outbox),
}
_EVERY = (*(table for tables in _TABLES.values() for table in tables), credentials)
_DELETE = {table.name: Statement(delete(table).where(table.c.tenant == bindparam("tenant"))) for table in _EVERY}
_DELETE_SETTLED_PINGS = Statement(delete(pings).where(pings.c.tenant == bindparam("tenant"), not_(UNSETTLED)))
_COUNT = {
    str(table.name): Statement(select(func.count()).select_from(table).where(table.c.tenant == bindparam("tenant")))
    for table in _EVERY
}
_SAVE = Statement(
    lambda insert: (
        insert(tenant_table)
        .values(id=bindparam("id"), document_json=bindparam("document_json"))
        .on_conflict_do_update(index_elements=[tenant_table.c.id], set_={"document_json": bindparam("document_json")})
    )
)
_SAVED = Statement(select(tenant_table.c.id, tenant_table.c.document_json).order_by(tenant_table.c.id))
_SAVED_ONE = Statement(select(tenant_table.c.document_json).where(tenant_table.c.id == bindparam("id")))
_KEEP = Statement(
    update(tenant_table).where(tenant_table.c.id == bindparam("of_id")).values(document_json=bindparam("new_json"))
)
_UNSAVE = Statement(delete(tenant_table).where(tenant_table.c.id == bindparam("id")))


def save_tenant(connection: Connection, tenant: str, document: Mapping[str, Any]) -> None:
    """Keep what a tenant is made from, as JSON, in place of what was kept before.

    Raises ValueError for an id that is empty or has a slash: the namespaces of snapshots begin with one.
    """
    if not tenant or "/" in tenant:
        raise ValueError(f"a tenant's id is not empty and has no slash: {tenant!r}")
    connection.change(_SAVE, id=tenant, document_json=encoding.text(document))


def saved_tenants(connection: Connection) -> list[tuple[str, dict[str, Any]]]:
    """Return every tenant that was saved with its document, by id."""
    return [(tenant, encoding.parsed(document)) for tenant, document in connection.rows(_SAVED)]


def saved_tenant(connection: Connection, tenant: str) -> dict[str, Any] | None:
    """Return the document of one tenant; None when it was not saved, or is deleted."""
    found = connection.value(_SAVED_ONE, id=tenant)
    return None if found is None else encoding.parsed(found)


def keep_tenant(connection: Connection, tenant: str, document: Mapping[str, Any]) -> bool:
    """Replace the document of a tenant. Returns False when it is deleted, which it then stays."""
    return connection.change(_KEEP, of_id=tenant, new_json=encoding.text(document)) == 1


def unsave_tenant(connection: Connection, tenant: str) -> None:
    """Delete the document alone: from now on the tenant is no more, whatever is left of it."""
    connection.change(_UNSAVE, id=tenant)


def reset(connection: Connection, tenant: str, scopes: Collection[Scope]) -> dict[str, int]:
    """Empty what the scopes name. Returns how many rows went, per table. Credentials and snapshots stay.

    A sale in flight keeps its ping while leads are kept, and holds nothing of caps that are emptied.
    """
    if Scope.CAPS in scopes:
        drop_claims(connection, tenant)
    elif {Scope.PINGS, Scope.LEADS} <= set(scopes):
        release_unsettled(connection, tenant)
    notes.part(connection, tenant, scopes)
    names = [table.name for scope in Scope if scope in scopes for table in _TABLES[scope]]
    statements = _DELETE if Scope.LEADS in scopes else {**_DELETE, pings.name: _DELETE_SETTLED_PINGS}
    return {name: connection.change(statements[name], tenant=tenant) for name in names}


def forget_tenant(connection: Connection, tenant: str) -> dict[str, int]:
    """Delete everything of a tenant, its snapshots and its document too. Returns how many rows went, per table.

    The rows of a snapshot are not counted; `snapshots` says how many snapshots there were.
    """
    taken = snapshots.snapshots_of(connection, tenant)
    for each in taken:
        snapshots.delete_snapshot(connection, tenant, each.name)
    gone = {name: connection.change(statement, tenant=tenant) for name, statement in _DELETE.items()}
    notes.set_parted(connection, tenant, frozenset())
    remove_faults(connection, tenant)
    return {**gone, "snapshots": len(taken), "tenants": connection.change(_UNSAVE, id=tenant)}


def row_counts(connection: Connection, tenant: str) -> dict[str, int]:
    """Return how many rows a tenant has, per table of its state."""
    return {name: connection.value(statement, tenant=tenant) for name, statement in _COUNT.items()}
