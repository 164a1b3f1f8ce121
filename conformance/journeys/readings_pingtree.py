"""Stories of Pingtree's readings: what changes, and what must not, where its pages disagree or are silent."""

# A story's docstring is its title in the report: a fact, not a command.
# ruff: noqa: D401

from __future__ import annotations

from conformance.case import Lever
from conformance.journey import journey
from conformance.journeys.telling import PINGTREE, ping, post, tell
from conformance.stage import Stage

_GENERATION_1 = (
    "PT-PING-201-ACCEPT",
    "PT-PING-201-REJECT",
    "PT-PING-400-MISSING",
    "PT-PING-400-INVALID",
    "PT-PING-400-ENUM",
    "PT-PING-400-RULE",
    "PT-PING-401-AUTH",
    "PT-PING-405-METHOD",
    "PT-POST-201-ACCEPTED",
    "PT-POST-201-UNSOLD",
    "PT-POST-201-DUPLICATE",
    "PT-FORM-201-ACCEPTED",
    "PT-FORM-201-UNSOLD",
    "PT-FORM-201-DUPLICATE",
)


@journey(
    "INV-GENERATION-1",
    PINGTREE,
    ("INV-GENERATION-1", *_GENERATION_1),
    needs=(Lever.DUPLICATE,),
    readings={"envelope": "gen1"},
    accounts=("main", "nobody", "strict", "unsold", "dedupe"),
)
def generation_1_is_flat(stage: Stage) -> None:
    """Under generation 1 the same rows are answered in its flat envelope (C18)."""
    txn = {"txn": "/transaction_id"}
    tell(stage, "ping", "PT-PING-201-ACCEPT", 201, bind=txn, body={"/type": "success", "/lead_status": "new"})
    post(stage, "PT-POST-201-ACCEPTED", 201, body={"/lead_status": "sold"})
    tell(stage, "ping", "PT-PING-201-REJECT", 201, account="nobody", body={"/lead_status": "unsold"})
    tell(stage, "ping", "PT-PING-400-MISSING", 400, variant="missing", body={"/type": "error"})
    tell(stage, "ping", "PT-PING-400-INVALID", 400, patch={"zip_code": "1"}, body={"/type": "error"})
    tell(stage, "ping", "PT-PING-400-ENUM", 400, variant="unaccepted")
    tell(stage, "ping", "PT-PING-400-RULE", 400, account="strict", variant="refused")
    tell(stage, "ping", "PT-PING-401-AUTH", 401, credential="none")
    tell(stage, "ping", "PT-PING-405-METHOD", 405, method="PUT")
    tell(stage, "ping", "PT-PING-201-ACCEPT", 201, account="unsold", lead="other", bind=txn)
    post(stage, "PT-POST-201-UNSOLD", 201, account="unsold", lead="other", body={"/lead_status": "unsold"})
    tell(stage, "form", "PT-FORM-201-ACCEPTED", 201, account="dedupe", lead="twice", body={"/isDeDupe": "false"})
    tell(stage, "form", "PT-FORM-201-DUPLICATE", 201, account="dedupe", lead="twice", body={"/isDeDupe": "true"})
    tell(stage, "ping", "PT-PING-201-ACCEPT", 201, account="dedupe", lead="twice", bind=txn)
    post(stage, "PT-POST-201-DUPLICATE", 201, account="dedupe", lead="twice")
    tell(stage, "form", "PT-FORM-201-UNSOLD", 201, account="unsold", lead="third")


@journey(
    "INV-FORM-BY-GET",
    PINGTREE,
    ("INV-FORM-BY-GET", "PT-FORM-201-ACCEPTED"),
    readings={"form_get": "true"},
)
def a_form_may_come_by_get(stage: Stage) -> None:
    """The form API takes a lead in the query string of a GET, too, where the guide's reading holds (C15)."""
    tell(stage, "form", "PT-FORM-201-ACCEPTED", 201, method="GET")
    tell(stage, "form", "PT-FORM-400-MISSING", 400, method="GET", lead="other", variant="missing")


@journey(
    "INV-FORM-STRICT",
    PINGTREE,
    ("INV-FORM-STRICT", "PT-FORM-405-METHOD", "PT-FORM-400-INVALID"),
    readings={"form_get": "false", "form_encoded": "false"},
)
def a_strict_form_api_takes_json_by_post(stage: Stage) -> None:
    """Where the reference's reading holds, a GET is 405 and a form-encoded body 400 (C15)."""
    tell(stage, "form", "PT-FORM-405-METHOD", 405, method="GET", require=("Allow",))
    tell(stage, "form", "PT-FORM-400-INVALID", 400, form=True)


@journey(
    "INV-PING-JSON",
    PINGTREE,
    ("INV-PING-JSON", "PT-PING-400-INVALID", "PT-POST-400-INVALID"),
    readings={"ping_form_encoded": "false"},
)
def pings_and_posts_are_json(stage: Stage) -> None:
    """Ping and post take JSON only; a form-encoded body is 400 invalidField (C16)."""
    tell(stage, "ping", "PT-PING-400-INVALID", 400, form=True)
    tell(stage, "post", "PT-POST-400-INVALID", 400, form=True, patch={"transaction_id": "${fresh}"})


@journey(
    "INV-PING-ENCODED",
    PINGTREE,
    ("INV-PING-ENCODED", "PT-PING-201-ACCEPT", "PT-POST-201-ACCEPTED"),
    readings={"ping_form_encoded": "true"},
)
def pings_may_be_form_encoded(stage: Stage) -> None:
    """Where that reading holds, ping and post take form-encoded bodies as well (C16)."""
    ping(stage, form=True)
    post(stage, "PT-POST-201-ACCEPTED", 201, form=True)


@journey(
    "INV-BUYER-NAMED",
    PINGTREE,
    ("INV-BUYER-NAMED", "PT-PING-201-ACCEPT"),
    readings={"name_buyer": "true"},
)
def an_accepted_ping_names_its_buyer(stage: Stage) -> None:
    """Where that reading holds, an accepted ping and post name the buyer (C14)."""
    ping(stage, present=("/data/buyer_name",))
    post(stage, "PT-POST-201-ACCEPTED", 201, present=("/data/buyer_name",))


@journey(
    "INV-TRANSACTION-ONCE",
    PINGTREE,
    ("INV-TRANSACTION-ONCE", "PT-PING-400-RULE"),
    readings={"repeated_transaction_id": "reject"},
)
def a_transaction_id_is_good_once(stage: Stage) -> None:
    """Where that reading holds, a publisher's transaction_id of an earlier ping is rejected."""
    tell(stage, "ping", "PT-PING-201-ACCEPT", 201, patch={"transaction_id": "${fresh}"})
    patch = {"transaction_id": "${lead.transaction_id}"}
    tell(stage, "ping", "PT-PING-400-RULE", 400, lead="other", patch=patch)


ALL = (
    generation_1_is_flat,
    a_form_may_come_by_get,
    a_strict_form_api_takes_json_by_post,
    pings_and_posts_are_json,
    pings_may_be_form_encoded,
    an_accepted_ping_names_its_buyer,
    a_transaction_id_is_good_once,
)
