"""The simulators of one store: who lives, what was changed, who has seen it, whose work was left. Only on a server.

A change has a number. Whoever makes one holds the counter's row until its commit, so that numbers are seen in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import BigInteger, Text, bindparam, cast, delete, func, select, text

from simulator.store.connection import Connection, Statement
from simulator.store.dispatch import release_deliveries
from simulator.store.pings import release_orphans
from simulator.store.tables import LOCKS, changes, meta, simulators, tenants

LEASE = 6.0
"""Seconds after which a simulator that was not heard from is dead. It must not serve for as long by itself."""

CHANNEL = "leadsandbox"
_COUNTER = "changes"

_ME = simulators.c.id == bindparam("me")
_EXPIRED = simulators.c.beat < func.now() - text(f"interval '{LEASE} seconds'")
_JOIN = Statement(
    lambda insert: (
        insert(simulators)
        .values(id=bindparam("me"), beat=func.now(), seen=bindparam("seen"))
        .on_conflict_do_update(index_elements=[simulators.c.id], set_={"beat": func.now(), "seen": bindparam("seen")})
    )
)
_LEAVE = Statement(delete(simulators).where(_ME))
_EXPIRE = Statement(delete(simulators).where(_EXPIRED).returning(simulators.c.id))
_SLOWEST = Statement(select(func.min(simulators.c.seen)).where(simulators.c.id != bindparam("me"), ~_EXPIRED))
_NEXT = Statement(
    lambda insert: (
        insert(meta)
        .values(key=_COUNTER, value="1")
        .on_conflict_do_update(
            index_elements=[meta.c.key], set_={"value": cast(cast(meta.c.value, BigInteger) + 1, Text)}
        )
        .returning(meta.c.value)
    )
)
_NEWEST = Statement(select(meta.c.value).where(meta.c.key == _COUNTER))
_NOTE = Statement(
    lambda insert: (
        insert(changes)
        .values(tenant=bindparam("tenant"), version=bindparam("version"))
        .on_conflict_do_update(index_elements=[changes.c.tenant], set_={"version": bindparam("version")})
    )
)
_SINCE = Statement(
    select(changes.c.tenant, changes.c.version).where(changes.c.version > bindparam("seen")).order_by(changes.c.version)
)
# Of tenants that are no more, once every simulator knows.
_PRUNE = Statement(
    delete(changes).where(
        changes.c.version <= select(func.min(simulators.c.seen)).scalar_subquery(),
        changes.c.tenant.not_in(select(tenants.c.id)),
    )
)
_RING = Statement(select(func.pg_notify(CHANNEL, "")))
_KEY = func.hashtextextended(bindparam("name", type_=Text), LOCKS)
_LOCK = Statement(select(func.pg_advisory_lock(_KEY)))
_UNLOCK = Statement(select(func.pg_advisory_unlock(_KEY)))


def join(connection: Connection, seen: int) -> None:
    """Say that this simulator lives and has taken in every change up to `seen`."""
    connection.change(_JOIN, me=connection.simulator, seen=seen)


def leave(connection: Connection) -> None:
    connection.change(_LEAVE, me=connection.simulator)


def bury(connection: Connection) -> list[str]:
    """Forget the simulators that were not heard from, and release what they were at. Returns their ids."""
    dead = [name for (name,) in connection.rows(_EXPIRE)]
    if dead:
        release_work(connection)
    connection.change(_PRUNE)
    return dead


def release_work(connection: Connection) -> None:
    """Release the sales and the deliveries of simulators that are no more."""
    release_orphans(connection)
    release_deliveries(connection)


def changed(connection: Connection, tenant: str) -> int:
    """Note that a tenant was changed, and tell the others when this commits. Returns the change's number."""
    version = int(connection.value(_NEXT))
    connection.change(_NOTE, tenant=tenant, version=version)
    connection.rows(_RING)
    return version


def newest_change(connection: Connection) -> int:
    return int(connection.value(_NEWEST) or 0)


def changes_since(connection: Connection, seen: int) -> list[tuple[str, int]]:
    """Return the tenants that were changed after change number `seen`, with the number of their last change."""
    return [(tenant, version) for tenant, version in connection.rows(_SINCE, seen=seen)]


def slowest(connection: Connection) -> int | None:
    """Return the number up to which all other living simulators have taken changes in; None when there are none."""
    found = connection.value(_SLOWEST, me=connection.simulator)
    return None if found is None else int(found)


@contextmanager
def alone(connection: Connection, name: str) -> Iterator[None]:
    """Hold a lock that one simulator can have. It goes with the connection, so with its holder's death too."""
    connection.rows(_LOCK, name=name)
    try:
        yield
    finally:
        connection.rows(_UNLOCK, name=name)
