"""Stories of webhooks: received by the suite's own receiver, signed over the exact bytes, tried again when failed."""

# A story's docstring is its title in the report: a fact, not a command.
# ruff: noqa: D401

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conformance import suite_sandbox
from conformance.case import Lever
from conformance.journey import journey
from conformance.journeys.receiver import Delivery, Receiver, receiving
from conformance.journeys.telling import LEADDISTRO, own_world, tell
from conformance.results import Verdict
from conformance.stage import Stage, StopError, at

SECRET = "the-suite-s-own-webhook-secret"  # noqa: S105  of a receiver that lives for a second
SIGNATURE = "x-leaddistro-signature"
TIMESTAMP = "x-leaddistro-timestamp"
EVENT = "x-leaddistro-event-id"
_NEEDS = (Lever.CONTROL_API, Lever.CLOCK, Lever.BUYERS)


@contextmanager
def _hooked(stage: Stage, world: str, *answers: int) -> Iterator[tuple[Stage, Receiver]]:
    """Give a world in which the first buyer's webhook is the suite's own receiver."""
    with receiving(*answers) as receiver:
        sandbox: dict[str, Any] = json.loads(json.dumps(suite_sandbox.sandbox_of(world)))
        [direct] = [item for item in sandbox[LEADDISTRO]["campaigns"] if item["id"] == "direct"]
        direct["buyers"][0]["webhook"] = {"url": receiver.url, "secret": SECRET}
        with own_world(stage, world, sandbox) as own:
            yield own, receiver


def _arrived(stage: Stage, receiver: Receiver) -> Delivery:
    delivery = receiver.next()
    stage.require(delivery is not None, "a webhook to the buyer", "none within ten seconds")
    if delivery is None:
        raise StopError(Verdict.ERROR, "unreachable: the line above has stopped")
    return delivery


def _signed(text: bytes) -> str:
    return hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()


@journey("INV-WEBHOOK-SIGNED", LEADDISTRO, ("INV-WEBHOOK-SIGNED", "LD-ING-201-ACCEPTED"), needs=_NEEDS)
def a_sold_lead_is_delivered_and_signed(stage: Stage) -> None:
    """A sold lead reaches the buyer's webhook once, signed with HMAC-SHA256 over the raw body, in hex."""
    with _hooked(stage, "default") as (own, receiver):
        lead_id = at(tell(own, "ingest", "LD-ING-201-ACCEPTED", 201), "/data/id")
        delivery = _arrived(own, receiver)
        signature = delivery.headers.get(SIGNATURE, "")
        own.require(signature == _signed(delivery.body), "the signature of the body as it arrived", signature)
        document = json.loads(delivery.body)
        own.require(document.get("id") == lead_id, f"lead {lead_id}", document.get("id"))
        own.require(document.get("is_test") is False, "is_test false", document.get("is_test"))
        email = own.composer.filled("${lead.email}")
        own.require(document.get("email") == email, f"the full lead, of {email}", document.get("email"))
        own.require(receiver.next(0.1) is None, "one delivery", "two")


@journey("INV-WEBHOOK-TEST", LEADDISTRO, ("INV-WEBHOOK-TEST", "LD-ING-201-ACCEPTED"), needs=_NEEDS)
def a_test_lead_is_delivered_as_one(stage: Stage) -> None:
    """The webhook of a lead from test mode says is_test true."""
    with _hooked(stage, "default") as (own, receiver):
        patch = {"flo_campaign_id": "direct"}
        tell(own, "ingest", "LD-ING-201-ACCEPTED", 201, account="test", patch=patch)
        document = json.loads(_arrived(own, receiver).body)
        own.require(document.get("is_test") is True, "is_test true", document.get("is_test"))


@journey("INV-WEBHOOK-RETRIED", LEADDISTRO, ("INV-WEBHOOK-RETRIED",), needs=_NEEDS)
def a_failed_delivery_is_tried_again(stage: Stage) -> None:
    """A webhook that is answered 500 comes again: the same event, the same bytes, a good signature."""
    with _hooked(stage, "default", 500) as (own, receiver):
        tell(own, "ingest", "LD-ING-201-ACCEPTED", 201)
        first = _arrived(own, receiver)
        own.advance("1 day")
        again = _arrived(own, receiver)
        own.require(again.body == first.body, "the same body", again.body.decode("utf-8", "replace"))
        own.require(again.headers.get(EVENT) == first.headers.get(EVENT), "the same event id", again.headers.get(EVENT))
        own.require(
            again.headers.get(SIGNATURE) == _signed(again.body), "a good signature", again.headers.get(SIGNATURE)
        )


@journey("INV-WEBHOOK-NOT-SOLD", LEADDISTRO, ("INV-WEBHOOK-NOT-SOLD",), needs=_NEEDS)
def what_is_not_sold_is_not_delivered(stage: Stage) -> None:
    """An unmatched lead, a duplicate and a refused one reach no webhook."""
    with _hooked(stage, "default") as (own, receiver):
        tell(own, "ingest", "LD-ING-201-ACCEPTED", 201)
        _arrived(own, receiver)
        tell(own, "ingest", "LD-ING-200-DUPLICATE", 200)
        tell(own, "ingest", "LD-ING-200-UNMATCHED", 200, lead="far", variant="unmatched")
        tell(own, "ingest", "LD-ING-400-VALIDATION", 400, lead="bad", patch={"email": "none"})
        own.require(receiver.next(0.1) is None, "no further webhook", "one")


@journey(
    "INV-WEBHOOK-TIMESTAMP",
    LEADDISTRO,
    ("INV-WEBHOOK-TIMESTAMP",),
    needs=_NEEDS,
    readings={"webhook_signature": "timestamped"},
)
def a_timestamp_is_signed_too(stage: Stage) -> None:
    """Under the blog's reading the timestamp stands in a header and is signed before the body (C8)."""
    with _hooked(stage, stage.world.name) as (own, receiver):
        tell(own, "ingest", "LD-ING-201-ACCEPTED", 201)
        delivery = _arrived(own, receiver)
        signed = delivery.headers.get(TIMESTAMP, "").encode() + b"." + delivery.body
        signature = delivery.headers.get(SIGNATURE)
        own.require(signature == _signed(signed), "the signature of timestamp and body", signature)


ALL = (
    a_sold_lead_is_delivered_and_signed,
    a_test_lead_is_delivered_as_one,
    a_failed_delivery_is_tried_again,
    what_is_not_sold_is_not_delivered,
    a_timestamp_is_signed_too,
)
