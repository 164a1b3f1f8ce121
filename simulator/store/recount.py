"""Counters recounted from what each lead says that it took: caps, turns, ping tokens, webhooks; and sales from pings.

Nothing is changed. What a counter should be is the sum over the leads and over the sales in flight.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, select

from simulator.routing.decision import Reason
from simulator.store import encoding
from simulator.store.records import Scope
from simulator.store.tables import HAS_TRANSACTION, UNSETTLED, caps, leads, outbox, pings, redeemed, turns

Found = tuple[str, str]
"""The tenant, and one contradiction in words."""

_LEADS = (
    select(
        leads.c.number,
        leads.c.tenant,
        leads.c.platform,
        leads.c.id,
        leads.c.source_id,
        leads.c.campaign_id,
        leads.c.buyer_id,
        leads.c.price_cents,
        leads.c.booking_json,
        outbox.c.event_id,
    )
    .join_from(leads, outbox, and_(outbox.c.tenant == leads.c.tenant, outbox.c.lead_id == leads.c.id), isouter=True)
    .order_by(leads.c.number, outbox.c.id)
)
_IN_FLIGHT = select(pings.c.tenant, pings.c.transaction_id, pings.c.holding_json).where(
    UNSETTLED, pings.c.holding_json.is_not(None)
)
_KEY = (pings.c.tenant, pings.c.platform, pings.c.transaction_id)
_SALES = (
    select(*_KEY, pings.c.accepted, pings.c.answer_json, leads.c.id, leads.c.status, leads.c.booking_json)
    .join_from(
        pings,
        leads,
        and_(
            leads.c.tenant == pings.c.tenant,
            leads.c.transaction_id == pings.c.transaction_id,
            leads.c.platform == pings.c.platform,
            HAS_TRANSACTION,  # as it is spelled in the index
        ),
        isouter=True,
    )
    .order_by(*_KEY)
)
_WITHOUT_PING = (
    select(leads.c.tenant, leads.c.id, leads.c.transaction_id, leads.c.booking_json)
    .join_from(
        leads,
        pings,
        and_(
            pings.c.tenant == leads.c.tenant,
            pings.c.platform == leads.c.platform,
            pings.c.transaction_id == leads.c.transaction_id,
        ),
        isouter=True,
    )
    .where(HAS_TRANSACTION, leads.c.buyer_id != "", pings.c.tenant.is_(None))
    .order_by(leads.c.number)
)
_STATUS = {Reason.SOLD.value: "ACCEPTED", Reason.UNSOLD.value: "UNSOLD", Reason.DUPLICATE.value: "DUPLICATE"}


@dataclass
class Taken:
    """What leads and sales in flight took, summed up. `unknown` are tenants with leads that do not say."""

    caps: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    turns: defaultdict[tuple[str, str], Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    held_leads: set[tuple[str, str]] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    found: list[tuple[Scope, Found]] = field(default_factory=list)
    leads: int = 0


def taken(connection: Connection) -> Taken:
    """Sum up what was taken, and note in `found` what a lead cannot have taken."""
    sums = Taken()
    for lead, rows in groupby(_streamed(connection, _LEADS), key=_lead):
        _add(sums, lead, [row.event_id for row in rows if row.event_id is not None])
    for row in _streamed(connection, _IN_FLIGHT):
        claims, lead_id = encoding.holding(row.holding_json)
        sums.held_leads.add((row.tenant, lead_id))
        for claim in claims:
            sums.caps[row.tenant, claim.scope, claim.period] += claim.amount
    return sums


def _lead(row: Row[Any]) -> tuple[Any, ...]:
    return tuple(row)[:-1]  # its deliveries, which differ, stand last


def _ping(row: Row[Any]) -> tuple[Any, ...]:
    return tuple(row)[:5]


def _streamed(connection: Connection, query: Any) -> Iterator[Row[Any]]:
    yield from connection.execution_options(yield_per=1000).execute(query)


def _add(sums: Taken, lead: tuple[Any, ...], sent: list[str]) -> None:
    _, tenant, platform, lead_id, source_id, campaign_id, buyer_id, price_cents, document = lead
    sums.leads += 1
    if document is None:
        sums.unknown.add(tenant)
        return
    booking: dict[str, Any] = orjson.loads(document)
    for scope, period, amount in booking.get("caps", []):
        sums.caps[tenant, scope, period] += amount
        whose = {f"{platform}:buyer:{buyer_id}": price_cents, f"{platform}:source:{source_id}:{campaign_id}": 0}
        owner, _, kind = scope.rpartition(":")
        owner = owner.rpartition(":")[0]
        if not buyer_id or owner not in whose or amount != (1 if kind == "leads" else whose[owner]):
            said = f"lead {lead_id} took {amount} of cap {scope}, which its sale to {buyer_id!r} cannot have taken"
            sums.found.append((Scope.CAPS, (tenant, said)))
    if "turn" in booking:
        sums.turns[tenant, campaign_id][booking["turn"]] += 1
    if token := booking.get("token"):
        sums.tokens[tenant, token] += 1
    if (event := booking.get("event")) and event not in sent:
        sums.found.append((Scope.DELIVERIES, (tenant, f"lead {lead_id} has no delivery of its webhook {event}")))
    if not event and sent:
        said = f"lead {lead_id} has a delivery {sent[0]} and was sold without a webhook"
        sums.found.append((Scope.DELIVERIES, (tenant, said)))


def caps_apart(connection: Connection, sums: Taken) -> Iterator[Found]:
    """Return counters that are not the sum of what was taken; more than that where some leads do not say."""
    kept = {(row.tenant, row.scope, row.period): row.used for row in connection.execute(select(caps))}
    for key in sorted(kept.keys() | sums.caps.keys()):
        tenant, scope, period = key
        counted, summed = kept.get(key, 0), sums.caps[key]
        if counted < summed or (counted != summed and tenant not in sums.unknown):
            when = f" of {period}" if period else ""
            yield tenant, f"cap {scope}{when} counts {counted}, its sales took {summed}"


def turns_apart(connection: Connection, sums: Taken) -> Iterator[Found]:
    """Return rounds whose leads have not each one turn of their own, up to the last that was given out."""
    kept = {(row.tenant, row.campaign_id): row.n for row in connection.execute(select(turns))}
    for key in sorted(kept.keys() | sums.turns.keys()):
        tenant, campaign_id = key
        last, given = kept.get(key, -1), sums.turns[key]
        twice = [turn for turn, times in given.items() if times > 1]
        if twice:
            yield tenant, f"turn {min(twice)} of campaign {campaign_id} was given to {given[min(twice)]} leads"
        if given and max(given) > last:
            yield tenant, f"turn {max(given)} of campaign {campaign_id} was given, and the last was {last}"
        elif len(given) != last + 1 and tenant not in sums.unknown:
            yield tenant, f"campaign {campaign_id} gave {last + 1} turns, its leads had {len(given)}"


def tokens_apart(connection: Connection, sums: Taken) -> Iterator[Found]:
    """Return ping tokens that are not redeemed by exactly one lead."""
    kept = {(row.tenant, row.token_id) for row in connection.execute(select(redeemed))}
    for tenant, token_id in sorted(kept | sums.tokens.keys()):
        times = sums.tokens[tenant, token_id]
        if times > 1:
            yield tenant, f"ping token {token_id} was redeemed by {times} leads"
        elif (tenant, token_id) not in kept:
            yield tenant, f"ping token {token_id} was redeemed by a lead, and is still open"
        elif not times and tenant not in sums.unknown:
            yield tenant, f"ping token {token_id} is redeemed, and no lead has it"


def sales_apart(connection: Connection) -> Iterator[Found]:
    """Return pings whose answer and leads do not agree, and sales of no ping.

    Left out are leads that a trigger decided, and those of an older release, which do not say whether one did.
    """
    for key, rows in groupby(_streamed(connection, _SALES), key=_ping):
        tenant, _, transaction_id, accepted, document = key
        came = [row for row in rows if row.id is not None]
        if any(row.booking_json is None for row in came):
            continue
        made = {row.id: row.status for row in came if not _is_triggered(row)}
        sold = sorted(lead_id for lead_id, status in made.items() if status == "ACCEPTED")
        answer = orjson.loads(document) if document else {}
        told = str(answer.get("lead_id", ""))
        expected = _STATUS.get(answer.get("reason", ""))
        if len(sold) > 1:
            yield tenant, f"ping {transaction_id} was sold {len(sold)} times, as leads {' and '.join(sold)}"
        elif sold and not accepted:
            yield tenant, f"ping {transaction_id} was refused, and sold as lead {sold[0]}"
        elif sold and (expected != "ACCEPTED" or told != sold[0]):
            yield tenant, f"ping {transaction_id} was sold as lead {sold[0]}, and its answer does not say so"
        elif expected and made.get(told) != expected:
            yield tenant, f"ping {transaction_id} was answered with lead {told} as {expected}, which is not there"
    for row in _streamed(connection, _WITHOUT_PING):
        if row.booking_json is not None and not _is_triggered(row):
            yield row.tenant, f"lead {row.id} was sold for transaction {row.transaction_id}, of which there is no ping"


def _is_triggered(row: Row[Any]) -> bool:
    return "triggered" in orjson.loads(row.booking_json)
