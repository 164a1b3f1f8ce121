"""What rows of the store must never say of each other, one query for each rule. Counters are recounted elsewhere.

A rule's query returns the rows that break it; its first column is the tenant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, literal, not_, or_, select

from simulator.store.records import DeliveryStatus, Scope
from simulator.store.tables import HAS_TRANSACTION, UNSETTLED, attempts, events, leads, outbox, persons, pings

ENDS = ("ACCEPTED", "UNMATCHED", "UNSOLD", "DUPLICATE")
"""How a lead can have ended. One that a trigger decided ends as one of these too."""


class Rule(NamedTuple):
    """`says` words a row that breaks the rule; `parted` are the rows that it compares with the leads."""

    says: str
    broken: Select[Any]
    parted: Scope | None = None


_OF_PERSON = and_(leads.c.tenant == persons.c.tenant, leads.c.id == persons.c.lead_id)
_PERSON = (persons.c.tenant, persons.c.scope, persons.c.lead_id)
_CLAIMED = select(*_PERSON, leads.c.status, leads.c.buyer_id, persons.c.buyer_id.label("noted"))


def _person(broken: ColumnElement[bool]) -> Select[Any]:
    return _CLAIMED.join_from(persons, leads, _OF_PERSON).where(broken).order_by(*_PERSON)


PERSON_OF_NOBODY = Rule(
    "a person of {scope} is claimed by lead {lead_id}, which is not there",
    select(*_PERSON).join_from(persons, leads, _OF_PERSON, isouter=True).where(leads.c.id.is_(None)).order_by(*_PERSON),
)
"""A sale in flight has its person before its lead: whoever asks this must know those sales."""

_LEAD = (leads.c.tenant, leads.c.id, leads.c.status, leads.c.buyer_id)


def _lead(broken: ColumnElement[bool]) -> Select[Any]:
    return select(*_LEAD).where(broken).order_by(leads.c.number)


_IS_SOLD = leads.c.buyer_id != ""

_DELIVERY = (outbox.c.tenant, outbox.c.id, outbox.c.lead_id, outbox.c.status, outbox.c.attempts)
_OF_DELIVERY = and_(leads.c.tenant == outbox.c.tenant, leads.c.id == outbox.c.lead_id)
_tried = select(attempts.c.delivery_id, func.max(attempts.c.id).label("last"), func.count().label("times"))
_tried_of_each = _tried.group_by(attempts.c.delivery_id).subquery("tried")
_last = attempts.alias("last_attempt")
_ARRIVED = and_(_last.c.http_status >= 200, _last.c.http_status <= 299, _last.c.error == "")


def _delivery(broken: ColumnElement[bool]) -> Select[Any]:
    """Deliveries with their last attempt, if any."""
    tried = func.coalesce(_tried_of_each.c.times, 0)
    return (
        select(*_DELIVERY, tried.label("times"), func.coalesce(_last.c.n, 0).label("n"))
        .join_from(outbox, _tried_of_each, _tried_of_each.c.delivery_id == outbox.c.id, isouter=True)
        .join(_last, _last.c.id == _tried_of_each.c.last, isouter=True)
        .where(broken)
        .order_by(outbox.c.id)
    )


def _more_than_one(column: ColumnElement[Any], name: str) -> Select[Any]:
    keys = (outbox.c.tenant, column)
    return (
        select(outbox.c.tenant, column.label(name), func.count().label("times"))
        .where(column != "")
        .group_by(*keys)
        .having(func.count() > 1)
        .order_by(*keys)
    )


_DELIVERED, _PENDING = DeliveryStatus.DELIVERED.value, DeliveryStatus.PENDING.value
_OF_EVENT = and_(
    leads.c.tenant == events.c.tenant,
    leads.c.platform == events.c.platform,
    leads.c.transaction_id == events.c.transaction_id,
    HAS_TRANSACTION,  # as it is spelled in the index
)
_PING = (pings.c.tenant, pings.c.platform, pings.c.transaction_id)

RULES = (
    Rule(
        "a person is claimed in {scope} by lead {lead_id}, which is of another campaign",
        _person(persons.c.scope != leads.c.platform + literal(":") + leads.c.campaign_id),
    ),
    Rule(
        "a person of {scope} is claimed by lead {lead_id}, which is a duplicate itself",
        _person(or_(leads.c.is_duplicate == 1, leads.c.status == "DUPLICATE")),
    ),
    Rule(
        "a person of {scope} is noted for buyer {noted!r}, and its lead {lead_id} went to {buyer_id!r}",
        _person(persons.c.buyer_id != leads.c.buyer_id),
    ),
    Rule(
        "a person of {scope} was claimed at another time than its lead {lead_id} came",
        _person(persons.c.at != leads.c.at),
    ),
    Rule("lead {id} ended as {status!r}, which nothing does", _lead(leads.c.status.not_in(ENDS))),
    Rule("lead {id} is ACCEPTED and has no buyer", _lead(and_(leads.c.status == "ACCEPTED", not_(_IS_SOLD)))),
    Rule("lead {id} is {status} and has buyer {buyer_id}", _lead(and_(leads.c.status != "ACCEPTED", _IS_SOLD))),
    Rule("lead {id} is sold to {buyer_id} without a price", _lead(and_(_IS_SOLD, leads.c.price_cents.is_(None)))),
    Rule("lead {id} is not sold and has a price", _lead(and_(not_(_IS_SOLD), leads.c.price_cents.is_not(None)))),
    Rule(
        "ping {transaction_id} holds something, and no sale of it is in flight",
        select(*_PING).where(not_(UNSETTLED), pings.c.holding_json.is_not(None)).order_by(*_PING),
    ),
    Rule(
        "ping {transaction_id} has the answer to a post, and none claimed it",
        select(*_PING).where(pings.c.answer_json.is_not(None), pings.c.claimed_at.is_(None)).order_by(*_PING),
    ),
    Rule(
        "event {event_id} happened to transaction {transaction_id}, of which there is no lead",
        select(events.c.tenant, events.c.event_id, events.c.transaction_id)
        .where(~exists().where(_OF_EVENT))
        .order_by(events.c.tenant, events.c.transaction_id, events.c.event_id),
    ),
    Rule(
        "delivery {id} is about lead {lead_id}, which is not there",
        select(*_DELIVERY)
        .join_from(outbox, leads, _OF_DELIVERY, isouter=True)
        .where(leads.c.id.is_(None))
        .order_by(outbox.c.id),
        Scope.DELIVERIES,
    ),
    Rule(
        "delivery {id} goes to buyer {to}, and its lead {lead_id} was sold to {buyer_id!r}",
        select(*_DELIVERY, outbox.c.buyer_id.label("to"), leads.c.buyer_id)
        .join_from(outbox, leads, _OF_DELIVERY)
        .where(or_(outbox.c.buyer_id != leads.c.buyer_id, outbox.c.platform != leads.c.platform))
        .order_by(outbox.c.id),
        Scope.DELIVERIES,
    ),
    Rule("lead {lead_id} has {times} deliveries", _more_than_one(outbox.c.lead_id, "lead_id")),
    Rule("event {event_id} has {times} deliveries", _more_than_one(outbox.c.event_id, "event_id")),
    Rule(
        "delivery {id} of lead {lead_id} is {status!r}, which nothing is",
        _delivery(outbox.c.status.not_in([status.value for status in DeliveryStatus])),
    ),
    Rule(
        "delivery {id} of lead {lead_id} is {status}, and its time of delivery says otherwise",
        _delivery((outbox.c.status == _DELIVERED) != outbox.c.delivered_at.is_not(None)),
    ),
    Rule(
        "delivery {id} of lead {lead_id} counts {attempts} attempts; there are {times}, the last is number {n}",
        _delivery(
            or_(
                outbox.c.attempts > func.coalesce(_tried_of_each.c.times, 0),
                and_(outbox.c.attempts > 0, outbox.c.attempts != func.coalesce(_last.c.n, 0)),
                and_(outbox.c.attempts == 0, outbox.c.status != _PENDING),
            )
        ),
    ),
    Rule(
        "delivery {id} of lead {lead_id} is {status}, and its last attempt says otherwise",
        _delivery(
            and_(
                outbox.c.attempts > 0,
                case((_ARRIVED, 1), else_=0) != case((outbox.c.status == _DELIVERED, 1), else_=0),
            )
        ),
    ),
    Rule(
        "attempt {id} belongs to delivery {delivery_id}, which is not there",
        select(attempts.c.tenant, attempts.c.id, attempts.c.delivery_id)
        .join_from(
            attempts,
            outbox,
            and_(outbox.c.id == attempts.c.delivery_id, outbox.c.tenant == attempts.c.tenant),
            isouter=True,
        )
        .where(outbox.c.id.is_(None))
        .order_by(attempts.c.id),
    ),
)


def breaking(connection: Connection, rule: Rule) -> Iterator[Mapping[str, Any]]:
    """Return the rows that break a rule, a few at a time."""
    for row in connection.execution_options(yield_per=1000).execute(rule.broken):
        yield row._asdict()
