"""What an attempt at a webhook was, and what becomes of its delivery: done, tried again, given up. Sends nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from simulator.buyers import Reply
from simulator.store import AttemptRecord, DeliveryRecord, DeliveryStatus


def _curve(first: timedelta, longest: timedelta, whole: timedelta) -> tuple[timedelta, ...]:
    pauses: list[timedelta] = []
    left = whole
    while left:
        pauses.append(min(first * 2 ** len(pauses), longest, left))
        left -= pauses[-1]
    return tuple(pauses)


PAUSES = _curve(timedelta(seconds=30), timedelta(hours=6), timedelta(days=3))
"""How long to wait after each failed attempt. /blog/lead-distribution-webhook: exponential, at least three days.
Ours: the first pause, the longest, and that the last attempt comes when three days are full."""


def pause_after(attempts: int) -> timedelta | None:
    """Return the pause after so many failed attempts; None when that was the last one."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def attempted(
    delivery: DeliveryRecord, reply: Reply, at: datetime
) -> tuple[AttemptRecord, DeliveryStatus, datetime | None]:
    """Return the attempt, what becomes of the delivery, and when it is tried again."""
    attempt = AttemptRecord(at, reply.status or None, reply.latency_ms, _error(reply))
    if 200 <= reply.status <= 299 and not reply.failure:
        return attempt, DeliveryStatus.DELIVERED, None
    pause = pause_after(delivery.attempts + 1)
    if pause is None:
        return attempt, DeliveryStatus.GIVEN_UP, None
    return attempt, DeliveryStatus.PENDING, at + pause


def _error(reply: Reply) -> str:
    if reply.failure:
        return f"{reply.failure}: {reply.detail}"
    return "" if 200 <= reply.status <= 299 else reply.body[:200].decode("utf-8", "replace")


def attempt_as_json(
    delivery: DeliveryRecord, attempt: AttemptRecord, becomes: DeliveryStatus, due_at: datetime | None
) -> dict[str, Any]:
    """Return one attempt as JSON values."""
    return {
        "tenant": delivery.tenant,
        "platform": delivery.platform,
        "delivery_id": delivery.id,
        "event_id": delivery.event_id,
        "lead_id": delivery.lead_id,
        "buyer_id": delivery.buyer_id,
        "attempt": delivery.attempts + 1,
        "at": attempt.at.isoformat(),
        "http_status": attempt.http_status,
        "latency_ms": round(attempt.latency_ms, 3),
        "error": attempt.error,
        "status": becomes.value,
        "retry_at": due_at.isoformat() if due_at else None,
    }
