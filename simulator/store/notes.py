"""Single facts that a sandbox keeps across restarts, by key. Nothing about a lead."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, delete, select

from simulator.store.connection import Connection, Statement
from simulator.store.records import Scope
from simulator.store.tables import meta

PARTED = "parted/"
"""What the key of a tenant's note begins with that says which scopes were emptied without the leads, or kept."""

_REMEMBER = Statement(
    lambda insert: (
        insert(meta)
        .values(key=bindparam("key"), value=bindparam("value"))
        # An update that changes nothing, so that RETURNING has the row that was there first.
        .on_conflict_do_update(index_elements=[meta.c.key], set_={"value": meta.c.value})
        .returning(meta.c.value)
    )
)
_WRITE = Statement(
    lambda insert: (
        insert(meta)
        .values(key=bindparam("key"), value=bindparam("value"))
        .on_conflict_do_update(index_elements=[meta.c.key], set_={"value": bindparam("value")})
    )
)
_READ = Statement(select(meta.c.value).where(meta.c.key == bindparam("key")))
_FORGET = Statement(delete(meta).where(meta.c.key == bindparam("key")))


def remembered(connection: Connection, key: str, value: str) -> str:
    """Return what was noted under the key before; else note `value` and return it."""
    return str(connection.value(_REMEMBER, key=key, value=value))


def parted(connection: Connection, tenant: str) -> frozenset[Scope]:
    """Return the scopes whose rows no longer tell the same story as the leads, since only one of both was emptied."""
    noted = str(connection.value(_READ, key=PARTED + tenant) or "")
    return frozenset(Scope(name) for name in noted.split(",") if name)


def part(connection: Connection, tenant: str, emptied: Collection[Scope]) -> None:
    """Note what a reset parts, and forget what it empties on both sides."""
    others, whole = set(Scope) - {Scope.LEADS}, set(emptied)
    together = {other for other in others if {other, Scope.LEADS} <= whole}
    apart = {other for other in others if len({other, Scope.LEADS} & whole) == 1}
    set_parted(connection, tenant, frozenset((parted(connection, tenant) | apart) - together))


def set_parted(connection: Connection, tenant: str, scopes: frozenset[Scope]) -> None:
    if scopes:
        connection.change(_WRITE, key=PARTED + tenant, value=",".join(sorted(scopes)))
    else:
        connection.change(_FORGET, key=PARTED + tenant)
