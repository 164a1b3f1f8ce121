"""Stories of credentials and ping tokens: what opens a door, for whom and for how long."""

# A story's docstring is its title in the report: a fact, not a command.
# ruff: noqa: D401

from __future__ import annotations

from conformance.case import Lever, Step
from conformance.journey import journey
from conformance.journeys.telling import LEADDISTRO, PINGTREE, all_at_once, kept_rows, ping_id, tell
from conformance.stage import Stage, at

_TOKEN = {"flo_ping_id": "${token}"}


@journey(
    "INV-TOKEN-ONCE",
    LEADDISTRO,
    ("INV-TOKEN-ONCE", "LD-ING-PING-REUSED", "LD-ING-201-ACCEPTED"),
    readings={"ping_token_failure": "400"},
    accounts=("ping_post",),
)
def a_ping_token_sells_once(stage: Stage) -> None:
    """A ping_id buys one ingest, also when several come at once."""
    ping_id(stage, account="ping_post")
    step = Step(operation="ingest", account="ping_post", patch=_TOKEN)
    rows = kept_rows(all_at_once(stage, step, people=True))
    used = rows.count("LD-ING-PING-REUSED")
    stage.require(used == len(rows) - 1, "one accepted lead and no other", ", ".join(rows), "LD-ING-PING-REUSED")


@journey(
    "INV-TOKEN-LIFETIME",
    LEADDISTRO,
    ("INV-TOKEN-LIFETIME", "LD-ING-PING-EXPIRED", "LD-ING-201-ACCEPTED"),
    needs=(Lever.CLOCK, Lever.CONTROL_API),
    readings={"ping_token_failure": "400"},
    accounts=("ping_post",),
)
def a_ping_token_lives_thirty_minutes(stage: Stage) -> None:
    """A ping_id of 29 minutes ago is good, one of 31 minutes ago expired."""
    ping_id(stage, account="ping_post")
    stage.advance("29 min")
    tell(stage, "ingest", "LD-ING-201-ACCEPTED", 201, account="ping_post", patch=_TOKEN)
    ping_id(stage, account="ping_post", lead="other")
    stage.advance("31 min")
    tell(stage, "ingest", "LD-ING-PING-EXPIRED", 400, account="ping_post", lead="other", patch=_TOKEN)


@journey(
    "INV-PING-PRICE",
    LEADDISTRO,
    ("INV-PING-PRICE", "LD-PING-200-BIDS", "LD-ING-201-ACCEPTED", "LD-LOOK-200"),
    readings={"ping_bids": "on", "ping_bids_key": "bids", "ping_price": "locked"},
)
def the_ping_price_binds(stage: Stage) -> None:
    """The lead goes to the best buyer that the ping named, at the price that it named."""
    offered = ping_id(stage, "LD-PING-200-BIDS")
    buyer, price = at(offered, "/bids/0/buyer_id"), at(offered, "/bids/0/price")
    bought = {"/data/status": "ACCEPTED", "/data/buyer_id": buyer}
    tell(stage, "ingest", "LD-ING-201-ACCEPTED", 201, patch=_TOKEN, body=bought, bind={"id": "/data/id"})
    found = {"/data/leads/0/price": price}
    tell(stage, "lookup", "LD-LOOK-200", 200, patch={"id": "${id}"}, body=found)


@journey(
    "INV-TOKENS-APART",
    PINGTREE,
    ("INV-TOKENS-APART", "PT-PING-401-AUTH", "PT-POST-401-AUTH", "PT-FORM-401-AUTH"),
)
def each_token_opens_one_endpoint(stage: Stage) -> None:
    """Ping, post and form tokens are separate: each opens its own endpoint alone."""
    rows = {"ping": "PT-PING-401-AUTH", "post": "PT-POST-401-AUTH", "form": "PT-FORM-401-AUTH"}
    for operation, row in rows.items():
        for kind in rows.keys() - {operation}:
            tell(stage, operation, row, 401, credential=kind, patch={"transaction_id": "${fresh}"})


@journey(
    "INV-BEARER",
    PINGTREE,
    ("INV-BEARER", "PT-PING-401-AUTH"),
)
def the_word_bearer_is_needed(stage: Stage) -> None:
    """A token without the word Bearer, or in another header, is no credential."""
    token = stage.composer.account("main").credentials["ping"]
    for headers in ({"Authorization": token}, {"Authorization": f"Token {token}"}, {"X-Api-Key": token}):
        tell(stage, "ping", "PT-PING-401-AUTH", 401, credential="none", headers=headers)


ALL = (
    a_ping_token_sells_once,
    a_ping_token_lives_thirty_minutes,
    the_ping_price_binds,
    each_token_opens_one_endpoint,
    the_word_bearer_is_needed,
)
