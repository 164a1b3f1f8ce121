"""Stories of auctions, as seen from outside: who wins, at what price, and how often a ping can be sold."""

# A story's docstring is its title in the report: a fact, not a command.
# ruff: noqa: D401

from __future__ import annotations

from typing import Any

from conformance.case import Lever, Step
from conformance.journey import journey
from conformance.journeys.telling import PINGTREE, all_at_once, kept_rows, ping, post, tell
from conformance.stage import Stage, at

BIDDERS = ("high", "middle", "low")
_AMOUNT = "/data/amount"


def _posts(stage: Stage, buyer: str) -> list[dict[str, Any]]:
    """Return what a mock buyer was posted of this story's people."""
    email = stage.composer.filled("${lead.email}")
    received = stage.control.received(PINGTREE, stage.world.tenant, buyer)
    return [entry for entry in received if entry["kind"] == "post" and entry["body"].get("email") == email]


@journey("INV-PING-THEN-POST", PINGTREE, ("INV-PING-THEN-POST", "PT-PING-201-ACCEPT", "PT-POST-201-ACCEPTED"))
def ping_then_post(stage: Stage) -> None:
    """An accepted ping's transaction id links the post to it."""
    answer = ping(stage)
    sold = post(stage, "PT-POST-201-ACCEPTED", 201)
    pinged, posted = at(answer, "/data/transaction_id"), at(sold, "/data/transaction_id")
    stage.require(pinged == posted, f"the post under transaction_id {pinged}", posted)


@journey(
    "INV-HIGHEST-BID",
    PINGTREE,
    ("INV-HIGHEST-BID", "PT-PING-201-ACCEPT", "PT-POST-201-ACCEPTED"),
    needs=(Lever.CONTROL_API, Lever.BUYERS),
)
def highest_bid_wins(stage: Stage) -> None:
    """The highest bid is the ping's amount, and its bidder alone gets the full lead."""
    amount = at(ping(stage, variant="rich"), _AMOUNT)
    stage.require(amount == "60.50", "the highest of three bids, 60.50", amount, "PT-PING-201-ACCEPT")
    post(stage, "PT-POST-201-ACCEPTED", 201, variant="rich")
    offered = [buyer for buyer in BIDDERS if _posts(stage, buyer)]
    stage.require(offered == ["high"], "the full lead at the highest bidder alone", offered, "PT-POST-201-ACCEPTED")
    amount = at(ping(stage, "second", lead="modest"), _AMOUNT)
    stage.require(amount == "45.00", "45.00 where the highest bidder does not bid", amount, "PT-PING-201-ACCEPT")


@journey(
    "INV-PRICE-KEPT",
    PINGTREE,
    ("INV-PRICE-KEPT", "PT-POST-201-ACCEPTED"),
    needs=(Lever.CONTROL_API,),
)
def price_is_kept(stage: Stage) -> None:
    """The lead is sold at the amount that its ping was answered with."""
    amount = at(ping(stage), _AMOUNT)
    sold = post(stage, "PT-POST-201-ACCEPTED", 201)
    transaction_id = str(at(sold, "/data/transaction_id"))
    [lead] = stage.control.of(stage.world.tenant, "leads", transaction_id=transaction_id)["leads"]
    stage.require(lead["price"] == amount, f"a sale at {amount}", lead["price"], "PT-POST-201-ACCEPTED")


@journey(
    "INV-ONE-SALE",
    PINGTREE,
    ("INV-ONE-SALE", "PT-POST-201-ACCEPTED", "PT-POST-400-RULE"),
    readings={"repeated_post": "reject"},
)
def one_sale_per_ping(stage: Stage) -> None:
    """A ping is sold once: of posts at the same moment one is accepted, and a later one is rejected."""
    ping(stage)
    rows = kept_rows(all_at_once(stage, Step(operation="post", patch={"transaction_id": "${txn}"})))
    sold = rows.count("PT-POST-201-ACCEPTED")
    stage.require(sold == 1, "one accepted post", f"{sold} ({', '.join(rows)})", "PT-POST-201-ACCEPTED")
    post(stage, "PT-POST-400-RULE", 400)


