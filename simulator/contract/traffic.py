"""What integrators sent, as duties look at it: journal entries in the order in which they began. No duty lives here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import orjson

from simulator.contract.account import Account, Source
from simulator.contract.duty import Dialect
from simulator.contract.model import Contract, Journey
from simulator.routing.fields import is_blank, text_of, us_digits
from simulator.routing.model import Reason, Terms

SLOW = 1.0  # seconds; ours: an answer that takes longer tries a client's patience
_PINGS = frozenset({Journey.AUCTION, Journey.PRECHECK})
_SUBMISSIONS = frozenset({Journey.REDEEM, Journey.OFFER, Journey.INGEST})
_UNFINISHED = frozenset({"reset", "hang", "truncated_body", "malformed_json", "empty_body", "wrong_content_type"})
TAKEN = frozenset(
    {
        *(Reason.SOLD, Reason.SOLD_PAST_SUPPRESSION, Reason.QUEUED, Reason.DUPLICATE_ROUTED),
        *(Reason.DUPLICATE, Reason.UNSOLD, Reason.UNMATCHED),
    }
)
_READ_ANSWERS = frozenset({*_PINGS, Journey.CLICKS, None})  # what a client had to read in an answer
UNREAD = frozenset({Reason.MALFORMED_BODY, Reason.WRONG_CONTENT_TYPE, Reason.BODY_TOO_LARGE})


@dataclass(slots=True)
class Sent:
    """One request and what it was answered.

    `at` is sandbox time; `began` and `ended` are monotonic seconds of real time, `ended` with what a fault held
    the answer back. `unfinished` means that a fault left the client without a legible answer; `forced` that a
    trigger decided, so that `reason` says nothing of the client. `mislabelled` is JSON that is called form-encoded.
    `values` is empty when they are not known.
    """

    id: str
    at: datetime
    began: float
    ended: float
    operation: str
    journey: Journey | None
    source_id: str
    http: int
    reason: Reason
    forced: bool
    unfinished: bool
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str
    masked: bool
    mislabelled: bool
    values: Mapping[str, Any]
    answer: Mapping[str, Any]
    digest: str
    credential: Mapping[str, Any]
    misplaced: Sequence[str]
    errors: Sequence[Mapping[str, str]]
    retry_after: int

    @property
    def is_ping(self) -> bool:
        return self.journey in _PINGS

    @property
    def is_submission(self) -> bool:
        return self.journey in _SUBMISSIONS

    @property
    def is_slow(self) -> bool:
        return self.ended - self.began >= SLOW

    @property
    def is_accepted_ping(self) -> bool:
        return self.reason in {Reason.BID, Reason.AVAILABLE}

    @property
    def is_rejected_ping(self) -> bool:
        """Whether the answer was a success that says no: the HTTP code alone does not tell."""
        return self.is_ping and self.http < 300 and not self.is_accepted_ping

    def refused_for(self, *reasons: Reason) -> bool:
        """Whether it was refused for one of these reasons, and no trigger wished for it."""
        return self.reason in reasons and not self.forced

    def text(self, name: str) -> str:
        return text_of(self.values.get(name)).strip()

    def gap_after(self, earlier: Sent) -> float:
        """Return the seconds from an earlier answer to this request, on whichever clock is further."""
        on_the_clock = (self.at - earlier.at).total_seconds() - (earlier.ended - earlier.began)
        return max(self.began - earlier.ended, on_the_clock)


def read(entry: Mapping[str, Any], journeys: Mapping[str, Journey]) -> Sent:
    """Make a journal entry (see `recording.py`, and `forced`) into what duties look at."""
    request, began = entry["request"], entry["began"]
    path, _, query = entry["path"].partition("?")
    masked = bool(request.get("masked") or request.get("body_truncated"))
    at, fault = entry["at"], str(entry.get("fault") or "")
    journey = journeys.get(entry["operation"])
    mislabelled = "form-urlencoded" in request["headers"].get("content-type", "") and request["body"][:1] in {"{", "["}
    return Sent(
        id=entry["id"],
        at=datetime.fromisoformat(at) if isinstance(at, str) else at,
        began=began,
        ended=began + entry["duration_ms"] / 1000 + _held_back(fault),
        operation=entry["operation"],
        journey=journey,
        source_id=entry["source_id"],
        http=entry["http"],
        reason=Reason(entry["reason"]),
        forced=bool(entry.get("forced")),
        unfinished=fault.partition("=")[0] in _UNFINISHED,
        method=entry["method"],
        path=path,
        query=query,
        headers=request["headers"],
        body=request["body"],
        masked=masked,
        mislabelled=mislabelled,
        values=_keys(request["body"]) if masked else _values(entry["method"], query, request),
        answer=_object(entry["answer"]["body"]) if journey in _READ_ANSWERS else {},
        digest=request.get("digest", ""),
        credential=request.get("credential") or {},
        misplaced=request.get("misplaced") or (),
        errors=entry["errors"],
        retry_after=entry["retry_after"] or 0,
    )


def _held_back(fault: str) -> float:
    """Return the seconds of `slow=2500`; a distribution's draw is not in the journal, so it counts as nothing."""
    name, _, amount = fault.partition("=")
    return float(amount) / 1000 if name == "slow" and amount.replace(".", "", 1).isdigit() else 0.0


