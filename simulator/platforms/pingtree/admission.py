"""Who may call Pingtree's endpoints: the link id in the path and the token of the right kind in the header."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.contract.account import Account, Received, Source
from simulator.contract.model import Operation
from simulator.routing.model import Decision, Reason, Terms


def caller(received: Received) -> str:
    return received.arguments.get("source_unique_id", "")


def admit(received: Received, source: Source | None, operation: Operation, now: datetime) -> Decision | None:
    """Return the refusal, or None when the token is the one in force for this source and kind."""
    presented = _bearer(received.headers.get("authorization", ""))
    if presented is None:
        return _unauthorized("Send the header 'Authorization: Bearer <token>'")
    if source is None:
        return _unauthorized("No source has this link id")
    if _equal(presented, source.credentials[operation.credential]):
        return None
    return _why_not(presented, source, operation, now)


def header(source: Source, operation: Operation) -> tuple[str, str]:
    return "Authorization", f"Bearer {source.credentials[operation.credential]}"


def terms_for(account: Account, source: Source, values: Mapping[str, Any]) -> Terms | Decision:  # noqa: ARG001  the link id alone decides at Pingtree
    return next(iter(source.terms.values()))


def fixed(terms: Terms) -> Mapping[str, str]:  # noqa: ARG001  the link id is in the path
    return {}


def _bearer(header: str) -> str | None:
    scheme, space, token = header.partition(" ")
    return token if scheme == "Bearer" and space and token and token == token.strip() else None


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
