"""Webhooks put into an outbox from outside. No test lives here."""

from __future__ import annotations

from simulator.store import DeliveryRecord, Transaction, outbox


def added(tx: Transaction, delivery: DeliveryRecord) -> int:
    """Put a webhook into the outbox; return its number."""
    tx.add_delivery(delivery)
    return max(each.id for each in outbox.deliveries(tx, delivery.tenant, lead_id=delivery.lead_id))
