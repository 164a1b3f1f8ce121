"""What can be said of a presented credential without repeating it. Whether it opens anything is `admission.py`'s."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from simulator.contract.account import Account, Received, Source
from simulator.contract.duty import Dialect

ELSEWHERE = ("authorization", "x-api-key", "api-key", "apikey", "token", "x-auth-token", "x-access-token")
_QUOTES = "\"'"


def facts(
    received: Received, account: Account, source: Source | None, dialect: Dialect, at: datetime
) -> dict[str, Any]:
    """Describe the credential of a request.

    `state` is `absent`, `current`, `retired`, `altered` (one that is in force, spelled otherwise) or `unknown`;
    `kind` is whose kind it is, where that is known. `form` says what is wrong with the way it is presented.
    `header` names another header that held one. `retired_for` is how many seconds ago it stopped being honoured.
    """
    sent = received.headers.get(dialect.header, "")
    if not sent:
        other = next((name for name in ELSEWHERE if name != dialect.header and received.headers.get(name)), "")
        return {"state": "absent", "header": other} if other else {"state": "absent"}
    bare = _bare(sent, dialect.scheme)
    form = _form(sent, bare, dialect.scheme)
    told = _told(bare, [source] if source else account.sources.values(), at)
    if told is None and source is None:
        told = _altered(bare, account.sources.values())
    return {**(told or {"state": "unknown"}), **({"form": form} if form else {})}


def _bare(sent: str, scheme: str) -> str:
    words = sent.strip().strip(_QUOTES).split()
    if len(words) > 1 and words[0].rstrip(":").lower() in {scheme.lower(), "bearer", "token", "basic"}:
        words = words[1:]
    return "".join(words).strip(_QUOTES)


def _form(sent: str, bare: str, scheme: str) -> str:
    """Say what keeps the header from being the scheme, one space and the credential; "" when nothing does."""
    wanted = f"{scheme} {bare}" if scheme else bare
    if sent == wanted:
        return ""
    if any(mark in sent for mark in _QUOTES):
        return "quotes around it"
    if scheme and not sent.lower().lstrip().startswith(scheme.lower()):
        return f"no {scheme} before it"
    if scheme and not sent.lstrip().startswith(f"{scheme} "):
        return f"the scheme is not spelled {scheme}"
    return "more than one space" if scheme else "more than the credential"


def _told(bare: str, sources: Iterable[Source], at: datetime) -> dict[str, Any] | None:
    return next((found for source in sources for found in _matches(bare, source, at)), None)


def _matches(bare: str, source: Source, at: datetime) -> Iterator[dict[str, Any]]:
    for kind, credential in source.credentials.items():
        if _equal(bare, credential):
            yield {"state": "current", "kind": kind}
    for old in source.retired:
        if _equal(bare, old.credential):
            gone = max(0, int((at - old.honoured_until).total_seconds()))
            yield {"state": "retired", "kind": old.kind, "retired_for": gone}


def _altered(bare: str, sources: Iterable[Source]) -> dict[str, Any] | None:
    folded = bare.casefold()
    for source in sources:
        for kind, credential in source.credentials.items():
            near = credential.casefold()
            if len(bare) >= 8 and (folded == near or near.startswith(folded) or folded.startswith(near)):
                return {"state": "altered", "kind": kind}
    return None


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
