"""One request as duties look at it, read from its journal entry. What it belongs to is `traffic.py`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson

from simulator.contract.model import Journey
from simulator.routing.decision import Reason
from simulator.routing.fields import is_blank, text_of
from simulator.routing.values import value

SLOW = 1.0  # seconds; ours: an answer that takes longer tries a client's patience
_PINGS = frozenset({Journey.AUCTION, Journey.PRECHECK})
_READ_ANSWERS = frozenset({*_PINGS, Journey.CLICKS, None})  # what duties ask: did the client go by the answer?
_SUBMISSIONS = frozenset({Journey.REDEEM, Journey.OFFER, Journey.INGEST})
_UNFINISHED = frozenset({"reset", "hang", "truncated_body", "malformed_json", "empty_body", "wrong_content_type"})
TAKEN = frozenset(
    {
        *(Reason.SOLD, Reason.SOLD_PAST_SUPPRESSION, Reason.QUEUED, Reason.DUPLICATE_ROUTED),
        *(Reason.DUPLICATE, Reason.UNSOLD, Reason.UNMATCHED),
    }
)
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


@value(frozen=True, slots=True)
class Attempt:
    """One webhook to a receiver of the integrator's own. `status` is None when no answer came.

    `id` says where to read more: `deliveries/7`. `event_id` is the same for all attempts at one delivery.
    """

    id: str
    event_id: str
    status: int | None
    latency_ms: float

    @property
    def was_taken(self) -> bool:
        return self.status is not None and 200 <= self.status <= 299


def read(entry: Mapping[str, Any], journeys: Mapping[str, Journey]) -> Sent:
    """Make a journal entry (see `recording.py`, and `forced`) into what duties look at."""
    request, began = entry["request"], entry["began"]
    path, _, query = entry["path"].partition("?")
    masked = bool(request.get("masked"))
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
    if request.get("body_truncated"):  # half of a lead is not what was sent
        return {}
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


def blank(sent: Sent) -> frozenset[str]:
    """Return the fields that were sent with nothing in them."""
    return frozenset(name for name, value in sent.values.items() if is_blank(value)) if not sent.masked else frozenset()
