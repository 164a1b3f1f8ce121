"""The checks of a Lead Distro AI buyer's webhook receiver: duties D70 to D74. Nothing is sent but what they need."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from conformance.buyer.check import FAST_MS, GOOD, Check, Examination, Grade, must, said, taken, worst
from conformance.client import Answer
from conformance.results import Verdict, Why
from simulator.platforms.leaddistro.buyer_wire import webhook_body, webhook_headers, webhook_payload
from simulator.platforms.leaddistro.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

_HOOK = "webhook"
_BLOG = ("public:/blog/lead-distribution-webhook",)
_LATE = (
    "What failed is tried again for at least three days; in the blog's model with a timestamp a replay is known by its"
    " age of more than five minutes (C8)."
)
_NO_JSON = "Ours: no page says what a receiver makes of a body that is no JSON."


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook, ready to be sent."""

    headers: Mapping[str, str]
    body: bytes

    def with_header(self, name: str, value: str) -> Delivery:
        return Delivery({**self.headers, name: value}, self.body)

    def without(self, name: str) -> Delivery:
        return Delivery({key: value for key, value in self.headers.items() if key != name}, self.body)


def composed(at: Examination, *, age: timedelta = timedelta(), **changes: Any) -> Delivery:
    """Return a webhook of a new lead, signed. `age` is how long ago it was sold and, with a timestamp, sent."""
    lead = at.people.person(at.platform) | {"case_type": "auto", "note": "Grüße, 東京"}
    now = datetime.now(UTC) - age  # noqa: TID251  the edge: a receiver has no clock but the wall's
    payload = webhook_payload(
        lead_id=at.people.fresh_id(),
        campaign_id="campaign_conformance",
        supplier_id="supplier_conformance",
        buyer_id="buyer_conformance",
        price=Decimal(45),
        is_test=False,
        created_at=now,
        values=lead,
    )
    return signed(at, webhook_body(payload | changes), at.people.fresh_id(), now)


def signed(at: Examination, body: bytes, event: str, now: datetime | None = None) -> Delivery:
    """Sign a body as the platform does. `now` is the time of the attempt, UTC."""
    moment = now or datetime.now(UTC)  # noqa: TID251  as above
    stamp = int(moment.timestamp()) if at.timestamped else None
    return Delivery(webhook_headers(at.secret, body, event, timestamp=stamp), body)


def deliver(at: Examination, delivery: Delivery) -> Answer:
    return at.send(_HOOK, delivery.headers, delivery.body)


def _accepted(at: Examination, delivery: Delivery, what: str, verdict: Verdict = Verdict.FAIL) -> Grade:
    answer = deliver(at, delivery)
    if not at.secret and answer.status in {401, 403}:
        return Grade(
            Verdict.INCONCLUSIVE,
            f"2xx to {what}",
            f"{said(answer)}: without --secret it is not signed",
            Why.NO_PERMISSION,
        )
    return must(taken(answer), f"2xx to {what}", answer, verdict)


def _refused(at: Examination, delivery: Delivery, what: str) -> Grade:
    """Grade what must not get 2xx. The vendor's sample receiver answers 401; a 5xx is a warning."""
    answer = deliver(at, delivery)
    if taken(answer):
        return must(False, f"no 2xx to {what}", answer)
    if at.secret and not at.takes_good:
        actual = f"{said(answer)}, as a good one did: that it is refused says nothing"
        return Grade(Verdict.INCONCLUSIVE, f"401 to {what}", actual, Why.PRECONDITION_FAILED, answer.exchange)
    return must(answer.status < 500, f"401 to {what}", answer, Verdict.WARN)


def good(at: Examination) -> Grade:
    grade = _accepted(at, composed(at), "a webhook with a good signature")
    at.takes_good = grade is GOOD
    return grade


def altered(change: Callable[[Delivery], Delivery], what: str) -> Callable[[Examination], Grade]:
    """Make the check that something which is not as it was signed gets no 2xx."""
    return lambda at: _refused(at, change(composed(at)), what)


def _space_after_colon(delivery: Delivery) -> Delivery:
    return Delivery(delivery.headers, delivery.body.replace(b'":', b'": ', 1))


def _dearer(delivery: Delivery) -> Delivery:
    return Delivery(delivery.headers, delivery.body.replace(b'"45.00"', b'"95.00"', 1))


def _last_digit(delivery: Delivery) -> Delivery:
    signature = delivery.headers.get(SIGNATURE_HEADER, "0" * 64)
    return delivery.with_header(SIGNATURE_HEADER, signature[:-1] + ("0" if signature[-1] != "0" else "1"))


def _of_another_secret(delivery: Delivery) -> Delivery:
    return delivery.with_header(SIGNATURE_HEADER, sign("another-buyer-s-secret", delivery.body))


def header_case(at: Examination) -> Grade:
    """Send the names of all headers in lower and in upper case."""
    grades = []
    for case in (str.lower, str.upper):
        delivery = composed(at)
        headers = {case(name): value for name, value in delivery.headers.items()}
        grades.append(_accepted(at, Delivery(headers, delivery.body), f"the header {case(SIGNATURE_HEADER)}"))
    return worst(*grades)


def rewritten(write: Callable[[dict[str, Any]], str], what: str) -> Callable[[Examination], Grade]:
    """Make the check that the same lead written in another way, and signed so, gets 2xx."""

    def run(at: Examination) -> Grade:
        document = json.loads(composed(at).body)
        return _accepted(at, signed(at, write(document).encode(), at.people.fresh_id()), what)

    return run


def _reversed(document: dict[str, Any]) -> str:
    return json.dumps(dict(reversed(document.items())), ensure_ascii=False)


