"""Webhooks that are to be sent, and every attempt at it. When to try again is decided elsewhere.

A delivery stays pending until an attempt is recorded, so a death between sending and recording sends it twice
and never not at all. Where there are several simulators, each takes what it sends. A receiver is a buyer of a
platform: (platform, buyer id).
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, exists, insert, or_, select, update

from simulator.store import encoding
from simulator.store.connection import Connection, Statement
from simulator.store.encoding import micros, moment, optional_micros, optional_moment
from simulator.store.records import AttemptRecord, DeliveryRecord, DeliveryStatus
from simulator.store.tables import PENDING, SNAPSHOT, attempts, outbox

Receiver = tuple[str, str]

_SENT = (
    "tenant",
    "platform",
    "lead_id",
    "buyer_id",
    "event_id",
    "url",
    "body",
    "headers_json",
    "created_at",
    "due_at",
)
_ADD = Statement(
    insert(outbox).values(
        {name: bindparam(name) for name in _SENT} | {"attempts": 0, "status": DeliveryStatus.PENDING.value}
    )
)
_THIS = (outbox.c.tenant == bindparam("tenant")) & (outbox.c.id == bindparam("delivery_id"))
_FIND = Statement(select(outbox).where(_THIS))

_older = outbox.alias("older")
_OLDEST_OF_ITS_LEAD = ~exists().where(
    _older.c.tenant == outbox.c.tenant,
    _older.c.lead_id == outbox.c.lead_id,
    _older.c.status == DeliveryStatus.PENDING.value,
    _older.c.id < outbox.c.id,
)
WAITING = (outbox.c.tenant == bindparam("tenant")) & PENDING & _OLDEST_OF_ITS_LEAD
IN_ORDER = (outbox.c.due_at, outbox.c.id)
DUE_NOW = (outbox.c.due_at <= bindparam("now")) & outbox.c.sender.is_(None)
_DUE = Statement(select(outbox).where(WAITING, DUE_NOW).order_by(*IN_ORDER).limit(bindparam("limit")))

TO_RECEIVER = (outbox.c.platform == bindparam("platform")) & (outbox.c.buyer_id == bindparam("buyer_id"))
_DUE_TO_RECEIVER = Statement(
    select(outbox).where(WAITING, TO_RECEIVER, DUE_NOW).order_by(*IN_ORDER).limit(bindparam("limit"))
)
_RECEIVER = (outbox.c.platform, outbox.c.buyer_id)
# One seek in the index for each receiver or tenant: DISTINCT would read every delivery that waits.
_PENDING_OF_TENANT = (outbox.c.tenant == bindparam("tenant")) & PENDING
_NEXT_BUYER = Statement(
    select(*_RECEIVER)
    .where(
        _PENDING_OF_TENANT,
        outbox.c.platform == bindparam("platform"),
        outbox.c.buyer_id > bindparam("buyer_id"),
    )
    .order_by(*_RECEIVER)
    .limit(1)
)
_NEXT_PLATFORM = Statement(
    select(*_RECEIVER)
    .where(_PENDING_OF_TENANT, outbox.c.platform > bindparam("platform"))
    .order_by(*_RECEIVER)
    .limit(1)
)
_NEXT = Statement(select(outbox.c.due_at).where(WAITING).order_by(*IN_ORDER).limit(1))
_NEXT_TENANT = Statement(
    select(outbox.c.tenant).where(PENDING, outbox.c.tenant > bindparam("tenant")).order_by(outbox.c.tenant).limit(1)
)

_MARK = Statement(
    update(outbox)
    .where(_THIS, or_(outbox.c.sender.is_(None), outbox.c.sender == bindparam("me")))
    .values(
        attempts=outbox.c.attempts + 1,
        status=bindparam("becomes"),
        due_at=bindparam("next_due"),
        delivered_at=bindparam("arrived"),
        sender=None,
    )
    .returning(outbox.c.attempts)
)
_ATTEMPT = Statement(
    insert(attempts).values({column.name: bindparam(column.name) for column in attempts.c if column.name != "id"})
)
_ATTEMPTS = Statement(
    select(attempts.c.at, attempts.c.http_status, attempts.c.latency_ms, attempts.c.error, attempts.c.n)
    .where(attempts.c.tenant == bindparam("tenant"), attempts.c.delivery_id == bindparam("delivery_id"))
    .order_by(attempts.c.id)
)
_REPLAY = Statement(
    update(outbox)
    .where(_THIS)
    .values(status=DeliveryStatus.PENDING.value, attempts=0, due_at=bindparam("now"), delivered_at=None)
)


def record(row: tuple[Any, ...]) -> DeliveryRecord:
    (number, tenant, platform, lead_id, buyer_id, event_id, url, body, headers, *rest) = row
    (created_at, due_at, tried, status, delivered_at, _) = rest
    return DeliveryRecord(
        tenant=tenant,
        platform=platform,
        lead_id=lead_id,
        buyer_id=buyer_id,
        event_id=event_id,
        url=url,
        body=bytes(body),
        created_at=moment(created_at),
        due_at=moment(due_at),
        headers=encoding.parsed(headers),
        id=number,
        attempts=tried,
        status=DeliveryStatus(status),
        delivered_at=optional_moment(delivered_at),
    )


def add_delivery(connection: Connection, delivery: DeliveryRecord) -> None:
    """Put a webhook into the outbox, in the transaction of its lead."""
    at = micros(delivery.created_at)
    connection.change(
        _ADD,
        tenant=delivery.tenant,
        platform=delivery.platform,
        lead_id=delivery.lead_id,
        buyer_id=delivery.buyer_id,
        event_id=delivery.event_id,
        url=delivery.url,
        body=delivery.body,
        headers_json=encoding.text(delivery.headers),
        created_at=at,
        due_at=at if delivery.due_at is delivery.created_at else micros(delivery.due_at),
    )


def delivery(connection: Connection, tenant: str, delivery_id: int) -> DeliveryRecord | None:
    found = connection.row(_FIND, tenant=tenant, delivery_id=delivery_id)
    return None if found is None else record(found)


@cache
def _listing(filters: frozenset[str]) -> Statement:
    query = select(outbox).order_by(outbox.c.id).limit(bindparam("limit"))
    for name in sorted(filters):
        query = query.where(outbox.c[name] == bindparam(name))
    return Statement(query.where(outbox.c.id > bindparam("after")))


def deliveries(
    connection: Connection,
    tenant: str,
    *,
    lead_id: str | None = None,
    status: DeliveryStatus | None = None,
    limit: int = 100,
    after: int = 0,
) -> list[DeliveryRecord]:
    """Return deliveries, oldest first. `after` is the number of the last one of the page before."""
    filters = {"tenant": tenant}
    if lead_id is not None:
        filters["lead_id"] = encoding.index_key(lead_id)
    if status is not None:
        filters["status"] = status.value
    statement = _listing(frozenset(filters))
    return [record(row) for row in connection.rows(statement, **filters, limit=limit, after=after)]


_LATEST = Statement(
    select(outbox)
    .where(
        outbox.c.tenant == bindparam("tenant"),
        outbox.c.platform == bindparam("platform"),
        outbox.c.buyer_id == bindparam("buyer_id"),
    )
    .order_by(outbox.c.id.desc())
    .limit(bindparam("limit"))
)


def latest_deliveries(
    connection: Connection, tenant: str, platform: str, buyer_id: str, limit: int = 100
) -> list[DeliveryRecord]:
    """Return what one buyer was or is to be sent, newest first."""
    found = connection.rows(_LATEST, tenant=tenant, platform=platform, buyer_id=buyer_id, limit=limit)
    return [record(row) for row in found]


def due_deliveries(
    connection: Connection, tenant: str, now: datetime, limit: int = 100, receiver: Receiver | None = None
) -> list[DeliveryRecord]:
    """Return what may be sent now, to one receiver or to all, longest due first.

    Of each lead it is only the oldest pending one: the younger wait for it.
    """
    asked = {"tenant": tenant, "now": micros(now), "limit": limit}
    if receiver is None:
        return [record(row) for row in connection.rows(_DUE, **asked)]
    platform, buyer_id = receiver
    found = connection.rows(_DUE_TO_RECEIVER, **asked, platform=platform, buyer_id=buyer_id)
    return [record(row) for row in found]


def receivers(connection: Connection, tenant: str) -> list[Receiver]:
    """Return every receiver that something is pending for, due or not."""
    found: list[Receiver] = []
    platform, buyer_id = "", ""
    while row := (
        connection.row(_NEXT_BUYER, tenant=tenant, platform=platform, buyer_id=buyer_id)
        or connection.row(_NEXT_PLATFORM, tenant=tenant, platform=platform)
    ):
        platform, buyer_id = row
        found.append((platform, buyer_id))
    return found


def next_due(connection: Connection, tenant: str) -> datetime | None:
    """Return when something is due next, on the tenant's clock; None when nothing is pending."""
    return optional_moment(connection.value(_NEXT, tenant=tenant))


