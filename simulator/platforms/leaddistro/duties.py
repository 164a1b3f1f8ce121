"""The duties of Lead Distro AI's suppliers: what they are, how the vendor spells things, what is checked here alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from simulator.contract import duties_content, duties_linking, duties_repeats, duties_retries, duties_transport
from simulator.contract.duty import Dialect, Duties, load_duties
from simulator.contract.ledger import Ledger
from simulator.contract.sent import Sent
from simulator.contract.traffic import History
from simulator.platforms.leaddistro import duties_receivers, signing
from simulator.routing.decision import Reason

_NEEDLESS = frozenset({"first_name", "last_name", "name", "address", "city", "date_of_birth", "dob", "ssn"})
_FREE_TEXT = frozenset({"comments", "comment", "notes", "message", "description"})
_LOOKALIKE = 20  # characters of a token that tell that it was made from an issued one
_NOT_YOURS = {
    Reason.NOT_LINKED: "a campaign that the supplier is not attached to",
    Reason.FOREIGN_SUPPLIER: "another supplier's id",
    Reason.UNKNOWN_CAMPAIGN: "a campaign that does not exist",
}

DIALECT = Dialect(
    link="flo_ping_id",
    issued="ping_id",
    phone="phone",
    campaign="flo_campaign_id",
    header="x-api-key",
    scheme="",
    misspellings={
        **dict.fromkeys(("mobile", "phonenumber", "cell", "cellphone"), "phone"),
        **dict.fromkeys(("zip", "postalcode", "postcode"), "zip_code"),
        **dict.fromkeys(("fname", "firstname"), "first_name"),
        **dict.fromkeys(("lname", "lastname"), "last_name"),
        **dict.fromkeys(("emailaddress", "mail"), "email"),
        **dict.fromkeys(("campaignid", "flocampaign"), "flo_campaign_id"),
        **dict.fromkeys(("supplierid", "flosupplier"), "flo_supplier_id"),
        **dict.fromkeys(("pingid", "floping"), "flo_ping_id"),
    },
    tracking=frozenset({"source", "flo_supplier_id"}),
    consent_dates=("tcpa_consent_date", "consent_date"),
    certificates=("trusted_form_cert_url", "trustedform_cert_url", "xxTrustedFormCertUrl"),
    lead_ids=("jornaya", "jornaya_leadid", "jornaya_lead_id"),
)


def needless_fields(history: History, ledger: Ledger) -> None:
    """D03: phone and e-mail are usual in a ping; names, addresses and free text are not needed."""
    for ping in history.pings:
        if not ping.values:
            continue
        ledger.met("D03", ping)
        if found := sorted(name for name in ping.values if name.lower() in _NEEDLESS | _FREE_TEXT):
            ledger.broken("D03", f"not needed in a ping: {', '.join(found)}", ping)


def ping_tokens(history: History, ledger: Ledger) -> None:
    """D14 to D17: the token of an accepted ping, unchanged, in time, for the campaign and supplier it was given to."""
    beginnings = {_beginning(name): ping for name, ping in history.issued_ids.items()}
    rejected = _rejected_before(history)
    for post in history.submissions:
        if post.masked or post.mislabelled or not post.values:
            _refused_masked(ledger, post)
            continue
        token = history.link(post)
        claims = signing.read_ping_token(history.account.secret, token)
        original = beginnings.get(_beginning(token)) if claims is None else None
        if claims is not None:
            _judge_claims(ledger, post, claims)
        elif original is not None:
            ledger.broken("D17", "a ping_id that was altered", original, post)
        if _must_ping(history, post):
            ledger.met("D15", post)
            if claims is None and original is None and post.id not in rejected:
                _without_token(ledger, post, token)


def _beginning(token: str) -> str:
    return token.strip().strip("\"'")[:_LOOKALIKE].casefold()


def _must_ping(history: History, post: Sent) -> bool:
    terms = history.terms(post)
    return terms is not None and terms.ping_required


def _without_token(ledger: Ledger, post: Sent, token: str) -> None:
    if not token.strip():
        ledger.broken("D15", "no flo_ping_id on a ping-post campaign", post)
    elif post.refused_for(Reason.PING_INVALID):
        ledger.broken("D15", "a flo_ping_id that no ping returned", post)


def _refused_masked(ledger: Ledger, post: Sent) -> None:
    """Without values the sandbox's own answer tells."""
    said = {
        Reason.PING_EXPIRED: ("D14", "a ping_id after its lifetime"),
        Reason.PING_MISSING: ("D15", "no flo_ping_id on a ping-post campaign"),
        Reason.PING_MISMATCH: ("D16", "a ping_id of another campaign or supplier"),
    }
    if post.masked and post.reason in said and not post.forced:
        ledger.broken(*said[post.reason], post)


