"""What a recorded request is told as: cut to a size for people, without secrets, with evidence for duties.

From the facts as they were written down, and the accounts as they were then. Nothing is written down here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import orjson

from simulator import masking
from simulator.contract import credentials
from simulator.contract.account import Account, Received
from simulator.contract.model import Contract
from simulator.routing.decision import Asked, Check

LONGEST_BODY = 16 * 1024  # characters that are kept of one body
LONGEST_TEXT = 2048  # bytes that are kept of a URL; beyond, a flood of them would push out everything else
FACTS = (
    *("at", "duration_ms", "tenant", "platform", "operation", "source_id", "http", "row_id", "reason", "detail"),
    *("triggers", "fault", "campaign_id", "lead_id", "transaction_id", "buyer_id", "price", "is_duplicate"),
    *("retry_after", "errors", "checks", "asked", "began", "received", "answered"),
)
"""What is written down of a request, in this order: names would take as long as what they name."""
CHECK, ASKED = (tuple(each.name for each in fields(kind)) for kind in (Check, Asked))
"""What stands in each row of the facts `checks` and `asked`, in this order."""


_NOT_IN_A_PATH = str.maketrans({mark: quote(mark, safe="") for mark in "%?#"})


class Retelling:
    """Tells the requests of one tenant at one platform, for as long as these are its accounts."""

    def __init__(
        self, contract: Contract, accounts: Mapping[str, Account], key: bytes, *, mask_bodies: bool = False
    ) -> None:
        self.accounts = accounts
        self._contract = contract
        self._key = key
        self._mask_bodies = mask_bodies
        self._secrets = masking.Secrets(masking.credentials(accounts.values()))
        said = ("id", "evidence", "reading", "meaning", "source")
        self._rows = {row.id: {name: getattr(row, name) for name in said} for row in contract.rows}

    def __call__(self, blob: bytes) -> dict[str, Any]:
        """Return the document of a request from its facts. Costs far more than writing them down did."""
        document = _named(blob)
        method, path, arguments, headers, query, body = document.pop("received")
        received = Received(method, path, arguments, headers, query.encode("latin-1"), body.encode("latin-1"))
        found = self._secrets.found_in(*_searched(received))
        size = len(received.body)
        evidence = self._evidence(received, datetime.fromisoformat(document["at"]), found)
        answered = document.pop("answered")
        for name, columns in (("checks", CHECK), ("asked", ASKED)):
            document[name] = [dict(zip(columns, row, strict=True)) for row in document[name]]
        document |= {"row": self._rows[document["row_id"]], "began": document.pop("began")}
        if found:
            received = _clean(received, found)
        document |= self._exchanged(received, size, *answered)
        document["request"] |= evidence
        if self._mask_bodies:
            named = {document["campaign_id"], document["lead_id"], document["transaction_id"]}
            found = list({*found, *masking.values(received.body)} - named)
        masked: dict[str, Any] = masking.cleaned(document, found) if found else document
        return masked

    def brief(self, blob: bytes) -> dict[str, Any]:
        """Return at least what a list says of a request, as the whole document has it, for a third of its cost."""
        facts = _named(blob)
        method, path, arguments, headers, query, body = facts["received"]
        received = Received(method, path, arguments, headers, query.encode("latin-1"), body.encode("latin-1"))
        if self._mask_bodies or self._secrets.found_in(*_searched(received)):
            return self(blob)  # what has to be hidden may stand in any part of it
        return facts | self._addressed(received)

    def final(self, blob: bytes) -> bytes:
        """Return the document as JSON, for facts that are too large, or too private, to be kept as they came."""
        return orjson.dumps(self(blob))

    def _exchanged(
        self, received: Received, size: int, headers: Iterable[tuple[str, str]], body: str, body_bytes: int
    ) -> dict[str, Any]:
        sent = masking.structure(received.body) if self._mask_bodies else received.body.decode("utf-8", "replace")
        return {
            **self._addressed(received),
            "request": {"headers": masking.headers(received.headers), **_cut(sent, size)},
            "answer": {
                "headers": {"content-type": "application/json", **dict(headers)},
                **_cut(body, body_bytes),
            },
        }

    def _addressed(self, received: Received) -> dict[str, str]:
        query = masking.query(received.query)
        if self._mask_bodies and query:
            query = masking.HIDDEN.encode()
        # What was `%3F` in the path must not look like the beginning of a query.
        path = received.path.translate(_NOT_IN_A_PATH)
        path = f"{path}?{query.decode('latin-1')}" if query else path
        return {"method": received.method[:40], "path": path[:LONGEST_TEXT]}

    def _evidence(self, received: Received, at: datetime, found: Sequence[str]) -> dict[str, Any]:
        """Return what duties ask of a request that what is kept of it does not tell: no secret, no value."""
        told: dict[str, Any] = {"digest": _digest(received, self._key)}
        contract = self._contract
        if contract.duties is not None:
            account = self.accounts[contract.platform]
            source = account.sources.get(contract.admission.caller(received))
            told["credential"] = credentials.facts(received, account, source, contract.duties.dialect, at)
        if found and (places := _places(received, found)):
            told["misplaced"] = places
        return told | {"masked": True} if self._mask_bodies else told


def _named(blob: bytes) -> dict[str, Any]:
    return dict(zip(FACTS, orjson.loads(blob), strict=True))


def _searched(received: Received) -> tuple[bytes, list[bytes]]:
    """Return all that a caller may have put a secret into, and the credentials that it presented in the right place."""
    presented, other = [], [received.path]
    for name, value in received.headers.items():
        if name in masking.SECRET_HEADERS:
            presented.append(value.rpartition(" ")[2].encode())
        else:
            other.append(value)
    return b"\n".join(("\n".join(other).encode(), received.query, received.body)), presented


def _digest(received: Received, key: bytes) -> str:
    """Return what is equal for equal requests with equal credentials, and says nothing else."""
    credential = "\n".join(received.headers.get(name, "") for name in sorted(masking.SECRET_HEADERS))
    head = f"{received.method}\n{received.path}\n{received.headers.get('content-type', '')}\n{credential}\n"
    whole = b"\0".join((head.encode("utf-8", "replace"), received.query, received.body))
    return blake2b(whole, key=key, digest_size=12).hexdigest()


def _places(received: Received, found: Sequence[str]) -> list[str]:
    """Return where credentials stand that should not be there."""
    other = "\n".join(value for name, value in received.headers.items() if name not in masking.SECRET_HEADERS)
    texts = {
        "path": received.path,
        "query": received.query.decode("latin-1"),
        "body": received.body.decode("utf-8", "replace"),
        "headers": other,
    }
    return [place for place, text in texts.items() if any(secret in text for secret in found)]


def _clean(received: Received, found: list[str]) -> Received:
    """Take secrets out before anything is cut, since half a secret would not be found again."""
    return replace(
        received,
        path=masking.hidden(received.path, found),
        query=masking.hidden(received.query.decode("latin-1"), found).encode("latin-1", "replace"),
        headers={
            name: value if name in masking.SECRET_HEADERS else masking.hidden(value, found)
            for name, value in received.headers.items()
        },
        body=masking.hidden(received.body.decode("utf-8", "replace"), found).encode(),
    )


def _cut(text: str, size: int) -> dict[str, Any]:
    if len(text) <= LONGEST_BODY:
        return {"body": text, "body_bytes": size}
    return {"body": text[:LONGEST_BODY], "body_bytes": size, "body_truncated": True}