def unknown_field(at: Examination) -> Grade:
    return _accepted(
        at, composed(at, added_later="by the platform"), "a lead with a field it does not know", Verdict.WARN
    )


def fast(at: Examination) -> Grade:
    """Measure three deliveries; the fastest counts, for a busy machine is no slow receiver."""
    times = []
    for _ in range(3):
        answer = deliver(at, composed(at))
        if not taken(answer):
            return Grade(Verdict.INCONCLUSIVE, "2xx to a good webhook", said(answer), Why.PRECONDITION_FAILED)
        times.append(answer.exchange.milliseconds)
    return must(min(times) <= FAST_MS, f"an answer within {FAST_MS:.0f} ms", f"{min(times):.0f} ms", Verdict.WARN)


def repeated(at: Examination) -> Grade:
    """Send one event three times: the same id, the same bytes."""
    delivery = composed(at)
    first, *again = (deliver(at, delivery) for _ in range(3))
    if not taken(first):
        actual = f"{said(first)} to the first delivery"
        return Grade(Verdict.INCONCLUSIVE, "2xx to each delivery of an event", actual, Why.PRECONDITION_FAILED)
    return worst(*(must(taken(answer), "2xx to a repeated event as well", answer, Verdict.WARN) for answer in again))


def late(at: Examination) -> Grade:
    """Deliver what was sold three days ago: the vendor tries again for so long. With a timestamp that is a replay."""
    delivery = composed(at, age=timedelta(days=3))
    if not at.timestamped:
        return _accepted(at, delivery, "a lead that was sold three days ago", Verdict.WARN)
    answer = deliver(at, delivery)
    return must(not taken(answer), "no 2xx to a timestamp of three days ago", answer, Verdict.WARN)


def stamped_otherwise(at: Examination) -> Grade:
    """Change the timestamp after signing."""
    delivery = composed(at, age=timedelta(days=3))
    now = int(datetime.now(UTC).timestamp())  # noqa: TID251  the edge
    return _refused(at, delivery.with_header(TIMESTAMP_HEADER, str(now)), "a timestamp that was not signed")


def out_of_order(at: Examination) -> Grade:
    """Deliver two events, the younger one first."""
    older, younger = composed(at, age=timedelta(minutes=2)), composed(at)
    return worst(*(_accepted(at, item, "events that come out of order", Verdict.WARN) for item in (younger, older)))


def is_test(at: Examination) -> Grade:
    return _accepted(at, composed(at, is_test=True), "a lead that is marked as a test", Verdict.WARN)


def no_json(at: Examination) -> Grade:
    """Send what is signed and no JSON: an error of the caller's is no error of the server's."""
    answer = deliver(at, signed(at, b'{"id": ', at.people.fresh_id()))
    return must(400 <= answer.status < 500, "4xx to a body that is no JSON", answer, Verdict.WARN)


CHECKS: tuple[Check, ...] = (
    Check("HOOK-GOOD", "A webhook with a good signature is taken", good, "D71"),
    Check(
        "HOOK-SIGNATURE-WRONG",
        "A webhook whose signature has a wrong digit is refused",
        altered(_last_digit, "a signature with a wrong digit"),
        "D70",
    ),
    Check(
        "HOOK-SIGNATURE-FOREIGN",
        "A webhook that is signed with another secret is refused",
        altered(_of_another_secret, "a signature of another secret"),
        "D70",
        signed=True,
    ),
    Check(
        "HOOK-SIGNATURE-MISSING",
        "A webhook without a signature is refused",
        altered(lambda item: item.without(SIGNATURE_HEADER), "no signature"),
        "D70",
    ),
    Check(
        "HOOK-SIGNATURE-EMPTY",
        "A webhook with an empty signature is refused",
        altered(lambda item: item.with_header(SIGNATURE_HEADER, ""), "an empty signature"),
        "D70",
    ),
    Check(
        "HOOK-BYTE-ALTERED",
        "A body with one more space than was signed is refused",
        altered(_space_after_colon, "a body with one more space than was signed"),
        "D70",
        signed=True,
    ),
    Check(
        "HOOK-VALUE-ALTERED",
        "A body with another price than was signed is refused",
        altered(_dearer, "a body with another price than was signed"),
        "D70",
        signed=True,
    ),
    Check(
        "HOOK-STAMP-ALTERED",
        "A timestamp that was not signed is refused",
        stamped_otherwise,
        "D70",
        signed=True,
        stamped=True,
    ),
    Check("HOOK-HEADER-CASE", "The case of header names does not matter", header_case, "D71"),
    Check("HOOK-KEY-ORDER", "The order of keys does not matter", rewritten(_reversed, "keys in another order"), "D71"),
    Check(
        "HOOK-ESCAPES",
        "Unicode escapes and line breaks do not matter",
        rewritten(lambda item: json.dumps(item, indent=2), "unicode escapes and line breaks"),
        "D71",
    ),
    Check("HOOK-FIELD-ADDED", "A field that the receiver does not know does not matter", unknown_field, "D71"),
    Check("HOOK-FAST", "The receiver answers within half a second", fast, "D72"),
    Check("HOOK-REPEATED", "An event that comes again is answered 2xx each time", repeated, "D73"),
    Check("HOOK-LATE", "A late delivery is taken; one with an old timestamp is not", late, "D73", _LATE, _BLOG),
    Check("HOOK-OUT-OF-ORDER", "Events that come out of order are taken", out_of_order, "D73"),
    Check("HOOK-TEST", "A test lead is answered 2xx", is_test, "D74"),
    Check("HOOK-NO-JSON", "A body that is no JSON is no error of the server", no_json, "", _NO_JSON),
)
