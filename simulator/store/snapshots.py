"""Copies of all that a tenant has, inside the database. What the clock and the dice say is the caller's document.

The rows of a snapshot lie in the same tables under a namespace that no tenant can have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, Text, bindparam, cast, delete, insert, select
from sqlalchemy.sql.elements import ColumnElement

from simulator.routing.values import value
from simulator.store import encoding, notes
from simulator.store.connection import Connection, Statement
from simulator.store.pings import release_unsettled
from simulator.store.tables import (
    SNAPSHOT,
    attempts,
    caps,
    credentials,
    events,
    leads,
    outbox,
    persons,
    pings,
    redeemed,
    snapshots,
    turns,
)

MOST = 20  # snapshots of one tenant
LONGEST_NAME = 100

_COPIED = (leads, persons, events, pings, redeemed, caps, turns, credentials, outbox)
_NUMBERED = {leads.name: leads.c.number, outbox.name: outbox.c.id}
_AT_WORK = frozenset({pings.c.owner, outbox.c.sender})  # nobody is at work on a copy


class TooManySnapshotsError(ValueError):
    """The tenant has as many snapshots as it may have."""


@value(frozen=True, slots=True)
class Snapshot:
    """A snapshot that was taken. `document` is the caller's: where clock and dice stood."""

    name: str
    document: Mapping[str, Any]


_SOURCE: ColumnElement[str] = bindparam("tenant", type_=Text)
_TARGET = cast(bindparam("target"), Text)


def _copy(table: Table) -> Statement:
    number = _NUMBERED.get(table.name)
    left_out = _AT_WORK | {number, table.c.tenant}
    copied = [column for column in table.c if column not in left_out]
    rows = select(_TARGET, *copied).where(table.c.tenant == _SOURCE)
    # New numbers are given in the order of the old ones.
    ordered = rows if number is None else rows.order_by(number)
    return Statement(insert(table).from_select(["tenant", *(column.name for column in copied)], ordered))


_COPY = tuple(_copy(table) for table in _COPIED)
_NUMBERS = Statement(select(outbox.c.id).where(outbox.c.tenant == _SOURCE).order_by(outbox.c.id))
_TRIED = [attempts.c[name] for name in ("delivery_id", "n", "at", "http_status", "latency_ms", "error")]
_TRIED_AFTER = [column.name for column in _TRIED[1:]]
_ATTEMPTS = Statement(select(*_TRIED).where(attempts.c.tenant == _SOURCE).order_by(attempts.c.id))
_ATTEMPT = Statement(
    insert(attempts).values({name: bindparam(name) for name in ("tenant", *(column.name for column in _TRIED))})
)
# Attempts before the deliveries that they point to.
_EMPTY = tuple(
    Statement(delete(table).where(table.c.tenant == bindparam("tenant"))) for table in (attempts, *reversed(_COPIED))
)
_THIS = (snapshots.c.tenant == bindparam("tenant")) & (snapshots.c.name == bindparam("name"))
_NOTE = Statement(
    lambda insert: (
        insert(snapshots)
        .values(tenant=bindparam("tenant"), name=bindparam("name"), document_json=bindparam("document_json"))
        .on_conflict_do_update(
            index_elements=[snapshots.c.tenant, snapshots.c.name],
            set_={"document_json": bindparam("document_json")},
        )
    )
)
_FIND = Statement(select(snapshots.c.document_json).where(_THIS))
_LIST = Statement(
    select(snapshots.c.name, snapshots.c.document_json)
    .where(snapshots.c.tenant == bindparam("tenant"))
    .order_by(snapshots.c.name)
)
_DROP = Statement(delete(snapshots).where(_THIS))


def take_snapshot(connection: Connection, tenant: str, name: str, document: Mapping[str, Any]) -> None:
    """Copy all that the tenant has, in place of an older snapshot of that name.

    Sales in flight are given back in the copy, as nobody will finish them there. Raises ValueError for a name
    that is empty or longer than 100 characters, TooManySnapshotsError for the 21st.
    """
    if not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"the name of a snapshot has 1 to {LONGEST_NAME} characters")
    known = {each.name for each in snapshots_of(connection, tenant)}
    if name not in known and len(known) >= MOST:
        raise TooManySnapshotsError(f"a tenant has at most {MOST} snapshots: delete one first")
    kept_under = _namespace(tenant, name)
    _replace(connection, tenant, kept_under)
    release_unsettled(connection, kept_under)
    connection.change(_NOTE, tenant=tenant, name=name, document_json=encoding.text(document))


def restore_snapshot(connection: Connection, tenant: str, name: str) -> Snapshot | None:
    """Give the tenant what the snapshot holds, credentials too, in place of all that it has.

    The snapshot stays. Deliveries have new numbers afterwards. Returns None, and changes nothing, when there
    is no such snapshot.
    """
    found = connection.row(_FIND, tenant=tenant, name=name)
    if found is None:
        return None
    _replace(connection, _namespace(tenant, name), tenant)
    return Snapshot(name, encoding.parsed(found[0]))


def snapshots_of(connection: Connection, tenant: str) -> list[Snapshot]:
    """Return the snapshots of a tenant, by name."""
    found = connection.rows(_LIST, tenant=tenant)
    return [Snapshot(name, encoding.parsed(document)) for name, document in found]


def delete_snapshot(connection: Connection, tenant: str, name: str) -> bool:
    """Return whether there was such a snapshot."""
    _empty(connection, _namespace(tenant, name))
    return connection.change(_DROP, tenant=tenant, name=name) == 1


def _namespace(tenant: str, name: str) -> str:
    return f"{SNAPSHOT}{tenant}/{name}"


def _replace(connection: Connection, source: str, target: str) -> None:
    _empty(connection, target)
    for statement in _COPY:
        connection.change(statement, tenant=source, target=target)
    _copy_attempts(connection, source, target)
    notes.set_parted(connection, target, notes.parted(connection, source))


def _copy_attempts(connection: Connection, source: str, target: str) -> None:
    """Give each attempt to the copy of its delivery: the first of the old ones is the first of the new ones."""
    old, new = (connection.rows(_NUMBERS, tenant=tenant) for tenant in (source, target))
    copy_of = {before: after for (before,), (after,) in zip(old, new, strict=True)}
    for number, *tried in connection.rows(_ATTEMPTS, tenant=source):
        values = dict(zip(_TRIED_AFTER, tried, strict=True))
        connection.change(_ATTEMPT, tenant=target, delivery_id=copy_of[number], **values)


def _empty(connection: Connection, tenant: str) -> None:
    for statement in _EMPTY:
        connection.change(statement, tenant=tenant)
    notes.set_parted(connection, tenant, frozenset())
