"""What happened to leads after they were answered: each event of each lead, and how often it came."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select

from simulator.store import encoding
from simulator.store.connection import Connection, Statement
from simulator.store.encoding import micros
from simulator.store.records import EventClaimed
from simulator.store.tables import events

_KEY = (events.c.tenant, events.c.platform, events.c.transaction_id, events.c.event_id)

_CLAIM = Statement(
    lambda insert: (
        insert(events)
        .values({column.name: bindparam(column.name) for column in _KEY} | {"at": bindparam("now"), "times": 1})
        .on_conflict_do_update(
            index_elements=_KEY,
            set_={"at": bindparam("now"), "times": events.c.times + 1},
            # Both are decided by the statement itself, or two at once could both be the first.
            where=(events.c.at <= bindparam("cutoff")) & (bindparam("repeats") == 1),
        )
        .returning(events.c.times)
    )
)
_WHEN = Statement(select(events.c.at).where(*(column == bindparam(column.name) for column in _KEY)))


def claim_event(
    connection: Connection,
    tenant: str,
    platform: str,
    transaction_id: str,
    event_id: str,
    *,
    at: datetime,
    cutoff: datetime,
    repeats: bool,
) -> EventClaimed:
    """Let an event happen to a lead: the first time, or again if it `repeats` and came last at or before `cutoff`."""
    named = encoding.index_key(transaction_id)
    key = {"tenant": tenant, "platform": platform, "transaction_id": named, "event_id": event_id}
    before = micros(cutoff)
    if connection.row(_CLAIM, **key, now=micros(at), cutoff=before, repeats=int(repeats)) is not None:
        return EventClaimed.FIRED
    last = connection.value(_WHEN, **key)
    return EventClaimed.LOCKED if last is not None and last > before else EventClaimed.REPEATED
