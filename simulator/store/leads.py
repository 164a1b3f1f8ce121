"""Leads as they were answered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select, update

from simulator.store import encoding
from simulator.store.connection import Connection, Statement
from simulator.store.encoding import micros, moment
from simulator.store.records import Booking, LeadRecord
from simulator.store.tables import HAS_TRANSACTION, leads

COLUMNS = tuple(column for column in leads.c if column.name not in {"number", "booking_json"})
NOTHING = Booking()
_ADD = Statement(
    insert(leads).values({name: bindparam(name) for name in (*(column.name for column in COLUMNS), "booking_json")})
)
_THIS = (leads.c.tenant == bindparam("tenant")) & (leads.c.id == bindparam("id"))
_FIND = Statement(select(*COLUMNS).where(_THIS))
# SQLite writes one at a time anyway and knows no FOR UPDATE; SQLAlchemy leaves it out there.
_FIND_TO_CHANGE = Statement(select(*COLUMNS).where(_THIS).with_for_update())
_SET_VALUES = Statement(
    update(leads)
    .where(_THIS)
    .values(values_json=bindparam("new_values_json"), phone=bindparam("new_phone"), email=bindparam("new_email"))
)
_SET_STATUS = Statement(
    update(leads)
    .where(_THIS)
    .values(
        status=bindparam("new_status"),
        buyer_id=bindparam("new_buyer_id"),
        price_cents=bindparam("new_price_cents"),
        booking_json=bindparam("new_booking_json"),
    )
)


def add_lead(connection: Connection, lead: LeadRecord, booking: Booking = NOTHING) -> None:
    """Keep a lead with what it took.

    Raises the driver's integrity error (from `Store`: StoreError) when its id is taken.
    """
    connection.change(
        _ADD,
        tenant=lead.tenant,
        id=lead.id,
        platform=lead.platform,
        source_id=lead.source_id,
        campaign_id=lead.campaign_id,
        transaction_id=encoding.index_key(lead.transaction_id),
        at=micros(lead.at),
        status=lead.status,
        buyer_id=lead.buyer_id,
        price_cents=lead.price_cents,
        is_test=int(lead.is_test),
        is_duplicate=int(lead.is_duplicate),
        phone=encoding.index_key(lead.phone),
        email=encoding.index_key(lead.email),
        values_json=encoding.text(lead.values),
        booking_json=encoding.booked(booking),
    )


def set_lead_status(
    connection: Connection,
    tenant: str,
    lead_id: str,
    status: str,
    *,
    buyer_id: str = "",
    price_cents: int | None = None,
    booking: Booking = NOTHING,
) -> bool:
    """Say how a lead ended that was kept before it was decided, and what it took.

    Returns False when there is no such lead.
    """
    return bool(
        connection.change(
            _SET_STATUS,
            tenant=tenant,
            id=lead_id,
            new_status=status,
            new_buyer_id=buyer_id,
            new_price_cents=price_cents,
            new_booking_json=encoding.booked(booking),
        )
    )


def set_lead_values(
    connection: Connection, tenant: str, lead_id: str, values: Mapping[str, Any], *, phone: str, email: str
) -> bool:
    """Replace what a lead says, with its phone and e-mail in one spelling. Returns False when there is no such lead."""
    document = encoding.text(values)
    keys = {"new_phone": encoding.index_key(phone), "new_email": encoding.index_key(email)}
    return bool(connection.change(_SET_VALUES, tenant=tenant, id=lead_id, new_values_json=document, **keys))


def record(row: tuple[Any, ...]) -> LeadRecord:
    """Return a lead from its columns (`COLUMNS`)."""
    (tenant, lead_id, platform, source_id, campaign_id, transaction_id, at, status, *rest) = row
    (buyer_id, price_cents, is_test, is_duplicate, phone, email, document) = rest
    values = encoding.parsed(document)
    return LeadRecord(
        tenant=tenant,
        id=lead_id,
        platform=platform,
        source_id=source_id,
        campaign_id=campaign_id,
        transaction_id=encoding.whole(transaction_id, values.values()),
        at=moment(at),
        status=status,
        buyer_id=buyer_id,
        price_cents=price_cents,
        is_test=bool(is_test),
        is_duplicate=bool(is_duplicate),
        phone=phone,
        email=email,
        values=values,
    )


def lead(connection: Connection, tenant: str, lead_id: str) -> LeadRecord | None:
    found = connection.row(_FIND, tenant=tenant, id=encoding.index_key(lead_id))
    return None if found is None else record(found)


def lead_to_change(connection: Connection, tenant: str, lead_id: str) -> LeadRecord | None:
    """Return the lead as it is now, and keep others from changing it until the transaction ends."""
    found = connection.row(_FIND_TO_CHANGE, tenant=tenant, id=lead_id)
    return None if found is None else record(found)


def _filtered(query: Select[Any], filters: frozenset[str]) -> Select[Any]:
    for name in sorted(filters - {"after"}):
        query = query.where(leads.c[name] == bindparam(name))
    if "transaction_id" in filters:
        query = query.where(HAS_TRANSACTION)  # or its index would not be used
    if "after" in filters:
        last = select(leads.c.number).where(leads.c.tenant == bindparam("tenant"), leads.c.id == bindparam("after"))
        query = query.where(leads.c.number < last.scalar_subquery())
    return query


@cache
def _listing(filters: frozenset[str]) -> Statement:
    query = select(*COLUMNS).order_by(leads.c.number.desc()).limit(bindparam("limit"))
    return Statement(_filtered(query, filters))


@cache
def _counting(filters: frozenset[str]) -> Statement:
    return Statement(_filtered(select(func.count()).select_from(leads), filters))


def _given(**filters: str | None) -> dict[str, str]:
    return {name: encoding.index_key(value) for name, value in filters.items() if value is not None}


def leads_of(
    connection: Connection,
    tenant: str,
    *,
    platform: str | None = None,
    source_id: str | None = None,
    campaign_id: str | None = None,
    transaction_id: str | None = None,
    status: str | None = None,
    phone: str | None = None,
    email: str | None = None,
    limit: int = 100,
    after: str | None = None,
) -> list[LeadRecord]:
    """Return leads, newest first. `after` is the id of the last lead of the page before."""
    given = _given(
        tenant=tenant,
        platform=platform,
        source_id=source_id,
        campaign_id=campaign_id,
        transaction_id=transaction_id,
        status=status,
        phone=phone,
        email=email,
        after=after,
    )
    return [record(row) for row in connection.rows(_listing(frozenset(given)), **given, limit=limit)]


def count_leads(
    connection: Connection,
    tenant: str,
    *,
    platform: str | None = None,
    source_id: str | None = None,
    status: str | None = None,
    buyer_id: str | None = None,
) -> int:
    given = _given(tenant=tenant, platform=platform, source_id=source_id, status=status, buyer_id=buyer_id)
    return int(connection.value(_counting(frozenset(given)), **given))
