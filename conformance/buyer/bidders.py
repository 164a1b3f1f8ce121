"""The checks of a Pingtree buyer's ping and post endpoints: what the routing pages describe of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from conformance.buyer.check import FAST_MS, GOOD, Check, Examination, Grade, must, said, taken, unreadable, worst
from conformance.client import JSON, Answer
from conformance.results import Verdict, Why
from simulator.platforms.pingtree import buyer_wire
from simulator.platforms.pingtree.wire import normalise
from simulator.routing.agreed import Buyer
from simulator.routing.decision import Bid, Lead

_BUYER = Buyer(id="examined")
_ROUTING = ("public:/documentation/campaign/distribution/ping-post",)
_ENDPOINT = ("public:/documentation/campaign/distribution/endpoint-configuration",)
_ANSWER = "A ping is answered with accept or reject, a bid amount and a unique ping id."
_POSTED = "The full lead is posted with the buyer's own ping id; the answer says whether it was taken."
_MORE: Mapping[str, Any] = {"loan_amount": 15000, "credit_score": "good", "home_owner": True}


def _lead(at: Examination, **changes: Any) -> Lead:
    return normalise({**at.people.person(at.platform), **_MORE, **changes})


def ping(at: Examination, values: Mapping[str, Any]) -> Answer:
    return at.send("ping", {"Content-Type": JSON}, json.dumps(values).encode())


def post(at: Examination, lead: Lead, ping_id: str) -> Answer:
    body = json.dumps(buyer_wire.post_request(_BUYER, lead, ping_id)).encode()
    return at.send("post", {"Content-Type": JSON}, body)


def read(answer: Answer) -> Bid | str:
    """Return the bid in an answer, or why there is none, as the platform would read it."""
    return buyer_wire.read_ping(_BUYER, answer.status, answer.raw)


def refused_readably(answer: Answer) -> bool:
    """Whether an answer to a ping is a refusal that says so."""
    try:
        found = json.loads(answer.raw)
    except ValueError:
        return False
    return taken(answer) and isinstance(found, dict) and str(found.get("accepted")).lower() in {"false", "0", "no"}


def bid_for(at: Examination) -> tuple[Lead, Bid] | Grade:
    """Ping with somebody new; return the lead and the bid, or the grade that says why nothing can be asked now."""
    lead = _lead(at)
    answer = ping(at, buyer_wire.ping_request(_BUYER, lead))
    bid = read(answer)
    if isinstance(bid, Bid):
        return lead, bid
    return Grade(Verdict.INCONCLUSIVE, "a bid on a good lead", f"{bid} ({said(answer)})", Why.PRECONDITION_FAILED)


def answers(at: Examination) -> Grade:
    answer = ping(at, buyer_wire.ping_request(_BUYER, _lead(at)))
    bid = read(answer)
    if isinstance(bid, Bid):
        return GOOD
    if refused_readably(answer):
        actual = f"refused: {bid}"
        return Grade(Verdict.INCONCLUSIVE, "a bid, so that the rest can be asked", actual, Why.PRECONDITION_FAILED)
    return unreadable(answer, bid, "2xx with a bid or a refusal")


def unique(at: Examination) -> Grade:
    found = [bid_for(at), bid_for(at)]
    ids = [item[1].ping_id for item in found if not isinstance(item, Grade)]
    if len(ids) < 2:
        return next(item for item in found if isinstance(item, Grade))
    return must(ids[0] != ids[1], "a ping id of its own for each ping", f"{ids[0]} twice")


def same_in_any_writing(at: Examination) -> Grade:
    """Send one ping in three writings: keys reversed, escapes and line breaks, no spaces."""
    values = buyer_wire.ping_request(_BUYER, _lead(at))
    grades = []
    for text in (
        json.dumps(dict(reversed(values.items()))),
        json.dumps(values, indent=2),
        json.dumps(values, separators=(",", ":")),
    ):
        answer = at.send("ping", {"content-type": JSON}, text.encode())
        grades.append(_readable(answer, "an answer whatever the order of keys and the spaces"))
    return worst(*grades)


def fast(at: Examination) -> Grade:
    times = [ping(at, buyer_wire.ping_request(_BUYER, _lead(at))).exchange.milliseconds for _ in range(3)]
    return must(min(times) <= FAST_MS, f"an answer within {FAST_MS:.0f} ms", f"{min(times):.0f} ms", Verdict.WARN)


def sells(at: Examination) -> Grade:
    found = bid_for(at)
    if isinstance(found, Grade):
        return found
    answer = post(at, found[0], found[1].ping_id)
    sale = buyer_wire.read_post(_BUYER, answer.status, answer.raw)
    if sale.accepted:
        return must(not sale.why, "an http(s) redirect address", sale.why, Verdict.WARN)
    verdict = Verdict.WARN if refused_readably(answer) else Verdict.FAIL
    return unreadable(answer, sale.why, "the lead taken that was bid on", verdict)


def _not_sold(at: Examination, lead: Lead, ping_id: str, what: str) -> Grade:
    answer = post(at, lead, ping_id)
    sold = buyer_wire.read_post(_BUYER, answer.status, answer.raw).accepted
    return must(not sold and answer.status < 500, f"a refusal of {what}", answer, Verdict.WARN)


def sells_once(at: Examination) -> Grade:
    """Post one lead twice. A platform would pay, and be paid, for what was sold once."""
    found = bid_for(at)
    if isinstance(found, Grade):
        return found
    lead, bid = found
    post(at, lead, bid.ping_id)
    return _not_sold(at, lead, bid.ping_id, "a second post of one ping id")


def wants_its_ping(at: Examination) -> Grade:
    return _not_sold(at, _lead(at), at.people.fresh_id(), "a ping id that was never given out")


def wants_the_same_case(at: Examination) -> Grade:
    found = bid_for(at)
    if isinstance(found, Grade):
        return found
    lead, bid = found
    return _not_sold(at, lead, bid.ping_id + "x", "an altered ping id")


def no_json(at: Examination) -> Grade:
    answers_ = [at.send(kind, {"Content-Type": JSON}, b'{"state": ') for kind in ("ping", "post")]
    return worst(*(_no_sale(answer) for answer in answers_))


def _no_sale(answer: Answer) -> Grade:
    if buyer_wire.read_post(_BUYER, answer.status, answer.raw).accepted:
        return must(False, "no acceptance of a body that is no JSON", answer)
    return must(answer.status < 500, "4xx to a body that is no JSON", answer, Verdict.WARN)


def unknown_field(at: Examination) -> Grade:
    values = {**buyer_wire.ping_request(_BUYER, _lead(at)), "added_later": "by the platform"}
    return _readable(ping(at, values), "an answer to a ping with a field it does not know", Verdict.WARN)


def _readable(answer: Answer, expected: str, verdict: Verdict = Verdict.FAIL) -> Grade:
    bid = read(answer)
    return GOOD if isinstance(bid, Bid) or refused_readably(answer) else unreadable(answer, bid, expected, verdict)


CHECKS: tuple[Check, ...] = (
    Check("BID-ANSWER", "A ping is answered in a way that can be read", answers, rule=_ANSWER, source=_ROUTING),
    Check("BID-UNIQUE-ID", "Each ping gets a ping id of its own", unique, rule=_ANSWER, source=_ROUTING),
    Check(
        "BID-WRITING", "Key order, spaces and escapes do not matter", same_in_any_writing, rule=_ANSWER, source=_ROUTING
    ),
    Check(
        "BID-FIELD-ADDED",
        "A field that the buyer does not know does not matter",
        unknown_field,
        rule=_ANSWER,
        source=_ROUTING,
    ),
    Check(
        "BID-FAST",
        "The buyer bids within half a second",
        fast,
        rule="Each buyer has a ping timeout in seconds; half a second is ours, from a blog about another vendor.",
        source=_ENDPOINT,
    ),
    Check("BID-SALE", "A lead that was bid on is taken", sells, rule=_POSTED, source=_ROUTING),
    Check(
        "BID-SOLD-ONCE",
        "A ping id is good for one sale",
        sells_once,
        rule=f"{_POSTED} That it sells once is ours.",
        source=_ROUTING,
    ),
    Check(
        "BID-UNKNOWN-ID",
        "A ping id that was never given out sells nothing",
        wants_its_ping,
        rule=_POSTED,
        source=_ROUTING,
    ),
    Check("BID-ALTERED-ID", "An altered ping id sells nothing", wants_the_same_case, rule=_POSTED, source=_ROUTING),
    Check(
        "BID-NO-JSON",
        "A body that is no JSON is no sale and no error of the server",
        no_json,
        rule=_POSTED,
        source=_ROUTING,
    ),
)
