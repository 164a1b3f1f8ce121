"""Duties about how a request arrives, which every vendor's integrators have: D33, D34, D36, D37."""

from __future__ import annotations

import re

from simulator.contract.duty import Severity
from simulator.contract.ledger import Ledger
from simulator.contract.sent import UNREAD, Sent
from simulator.contract.traffic import History
from simulator.routing.decision import Reason

HIDDEN = "***"  # what the journal writes for a query parameter that is named like a secret
_SECRET_NAMES = re.compile(
    r"(x[-_])?(api[-_]?key|access[-_]?token|auth[-_]?token|authorization|bearer|secret|password|subscription[-_]?key"
    r"|token)",
    re.IGNORECASE,
)
_FETCH = ("sec-fetch-site", "sec-fetch-dest")  # not -mode: Node's own fetch sends that one, from servers


def secrets_in_place(history: History, ledger: Ledger) -> None:
    """D33: a credential stands in its header, never in a URL, a body or another header."""
    for sent in history.sent:
        if sent.credential.get("state", "absent") != "absent" or sent.misplaced:
            ledger.met("D33", sent)
        if sent.misplaced:
            ledger.broken("D33", f"a credential in the {' and the '.join(sent.misplaced)}", sent)
        elif HIDDEN in sent.query and not (sent.masked and sent.query == HIDDEN):
            ledger.broken("D33", "a query parameter that is named like a secret", sent)
        if names := sorted(name for name in sent.values if _SECRET_NAMES.fullmatch(name)):
            ledger.broken("D33", f"fields named like a secret: {', '.join(names)}", sent, severity=Severity.INFO)


def from_servers(history: History, ledger: Ledger) -> None:
    """D34: no browser calls, since it would have to know the credential."""
    for sent in history.sent:
        ledger.met("D34", sent)
        if sent.method == "OPTIONS":
            ledger.broken("D34", "a CORS preflight (OPTIONS)", sent)
        elif why := _browser(sent):
            ledger.broken("D34", why, sent)


def _browser(sent: Sent) -> str:
    if "origin" in sent.headers:
        return "a header Origin, which browsers send"
    if any(name in sent.headers for name in _FETCH):
        return "a header Sec-Fetch-*, which browsers send"
    return "a browser's User-Agent" if sent.headers.get("user-agent", "").startswith("Mozilla/") else ""


def methods(history: History, ledger: Ledger) -> None:
    """D36: the documented method. A preflight is a browser's (D34)."""
    for sent in history.sent:
        if sent.journey is None or sent.method == "OPTIONS":
            continue
        ledger.met("D36", sent)
        if sent.refused_for(Reason.WRONG_METHOD):
            ledger.broken("D36", f"{sent.method[:20]} on {sent.operation}", sent)


def body_types(history: History, ledger: Ledger) -> None:
    """D37: Content-Type says what the body is, and the body can be read."""
    for sent in history.leads:
        if not sent.body:
            continue
        ledger.met("D37", sent)
        if why := _body_fault(sent):
            ledger.broken("D37", why, sent)


def _body_fault(sent: Sent) -> str:
    start = sent.body[:2].lstrip()
    if sent.mislabelled:
        return "JSON that is called form-encoded"
    if start.startswith("\ufeff"):
        return "a byte order mark before the JSON"
    if start.startswith('"'):
        return "JSON inside a JSON string"
    return _unread(sent) if sent.refused_for(*UNREAD) else ""


def _unread(sent: Sent) -> str:
    if sent.reason is Reason.BODY_TOO_LARGE:
        return "a body of more than 1 MiB"
    if sent.reason is Reason.WRONG_CONTENT_TYPE:
        return f"Content-Type {sent.headers.get('content-type', '')[:60] or 'is missing'}"
    return "a body that is not what its Content-Type says, or no valid JSON object"