def _values(method: str, query: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    if method == "GET":
        return dict(parse_qsl(query, keep_blank_values=True))
    if "form-urlencoded" in request["headers"].get("content-type", ""):
        if request["body"][:1] in {"{", "["}:
            return {}
        return dict(parse_qsl(request["body"], keep_blank_values=True))
    return _object(request["body"])


def _keys(body: str) -> Mapping[str, Any]:
    """Return the field names of a masked body, each with no value."""
    return dict.fromkeys(_object(body))


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


class History:
    """Everything that one tenant's integrators sent to one platform, oldest first, and what it belongs to."""

    def __init__(
        self, contract: Contract, dialect: Dialect, account: Account, entries: Iterable[Mapping[str, Any]]
    ) -> None:
        self.contract = contract
        self.dialect = dialect
        self.account = account
        journeys = {item.name: item.journey for item in contract.operations}
        self.sent = sorted((read(entry, journeys) for entry in entries), key=lambda item: item.began)
        self.pings = [item for item in self.sent if item.is_ping]
        self.submissions = [item for item in self.sent if item.is_submission]
        self.leads = [item for item in self.sent if item.is_ping or item.is_submission]
        self._sources: dict[str, Source] = {item.id: item for item in account.sources.values()}
        self._named: dict[tuple[str, int], tuple[frozenset[str], frozenset[str]]] = {}
        self._persons: dict[str, tuple[str, ...]] = {}
        self._ping_of, self._posted = self._linked()

    # --- what a request belongs to ------------------------------------------------------------------------

    def terms(self, sent: Sent) -> Terms | None:
        source = self._sources.get(sent.source_id)
        if source is None:
            return None
        if self.dialect.campaign:
            return source.terms.get(sent.text(self.dialect.campaign))
        return next(iter(source.terms.values()), None)

    def scope(self, sent: Sent) -> str:
        """Return the campaign, in which one person should come once."""
        if self.dialect.campaign:
            return sent.text(self.dialect.campaign)
        terms = self.terms(sent)
        return terms.campaign_id if terms else ""

    def lifetime(self, sent: Sent) -> timedelta:
        terms = self.terms(sent)
        return terms.ping_lifetime if terms else timedelta.max

    def documented(self, operation: str) -> frozenset[str]:
        """Return the fields that the vendor documents for an operation."""
        return frozenset(self.contract.schemas.get(operation, {}).get("request", {}).get("properties", {}))

    def known(self, sent: Sent) -> frozenset[str]:
        """Return every field that the posting specification names."""
        return self._specified(sent)[0]

    def required(self, sent: Sent) -> frozenset[str]:
        return self._specified(sent)[1]

    def _specified(self, sent: Sent) -> tuple[frozenset[str], frozenset[str]]:
        terms = self.terms(sent)
        key = (sent.operation, id(terms))
        if key not in self._named:
            fields = terms.fields if terms else ()
            must = self.contract.schemas[sent.operation]["request"].get("required", ())
            known = self.documented(sent.operation) | {item.name for item in fields}
            required = {item.name for item in fields if sent.operation in item.required}
            self._named[key] = (known, frozenset(must) | required)
        return self._named[key]

    def persons(self, sent: Sent) -> tuple[str, ...]:
        """Return what tells the person of a lead, normalised as the sandbox does: phone digits, lower-case e-mail."""
        if sent.id not in self._persons:
            phone, email = us_digits(sent.text(self.dialect.phone)), sent.text("email").lower()
            self._persons[sent.id] = tuple(item for item in (phone, email) if item)
        return self._persons[sent.id]

    # --- which ping a post goes with ----------------------------------------------------------------------

    def issued(self, ping: Sent) -> str:
        """Return the id that a ping's answer gave for the post; "" when none was given."""
        inner = ping.answer.get("data")
        found = ping.answer.get(self.dialect.issued) or (
            inner.get(self.dialect.issued) if isinstance(inner, dict) else ""
        )
        return found if isinstance(found, str) else ""

    def link(self, post: Sent) -> str:
        """Return the id by which a post names its ping, exactly as it was sent."""
        return text_of(post.values.get(self.dialect.link))

    def ping_of(self, post: Sent) -> Sent | None:
        """Return the ping that a post names: the last one before it that this id was given to."""
        return self._ping_of.get(post.id)

    def was_posted(self, ping: Sent) -> bool:
        return self.issued(ping) in self._posted

    @cached_property
    def issued_ids(self) -> dict[str, Sent]:
        """The accepted pings by the id that they were answered with."""
        return {self.issued(ping): ping for ping in self.pings if ping.is_accepted_ping and self.issued(ping)}

    def _linked(self) -> tuple[dict[str, Sent], set[str]]:
        latest: dict[str, Sent] = {}
        found: dict[str, Sent] = {}
        posted: set[str] = set()
        for item in self.leads:
            if item.is_ping and (name := self.issued(item)):
                latest[name] = item
            elif item.is_submission and (name := self.link(item)):
                posted.add(name)
                if name in latest:
                    found[item.id] = latest[name]
        return found, posted


def blank(sent: Sent) -> frozenset[str]:
    """Return the fields that were sent with nothing in them."""
    return frozenset(name for name, value in sent.values.items() if is_blank(value)) if not sent.masked else frozenset()
