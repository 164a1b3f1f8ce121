"""Who may call Pingtree's endpoints: the ids in the path, and the token of the right kind in the header."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.contract import body
from simulator.contract.account import Account, Received, Source
from simulator.contract.model import BodyType, Journey, Operation
from simulator.routing.agreed import Terms
from simulator.routing.decision import Decision, FieldError, Reason

_OPEN = ("/api/event/", "/api/click/", "/click/")  # where the ids in the request say whose it is, and no token has to
_EVENT_BODIES = frozenset({BodyType.JSON, BodyType.URL})


def caller(received: Received) -> str:
    """Return the link id in the path; else the account, campaign or token by which `doors` knows the caller."""
    if link_id := received.arguments.get("source_unique_id"):
        return link_id
    if received.path.startswith(_OPEN):
        return _open_caller(received)
    token = _bearer(received.headers.get("authorization", ""))
    return bearer_door(token) if token else ""


def _open_caller(received: Received) -> str:
    if org_id := received.arguments.get("org_id"):
        return org_door(org_id)
    campaign_id = received.arguments.get("campaign_id")
    if campaign_id is None:
        found = body.fields_of(received, _EVENT_BODIES)
        campaign_id = found.values.get("cid") if isinstance(found, body.Fields) else None
    return campaign_door(campaign_id) if isinstance(campaign_id, str) else ""


# A space is in no id, so that no door has the name of another.


def bearer_door(token: str) -> str:
    return f"bearer {token}"


def campaign_door(campaign_id: str) -> str:
    return f"cid {campaign_id}"


def org_door(org_id: str) -> str:
    return f"org {org_id}"


def admit(received: Received, source: Source | None, operation: Operation, now: datetime) -> Decision | None:
    """Return the refusal, or None when the token is the one in force for this source and kind, or none is wanted."""
    if received.path.startswith(_OPEN):
        if source is None:
            return _nobody(received)
        if operation.credential not in source.credentials:
            return None
    presented = _bearer(received.headers.get("authorization", ""))
    if presented is None:
        return _unauthorized("Send the header 'Authorization: Bearer <token>'")
    if source is None:
        by_link = "source_unique_id" in received.arguments
        return _unauthorized("No source has this link id" if by_link else "No source has this token")
    if not _equal(presented, source.credentials[operation.credential]):
        refusal = _why_not(presented, source, operation, now)
        if refusal:
            return refusal
    return _misdirected(received, source, operation)


def header(source: Source, operation: Operation) -> tuple[str, str] | None:
    token = source.credentials.get(operation.credential)
    return ("Authorization", f"Bearer {token}") if token else None


def terms_for(account: Account, source: Source, values: Mapping[str, Any]) -> Terms | Decision:  # noqa: ARG001  the link id alone decides at Pingtree
    return next(iter(source.terms.values()))


def fixed(terms: Terms) -> Mapping[str, str]:  # noqa: ARG001  the link id is in the path
    return {}


def _bearer(header: str) -> str | None:
    scheme, space, token = header.partition(" ")
    return token if scheme == "Bearer" and space and token and token == token.strip() else None


def _nobody(received: Received) -> Decision:
    if "org_id" in received.arguments:
        return Decision(Reason.LEAD_UNKNOWN, "No account has this id, so it has no such lead")
    sent = "campaign_id" in received.arguments
    fault = FieldError("cid", "invalid_format" if sent else "required", "cid must be the id of a campaign")
    return Decision(Reason.UNKNOWN_CAMPAIGN, "No campaign is named that exists: cid", errors=(fault,))


def _misdirected(received: Received, source: Source, operation: Operation) -> Decision | None:
    """Refuse a token that is good at another path: it says whose leads these are, and the path says otherwise.

    The list documents 400 for ids that are none; a token of another campaign is no token of this one.
    """
    wrong = [name for name, value in received.arguments.items() if source.arguments.get(name, value) != value]
    if not wrong:
        return None
    detail = f"The {operation.credential} token belongs to another {wrong[0]} than the path"
    is_known = all(received.arguments[name] in source.siblings for name in wrong)
    if operation.journey is Journey.LIST and not is_known:
        return Decision(Reason.UNKNOWN_CAMPAIGN, detail)
    return _unauthorized(detail)


def _why_not(presented: str, source: Source, operation: Operation, now: datetime) -> Decision | None:
    for old in source.retired:
        if _equal(presented, old.credential):
            if old.kind == operation.credential and now < old.honoured_until:
                return None
            return _unauthorized(f"This {old.kind} token was replaced by a newer one")
    for kind, token in source.credentials.items():
        if _equal(presented, token):
            return _unauthorized(f"This is the {kind} token; this endpoint takes the {operation.credential} token")
    return _unauthorized(f"This is not the {operation.credential} token of this source")


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _unauthorized(detail: str) -> Decision:
    return Decision(Reason.UNAUTHORIZED, detail)
