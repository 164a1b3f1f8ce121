"""Stories of rules that a sender's own specification decides: values, areas, lists, what makes a duplicate."""

from __future__ import annotations

from conformance.case import Lever
from conformance.journey import journey
from conformance.journeys.telling import LEADDISTRO, PINGTREE, ping, post, tell
from conformance.stage import Stage


@journey(
    "INV-POST-RULES",
    PINGTREE,
    ("INV-POST-RULES", "PT-POST-400-RULE"),
    needs=(Lever.CONTROL_API,),
    accounts=("strict", "suppressed"),
)
def rules_hold_for_posts_too(stage: Stage) -> None:
    """Rules of the source reject a post although its ping was accepted."""
    for variant in ("refused", "poor"):
        ping(stage, variant, account="strict", lead=variant)
        post(stage, "PT-POST-400-RULE", 400, variant, account="strict", lead=variant, variant=variant)
    ping(stage, account="suppressed")
    post(stage, "PT-POST-400-RULE", 400, account="suppressed", variant="suppressed")


@journey(
    "INV-ACCEPTABLE-VALUES",
    LEADDISTRO,
    ("INV-ACCEPTABLE-VALUES", "LD-PING-400", "LD-ING-400-VALIDATION"),
    needs=(Lever.CONTROL_API,),
)
def acceptable_values_are_kept(stage: Stage) -> None:
    """Values outside a custom field's Acceptable Values are refused, and the field named."""
    named = {"/field_errors/0/field": "case_type", "/field_errors/0/code": "invalid_format"}
    tell(stage, "ping", "LD-PING-400", 400, variant="unaccepted", body=named)
    tell(stage, "ingest", "LD-ING-400-VALIDATION", 400, variant="unaccepted", body=named)


@journey(
    "INV-NAMESAKES",
    PINGTREE,
    ("INV-NAMESAKES", "PT-FORM-201-DUPLICATE"),
    needs=(Lever.DUPLICATE, Lever.CONTROL_API),
    accounts=("dedupe",),
)
def one_field_makes_a_duplicate(stage: Stage) -> None:
    """Somebody else with the same mobile, or with the same e-mail, is a duplicate where both fields count."""
    tell(stage, "form", "PT-FORM-201-ACCEPTED", 201, account="dedupe")
    for field in ("mobile", "email"):
        patch = {field: f"${{lead.{field}}}"}
        tell(stage, "form", "PT-FORM-201-DUPLICATE", 201, account="dedupe", lead=f"same_{field}", patch=patch)


@journey(
    "INV-SAME-CONTACT",
    LEADDISTRO,
    ("INV-SAME-CONTACT", "LD-ING-200-DUPLICATE", "LD-PING-200-DUPLICATE"),
    needs=(Lever.DUPLICATE, Lever.CONTROL_API),
    readings={"duplicate_http": "200", "ping_reject_http": "200"},
)
def phone_or_email_makes_a_duplicate(stage: Stage) -> None:
    """Somebody else with the same phone, or with the same e-mail, is a duplicate, in a ping as well."""
    tell(stage, "ingest", "LD-ING-201-ACCEPTED", 201)
    for field in ("phone", "email"):
        patch = {field: f"${{lead.{field}}}"}
        tell(stage, "ping", "LD-PING-200-DUPLICATE", 200, lead=f"pinged_{field}", patch=patch)
        tell(stage, "ingest", "LD-ING-200-DUPLICATE", 200, lead=f"same_{field}", patch=patch)


ALL = (
    rules_hold_for_posts_too,
    acceptable_values_are_kept,
    one_field_makes_a_duplicate,
    phone_or_email_makes_a_duplicate,
)
