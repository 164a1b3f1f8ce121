"""What a contract is: operations, rows, readings. Not what any vendor's contract says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from pydantic import BaseModel

from simulator.contract.account import Account, Limit, Received, Source
from simulator.contract.duty import Duties
from simulator.routing.agreed import Buyer, FieldType, Terms
from simulator.routing.decision import Bid, Decision, Lead, Listing, Postback, Reason
from simulator.routing.values import value

ANY_OPERATION = "*"  # rows of no operation, such as the answer to an unknown path


class Evidence(StrEnum):
    """How well a row is documented."""

    FULL = "full"  # status and body
    ROW = "row"  # only the row of a status table, or the code
    OURS = "ours"  # the sandbox's own; no vendor page has it


class Journey(StrEnum):
    """What an operation does with a lead. The exchange has one method for each."""

    AUCTION = "auction"  # ask the buyers for bids, keep them
    REDEEM = "redeem"  # sell the full lead to the bidders of an earlier auction
    OFFER = "offer"  # auction and sale in one call
    PRECHECK = "precheck"  # would a lead be taken? Nothing is kept
    INGEST = "ingest"  # take the lead and distribute it
    LOOKUP = "lookup"  # no lead comes in: find those that were taken
    FETCH = "fetch"  # say how one lead ended
    LIST = "list"  # say page by page how a campaign's leads ended
    UPDATE = "update"  # enrich a lead that was taken; one that nobody bought is offered again
    FEEDBACK = "feedback"  # write down what became of a lead after its sale
    EVENT = "event"  # something happened to a lead: once, with its revenue
    CLICKS = "clicks"  # say what the consumer of a sold lead can be shown
    CLICK = "click"  # lead the consumer on


# In these a request is a lead for a campaign, or becomes part of one.
_TAKES_LEAD = frozenset(
    {Journey.AUCTION, Journey.REDEEM, Journey.OFFER, Journey.PRECHECK, Journey.INGEST, Journey.UPDATE}
)


class BodyType(StrEnum):
    JSON = "application/json"
    FORM = "application/x-www-form-urlencoded"
    QUERY = "query"
    URL = "url"  # of a request that could have a body and has none


@value(frozen=True, slots=True)
class Operation:
    """One documented call.

    `example` is a body that the vendor prints. `path` uses Flask's notation. `methods` and `bodies` map to the reading
    that must be in force for them ("" = always), e.g. `{"POST": "", "GET": "form_get=true"}`. `prefix` starts the ids
    of its rows. `credential` is the kind of token or key that opens it, "" when none does; `credential_reading` is the
    reading that must be in force for it to be wanted. `limit` is the documented rate limit per source. `arguments` says
    which arguments of the path are fields of the request, and by which names; `fills` which fields of the example hold
    one of the source's own ids. `link` is the field or argument by which a lead is named from its ping on. `dated` are
    fields that hold the day of sending, so that no fixed example can.
    """

    name: str
    path: str
    journey: Journey
    prefix: str
    credential: str
    methods: Mapping[str, str]
    bodies: Mapping[BodyType, str]
    summary: str
    source: str
    example: Mapping[str, Any]
    aliases: Mapping[str, str] = field(default_factory=dict)
    limit: Limit | None = None
    credential_reading: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    fills: Mapping[str, str] = field(default_factory=dict)
    link: str = ""
    dated: tuple[str, ...] = ()

    def example_on(self, day: str) -> dict[str, Any]:
        """Return the example as somebody sends it on a day (`YYYY-MM-DD`)."""
        return {**self.example, **dict.fromkeys(self.dated, day)}

    @property
    def takes_lead(self) -> bool:
        """Whether a request is a lead for a campaign, and so falls under the campaign's terms."""
        return self.journey in _TAKES_LEAD


@value(frozen=True, slots=True)
class Row:
    """One documented answer of one operation. See `status_codes.toml` of the vendor for the columns."""

    id: str
    operation: str
    http: int
    code: str
    answers: tuple[Reason, ...]
    evidence: Evidence
    source: tuple[str, ...]
    meaning: str
    reading: str = ""
    covers: tuple[str, ...] = ()


class Readings(Protocol):
    """A vendor's readings: one attribute per conflict or gap of its documents."""

    def model_dump(self) -> dict[str, Any]: ...


def in_force(reading: str, readings: Mapping[str, str]) -> bool:
    """Whether `name=value` (or "", which always is) holds among the readings, as `words` gives them."""
    if not reading:
        return True
    name, _, value = reading.partition("=")
    return readings.get(name) == value


def words(readings: Readings) -> dict[str, str]:
    """Flatten readings for `in_force`: booleans become `true` and `false`, all else keeps its spelling."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in readings.model_dump().items()
    }


@value(frozen=True, slots=True)
class Rendered:
    """An answer as the vendor words it, before it becomes bytes."""

    body: dict[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


class Wire(Protocol):
    """The publisher side of a vendor: how a decision is worded. `readings` is the vendor's own model."""

    def __call__(self, row: Row, decision: Decision, readings: Any) -> Rendered: ...


