"""How moments and values become integers and text, and back. No statement, no connection."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from simulator.routing.decision import Bid, CapClaim, Lead
from simulator.store.records import Booking

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_KEY = 250  # characters: at four bytes each, two of them and a tenant fit into an index of PostgreSQL
_DIGEST = "sha256="


def index_key(value: str) -> str:
    """Return how a text from outside stands in an index: as it is, or its digest when no index would take it.

    PostgreSQL takes no more than some 2,700 bytes, and no NUL. What was made a key already stays as it is.
    """
    if len(value) <= _LONGEST_KEY and "\0" not in value:
        return value
    return _DIGEST + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def whole(found: str, candidates: Iterable[Any]) -> str:
    """Return the text of which `found` is the key, if it is among those that were kept in full; else the key."""
    if not found.startswith(_DIGEST):
        return found
    return next((each for each in candidates if isinstance(each, str) and index_key(each) == found), found)


def micros(moment: datetime) -> int:
    """Return microseconds since the epoch. A naive datetime is a TypeError: nobody knows when it was."""
    return (moment - _EPOCH) // _MICROSECOND


def optional_micros(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def moment(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def optional_moment(value: int | None) -> datetime | None:
    return None if value is None else moment(value)


def text(value: Any) -> str:
    """Return JSON. What JSON has no word for (a Decimal, say) is kept as its string."""
    return orjson.dumps(value, default=str).decode()


def parsed(value: str) -> Any:
    return orjson.loads(value)


def lead(value: str) -> Lead:
    return Lead(**parsed(value))


def bids(value: str) -> tuple[Bid, ...]:
    return tuple(Bid(**{**each, "amount": Decimal(each["amount"])}) for each in parsed(value))


def held(claims: Sequence[CapClaim], lead_id: str) -> str:
    return text({"claims": claims, "lead_id": lead_id})


def holding(value: str | None) -> tuple[tuple[CapClaim, ...], str]:
    """Return the cap claims and the lead id that a sale in flight holds; nothing and "" when none does."""
    if value is None:
        return (), ""
    found = parsed(value)
    return tuple(CapClaim(**claim) for claim in found["claims"]), found["lead_id"]


def booked(booking: Booking) -> str:
    """Return a booking as JSON, without what it has not: most leads take little."""
    found: dict[str, Any] = {}
    if booking.claims:
        found["caps"] = [[claim.scope, claim.period, claim.amount] for claim in booking.claims]
    if booking.token_id:
        found["token"] = booking.token_id
    if booking.event_id:
        found["event"] = booking.event_id
    if booking.is_triggered:
        found["triggered"] = True
    if booking.turn is not None:
        found["turn"] = booking.turn
    return text(found)
