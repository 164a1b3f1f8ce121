"""Pings, and the life of each: remembered, claimed by one post, held while the sale is in flight, settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from simulator.routing.decision import CapClaim
from simulator.store import encoding
from simulator.store.claims import give_back, release_persons
from simulator.store.connection import Connection, Statement
from simulator.store.encoding import micros, moment, optional_moment
from simulator.store.records import PingRecord, PingStored
from simulator.store.tables import UNSETTLED, pings, simulators

_KEY = (pings.c.tenant, pings.c.platform, pings.c.transaction_id)
_SENT = (
    "source_id",
    "campaign_id",
    "at",
    "expires_at",
    "accepted",
    "lead_json",
    "bids_json",
)

_ADD = Statement(
    lambda insert: (
        insert(pings)
        .values(
            {column.name: bindparam(column.name) for column in _KEY}
            | {name: bindparam(name) for name in _SENT}
            | {"revision": 1}
        )
        .on_conflict_do_update(
            index_elements=_KEY,
            set_={name: bindparam(name) for name in _SENT} | {"revision": pings.c.revision + 1},
            where=pings.c.claimed_at.is_(None) & (pings.c.source_id == bindparam("source_id")),
        )
        .returning(pings.c.revision)
    )
)
_THIS = (
    (pings.c.tenant == bindparam("tenant"))
    & (pings.c.platform == bindparam("platform"))
    & (pings.c.transaction_id == bindparam("transaction_id"))
)
_FIND = Statement(select(pings).where(_THIS))
_LIST = Statement(
    select(pings)
    .where(pings.c.tenant == bindparam("tenant"))
    .order_by(pings.c.at.desc(), pings.c.platform, pings.c.transaction_id)
    .limit(bindparam("limit"))
)
_SAME = _THIS & (pings.c.revision == bindparam("seen"))
_MINE: dict[str, Any] = {"claimed_at": bindparam("now"), "owner": bindparam("me")}
_CLAIM = Statement(update(pings).where(_SAME, pings.c.claimed_at.is_(None)).values(_MINE))
_HOLD = Statement(update(pings).where(_SAME, UNSETTLED).values(holding_json=bindparam("held")))
_HELD = Statement(select(pings.c.holding_json).where(_SAME, UNSETTLED).with_for_update())
_SETTLE = Statement(update(pings).where(_SAME, UNSETTLED).values(answer_json=bindparam("answer"), holding_json=None))
_REOPEN = Statement(update(pings).where(_SAME, pings.c.answer_json.is_not(None)).values(_MINE | {"answer_json": None}))
_UNSETTLED = Statement(select(pings).where(UNSETTLED))
_UNSETTLED_OF_ONE = Statement(select(pings).where(UNSETTLED, pings.c.tenant == bindparam("tenant")))

_LEFT = Statement(select(pings).where(_SAME, UNSETTLED, pings.c.owner.is_not_distinct_from(bindparam("me"))))
_ORPHANS = Statement(
    select(pings).where(UNSETTLED, or_(pings.c.owner.is_(None), pings.c.owner.not_in(select(simulators.c.id))))
)


def _record(row: tuple[Any, ...]) -> PingRecord:
    (tenant, platform, transaction_id, source_id, campaign_id, at, expires_at, *rest) = row
    (accepted, lead, bids, revision, held, claimed_at, answer, _) = rest
    claims, lead_id = encoding.holding(held)
    sent = encoding.lead(lead)
    return PingRecord(
        tenant=tenant,
        platform=platform,
        transaction_id=encoding.whole(transaction_id, sent.values.values()),
        source_id=source_id,
        campaign_id=campaign_id,
        at=moment(at),
        expires_at=moment(expires_at),
        accepted=bool(accepted),
        lead=sent,
        bids=encoding.bids(bids),
        revision=revision,
        holding=claims,
        held_lead_id=lead_id,
        claimed_at=optional_moment(claimed_at),
        answer=None if answer is None else encoding.parsed(answer),
    )


def add_ping(connection: Connection, ping: PingRecord) -> PingStored:
    """Remember a ping.

    A transaction id may come again, since the publisher may choose it: the newest ping of the same source
    replaces the older one. A ping that was posted stays as it is, and so does another source's: REFUSED.
    """
    revision = connection.value(
        _ADD,
        tenant=ping.tenant,
        platform=ping.platform,
        transaction_id=encoding.index_key(ping.transaction_id),
        source_id=ping.source_id,
        campaign_id=ping.campaign_id,
        at=micros(ping.at),
        expires_at=micros(ping.expires_at),
        accepted=int(ping.accepted),
        lead_json=encoding.text(ping.lead),
        bids_json=encoding.text(ping.bids),
    )
    if revision is None:
        return PingStored.REFUSED
    return PingStored.NEW if revision == 1 else PingStored.REPLACED


def ping(connection: Connection, tenant: str, platform: str, transaction_id: str) -> PingRecord | None:
    found = connection.row(_FIND, tenant=tenant, platform=platform, transaction_id=encoding.index_key(transaction_id))
    return None if found is None else _record(found)


def pings_of(connection: Connection, tenant: str, *, limit: int = 100) -> list[PingRecord]:
    """Return the newest pings of a tenant, newest first."""
    return [_record(row) for row in connection.rows(_LIST, tenant=tenant, limit=limit)]


def _same(ping: PingRecord) -> dict[str, Any]:
    return {
        "tenant": ping.tenant,
        "platform": ping.platform,
        "transaction_id": encoding.index_key(ping.transaction_id),
        "seen": ping.revision,
    }


def claim_ping(connection: Connection, ping: PingRecord, now: datetime) -> bool:
    """Claim the ping that was read, for one post. Returns False when it was claimed or replaced meanwhile."""
    return connection.change(_CLAIM, **_same(ping), now=micros(now), me=connection.simulator) == 1


def hold(connection: Connection, ping: PingRecord, claims: Sequence[CapClaim], lead_id: str = "") -> bool:
    """Note what the sale in flight has taken: cap claims, and the persons of `lead_id`.

    This takes nothing. It is what `release_unsettled` gives back when the process dies before it settles.
    """
    return connection.change(_HOLD, **_same(ping), held=encoding.held(claims, lead_id)) == 1


def held(connection: Connection, ping: PingRecord) -> tuple[CapClaim, ...]:
    """Return what the sale in flight still holds, and keep it so until the transaction ends.

    A reset may have taken the caps away under it.
    """
    claims, _ = encoding.holding(connection.value(_HELD, **_same(ping)))
    return claims


def drop_claims(connection: Connection, tenant: str) -> None:
    """Forget what every sale in flight holds of caps, since they are emptied now. Its person it keeps."""
    for row in connection.rows(_UNSETTLED_OF_ONE, tenant=tenant):
        each = _record(row)
        hold(connection, each, (), each.held_lead_id)


def settle_ping(connection: Connection, ping: PingRecord, answer: Mapping[str, Any]) -> bool:
    """End the sale: keep what was answered, forget what was held (it is sold, or the caller gave it back)."""
    return connection.change(_SETTLE, **_same(ping), answer=encoding.text(answer)) == 1


def reopen_ping(connection: Connection, ping: PingRecord, now: datetime) -> bool:
    """Put a settled ping in flight again, for one sale more. Returns False when another sale of it is in flight."""
    return connection.change(_REOPEN, **_same(ping), now=micros(now), me=connection.simulator) == 1


def release_unsettled(connection: Connection, tenant: str | None = None) -> int:
    """Give back what sales held that nobody will finish, and settle their pings as abandoned.

    Of one tenant, or of all, at a moment when no sale can be in flight there: `Store.open` of a file calls it,
    and a snapshot does for its copy. Returns how many there were.
    """
    rows = connection.rows(_UNSETTLED) if tenant is None else connection.rows(_UNSETTLED_OF_ONE, tenant=tenant)
    return _released(connection, rows)


def release_orphans(connection: Connection) -> int:
    """Do the same with the sales of simulators that are no more; those of the living go on."""
    return _released(connection, connection.rows(_ORPHANS))


def release_ping(connection: Connection, ping: PingRecord) -> int:
    """Do the same with one sale of this simulator, if it is still in flight. Returns how many there were."""
    return _released(connection, connection.rows(_LEFT, **_same(ping), me=connection.simulator))


def _released(connection: Connection, rows: list[tuple[Any, ...]]) -> int:
    found = [_record(row) for row in rows]
    # Settled first: of two that release at once one gives back.
    released = [each for each in found if settle_ping(connection, each, {"abandoned": True})]
    for each in released:
        give_back(connection, each.tenant, each.holding)
        if each.held_lead_id:
            release_persons(connection, each.tenant, each.held_lead_id)
    return len(released)
