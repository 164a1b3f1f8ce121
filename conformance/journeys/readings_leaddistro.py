"""Stories of Lead Distro's readings: what changes, and what must not, where its pages disagree or are silent."""

# A story's docstring is its title in the report: a fact, not a command.
# ruff: noqa: D401

from __future__ import annotations

from conformance.case import Lever
from conformance.journey import journey
from conformance.journeys.telling import LEADDISTRO, tell
from conformance.stage import Stage


@journey(
    "INV-FORM-ENCODED",
    LEADDISTRO,
    ("INV-FORM-ENCODED", "LD-ING-201-ACCEPTED", "LD-PING-200-ACCEPTED"),
    readings={"allow_form": "true", "ping_bids": "off", "direct_post_async": "false"},
)
def leads_may_be_form_encoded(stage: Stage) -> None:
    """Ping and ingest take form-encoded bodies as well, where the partner page's reading holds (C7)."""
    tell(stage, "ping", "LD-PING-200-ACCEPTED", 200, form=True)
    tell(stage, "ingest", "LD-ING-201-ACCEPTED", 201, form=True)


@journey(
    "INV-JSON-ONLY",
    LEADDISTRO,
    ("INV-JSON-ONLY", "LD-ING-400-VALIDATION", "LD-PING-400"),
    readings={"allow_form": "false"},
)
def leads_are_json_only(stage: Stage) -> None:
    """Where the ingest reference's reading holds, a form-encoded body is 400 (C7)."""
    tell(stage, "ping", "LD-PING-400", 400, form=True)
    tell(stage, "ingest", "LD-ING-400-VALIDATION", 400, form=True)


@journey(
    "INV-KEY-HEADER",
    LEADDISTRO,
    ("INV-KEY-HEADER", "LD-ING-401-UNAUTHORIZED", "LD-PING-401"),
)
def the_key_has_one_header(stage: Stage) -> None:
    """The key counts in x-api-key alone: as a bearer token or in the query it is none (C13)."""
    key = stage.composer.account("main").credentials["api_key"]
    bearer = {"Authorization": f"Bearer {key}"}
    tell(stage, "ping", "LD-PING-401", 401, credential="none", headers=bearer)
    tell(stage, "ingest", "LD-ING-401-UNAUTHORIZED", 401, credential="none", headers=bearer)


@journey(
    "INV-FILTER-NAMES",
    LEADDISTRO,
    ("INV-FILTER-NAMES", "LD-ING-422-FILTER", "LD-ING-422-SUPPRESS"),
    readings={"filter_errors_shape": "strings", "filter_failure_http": "422", "suppression_mode": "reject422"},
    accounts=("filtered", "suppressed"),
)
def filter_errors_may_be_names(stage: Stage) -> None:
    """Where that reading holds, filter_errors are the names of the rules."""
    rule = {"/filter_errors/0": "served states"}
    tell(stage, "ingest", "LD-ING-422-FILTER", 422, account="filtered", variant="refused", body=rule)
    tell(stage, "ingest", "LD-ING-422-SUPPRESS", 422, account="suppressed", variant="suppressed")


@journey(
    "INV-SILENT-SKIP",
    LEADDISTRO,
    ("INV-SILENT-SKIP", "LD-ING-200-UNMATCHED"),
    readings={"suppression_mode": "skip"},
    accounts=("suppressed",),
)
def suppression_may_be_a_silent_skip(stage: Stage) -> None:
    """Where the suppression page's reading holds, no list refuses a lead: it only finds no buyer (C2)."""
    tell(stage, "ingest", "LD-ING-200-UNMATCHED", 200, account="suppressed", variant="suppressed")


@journey(
    "INV-TOKEN-FORGIVEN",
    LEADDISTRO,
    ("INV-TOKEN-FORGIVEN", "LD-ING-201-ACCEPTED"),
    readings={"ping_token_failure": "ignore"},
    accounts=("ping_post",),
)
def a_bad_token_may_be_forgiven(stage: Stage) -> None:
    """Where that reading holds, a bad ping_id counts as none."""
    tell(stage, "ingest", "LD-ING-201-ACCEPTED", 201, account="ping_post", patch={"flo_ping_id": "not-a-token"})


@journey(
    "INV-RETRY-AFTER",
    LEADDISTRO,
    ("INV-RETRY-AFTER", "LD-ING-429-RATE", "LD-PING-429", "LD-LOOK-429"),
    needs=(Lever.FLOOD,),
    readings={"retry_after_body": "false", "retry_after_header": "true"},
    accounts=("rates",),
)
def the_wait_may_be_in_headers_alone(stage: Stage) -> None:
    """Where that reading holds, the seconds to wait stand in the headers alone (C10)."""
    rows = {"ingest": "LD-ING-429-RATE", "ping": "LD-PING-429", "lookup": "LD-LOOK-429"}
    for operation, row in rows.items():
        found = {"account": "rates", "times": 6, "patch": {"phone": "${lead.phone}"}}
        tell(stage, operation, row, 429, absent=("/retry_after",), require=("Retry-After",), **found)


ALL = (
    leads_may_be_form_encoded,
    leads_are_json_only,
    the_key_has_one_header,
    filter_errors_may_be_names,
    suppression_may_be_a_silent_skip,
    a_bad_token_may_be_forgiven,
    the_wait_may_be_in_headers_alone,
)
