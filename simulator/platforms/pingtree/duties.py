"""The duties of Pingtree's sources: what they are, how Pingtree spells things, what is checked here alone."""

from __future__ import annotations

import re
from importlib.resources import files

from simulator.contract import duties_content, duties_linking, duties_repeats, duties_retries, duties_transport
from simulator.contract.duty import Dialect, Duties, load_duties
from simulator.contract.ledger import Ledger
from simulator.contract.sent import Sent
from simulator.contract.traffic import History
from simulator.platforms.pingtree import duties_events, duties_posts
from simulator.routing.decision import Reason
from simulator.routing.fields import text_of

_PII = ("first_name", "last_name", "email", "mobile", "address")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}")
_PHONE = re.compile(r"(\+?1[-. ]?)?\(?[2-9][0-9]{2}\)?[-. ]?[2-9][0-9]{2}[-. ]?[0-9]{4}")
_SSN = re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")
_TRIGGER = re.compile(r"sandbox:.*|.*@sandbox\.test", re.IGNORECASE)

_SUBS = tuple(f"{name}{number}" for name in ("sub", "adv") for number in range(1, 6))
_CLICKS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "gclid", "fbclid", "ttclid")

DIALECT = Dialect(
    link="transaction_id",
    issued="transaction_id",
    phone="mobile",
    campaign="",
    header="authorization",
    scheme="Bearer",
    misspellings={
        **dict.fromkeys(("phone", "phonenumber", "cell", "cellphone", "mobilephone"), "mobile"),
        **dict.fromkeys(("zip", "postalcode", "postcode"), "zip_code"),
        **dict.fromkeys(("trustedformcerturl", "trustedformurl", "trustedform"), "xxTrustedFormCertUrl"),
        **dict.fromkeys(("dob", "birthdate", "dateofbirth"), "date_of_birth"),
        **dict.fromkeys(("fname", "firstname"), "first_name"),
        **dict.fromkeys(("lname", "lastname"), "last_name"),
        **dict.fromkeys(("jornayaid", "leadid", "jornayaleadid"), "jornaya"),
        **dict.fromkeys(("emailaddress", "mail"), "email"),
    },
    tracking=frozenset((*_SUBS, *_CLICKS)),
    consent_dates=("tcpa_consent_date",),
    certificates=("xxTrustedFormCertUrl",),
    lead_ids=("jornaya",),
)


def no_pii(history: History, ledger: Ledger) -> None:
    """D01: nothing in a ping says who the person is. The full lead at the ping's path is D24."""
    for ping in history.pings:
        if not ping.values:
            continue
        ledger.met("D01", ping)
        found = [name for name in ping.values if _is_pii(name, ping)]
        if found and not duties_posts.is_misdirected(history, ping):
            ledger.broken("D01", f"in the ping: {', '.join(sorted(found))[:200]}", ping)


def _is_pii(name: str, ping: Sent) -> bool:
    value = text_of(ping.values[name]).strip()
    if name in _PII:
        return ping.masked or bool(value and not _TRIGGER.fullmatch(value))
    if not value or name == DIALECT.link or _TRIGGER.fullmatch(value):
        return False
    if _EMAIL.fullmatch(value) or _SSN.fullmatch(value):
        return True
    return name not in DIALECT.tracking and _PHONE.fullmatch(value) is not None


def age_before_birthday(history: History, ledger: Ledger) -> None:
    """D02: `age` says enough."""
    for ping in history.pings:
        for name in ("age", "date_of_birth"):
            if name in ping.values:
                ledger.met("D02", ping)
        if "date_of_birth" in ping.values and not duties_posts.is_misdirected(history, ping):
            ledger.broken("D02", "date_of_birth in the ping", ping)


def tokens(history: History, ledger: Ledger) -> None:
    """D30, D31, D32: the token of the endpoint's kind, in the literal form, and the newest one."""
    kinds = {item.name: item.credential for item in history.contract.operations if not item.credential_reading}
    for sent in history.sent:
        wanted = kinds.get(sent.operation)
        if not wanted:
            continue
        ledger.met("D31", sent)
        if sent.credential.get("state") == "absent":
            where = sent.credential.get("header")
            ledger.broken("D31", f"no Authorization, but {where}" if where else "no Authorization", sent)
            continue
        if form := sent.credential.get("form"):
            ledger.broken("D31", form, sent)
        _token(ledger, sent, wanted)


def _token(ledger: Ledger, sent: Sent, wanted: str) -> None:
    state, kind = sent.credential.get("state"), sent.credential.get("kind", "")
    if state in {"current", "retired"}:
        ledger.met("D30", sent)
        ledger.met("D32", sent)
        if kind != wanted:
            ledger.broken("D30", f"the {kind} token on the {wanted} endpoint", sent)
    if state == "retired":
        ledger.broken("D32", f"a {kind} token that was replaced", sent)


def link_ids(history: History, ledger: Ledger) -> None:
    """D39: the path holds the link id, not the campaign's or the source's."""
    sources = {item.id for item in history.account.sources.values()}
    for sent in history.leads:
        ledger.met("D39", sent)
        name = sent.path.rstrip("/").rpartition("/")[2]
        if sent.source_id or not sent.refused_for(Reason.UNAUTHORIZED):
            continue
        if name in history.account.campaigns:
            ledger.broken("D39", "the campaign's id in the path", sent)
        elif name in sources:
            ledger.broken("D39", "the source's id in the path", sent)


DUTIES = Duties(
    dialect=DIALECT,
    catalogue=load_duties(files(__package__).joinpath("duties.toml")),
    checks=(
        no_pii,
        age_before_birthday,
        tokens,
        link_ids,
        *duties_posts.CHECKS,
        *duties_events.CHECKS,
        duties_content.ping_fields,
        duties_content.post_formats,
        duties_content.invented_values,
        duties_content.field_names,
        duties_content.consent_evidence,
        duties_content.test_traffic,
        duties_linking.same_values,
        duties_linking.after_the_answer,
        duties_linking.ping_to_post,
        duties_linking.lenient_parsing,
        duties_repeats.repeated_leads,
        duties_retries.unchanged_retries,
        duties_retries.backing_off,
        duties_retries.patience,
        duties_transport.secrets_in_place,
        duties_transport.from_servers,
        duties_transport.methods,
        duties_transport.body_types,
    ),
)
