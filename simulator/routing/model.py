"""The values that routing works on. No rule lives here, and nothing that a vendor calls by its own name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any


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


class FieldType(StrEnum):
    """What a field of a posting specification or field mapping holds; the vendor's contract says the format."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    PHONE = "phone"
    EMAIL = "email"
    STATE = "state"
    ZIP = "zip"
    URL = "url"
    LIST = "list"


class Period(StrEnum):
    """The calendar that empties a cap, in the account's time zone. TOTAL is emptied by hand only."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


class Distribution(StrEnum):
    """How a campaign chooses among the buyers that may have a lead."""

    AUCTION = "auction"
    WATERFALL = "waterfall"
    ROUND_ROBIN = "round_robin"
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class Field:
    """One field that a source may send. `required` and `operations` hold operation names of the contract."""

    name: str
    type: FieldType = FieldType.STRING
    label: str = ""
    required: frozenset[str] = frozenset()
    acceptable: tuple[str, ...] = ()
    transform: str = ""


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison of one field. `name` is what a refusal calls it."""

    field: str
    operator: str
    value: Any = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Tests and groups that must all hold, or of which any one must."""

    members: tuple[Test | Group, ...] = ()
    any_of: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Opening hours: ISO weekdays (1 = Monday), and minutes since local midnight, `opens` <= t < `closes`."""

    weekdays: frozenset[int]
    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `limit` per period: leads, or US cents when `money` is set."""

    period: Period
    limit: int
    money: bool = False


@dataclass(frozen=True, slots=True)
class CapClaim:
    """A share of one cap in one period, taken in the store by one conditional statement."""

    scope: str
    period: str
    limit: int
    amount: int
    label: str


@dataclass(frozen=True, slots=True)
class Suppression:
    """People whom a source or campaign does not want.

    `entries` maps a lower-case MD5 of the normalised value to the moment it was listed. An entry counts for
    `days` days after that; 0 means for ever.
    """

    name: str
    field: str
    entries: Mapping[str, datetime]
    days: int = 0


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """Which fields make two leads the same person, for how long, and what becomes of the second."""

    fields: tuple[str, ...]
    window: timedelta
    route_to_original: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A buyer's own address and how it wants to be spoken to. Times are seconds.

    `mapping` renames our field names to the buyer's; `ping_fields` are the only ones a ping carries.
    `answer_keys` says where in the buyer's JSON answer each of `accepted bid ping_id reason url tcpa` stands.
    """

    ping_url: str = ""
    post_url: str = ""
    method: str = "POST"
    form_encoded: bool = False
    mapping: Mapping[str, str] = field(default_factory=dict)
    ping_fields: frozenset[str] = frozenset()
    answer_keys: Mapping[str, str] = field(default_factory=dict)
    ping_timeout: float = 3.0
    post_timeout: float = 5.0
    bypass_ping: bool = False


@dataclass(frozen=True, slots=True)
class Webhook:
    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Buyer:
    """Somebody who may get the lead. Amounts are US dollars."""

    id: str
    name: str = ""
    price: Decimal = Decimal(0)
    minimum_price: Decimal = Decimal(0)
    priority: int = 0
    weight: int = 1
    states: frozenset[str] = frozenset()
    zip_codes: frozenset[str] = frozenset()
    filters: Group = Group()
    windows: tuple[Window, ...] = ()
    caps: tuple[Cap, ...] = ()
    suppressed: frozenset[str] = frozenset()
    tcpa: str = ""
    endpoint: Endpoint | None = None
    webhook: Webhook | None = None


@dataclass(frozen=True, slots=True)
class EventType:
    """Something that may happen to a lead later. A conversion names its revenue; `repeats`: it may come twice."""

    id: str
    is_conversion: bool = False
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """What a consumer is shown after the sale. `device` is "" when it is for every one; `url` is where it leads."""

    id: str
    title: str = ""
    description: str = ""
    logo_url: str = ""
    label: str = ""
    device: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything that decides about a lead of one source (or supplier) for one campaign.

    `events` and `offers` are for after the sale; `event_lock` is how long one event of one lead keeps its like away.
    The switches at the end are what the readings in force make of conflicts and gaps in a vendor's documents.
    """

    platform: str
    source_id: str
    campaign_id: str
    timezone: str = "America/New_York"
    fields: tuple[Field, ...] = ()
    windows: tuple[Window, ...] = ()
    states: frozenset[str] = frozenset()
    zip_codes: frozenset[str] = frozenset()
    filters: Group = Group()
    filter_windows: tuple[Window, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    caps: tuple[Cap, ...] = ()
    duplicates: DuplicateRule | None = None
    distribution: Distribution = Distribution.AUCTION
    buyers: tuple[Buyer, ...] = ()
    events: Mapping[str, EventType] = field(default_factory=dict)
    event_lock: timedelta = timedelta(0)
    offers: tuple[Offer, ...] = ()
    ping_required: bool = False
    ping_lifetime: timedelta = timedelta(seconds=300)
    is_test: bool = False
    counts_caps: bool = True
    answers_before_distribution: bool = False
    chosen_buyer_field: str = ""
    reevaluates_expired_pings: bool = False
    repeats_answer_to_repeated_post: bool = False
    refuses_repeated_transaction_ids: bool = False


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Bid:
    """What a buyer would pay, in US dollars. `ping_id` is the buyer's own name for the offer."""

    buyer_id: str
    amount: Decimal
    ping_id: str = ""
    tcpa: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One buyer that was considered or asked. `outcome` is one word, `why` the sentence behind it."""

    buyer_id: str
    outcome: str
    why: str = ""
    amount: Decimal | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One rule that was tried. `reason` is set when it turned the lead away."""

    rule: str
    passed: bool
    detail: str = ""
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class FieldError:
    """`code` is `required`, `invalid_format` or another word that the vendor documents."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Postback:
    """What an event postback says. `revenue` is US dollars, None when it was not sent; "" is not sent either."""

    event_id: str
    transaction_id: str
    source_id: str
    revenue: Decimal | None


@dataclass(frozen=True, slots=True)
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
