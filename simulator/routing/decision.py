"""What was sent, and what became of it: leads, bids, checks, decisions. No rule lives here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from simulator.routing.agreed import Offer
from simulator.routing.values import value

ON_PURPOSE = "A trigger asked for this"  # what decisions say that no rule made; the rest of them is made up, too


class Reason(StrEnum):
    """Why an exchange ended as it did, in no vendor's words. A contract's rows say which of these they word."""

    # The platform went to work.
    BID = "bid"
    NO_BID = "no_bid"
    AVAILABLE = "available"
    NO_BUYER = "no_buyer"
    SOLD = "sold"
    SOLD_PAST_SUPPRESSION = "sold_past_suppression"
    UNSOLD = "unsold"
    UNMATCHED = "unmatched"
    QUEUED = "queued"
    DUPLICATE = "duplicate"
    DUPLICATE_ROUTED = "duplicate_routed"
    FOUND = "found"
    FOUND_DUPLICATE = "found_duplicate"
    UPDATED = "updated"
    UPDATED_UNSOLD = "updated_unsold"
    FIRED = "fired"
    OFFERED = "offered"
    NO_OFFER = "no_offer"
    REDIRECTED = "redirected"
    # A rule of the campaign or the source turned the lead away.
    CAP_REACHED = "cap_reached"
    OUTSIDE_HOURS = "outside_hours"
    OUTSIDE_AREA = "outside_area"
    FILTERED = "filtered"
    SUPPRESSED = "suppressed"
    # What was sent is not what was specified.
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    UNACCEPTED_VALUE = "unaccepted_value"
    MALFORMED_BODY = "malformed_body"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    BODY_TOO_LARGE = "body_too_large"
    # The post does not go with a ping.
    PING_UNKNOWN = "ping_unknown"
    PING_REJECTED = "ping_rejected"
    PING_EXPIRED = "ping_expired"
    PING_USED = "ping_used"
    PING_MISMATCH = "ping_mismatch"
    PING_MISSING = "ping_missing"
    PING_INVALID = "ping_invalid"
    PING_REPEATED = "ping_repeated"
    # What is said of a lead that was sent before does not go with it.
    LEAD_UNKNOWN = "lead_unknown"
    TRANSACTION_MISSING = "transaction_missing"
    EVENT_UNKNOWN = "event_unknown"
    EVENT_REPEATED = "event_repeated"
    EVENT_LOCKED = "event_locked"
    REVENUE_MISSING = "revenue_missing"
    OFFER_UNKNOWN = "offer_unknown"
    # The caller may not, or asked for something that is not there.
    UNAUTHORIZED = "unauthorized"
    NOT_LINKED = "not_linked"
    FOREIGN_SUPPLIER = "foreign_supplier"
    SOURCE_INACTIVE = "source_inactive"
    UNKNOWN_CAMPAIGN = "unknown_campaign"
    UNKNOWN_PATH = "unknown_path"
    WRONG_METHOD = "wrong_method"
    # The platform cannot, or will not yet.
    RATE_LIMITED = "rate_limited"
    MAINTENANCE = "maintenance"
    INTERNAL_ERROR = "internal_error"


@value(frozen=True, slots=True)
class CapClaim:
    """A share of one cap in one period, taken in the store by one conditional statement."""

    scope: str
    period: str
    limit: int
    amount: int
    label: str


@value(frozen=True, slots=True)
class Lead:
    """What a source sent, after transforms.

    `values` keeps the vendor's field names, as the sandbox file does. The four that every platform routes by
    are lifted out under one name each: `phone` is digits without a leading US 1, `email` lower-case, `state`
    upper-case.
    """

    values: Mapping[str, Any]
    phone: str = ""
    email: str = ""
    state: str = ""
    zip_code: str = ""


@value(frozen=True, slots=True)
class Bid:
    """What a buyer would pay, in US dollars. `ping_id` is the buyer's own name for the offer."""

    buyer_id: str
    amount: Decimal
    ping_id: str = ""
    tcpa: str = ""


@value(frozen=True, slots=True)
class Asked:
    """One buyer that was considered or asked. `outcome` is one word, `why` the sentence behind it."""

    buyer_id: str
    outcome: str
    why: str = ""
    amount: Decimal | None = None
    latency_ms: float | None = None


@value(frozen=True, slots=True)
class Check:
    """One rule that was tried. `reason` is set when it turned the lead away."""

    rule: str
    passed: bool
    detail: str = ""
    reason: Reason | None = None


@value(frozen=True, slots=True)
class FieldError:
    """`code` is `required`, `invalid_format` or another word that the vendor documents."""

    field: str
    code: str
    message: str


@value(frozen=True, slots=True)
class KeptLead:
    """A lead that was taken earlier. `price` is US dollars, None if unsold; `values` is empty where nobody asked."""

    id: str
    campaign_id: str
    source_id: str
    buyer_id: str
    status: str
    state: str
    zip_code: str
    price: Decimal | None
    is_test: bool
    at: datetime
    transaction_id: str = ""
    is_duplicate: bool = False
    redirect_url: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@value(frozen=True, slots=True)
class Listing:
    """Which of a campaign's leads are wanted; "" and None ask for nothing.

    `page` begins at 1, `status` is the store's word, `since` counts and `until` does not. `search` is looked for in
    `searched`, names of fields.
    """

    page: int = 1
    limit: int = 10
    newest_first: bool = True
    order_by: str = ""
    source_id: str = ""
    status: str = ""
    since: datetime | None = None
    until: datetime | None = None
    search: str = ""
    searched: tuple[str, ...] = ()


@value(frozen=True, slots=True)
class Postback:
    """What an event postback says. `revenue` is US dollars, None when it was not sent; "" is not sent either."""

    event_id: str
    transaction_id: str
    source_id: str
    revenue: Decimal | None


@value(frozen=True, slots=True)
class Decision:
    """How an exchange ended, and why. The contract's row for (operation, reason) words it.

    `detail` is one sentence. `checks` and `asked` are the evidence: every rule tried and every buyer considered,
    in order. `found` are leads that were asked for, of `total`; `origin` is where the caller reached us, as a URL.
    """

    reason: Reason
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    failed_rules: tuple[Check, ...] = ()
    lead_id: str = ""
    campaign_id: str = ""
    source_id: str = ""
    event_id: str = ""
    transaction_id: str = ""
    is_duplicate: bool = False
    buyer_id: str = ""
    buyer_name: str = ""
    price: Decimal | None = None
    tcpa: str = ""
    redirect_url: str = ""
    ping_token: str = ""
    bids: tuple[Bid, ...] = ()
    retry_after: int | None = None
    allow: tuple[str, ...] = ()
    found: tuple[KeptLead, ...] = ()
    total: int = 0
    offers: tuple[Offer, ...] = ()
    origin: str = ""
    checks: tuple[Check, ...] = ()
    asked: tuple[Asked, ...] = ()