def tenants_with_deliveries(connection: Connection) -> list[str]:
    """Return the tenants that have something pending: each has a clock of its own. Snapshots have none."""
    found = [""]
    while last := connection.value(_NEXT_TENANT, tenant=found[-1]):
        found.append(last)
    return [tenant for tenant in found[1:] if not tenant.startswith(SNAPSHOT)]


def record_attempt(
    connection: Connection,
    delivery: DeliveryRecord,
    attempt: AttemptRecord,
    becomes: DeliveryStatus,
    due_at: datetime | None = None,
) -> bool:
    """Book an attempt and what it makes of the delivery; `due_at` is when a pending one is tried again.

    The attempt's number is the store's to set. Returns False when the delivery was reset meanwhile, or
    taken over from this simulator, which was thought dead.
    """
    arrived = attempt.at if becomes is DeliveryStatus.DELIVERED else None
    n = connection.value(
        _MARK,
        tenant=delivery.tenant,
        delivery_id=delivery.id,
        becomes=becomes.value,
        next_due=micros(due_at or delivery.due_at),
        arrived=optional_micros(arrived),
        me=connection.simulator,
    )
    if n is None:
        return False
    connection.change(
        _ATTEMPT,
        tenant=delivery.tenant,
        delivery_id=delivery.id,
        n=n,
        at=micros(attempt.at),
        http_status=attempt.http_status,
        latency_ms=attempt.latency_ms,
        error=attempt.error,
    )
    return True


def attempts_at(connection: Connection, tenant: str, delivery_id: int) -> list[AttemptRecord]:
    """Return every attempt, oldest first. Their numbers start again at 1 after a replay."""
    found = connection.rows(_ATTEMPTS, tenant=tenant, delivery_id=delivery_id)
    return [AttemptRecord(moment(at), *rest) for at, *rest in found]


def replay(connection: Connection, tenant: str, delivery_id: int, now: datetime) -> bool:
    """Make a delivery pending and due, whatever became of it. Returns False when there is none."""
    return connection.change(_REPLAY, tenant=tenant, delivery_id=delivery_id, now=micros(now)) == 1
