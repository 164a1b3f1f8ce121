"""What only one lead can have: a person, a share of a cap, a turn, a ping token.

Each is a conditional statement, never a look and then a write. Rows are taken in the order of their keys, so that two
transactions never wait for each other in a ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ClauseElement, ColumnElement, and_, bindparam, case, delete, exists, select, union_all, update

from simulator.routing.decision import CapClaim
from simulator.store.connection import Connection, Statement, Upsert
from simulator.store.database import RacedError
from simulator.store.encoding import micros, moment
from simulator.store.records import Original
from simulator.store.tables import UNSOLD, caps, persons, redeemed, turns

_OF_LEAD = (persons.c.lead_id, persons.c.buyer_id, persons.c.at)


def _typed(column: ColumnElement[Any], name: str = "") -> ColumnElement[Any]:
    return bindparam(name or str(column.key), type_=column.type)


@cache
def _adding(keys: int) -> Statement:
    """Claim those of so many keys that nobody ever had."""
    shared: dict[str, Any] = {column.name: bindparam(column.name) for column in persons.c if column.name != "key"}
    rows = [shared | {"key": bindparam(f"key_{n}")} for n in range(keys)]
    return Statement(lambda insert: insert(persons).values(rows).on_conflict_do_nothing())


def _by_keys(keys: int) -> ColumnElement[bool]:
    return and_(
        persons.c.tenant == bindparam("tenant"),
        persons.c.scope == bindparam("scope"),
        persons.c.key.in_([bindparam(f"key_{n}") for n in range(keys)]),
    )


_ITS_OWN = persons.c.lead_id == bindparam("of_lead")


@cache
def _forsaking(keys: int) -> Statement:
    return Statement(delete(persons).where(_by_keys(keys), _ITS_OWN))


@cache
def _correcting(keys: int) -> Statement:
    return Statement(update(persons).where(_by_keys(keys), _ITS_OWN).values(buyer_id=bindparam("bought_by")))


@cache
def _claiming(keys: int) -> Statement:
    """Claim so many keys at once, unless one of them is somebody's."""
    given = [_typed(persons.c.key, f"key_{n}") for n in range(keys)]
    taken = exists().where(
        persons.c.tenant == bindparam("tenant"),
        persons.c.scope == bindparam("scope"),
        persons.c.key.in_(given),
        persons.c.at > bindparam("cutoff"),
    )
    wanted = union_all(*(select(key.label("key")) for key in given)).subquery("wanted")
    row = (_typed(persons.c.tenant), _typed(persons.c.scope), wanted.c.key, *map(_typed, _OF_LEAD))
    source = select(*row).where(~taken)

    def claim(insert: Upsert) -> ClauseElement:
        claiming = insert(persons).from_select(persons.c, source)
        found: ClauseElement = claiming.on_conflict_do_update(
            index_elements=persons.primary_key,
            set_={column.name: claiming.excluded[column.name] for column in _OF_LEAD},
            where=persons.c.at <= bindparam("cutoff"),
        )
        return found

    return Statement(claim)


@cache
def _finding(keys: int) -> Statement:
    return Statement(
        select(*_OF_LEAD).where(_by_keys(keys), persons.c.at > bindparam("cutoff")).order_by(persons.c.key).limit(1)
    )


_UNSOLD = (persons.c.tenant == bindparam("tenant")) & _ITS_OWN & UNSOLD
_SET_BUYER = Statement(update(persons).where(_UNSOLD).values(buyer_id=bindparam("bought_by")))
_RELEASE = Statement(delete(persons).where(_UNSOLD))

_TAKE = Statement(
    lambda insert: (
        insert(caps)
        .values(
            tenant=bindparam("tenant"),
            scope=bindparam("scope"),
            period=bindparam("period"),
            used=bindparam("amount"),
        )
        .on_conflict_do_update(
            index_elements=[caps.c.tenant, caps.c.scope, caps.c.period],
            set_={"used": caps.c.used + bindparam("amount")},
            where=caps.c.used + bindparam("amount") <= bindparam("limit"),
        )
        .returning(caps.c.used)
    )
)
_THIS_CAP = (
    (caps.c.tenant == bindparam("tenant"))
    & (caps.c.scope == bindparam("scope"))
    & (caps.c.period == bindparam("period"))
)
# A reset may have emptied the cap while the sale was in flight: it never falls below nothing.
_GIVE_BACK = Statement(
    update(caps)
    .where(_THIS_CAP)
    .values(
        used=case((caps.c.used > bindparam("amount"), caps.c.used - bindparam("amount")), else_=0),
    )
)
_USED = Statement(select(caps.c.used).where(_THIS_CAP))
_ALL_USED = Statement(
    select(caps.c.scope, caps.c.period, caps.c.used)
    .where(caps.c.tenant == bindparam("tenant"))
    .order_by(caps.c.scope, caps.c.period)
)

_NEXT_TURN = Statement(
    lambda insert: (
        insert(turns)
        .values(tenant=bindparam("tenant"), campaign_id=bindparam("campaign_id"), n=0)
        .on_conflict_do_update(index_elements=[turns.c.tenant, turns.c.campaign_id], set_={"n": turns.c.n + 1})
        .returning(turns.c.n)
    )
)
_REDEEM = Statement(
    lambda insert: (
        insert(redeemed)
        .values(tenant=bindparam("tenant"), token_id=bindparam("token_id"), at=bindparam("at"))
        .on_conflict_do_nothing(index_elements=[redeemed.c.tenant, redeemed.c.token_id])
        .returning(redeemed.c.token_id)
    )
)


