"""A campaign's leads page by page. What a page is asked for by, and looks like, is the contract's."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, select

from simulator.routing.decision import Listing
from simulator.store.connection import Connection, Statement
from simulator.store.encoding import micros
from simulator.store.leads import COLUMNS, record
from simulator.store.records import LeadRecord
from simulator.store.tables import leads

_SCOPE = ("tenant", "platform", "campaign_id")
_TESTS: dict[str, ColumnElement[bool]] = {
    **{name: leads.c[name] == bindparam(name) for name in (*_SCOPE, "source_id", "status")},
    "since": leads.c.at >= bindparam("since"),
    "until": leads.c.at < bindparam("until"),
}


def listed_leads(
    connection: Connection, tenant: str, platform: str, campaign_id: str, wanted: Listing, *, limit: int, offset: int
) -> list[LeadRecord]:
    """Return the leads that a listing is about, from the `offset`-th on; its search and its page are the caller's."""
    given = _given(tenant, platform, campaign_id, wanted)
    statement = _selecting(frozenset(given), wanted.order_by, wanted.newest_first)
    return [record(row) for row in connection.rows(statement, **given, limit=limit, offset=offset)]


def count_listed(connection: Connection, tenant: str, platform: str, campaign_id: str, wanted: Listing) -> int:
    given = _given(tenant, platform, campaign_id, wanted)
    return int(connection.value(_counting(frozenset(given)), **given))


def _given(tenant: str, platform: str, campaign_id: str, wanted: Listing) -> dict[str, Any]:
    asked = {
        "source_id": wanted.source_id,
        "status": wanted.status,
        "since": wanted.since and micros(wanted.since),
        "until": wanted.until and micros(wanted.until),
    }
    scope = {"tenant": tenant, "platform": platform, "campaign_id": campaign_id}
    return scope | {name: value for name, value in asked.items() if value not in {None, ""}}


def _filtered(query: Select[Any], tests: frozenset[str]) -> Select[Any]:
    return query.where(*(_TESTS[name] for name in sorted(tests)))


@cache
def _selecting(tests: frozenset[str], order_by: str, newest_first: bool) -> Statement:
    columns = [leads.c[order_by], leads.c.number] if order_by else [leads.c.number]
    order = [column.desc() if newest_first else column.asc() for column in columns]
    page = _filtered(select(*COLUMNS), tests).order_by(*order).limit(bindparam("limit")).offset(bindparam("offset"))
    return Statement(page)


@cache
def _counting(tests: frozenset[str]) -> Statement:
    return Statement(_filtered(select(func.count()).select_from(leads), tests))
