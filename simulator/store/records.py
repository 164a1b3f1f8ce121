"""What goes into the store and comes out of it. Moments are aware datetimes of the tenant's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from simulator.routing.decision import Bid, CapClaim, Lead
from simulator.routing.values import value


class PingStored(StrEnum):
    """What became of a ping that was to be remembered."""

    NEW = "new"
    REPLACED = "replaced"
    REFUSED = "refused"  # the transaction id belongs to a ping that was posted, or to another source


class EventClaimed(StrEnum):
    """What became of an event that was to happen to a lead."""

    FIRED = "fired"
    LOCKED = "locked"  # the same event of the same lead came a moment ago
    REPEATED = "repeated"  # it came before, and may not come again


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class Scope(StrEnum):
    """What a reset empties."""

    LEADS = "leads"  # leads, the persons they claimed, and the events that happened to them
    PINGS = "pings"  # pings, and the ping tokens that were redeemed
    CAPS = "caps"  # caps, and the turns of round robin
    DELIVERIES = "deliveries"  # the outbox, and its attempts


@value(frozen=True, slots=True)
class CredentialRecord:
    """How often a credential was regenerated. The secret itself is nowhere in the store."""

    owner: str
    kind: str
    generation: int
    issued_at: datetime
    revoked_at: datetime | None = None


@value(frozen=True, slots=True)
class PingRecord:
    """A ping and what became of it.

    `revision`, `holding`, `held_lead_id`, `claimed_at` and `answer` are the store's to set. A ping is claimed
    from `claimed_at` on and settled when `answer` is there.
    """

    tenant: str
    platform: str
    transaction_id: str
    source_id: str
    campaign_id: str
    at: datetime
    expires_at: datetime
    accepted: bool
    lead: Lead
    bids: tuple[Bid, ...] = ()
    revision: int = 1
    holding: tuple[CapClaim, ...] = ()
    held_lead_id: str = ""
    claimed_at: datetime | None = None
    answer: Mapping[str, Any] | None = None


@value(frozen=True, slots=True)
class LeadRecord:
    """A lead as it was answered.

    `phone` and `email` are those of `routing.decision.Lead`: normalised. What is read has their `index_key` instead.
    """

    tenant: str
    id: str
    platform: str
    source_id: str
    campaign_id: str
    at: datetime
    status: str
    values: Mapping[str, Any]
    transaction_id: str = ""
    buyer_id: str = ""
    price_cents: int | None = None
    is_test: bool = False
    is_duplicate: bool = False
    phone: str = ""
    email: str = ""


@value(frozen=True, slots=True)
class Booking:
    """What a lead took, kept with it so that every counter can be recounted from the leads.

    `token_id` is the ping token it redeemed, `turn` its number in the round, `event_id` that of its webhook.
    A lead that a trigger decided took nothing, whatever became of it.
    """

    claims: tuple[CapClaim, ...] = ()
    token_id: str = ""
    turn: int | None = None
    event_id: str = ""
    is_triggered: bool = False


@value(frozen=True, slots=True)
class Original:
    """The lead that has a person already, and the buyer it went to ("" when none, or not yet)."""

    lead_id: str
    buyer_id: str
    at: datetime


@value(frozen=True, slots=True)
class DeliveryRecord:
    """A webhook to send. `body` is kept to the byte, since it is what gets signed; the secret is not kept.

    `attempts` counts since the last replay. `id` is the store's to set; it grows, and is the order per lead.
    """

    tenant: str
    platform: str
    lead_id: str
    buyer_id: str
    event_id: str
    url: str
    body: bytes
    created_at: datetime
    due_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    id: int = 0
    attempts: int = 0
    status: DeliveryStatus = DeliveryStatus.PENDING
    delivered_at: datetime | None = None


@value(frozen=True, slots=True)
class AttemptRecord:
    """One try at a delivery. `http_status` is None when no answer came; `error` then says why."""

    at: datetime
    http_status: int | None
    latency_ms: float
    error: str = ""
    n: int = 0
