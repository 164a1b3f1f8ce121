"""Stories of caps, hours, duplicates and test mode: what lets a lead in today and not tomorrow."""

# A story's docstring is its title in the report: a fact, not a command.
# ruff: noqa: D401

from __future__ import annotations

from datetime import datetime, timedelta

from conformance.case import Lever, Step
from conformance.journey import journey
from conformance.journeys.telling import LEADDISTRO, PINGTREE, all_at_once, kept_rows, tell
from conformance.stage import Stage, at

_CLOCK = (Lever.CLOCK, Lever.CONTROL_API)
_A_DAY = "1 day"


@journey(
    "INV-SOURCE-CAP",
    PINGTREE,
    ("INV-SOURCE-CAP", "PT-FORM-REJ-VALIDATION", "PT-FORM-201-ACCEPTED", "PT-PING-400-RULE"),
    needs=_CLOCK,
    accounts=("capped",),
)
def a_source_cap_is_exact(stage: Stage) -> None:
    """A source with a cap of one lead a day has exactly one accepted, also at once, and one more the next day."""
    stage.advance(_A_DAY)
    rows = kept_rows(all_at_once(stage, Step(operation="form", account="capped"), people=True))
    sold = rows.count("PT-FORM-201-ACCEPTED")
    stage.require(sold == 1, "one accepted lead", f"{sold} ({', '.join(rows)})", "PT-FORM-REJ-VALIDATION")
    tell(stage, "form", "PT-FORM-REJ-VALIDATION", 400, account="capped", lead="late")
    tell(stage, "ping", "PT-PING-400-RULE", 400, account="capped", lead="late")
    stage.advance(_A_DAY)
    tell(stage, "form", "PT-FORM-201-ACCEPTED", 201, account="capped", lead="tomorrow")


@journey(
    "INV-HOURS",
    PINGTREE,
    ("INV-HOURS", "PT-PING-400-RULE", "PT-PING-201-ACCEPT"),
    needs=_CLOCK,
    accounts=("hours",),
)
def hours_are_kept(stage: Stage) -> None:
    """A ping outside the source's hours is rejected, inside them accepted."""
    _until(stage, 22)
    tell(stage, "ping", "PT-PING-400-RULE", 400, account="hours")
    _until(stage, 12)
    tell(stage, "ping", "PT-PING-201-ACCEPT", 201, account="hours")


def _until(stage: Stage, hour: int) -> None:
    """Move the clock to the next time that it is `hour` o'clock, UTC."""
    now = datetime.fromisoformat(stage.control.now(stage.world.tenant))
    then = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    wait = (then - now) % timedelta(days=1)
    stage.advance(f"{int(wait.total_seconds()) + 1} s")


@journey(
    "INV-BUYER-CAP",
    LEADDISTRO,
    ("INV-BUYER-CAP", "LD-ING-200-UNMATCHED", "LD-ING-201-ACCEPTED", "LD-PING-200-NO-BUYER"),
    needs=_CLOCK,
    readings={"ping_reject_http": "200"},
    accounts=("capped",),
)
def a_buyer_cap_is_exact(stage: Stage) -> None:
    """A campaign whose buyer takes one lead a day sells one, also at once, and one more the next day."""
    stage.advance(_A_DAY)
    rows = kept_rows(all_at_once(stage, Step(operation="ingest", account="capped"), people=True))
    sold = rows.count("LD-ING-201-ACCEPTED")
    stage.require(sold == 1, "one accepted lead", f"{sold} ({', '.join(rows)})", "LD-ING-200-UNMATCHED")
    tell(stage, "ingest", "LD-ING-200-UNMATCHED", 200, account="capped", lead="late")
    tell(stage, "ping", "LD-PING-200-NO-BUYER", 200, account="capped", lead="late_ping")
    stage.advance(_A_DAY)
    tell(stage, "ingest", "LD-ING-201-ACCEPTED", 201, account="capped", lead="tomorrow")


@journey(
    "INV-TEST-MODE",
    LEADDISTRO,
    ("INV-TEST-MODE", "LD-ING-201-ACCEPTED", "LD-LOOK-200"),
    needs=_CLOCK,
    readings={"test_mode_counts_caps": "false"},
    accounts=("capped", "test"),
)
def test_leads_use_no_cap(stage: Stage) -> None:
    """Leads of a supplier in test mode are processed like live ones, are marked, and use up no cap (C12)."""
    stage.advance(_A_DAY)
    for lead in ("first", "second"):
        answer = tell(stage, "ingest", "LD-ING-201-ACCEPTED", 201, account="test", lead=lead, bind={"id": "/data/id"})
    stage.require(bool(at(answer, "/data/buyer_id")), "a buyer for a test lead", at(answer, "/data/buyer_id"))
    marked = {"/data/leads/0/is_test": True}
    tell(stage, "lookup", "LD-LOOK-200", 200, account="test", patch={"id": "${id}"}, body=marked)
    tell(stage, "ingest", "LD-ING-201-ACCEPTED", 201, account="capped", lead="live")
    tell(stage, "ingest", "LD-ING-200-UNMATCHED", 200, account="capped", lead="late")


@journey(
    "INV-DUPLICATE-WINDOW",
    LEADDISTRO,
    ("INV-DUPLICATE-WINDOW", "LD-ING-200-DUPLICATE", "LD-ING-201-ACCEPTED"),
    needs=(Lever.DUPLICATE, *_CLOCK),
    readings={"duplicate_http": "200"},
)
def duplicates_end_with_the_window(stage: Stage) -> None:
    """Of the same lead at once one is accepted; it is a duplicate inside the window and new after it."""
    rows = kept_rows(all_at_once(stage, Step(operation="ingest")))
    sold = len([row for row in rows if row != "LD-ING-200-DUPLICATE"])
    stage.require(sold == 1, "one accepted lead", f"{sold} ({', '.join(rows)})", "LD-ING-200-DUPLICATE")
    tell(stage, "ingest", "LD-ING-200-DUPLICATE", 200, lead="namesake", patch={"email": "${lead.email}"})
    stage.advance("31 days")
    tell(stage, "ingest", "LD-ING-201-ACCEPTED", 201)


ALL = (
    a_source_cap_is_exact,
    hours_are_kept,
    a_buyer_cap_is_exact,
    test_leads_use_no_cap,
    duplicates_end_with_the_window,
)
