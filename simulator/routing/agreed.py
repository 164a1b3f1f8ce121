"""What was agreed with a source, a campaign and its buyers. No rule and no vendor's own name lives here.

Classes without slots are those of which rules work something out once (`values.once`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from simulator.routing.values import value


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


@value(frozen=True, slots=True)
class Field:
    """One field that a source may send. `required` and `operations` hold operation names of the contract."""

    name: str
    type: FieldType = FieldType.STRING
    label: str = ""
    required: frozenset[str] = frozenset()
    acceptable: tuple[str, ...] = ()
    transform: str = ""


@value(frozen=True, slots=False)
class Test:
    """One comparison of one field. `name` is what a refusal calls it."""

    field: str
    operator: str
    value: Any = None
    name: str = ""


@value(frozen=True, slots=False)
class Group:
    """Tests and groups that must all hold, or of which any one must."""

    members: tuple[Test | Group, ...] = ()
    any_of: bool = False
    name: str = ""


@value(frozen=True, slots=True)
class Window:
    """Opening hours: ISO weekdays (1 = Monday), and minutes since local midnight, `opens` <= t < `closes`."""

    weekdays: frozenset[int]
    opens: int
    closes: int


@value(frozen=True, slots=True)
class Cap:
    """At most `limit` per period: leads, or US cents when `money` is set."""

    period: Period
    limit: int
    money: bool = False


@value(frozen=True, slots=False)
class Suppression:
    """People whom a source or campaign does not want.

    `entries` maps a lower-case MD5 of the normalised value to the moment it was listed. An entry counts for
    `days` days after that; 0 means for ever.
    """

    name: str
    field: str
    entries: Mapping[str, datetime]
    days: int = 0


@value(frozen=True, slots=True)
class DuplicateRule:
    """Which fields make two leads the same person, for how long, and what becomes of the second."""

    fields: tuple[str, ...]
    window: timedelta
    route_to_original: bool = False


@value(frozen=True, slots=True)
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


@value(frozen=True, slots=True)
class Webhook:
    url: str
    secret: str


@value(frozen=True, slots=False)
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


@value(frozen=True, slots=True)
class EventType:
    """Something that may happen to a lead later. A conversion names its revenue; `repeats`: it may come twice."""

    id: str
    is_conversion: bool = False
    repeats: bool = False


@value(frozen=True, slots=True)
class Offer:
    """What a consumer is shown after the sale. `device` is "" when it is for every one; `url` is where it leads."""

    id: str
    title: str = ""
    description: str = ""
    logo_url: str = ""
    label: str = ""
    device: str = ""
    url: str = ""


@value(frozen=True, slots=False)
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
