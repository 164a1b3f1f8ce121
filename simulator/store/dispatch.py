"""Which simulator sends a webhook, where several share a store: each takes what it sends. Only on a server."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Text, bindparam, exists, func, select, update

from simulator.store.connection import Connection, Statement
from simulator.store.encoding import micros
from simulator.store.outbox import DUE_NOW, IN_ORDER, TO_RECEIVER, WAITING, Receiver, record
from simulator.store.records import DeliveryRecord
from simulator.store.tables import LOCKS, PENDING, outbox, simulators


def _claiming(*tests: ColumnElement[bool]) -> Statement:
    due = select(outbox.c.id).where(WAITING, DUE_NOW, *tests).order_by(*IN_ORDER).limit(bindparam("limit"))
    free = due.with_for_update(skip_locked=True)
    return Statement(update(outbox).where(outbox.c.id.in_(free)).values(sender=bindparam("me")).returning(*outbox.c))


_CLAIM, _CLAIM_FOR_RECEIVER = _claiming(), _claiming(TO_RECEIVER)
_MAY_SEND = Statement(
    select(func.pg_try_advisory_xact_lock_shared(func.hashtextextended(bindparam("name", type_=Text), LOCKS)))
)
_OTHERS = Statement(
    select(exists().where(outbox.c.tenant == bindparam("tenant"), PENDING, outbox.c.sender != bindparam("me")))
)
_RELEASE = Statement(
    update(outbox)
    .where(outbox.c.sender.is_not(None), PENDING, outbox.c.sender.not_in(select(simulators.c.id)))
    .values(sender=None)
)
_RELEASE_MINE = Statement(
    update(outbox)
    .where(outbox.c.tenant == bindparam("of_tenant"), outbox.c.sender == bindparam("me"))
    .values(sender=None)
)


def claim_deliveries(
    connection: Connection,
    tenant: str,
    now: datetime,
    limit: int,
    receiver: Receiver | None = None,
    *,
    alone: bool = False,
) -> list[DeliveryRecord]:
    """Take what is due for this simulator to send, so that no other one sends it: until its attempt is recorded.

    Nothing while another simulator has the tenant for itself; `alone` is for that one.
    """
    if not alone and not connection.value(_MAY_SEND, name=tenant):
        return []
    asked = {"tenant": tenant, "now": micros(now), "limit": limit, "me": connection.simulator}
    if receiver is None:
        found = connection.rows(_CLAIM, **asked)
    else:
        found = connection.rows(_CLAIM_FOR_RECEIVER, **asked, platform=receiver[0], buyer_id=receiver[1])
    return sorted((record(row) for row in found), key=lambda each: (each.due_at, each.id))


def others_are_sending(connection: Connection, tenant: str) -> bool:
    """Whether something of the tenant is on its way from another simulator."""
    return bool(connection.value(_OTHERS, tenant=tenant, me=connection.simulator))


def release_deliveries(connection: Connection) -> int:
    """Let others send what simulators had taken that are no more. Returns how many that were."""
    return connection.change(_RELEASE)


def release_own_deliveries(connection: Connection, tenant: str) -> int:
    """Do the same with what this simulator had taken of a tenant, at a moment when it is sending nothing of it."""
    return connection.change(_RELEASE_MINE, of_tenant=tenant, me=connection.simulator)