@journey(
    "INV-FOREIGN-PING",
    PINGTREE,
    ("INV-FOREIGN-PING", "PT-POST-400-RULE"),
    needs=(Lever.SECOND_ACCOUNT,),
    accounts=("main", "second"),
)
def a_ping_is_its_sources_own(stage: Stage) -> None:
    """A transaction id of another source's ping is rejected, and stays good for its own."""
    ping(stage)
    post(stage, "PT-POST-400-RULE", 400, account="second")
    post(stage, "PT-POST-201-ACCEPTED", 201)


@journey(
    "INV-PING-EXPIRES",
    PINGTREE,
    ("INV-PING-EXPIRES", "PT-POST-400-RULE", "PT-POST-201-ACCEPTED"),
    needs=(Lever.CLOCK, Lever.CONTROL_API),
    readings={"expired_post": "reject"},
)
def a_ping_expires(stage: Stage) -> None:
    """A post shortly before the end of the ping's validity is accepted, after it rejected."""
    ping(stage, "early")
    stage.advance("290 s")
    post(stage, "PT-POST-201-ACCEPTED", 201, "early")
    ping(stage, "late", lead="other")
    stage.advance("301 s")
    post(stage, "PT-POST-400-RULE", 400, "late", lead="other")


@journey(
    "INV-REEVALUATED",
    PINGTREE,
    ("INV-REEVALUATED", "PT-POST-201-ACCEPTED"),
    needs=(Lever.CLOCK, Lever.CONTROL_API),
    readings={"expired_post": "reevaluate"},
)
def a_late_post_is_reevaluated(stage: Stage) -> None:
    """A post after the ping's validity is auctioned again where that reading holds (C23)."""
    ping(stage)
    stage.advance("301 s")
    post(stage, "PT-POST-201-ACCEPTED", 201)


@journey(
    "INV-REPLAYED",
    PINGTREE,
    ("INV-REPLAYED", "PT-POST-201-ACCEPTED"),
    readings={"repeated_post": "replay"},
)
def a_repeated_post_is_replayed(stage: Stage) -> None:
    """A repeated post gets the first answer again where that reading holds."""
    ping(stage)
    first = post(stage, "PT-POST-201-ACCEPTED", 201).raw
    again = post(stage, "PT-POST-201-ACCEPTED", 201).raw
    stage.require(first == again, "the first answer again", again.decode("utf-8", "replace"))


@journey(
    "INV-DEDUPE-WINDOW",
    PINGTREE,
    ("INV-DEDUPE-WINDOW", "PT-FORM-201-DUPLICATE", "PT-FORM-201-ACCEPTED"),
    needs=(Lever.DUPLICATE, Lever.CLOCK, Lever.CONTROL_API),
    accounts=("dedupe",),
)
def dedupe_ends_with_the_window(stage: Stage) -> None:
    """The same person is a duplicate inside the window and new after it; a ping of theirs says isDeDupe."""
    tell(stage, "form", "PT-FORM-201-ACCEPTED", 201, account="dedupe")
    rows = kept_rows(all_at_once(stage, Step(operation="form", account="dedupe")))
    stage.require(set(rows) == {"PT-FORM-201-DUPLICATE"}, "duplicates only", rows, "PT-FORM-201-DUPLICATE")
    stage.advance("31 days")
    tell(stage, "form", "PT-FORM-201-ACCEPTED", 201, account="dedupe", body={"/data/isDeDupe": False})


ALL = (
    ping_then_post,
    highest_bid_wins,
    price_is_kept,
    one_sale_per_ping,
    a_ping_is_its_sources_own,
    a_ping_expires,
    a_late_post_is_reevaluated,
    a_repeated_post_is_replayed,
    dedupe_ends_with_the_window,
)