class Admission(Protocol):
    """Who may call, decided from the request alone and the account.

    `caller` names who calls, for the look-up. `admit` returns the refusal of a caller's credential, or None.
    `header` is the header that presents the credential in force, None where none is wanted. `terms_for` returns the
    terms that the lead falls under, or the refusal.
    `fixed` names the fields by which it finds them, with the values that lead to these terms.
    """

    def caller(self, received: Received) -> str: ...
    def admit(
        self, received: Received, source: Source | None, operation: Operation, now: datetime
    ) -> Decision | None: ...
    def header(self, source: Source, operation: Operation) -> tuple[str, str] | None: ...
    def terms_for(self, account: Account, source: Source, values: Mapping[str, Any]) -> Terms | Decision: ...
    def fixed(self, terms: Terms) -> Mapping[str, str]: ...


class Asking(Protocol):
    """What requests about leads sent before ask for: where the vendor's words for it end. A Decision is the refusal."""

    def listing(self, values: Mapping[str, Any], readings: Any) -> Listing | Decision: ...
    def postback(self, values: Mapping[str, Any], readings: Any) -> Postback: ...


class SaleAnswer(Protocol):
    """What a buyer said to the full lead."""

    @property
    def accepted(self) -> bool: ...
    @property
    def redirect_url(self) -> str: ...
    @property
    def why(self) -> str: ...


class BuyerWire(Protocol):
    """How a platform speaks to its buyers' endpoints. A str is the refusal, or why an answer is none."""

    def ping_request(self, buyer: Buyer, lead: Lead) -> dict[str, Any]: ...
    def post_request(self, buyer: Buyer, lead: Lead, ping_id: str) -> dict[str, Any]: ...
    def read_ping(self, buyer: Buyer, status: int, body: bytes) -> Bid | str: ...
    def read_post(self, buyer: Buyer, status: int, body: bytes) -> SaleAnswer: ...


@value(frozen=True, slots=True)
class Redeemed:
    """What a signed ping token says: its own id, the buyer it promised and the price, if that binds."""

    token_id: str
    buyer_id: str
    price: Decimal | None


class PingTokens(Protocol):
    """Signed ping tokens that carry what they promise, so that a ping need not be remembered."""

    def issue(self, account: Account, terms: Terms, buyer: Buyer, now: datetime, token_id: str) -> str: ...
    def redeem(
        self, account: Account, terms: Terms, values: Mapping[str, Any], now: datetime
    ) -> Redeemed | Decision | None: ...
    def used(self, account: Account) -> Decision | None: ...


class WebhookWire(Protocol):
    """What is delivered to a buyer's webhook, and the headers of one attempt. `at` is sandbox time."""

    def body(self, delivered: Delivered) -> bytes: ...
    def headers(self, readings: Any, secret: str, body: bytes, event_id: str, at: datetime) -> dict[str, str]: ...


@value(frozen=True, slots=True)
class Delivered:
    """A sold lead as a webhook reports it. `price` is US dollars."""

    lead_id: str
    campaign_id: str
    source_id: str
    buyer_id: str
    price: Decimal
    is_test: bool
    at: datetime
    values: Mapping[str, Any]


@value(frozen=True, slots=False)
class Contract:
    """All that one vendor documents. Pure data and pure functions.

    `formats` is the JSON Schema of each field type. `schemas` holds, per operation, the JSON Schema of the
    request (`request`) and of each row's answer (by row id; `<row id>@envelope=gen1` and the like for a
    reading that changes the body and not the status). `readings` models what may be read in two ways. `pages` are
    the titles of the pages that evidence names `seed:NNN`, `documentation` is where `public:/…` is found.
    """

    platform: str
    title: str
    base_url: str
    operations: tuple[Operation, ...]
    rows: tuple[Row, ...]
    schemas: Mapping[str, Mapping[str, Any]]
    formats: Mapping[FieldType, Mapping[str, Any]]
    path_prefix: str
    source_word: str
    render: Wire
    normalise: Callable[[Mapping[str, Any]], Lead]
    readings: type[BaseModel]
    admission: Admission
    buyer_wire: BuyerWire | None = None
    ping_tokens: PingTokens | None = None
    webhook_wire: WebhookWire | None = None
    asking: Asking | None = None
    duties: Duties | None = None
    documentation: str = ""
    pages: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _by_reason(self) -> dict[tuple[str, Reason], tuple[Row, ...]]:
        found: dict[tuple[str, Reason], tuple[Row, ...]] = {}
        for row in self.rows:
            for reason in row.answers:
                key = (row.operation, reason)
                found[key] = (*found.get(key, ()), row)
        return found

    def row_for(self, operation: str, reason: Reason, readings: Mapping[str, str]) -> Row:
        """Return the row that words a decision under the readings in force.

        Raises LookupError when the table has no such row: a hole in the table, never bad input.
        """
        for row in self._by_reason.get((operation, reason), ()):
            if in_force(row.reading, readings):
                return row
        raise LookupError(f"{self.platform}: no row of {operation!r} answers {reason.value!r}")

    def schema_for(self, row: Row, readings: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the JSON Schema of a row's answer under the readings in force."""
        schemas: Mapping[str, Mapping[str, Any]] = self.schemas[row.operation]
        for key, schema in schemas.items():
            row_id, _, reading = key.partition("@")
            if row_id == row.id and reading and in_force(reading, readings):
                return schema
        return schemas[row.id]

    def rows_of(self, operation: str) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.operation == operation)
