"""Duties about what a lead says, which every vendor's integrators have: D04, D05, D06, D62, D63, D64."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from simulator.contract.duty import Severity
from simulator.contract.ledger import Ledger
from simulator.contract.sent import Sent, blank
from simulator.contract.spelling import TEST_TRIGGERS, meant
from simulator.contract.traffic import History
from simulator.routing.decision import Reason
from simulator.routing.fields import iso_day, text_of

FIELD_REASONS = (Reason.MISSING_FIELD, Reason.INVALID_FIELD, Reason.UNACCEPTED_VALUE)
SAME_IN = 25  # leads; ours: so many people do not live in one ZIP code by chance
OLDEST_CONSENT = timedelta(days=90)  # ours
CLOCKS_APART = timedelta(days=1)  # ours: time zones
CERTIFICATE = "https://cert.trustedform.com/"

_FILLERS = frozenset({"n/a", "na", "none", "null", "nil", "unknown", "undefined", "tbd", "-", "xxx", "00000"})
_SAME_DIGIT = re.compile(r"([0-9])\1{9}")
_GUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_TEST_FLAGS = frozenset({"istest", "test", "testmode", "testsold", "testlead", "lpaction", "sandbox", "dryrun"})
_TEST_WORDS = frozenset({"test", "tester", "testing", "asdf", "qwerty", "foo", "bar"})


def ping_fields(history: History, ledger: Ledger) -> None:
    """D04: fields that the ping requires are there, in the right type and format."""
    for ping in history.pings:
        if ping.values:
            ledger.met("D04", ping)
        for field, message in _unexplained(history, ping):
            ledger.broken("D04", f"{field}: {message}", ping)


def post_formats(history: History, ledger: Ledger) -> None:
    """D63: the full lead has the documented formats, and what the specification requires."""
    for post in history.submissions:
        if post.values:
            ledger.met("D63", post)
        ping = history.ping_of(post)
        for field, message in _unexplained(history, post):
            dropped = ping is not None and field in ping.values and field not in post.values
            if field != history.dialect.link and not dropped:
                ledger.broken("D63", f"{field}: {message}", post)


def _unexplained(history: History, sent: Sent) -> Iterator[tuple[str, str]]:
    """Return the faulty fields that no other duty (blank, misspelled) has the cause of."""
    if sent.mislabelled or not sent.refused_for(*FIELD_REASONS):
        return
    explained = {*meant(history, sent), *blank(sent)}
    for error in sent.errors:
        if error["field"] not in explained and error["field"] != "body":
            yield error["field"], error["message"]


def invented_values(history: History, ledger: Ledger) -> None:
    """D05: nothing is made up to pass validation."""
    for sent in history.leads:
        if sent.masked or not sent.values:
            continue
        ledger.met("D05", sent)
        if empty := sorted(blank(sent) & history.required(sent)):
            ledger.broken("D05", f"required and sent empty: {', '.join(empty)}", sent)
        if fillers := [name for name in _documented(history, sent) if _is_filler(sent.text(name))]:
            ledger.broken("D05", f"a filler instead of a value: {', '.join(sorted(fillers))}", sent)
    _constants(history, ledger)


def _documented(history: History, sent: Sent) -> Iterator[str]:
    documented = history.documented(sent.operation) - history.dialect.tracking
    return (name for name in sent.values if name in documented)


def _is_filler(value: str) -> bool:
    return value.lower() in _FILLERS or _SAME_DIGIT.fullmatch(value) is not None


def _constants(history: History, ledger: Ledger) -> None:
    places: dict[str, dict[tuple[str, ...], Sent]] = {}
    for sent in history.submissions:
        if sent.text("zip_code") and (who := history.persons(sent)):
            places.setdefault(sent.source_id, {})[who] = sent
    for people in places.values():
        codes = {sent.text("zip_code") for sent in people.values()}
        if len(people) >= SAME_IN and len(codes) == 1:
            detail = f"every lead has the zip_code {codes.pop()[:20]}, of {SAME_IN} people and more"
            ledger.broken("D05", detail, *people.values(), severity=Severity.INFO)


def field_names(history: History, ledger: Ledger) -> None:
    """D06: fields have the vendor's own names, in its own case."""
    for sent in history.leads:
        if not sent.values:
            continue
        ledger.met("D06", sent)
        for field, name in meant(history, sent).items():
            ledger.broken("D06", f"{name[:80]} is sent for {field}", sent)


def consent_evidence(history: History, ledger: Ledger) -> None:
    """D62: consent dates, certificate URLs and lead ids are plausible."""
    dialect = history.dialect
    checks = (
        (dialect.consent_dates, _date_fault),
        (dialect.certificates, _certificate_fault),
        (dialect.lead_ids, _lead_id_fault),
    )
    for sent in history.submissions:
        for names, fault in checks:
            for name in names:
                if value := sent.text(name):
                    ledger.met("D62", sent)
                    if why := fault(value, sent):
                        ledger.broken("D62", f"{name} {why}", sent)


def _date_fault(value: str, sent: Sent) -> str:
    day = iso_day(value)
    if day is None:
        return "is no date"
    if day > (sent.at + CLOCKS_APART).date():
        return "is in the future"
    return f"is older than {OLDEST_CONSENT.days} days" if day < (sent.at - OLDEST_CONSENT).date() else ""


def _certificate_fault(value: str, sent: Sent) -> str:  # noqa: ARG001  every fault is asked in the same way
    return "" if value.startswith(CERTIFICATE) else f"does not begin with {CERTIFICATE}"


def _lead_id_fault(value: str, sent: Sent) -> str:  # noqa: ARG001  every fault is asked in the same way
    return "" if _GUID.fullmatch(value) else "is no GUID"


def test_traffic(history: History, ledger: Ledger) -> None:
    """D64: no flag of the client's own says that a lead is a test. Reserved 555-01xx numbers are as they should be."""
    for sent in history.leads:
        if not sent.values:
            continue
        ledger.met("D64", sent)
        known = history.known(sent)
        if flags := sorted(name for name in sent.values if _is_flag(name) and name not in known):
            ledger.broken("D64", f"a test flag that the vendor does not know: {', '.join(flags)}", sent)
        if not sent.masked and _is_nobody(history, sent):
            ledger.broken("D64", "a made-up person: a name, e-mail or phone as in tests", sent, severity=Severity.INFO)


def _is_flag(name: str) -> bool:
    return name.lower().replace("_", "").replace("-", "") in _TEST_FLAGS and name not in TEST_TRIGGERS


def _is_nobody(history: History, sent: Sent) -> bool:
    words = {sent.text(name).lower() for name in ("first_name", "last_name")}
    local = sent.text("email").lower().partition("@")[0]
    phone = text_of(sent.values.get(history.dialect.phone))
    return bool(_TEST_WORDS & {*words, local}) or phone.startswith("555")
