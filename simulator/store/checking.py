"""Whether a store contradicts itself: every rule, asked of one moment's state. Nothing is written."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, union

from simulator.store import contradictions, recount
from simulator.store.database import Database, place_of
from simulator.store.notes import PARTED
from simulator.store.records import Scope
from simulator.store.recount import Found
from simulator.store.tables import (
    SNAPSHOT,
    attempts,
    caps,
    credentials,
    events,
    leads,
    meta,
    outbox,
    persons,
    pings,
    redeemed,
    snapshots,
    tenants,
    turns,
)

_COUNTED = (leads, persons, pings, redeemed, caps, turns, outbox, attempts, events)
_OWNED = (*_COUNTED, credentials)
_WORDS = {
    Scope.PINGS: "pings and ping tokens",
    Scope.CAPS: "caps and turns",
    Scope.DELIVERIES: "deliveries",
    Scope.LEADS: "leads",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, what contradicts what, and what could not be compared. One line each, with ids."""

    place: str
    rows: Mapping[str, int]
    contradictions: tuple[str, ...]
    notes: tuple[str, ...]


def check(target: str | os.PathLike[str], always: Collection[str] = ()) -> Report:
    """Recompute everything that follows from something else; others may be writing meanwhile.

    `always` are tenants that are there without having been saved. Raises StoreError when it cannot be read.
    """
    place = os.fspath(target)
    with Database.seen(place) as connection:
        parted = _parted(connection)
        sums = recount.taken(connection)
        found = [
            *_damaged(connection),
            *_strangers(connection, always),
            *_broken(connection, parted, sums),
            *_recounted(connection, parted, sums),
        ]
        rows = {table.name: _count(connection, table.name) for table in _COUNTED}
    said = tuple(f"tenant {tenant}: {what}" if tenant else what for tenant, what in found)
    return Report(place_of(place), rows, said, tuple(_notes(parted, sums)))


def _count(connection: Connection, name: str) -> int:
    table = next(table for table in _COUNTED if table.name == name)
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _parted(connection: Connection) -> dict[str, frozenset[Scope]]:
    noted = connection.execute(select(meta.c.key, meta.c.value).where(meta.c.key.startswith(PARTED)))
    return {
        key.removeprefix(PARTED): frozenset(Scope(name) for name in value.split(",") if name) for key, value in noted
    }


def _damaged(connection: Connection) -> Iterator[Found]:
    """Ask SQLite whether the file itself is whole."""
    if connection.dialect.name == "sqlite":
        for (said,) in connection.exec_driver_sql("PRAGMA quick_check"):
            if said != "ok":
                yield "", f"the file is damaged: {said}"


def _strangers(connection: Connection, always: Collection[str]) -> Iterator[Found]:
    """Return what belongs to tenants and snapshots that are not there."""
    saved = set(connection.execute(select(tenants.c.id)).scalars()) | set(always)
    taken = {(row.tenant, row.name) for row in connection.execute(select(snapshots.c.tenant, snapshots.c.name))}
    for tenant, name in sorted(taken):
        if tenant not in saved:
            yield tenant, f"there is a snapshot {name} of a tenant that is not there"
    known = saved | {f"{SNAPSHOT}{tenant}/{name}" for tenant, name in taken}
    named = connection.execute(union(*(select(table.c.tenant) for table in _OWNED))).scalars()
    for name in sorted(set(named) - known):
        yield name, "there are rows of it, and no such tenant or snapshot"


def _broken(connection: Connection, parted: Mapping[str, frozenset[Scope]], sums: recount.Taken) -> Iterator[Found]:
    nobodys = contradictions.PERSON_OF_NOBODY
    for row in contradictions.breaking(connection, nobodys):
        if (row["tenant"], row["lead_id"]) not in sums.held_leads:
            yield row["tenant"], nobodys.says.format(**row)
    for rule in contradictions.RULES:
        for row in contradictions.breaking(connection, rule):
            if rule.parted not in parted.get(row["tenant"], frozenset()):
                yield row["tenant"], rule.says.format(**row)


def _recounted(connection: Connection, parted: Mapping[str, frozenset[Scope]], sums: recount.Taken) -> Iterator[Found]:
    compared = [
        *sums.found,
        *((Scope.CAPS, found) for found in recount.caps_apart(connection, sums)),
        *((Scope.CAPS, found) for found in recount.turns_apart(connection, sums)),
        *((Scope.PINGS, found) for found in recount.tokens_apart(connection, sums)),
        *((Scope.PINGS, found) for found in recount.sales_apart(connection)),
    ]
    for scope, (tenant, said) in compared:
        if scope not in parted.get(tenant, frozenset()):
            yield tenant, said


def _notes(parted: Mapping[str, frozenset[Scope]], sums: recount.Taken) -> Iterator[str]:
    for tenant, scopes in sorted(parted.items()):
        what = ", ".join(_WORDS[scope] for scope in sorted(scopes))
        yield f"tenant {tenant}: a reset emptied only leads, or only {what}; these were not compared with each other"
    for tenant in sorted(sums.unknown):
        yield f"tenant {tenant}: leads of an older release do not say what they took; counters may count more"