def _judge_claims(ledger: Ledger, post: Sent, claims: Mapping[str, Any]) -> None:
    for duty in ("D14", "D16", "D17"):
        ledger.met(duty, post)
    if (post.text("flo_campaign_id"), post.text("flo_supplier_id")) != (claims["cid"], claims["sid"]):
        ledger.broken("D16", "a ping_id of another campaign or supplier", post)
    elif post.at >= datetime.fromtimestamp(claims["exp"], UTC):
        ledger.broken("D14", "a ping_id after its lifetime", post)


def _rejected_before(history: History) -> dict[str, Sent]:
    """Return the rejected ping before each lead without a ping_id whose person was last answered so."""
    latest: dict[tuple[str, str], Sent] = {}
    found: dict[str, Sent] = {}
    for sent in history.leads:
        names = [(history.scope(sent), name) for name in history.persons(sent)]
        if sent.is_ping:
            latest.update(dict.fromkeys(names, sent))
        elif not history.link(sent):
            pings = [latest[name] for name in names if name in latest]
            last = max(pings, key=lambda item: item.began, default=None)
            if last is not None and last.is_rejected_ping and last.ended <= sent.began:
                found[sent.id] = last
    return found


def opaque_keys(history: History, ledger: Ledger) -> None:
    """D17 for the API key: it is sent as it was given."""
    for sent in history.sent:
        state, form = sent.credential.get("state"), sent.credential.get("form")
        if state == "altered" or (state == "current" and form):
            ledger.broken("D17", f"an API key that was altered{f': {form}' if form else ''}", sent)


def own_campaigns(history: History, ledger: Ledger) -> None:
    """D38: ids of one's own, each in its field."""
    for sent in history.leads:
        if not sent.source_id or not sent.values:
            continue
        ledger.met("D38", sent)
        if sent.reason in _NOT_YOURS and not sent.forced:
            swapped = sent.text("flo_campaign_id") in {item.id for item in history.account.sources.values()}
            ledger.broken("D38", "campaign and supplier swapped" if swapped else _NOT_YOURS[sent.reason], sent)


def answers_in_the_body(history: History, ledger: Ledger) -> None:
    """D40: a ping that was answered 200 with `accepted: false` is not followed by the lead."""
    for ping in history.pings:
        if ping.is_rejected_ping:
            ledger.met("D40", ping)
    rejected = _rejected_before(history)
    for post in history.submissions:
        if earlier := rejected.get(post.id):
            ledger.broken("D40", "ingested after a ping that was answered 200 and accepted: false", earlier, post)


DUTIES = Duties(
    dialect=DIALECT,
    catalogue=load_duties(files(__package__).joinpath("duties.toml")),
    checks=(
        needless_fields,
        ping_tokens,
        opaque_keys,
        own_campaigns,
        answers_in_the_body,
        *duties_receivers.CHECKS,
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
        duties_retries.retry_after,
        duties_retries.rate_limits,
        duties_retries.backing_off,
        duties_retries.patience,
        duties_transport.secrets_in_place,
        duties_transport.from_servers,
        duties_transport.body_types,
    ),
)
