"""Delivers the outbox: signs, sends, records, tries again, gives up. What is sent was written with the lead."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from simulator.buyers import BuyerCalls, Call, Reply
from simulator.contract.model import Contract
from simulator.store import AttemptRecord, DeliveryRecord, DeliveryStatus, Store, StoreError
from simulator.tenants import Tenant, Tenants

TIMEOUT = 5.0  # seconds that a receiver has
BATCH = 32  # deliveries sent side by side
IDLE = 1.0  # seconds between looks when nothing was announced
FIRST_RETRY = timedelta(seconds=30)
GIVE_UP_AFTER = timedelta(days=3)  # /blog/lead-distribution-webhook: at least three days
LONGEST_PAUSE = timedelta(hours=6)

log = logging.getLogger(__name__)


class Courier:
    """One thread that empties the outbox of every tenant, in sandbox time."""

    def __init__(
        self, tenants: Tenants, store: Store, calls: BuyerCalls, contracts: Mapping[str, Contract]
    ) -> None:
        self._tenants = tenants
        self._store = store
        self._calls = calls
        self._contracts = contracts
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def announce(self) -> None:
        """Say that there is something to deliver. Costs nothing when it was said already."""
        if not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """Finish the batch that is on its way and end."""
        self._stopped.set()
        self._wake.set()
        self._thread.join(TIMEOUT + 1)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            try:
                busy = sum(self.deliver_due(tenant) for tenant in self._tenants) > 0
            except StoreError:
                log.exception("the outbox could not be read or written; trying again")
                busy = False
            if not busy:
                self._wake.wait(IDLE)

    def deliver_due(self, tenant: Tenant) -> int:
        """Send one batch of what is due; return how many were sent."""
        due = self._store.due_deliveries(tenant.id, tenant.clock.now(), limit=BATCH)
        if due:
            self._send(tenant, due)
        return len(due)

    def _send(self, tenant: Tenant, due: Sequence[DeliveryRecord]) -> None:
        at = tenant.clock.now()
        replies = self._calls.send([self._call(tenant, delivery) for delivery in due])
        with self._store.transaction() as tx:
            for delivery, reply in zip(due, replies, strict=True):
                attempt = AttemptRecord(at, reply.status or None, reply.latency_ms, _error(reply))
                due_at = at + retry_after(delivery.attempts + 1)
                tx.record_attempt(delivery, attempt, _becomes(delivery, reply, due_at), due_at)

    def _call(self, tenant: Tenant, delivery: DeliveryRecord) -> Call:
        account = tenant.accounts[delivery.platform]
        wire = self._contracts[delivery.platform].webhook_wire
        assert wire is not None  # only a platform with webhooks writes to the outbox
        # As configured now: address and secret may have changed since the lead was sold.
        buyer = account.buyers.get(delivery.buyer_id)
        secret = buyer.webhook.secret if buyer and buyer.webhook else ""
        url = buyer.webhook.url if buyer and buyer.webhook else delivery.url
        headers = wire.headers(account.readings, secret, delivery.body, delivery.event_id, tenant.clock.now())
        return Call(url, delivery.body, {**headers, **delivery.headers}, TIMEOUT)


def retry_after(attempts: int) -> timedelta:
    """Return the pause after so many failed attempts: 30 s, doubling, at most 6 h. Ours: the blog gives no curve."""
    doubled: timedelta = FIRST_RETRY * (1 << min(attempts - 1, 20))
    return min(doubled, LONGEST_PAUSE)


def _becomes(delivery: DeliveryRecord, reply: Reply, due_at: datetime) -> DeliveryStatus:
    if 200 <= reply.status <= 299:
        return DeliveryStatus.DELIVERED
    over = due_at - delivery.created_at > GIVE_UP_AFTER
    return DeliveryStatus.GIVEN_UP if over else DeliveryStatus.PENDING


def _error(reply: Reply) -> str:
    if reply.failure:
        return f"{reply.failure}: {reply.detail}"
    return "" if 200 <= reply.status <= 299 else reply.body[:200].decode("utf-8", "replace")