def claim_persons(
    connection: Connection,
    tenant: str,
    scope: str,
    keys: Iterable[str],
    *,
    lead_id: str,
    at: datetime,
    cutoff: datetime,
    buyer_id: str = "",
) -> Original | None:
    """Claim every key for the lead, or none. Returns the lead that has one of them, None on success.

    A key that was claimed at or before `cutoff` may be taken over. `buyer_id` is who will have the lead, if that is
    settled. Raises RacedError where another transaction came in between, which only happens on a server.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return None
    claim = _named(wanted) | {
        "tenant": tenant, "scope": scope, "lead_id": lead_id, "buyer_id": buyer_id, "at": micros(at)
    }  # fmt: skip
    # Mostly nobody had any of them, and this costs half of what the whole condition does.
    added = connection.change(_adding(len(wanted)), **claim)
    if added == len(wanted):
        return None
    if added:
        forsaken = _named(wanted)
        connection.change(_forsaking(len(wanted)), tenant=tenant, scope=scope, of_lead=lead_id, **forsaken)
    claimed = connection.change(_claiming(len(wanted)), **claim, cutoff=micros(cutoff))
    if claimed == len(wanted):
        return None
    original = find_person(connection, tenant, scope, wanted, cutoff)
    if claimed or original is None:
        raise RacedError("a person was claimed and given up at the same time")
    return original


def find_person(
    connection: Connection, tenant: str, scope: str, keys: Iterable[str], cutoff: datetime
) -> Original | None:
    """Return the lead that claimed one of the keys after `cutoff` (the first in key order)."""
    wanted = _named(keys)
    if not wanted:
        return None
    found = connection.row(_finding(len(wanted)), tenant=tenant, scope=scope, cutoff=micros(cutoff), **wanted)
    return None if found is None else Original(found[0], found[1], moment(found[2]))


def set_person_buyer(connection: Connection, tenant: str, lead_id: str, buyer_id: str) -> int:
    """Record who bought the lead on every person that it claimed without a buyer. Returns how many those are."""
    return connection.change(_SET_BUYER, tenant=tenant, of_lead=lead_id, bought_by=buyer_id)


def correct_person_buyer(
    connection: Connection, tenant: str, scope: str, keys: Iterable[str], *, lead_id: str, buyer_id: str
) -> int:
    """Record another buyer on persons that the lead claimed for one. Returns how many those are."""
    named = _named(set(keys))
    return connection.change(
        _correcting(len(named)), tenant=tenant, scope=scope, of_lead=lead_id, bought_by=buyer_id, **named
    )


def release_persons(connection: Connection, tenant: str, lead_id: str) -> int:
    """Give up every person that the lead claimed and nobody bought. Returns how many those were."""
    return connection.change(_RELEASE, tenant=tenant, of_lead=lead_id)


def _named(keys: Iterable[str]) -> dict[str, Any]:
    return {f"key_{n}": key for n, key in enumerate(keys)}


def _in_order(claims: Iterable[CapClaim]) -> list[CapClaim]:
    return sorted(claims, key=lambda claim: (claim.scope, claim.period))


def _take_one(connection: Connection, tenant: str, claim: CapClaim) -> bool:
    # The statement's own condition speaks of a row that is there; the first claim of a period finds none.
    if claim.amount > claim.limit:
        return False
    used = connection.row(
        _TAKE,
        tenant=tenant,
        scope=claim.scope,
        period=claim.period,
        amount=claim.amount,
        limit=claim.limit,
    )
    return used is not None


def take(connection: Connection, tenant: str, claims: Sequence[CapClaim]) -> CapClaim | None:
    """Take every claim, or none. Returns the claim whose cap has no room, None when all were taken."""
    if not claims:
        return None
    with connection.all_or_none(len(claims)) as undo:
        for claim in _in_order(claims):
            if not _take_one(connection, tenant, claim):
                undo()
                return claim
    return None


def give_back(connection: Connection, tenant: str, claims: Iterable[CapClaim]) -> None:
    for claim in _in_order(claims):
        connection.change(_GIVE_BACK, tenant=tenant, scope=claim.scope, period=claim.period, amount=claim.amount)


def usage(
    connection: Connection, tenant: str, scopes_and_periods: Iterable[tuple[str, str]]
) -> Mapping[tuple[str, str], int]:
    """Return what was taken of each (scope, period), 0 where nothing was."""
    return {
        (scope, period): connection.value(_USED, tenant=tenant, scope=scope, period=period) or 0
        for scope, period in scopes_and_periods
    }


def all_usage(connection: Connection, tenant: str) -> Mapping[tuple[str, str], int]:
    """Return what was taken of every (scope, period) that the tenant ever took from."""
    return {(scope, period): used for scope, period, used in connection.rows(_ALL_USED, tenant=tenant)}


def next_turn(connection: Connection, tenant: str, campaign_id: str) -> int:
    """Return 0, 1, 2 … : each number once per campaign."""
    return int(connection.value(_NEXT_TURN, tenant=tenant, campaign_id=campaign_id))


def redeem(connection: Connection, tenant: str, token_id: str, at: datetime) -> bool:
    """Use up a ping token. Returns False when it was used before."""
    return connection.row(_REDEEM, tenant=tenant, token_id=token_id, at=micros(at)) is not None
