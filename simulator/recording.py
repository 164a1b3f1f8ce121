"""From an answer to its journal entry, its counters and its event. What any of them keeps is theirs to know."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import orjson

from simulator import masking
from simulator.contract import credentials
from simulator.contract.account import Account, Received
from simulator.contract.model import Contract, Row
from simulator.events import Hub
from simulator.exchange import Answer
from simulator.journal import Journals, Label
from simulator.metrics import Metrics
from simulator.tenants import Tenant, Tenants

LONGEST_BODY = 16 * 1024  # characters that are kept of one body
LONGEST_TEXT = 2048  # bytes that are kept of a URL; beyond, a flood of them would push out everything else
SHORT = (
    *("at", "duration_ms", "platform", "operation", "method", "path", "source_id"),
    *("http", "row_id", "reason", "detail", "triggers"),
)


@dataclass(frozen=True, slots=True)
class _Known:
    """The secrets of a tenant's accounts, for as long as these are its accounts."""

    accounts: Mapping[str, Account]
    secrets: masking.Secrets


class Recorder:
    """Writes down every answer. Safe between threads."""

    def __init__(
        self, tenants: Tenants, journals: Journals, hub: Hub, metrics: Metrics, *, mask_bodies: bool = False
    ) -> None:
        self._tenants = tenants
        self._journals = journals
        self._hub = hub
        self._metrics = metrics
        self._mask_bodies = mask_bodies
        self._known: dict[str, _Known] = {}
        self._rows: dict[int, tuple[Row, orjson.Fragment]] = {}
        self._key = os.urandom(16)  # so that a digest tells nobody what was sent

    def answered(
        self, contract: Contract, operation: str, received: Received, answer: Answer, body: bytes, started: float
    ) -> str:
        """Record one answer whose work began at `started` (monotonic seconds); return the request's id."""
        seconds = time.monotonic() - started
        tenant, row = answer.tenant, answer.row
        document = _document(contract, operation, answer, seconds)
        document |= {"row": self._row(answer.row), "began": round(started, 6)}
        blob = self._blob(contract, received, answer, body, document)
        label = Label(answer.at, contract.platform, operation, row.id, row.http, answer.source_id, received.method)
        request_id = self._journals.of(tenant.id).record(label, blob)
        self._metrics.answered(contract.platform, operation, row.id, row.http, seconds)
        if self._hub.listening:
            self._hub.publish("request", tenant.id, lambda: short({"id": request_id, **orjson.loads(blob)}))
        if self._tenants.get(tenant.id) is None:  # deleted while it answered
            self.forget(tenant)
        return request_id

    def delivered(self, attempt: Mapping[str, Any]) -> None:
        """Record one attempt to deliver a webhook, as the courier tells it."""
        self._metrics.delivered(attempt["platform"], attempt["status"])
        self._hub.publish("delivery", attempt["tenant"], lambda: attempt)

    def forget(self, tenant: Tenant) -> int:
        """Empty a tenant's journal, and keep nothing of a tenant that is no more; return how many requests went."""
        gone = self._journals.of(tenant.id).clear()
        if self._tenants.get(tenant.id) is None:
            self._journals.forget(tenant.id)
            self._known.pop(tenant.id, None)
            self._hub.end(tenant.id)
        return gone

    def _blob(
        self, contract: Contract, received: Received, answer: Answer, body: bytes, document: dict[str, Any]
    ) -> bytes:
        found = self._secrets(answer.tenant).found_in(*_searched(received))
        size = len(received.body)
        evidence = self._evidence(contract, received, answer, found)
        if found:
            received = _clean(received, found)
        document |= self._exchanged(received, size, answer, body)
        document["request"] |= evidence
        blob = orjson.dumps(document, default=str)
        if self._mask_bodies:
            named = {document["campaign_id"], document["lead_id"], document["transaction_id"]}
            return orjson.dumps(masking.cleaned(orjson.loads(blob), {*found, *masking.values(received.body)} - named))
        return orjson.dumps(masking.cleaned(orjson.loads(blob), found)) if found else blob

    def _exchanged(self, received: Received, size: int, answer: Answer, body: bytes) -> dict[str, Any]:
        query = masking.query(received.query)
        if self._mask_bodies and query:
            query = masking.HIDDEN.encode()
        path = f"{received.path}?{query.decode('latin-1')}" if query else received.path
        sent = masking.structure(received.body) if self._mask_bodies else received.body.decode("utf-8", "replace")
        return {
            "method": received.method[:40],
            "path": path[:LONGEST_TEXT],
            "request": {"headers": masking.headers(received.headers), **_cut(sent, size)},
            "answer": {
                "headers": {"content-type": "application/json", **dict(answer.rendered.headers)},
                **_cut(body.decode("utf-8", "replace"), len(body)),
            },
        }

    def _evidence(self, contract: Contract, received: Received, answer: Answer, found: Sequence[str]) -> dict[str, Any]:
        """Return what duties ask of a request that what is kept of it does not tell: no secret, no value."""
        told: dict[str, Any] = {"digest": _digest(received, self._key)}
        if contract.duties is not None:
            account = answer.tenant.accounts[contract.platform]
            source = account.sources.get(contract.admission.caller(received))
            told["credential"] = credentials.facts(received, account, source, contract.duties.dialect, answer.at)
        if found and (places := _places(received, found)):
            told["misplaced"] = places
        return told | {"masked": True} if self._mask_bodies else told

    def _row(self, row: Row) -> orjson.Fragment:
        """Return what a row is, as JSON that is made once."""
        known = self._rows.get(id(row))
        if known is None or known[0] is not row:
            said = {name: getattr(row, name) for name in ("id", "evidence", "reading", "meaning", "source")}
            known = self._rows[id(row)] = (row, orjson.Fragment(orjson.dumps(said)))
        return known[1]

    def _secrets(self, tenant: Tenant) -> masking.Secrets:
        known = self._known.get(tenant.id)
        if known is None or known.accounts is not tenant.accounts:
            accounts = tenant.accounts
            known = _Known(accounts, masking.Secrets(masking.credentials(accounts.values())))
            self._known[tenant.id] = known
        return known.secrets


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


def _document(contract: Contract, operation: str, answer: Answer, seconds: float) -> dict[str, Any]:
    row, decision = answer.row, answer.decision
    return {
        "at": answer.at,
        "duration_ms": round(seconds * 1000, 3),
        "tenant": answer.tenant.id,
        "platform": contract.platform,
        "operation": operation,
        "source_id": answer.source_id,
        "http": row.http,
        "row_id": row.id,
        "reason": decision.reason,
        "detail": decision.detail,
        "triggers": answer.asked_for,
        "fault": answer.fault.word if answer.fault else None,
        "campaign_id": decision.campaign_id,
        "lead_id": decision.lead_id,
        "transaction_id": decision.transaction_id,
        "buyer_id": decision.buyer_id,
        "price": decision.price,
        "is_duplicate": decision.is_duplicate,
        "retry_after": decision.retry_after,
        "errors": decision.errors,
        "checks": decision.checks,
        "asked": decision.asked,
    }


def short(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a list or an event says of a request."""
    return {"id": entry["id"], **{name: entry[name] for name in SHORT}}


def shorts(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [short(entry) for entry in entries]
