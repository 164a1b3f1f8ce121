"""From an answer to its journal entry, its counters and its event. What any of them keeps is theirs to know."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import orjson

from simulator.contract.account import Received
from simulator.contract.model import Contract
from simulator.events import Hub
from simulator.exchange import Answer
from simulator.journal import Journals, Label
from simulator.metrics import Metrics
from simulator.retelling import ASKED, CHECK, LONGEST_BODY, Retelling
from simulator.tenants import Tenant, Tenants

Tells = Callable[[bytes], dict[str, Any]]
"""Makes a document of what was written down."""

SHORT = (
    *("at", "duration_ms", "platform", "operation", "method", "path", "source_id"),
    *("http", "row_id", "reason", "detail", "triggers"),
)
# Rows, which `Retelling` makes objects of: a dataclass costs the serialiser five times as much.
_CHECK, _ASKED = attrgetter(*CHECK), attrgetter(*ASKED)


class Recorder:
    """Writes down every answer. Safe between threads.

    What a request is told as is worked out when somebody reads it: most are never read.
    """

    def __init__(
        self, tenants: Tenants, journals: Journals, hub: Hub, metrics: Metrics, *, mask_bodies: bool = False
    ) -> None:
        self._tenants = tenants
        self._journals = journals
        self._hub = hub
        self._metrics = metrics
        self._mask_bodies = mask_bodies
        self._retellings: dict[tuple[str, str], Retelling] = {}
        self._key = os.urandom(16)  # so that a digest tells nobody what was sent

    def answered(
        self, contract: Contract, operation: str, received: Received, answer: Answer, body: bytes, started: float
    ) -> str:
        """Record one answer whose work began at `started` (monotonic seconds); return the request's id."""
        seconds = time.monotonic() - started
        tenant, row = answer.tenant, answer.row
        retelling = self._retelling(tenant, contract)
        blob = orjson.dumps(_facts(contract, operation, received, answer, body, seconds, started), default=str)
        tells: Tells = retelling
        brief: Tells = retelling.brief
        if self._mask_bodies or len(blob) > LONGEST_BODY:
            blob, tells, brief = retelling.final(blob), orjson.loads, orjson.loads
        label = Label(answer.at, contract.platform, operation, row.id, row.http, answer.source_id, received.method)
        request_id = self._journals.of(tenant.id).record(label, blob, tells)
        self._metrics.answered(contract.platform, operation, row.id, row.http, seconds)
        if self._hub.listening:
            self._hub.publish("request", tenant.id, lambda: short({"id": request_id, **brief(blob)}), label)
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
            self._retellings = {key: known for key, known in self._retellings.items() if key[0] != tenant.id}
            self._hub.end(tenant.id)
        return gone

    def _retelling(self, tenant: Tenant, contract: Contract) -> Retelling:
        """Return how requests are told while the tenant's accounts are what they are now."""
        key = (tenant.id, contract.platform)
        known = self._retellings.get(key)
        if known is None or known.accounts is not tenant.accounts:
            known = self._retellings[key] = Retelling(
                contract, tenant.accounts, self._key, mask_bodies=self._mask_bodies
            )
        return known


def _facts(
    contract: Contract,
    operation: str,
    received: Received,
    answer: Answer,
    body: bytes,
    seconds: float,
    started: float,
) -> tuple[Any, ...]:
    """Return what happened (`retelling.FACTS`), as it came: nothing is masked yet."""
    row, decision = answer.row, answer.decision
    return (
        answer.at,
        round(seconds * 1000, 3),
        answer.tenant.id,
        contract.platform,
        operation,
        answer.source_id,
        row.http,
        row.id,
        decision.reason,
        decision.detail,
        answer.asked_for,
        answer.fault.word if answer.fault else None,
        decision.campaign_id,
        decision.lead_id,
        decision.transaction_id,
        decision.buyer_id,
        decision.price,
        decision.is_duplicate,
        decision.retry_after,
        decision.errors,
        list(map(_CHECK, decision.checks)),
        list(map(_ASKED, decision.asked)),
        round(started, 6),
        (
            received.method,
            received.path,
            received.arguments,
            received.headers,
            received.query.decode("latin-1"),
            received.body.decode("latin-1"),
        ),
        (answer.rendered.headers, body.decode("utf-8", "replace"), len(body)),
    )


def short(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a list or an event says of a request."""
    return {"id": entry["id"], **{name: entry[name] for name in SHORT}}


def shorts(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [short(entry) for entry in entries]
