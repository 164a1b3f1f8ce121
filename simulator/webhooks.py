"""Delivers the outbox: signs, sends, records, tries again, gives up. What is sent was written with the lead."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from simulator.attempts import attempt_as_json, attempted
from simulator.buyers import BuyerCalls, Call
from simulator.contract.model import Contract
from simulator.fibers import Flag, Turns, worked
from simulator.lanes import LANES, Lanes, Receiver
from simulator.pacing import Pace
from simulator.store import LEASE, DeliveryRecord, DeliveryStatus, Store, StoreError, outbox
from simulator.store.connection import Connection
from simulator.tenants import Tenant, Tenants
from simulator.threads import Threads

TIMEOUT = 5.0  # seconds that a receiver has
BATCH = 32  # deliveries sent side by side to one receiver
IDLE = 1.0  # seconds between looks when nothing was announced
LOOK = 0.01  # seconds between looks whether other simulators have recorded what they sent
NOW_HEADER = "X-Sandbox-Now"  # ours: sandbox time, for mock receivers that check how old a signature is

# How many times as long as it worked the courier rests while calls are answered: they come first.
ON_THREADS = 8
IN_TURNS = 32  # what libcurl does for it on the loop is not counted as its work

OnDelivery = Callable[[dict[str, Any]], None]

log = logging.getLogger(__name__)


class Courier:
    """Empties the outbox of every tenant, in sandbox time.

    One looks who has something to receive; others send, one for each receiver at a time, so that a receiver that
    hangs holds up nobody else. They are threads, or fibers of the `loop` on which calls take their turns.
    `on_delivery` is told of each attempt, after it was recorded, by who sent; it must neither raise nor wait.
    """

    def __init__(
        self,
        tenants: Tenants,
        store: Store,
        calls: BuyerCalls,
        contracts: Mapping[str, Contract],
        on_delivery: OnDelivery | None = None,
        timeout: float = TIMEOUT,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._tenants = tenants
        self._store = store
        self._calls = calls
        self._contracts = contracts
        self._on_delivery = on_delivery
        self._timeout = timeout
        self._lanes = Lanes()
        self._doubtful: set[str] = set()
        self._crew = Threads(1 + LANES, "webhooks") if loop is None else Turns(loop)
        self._wake = Flag()
        self._is_ending = False
        self._stopped = Flag()
        self._pace = Pace(ON_THREADS if loop is None else IN_TURNS, self._is_busy, self._stopped.wait)
        self._nobody_looks = Flag()
        self._nobody_looks.set()

    def start(self) -> None:
        self._nobody_looks.clear()
        self._crew.do(self._run)

    def announce(self) -> None:
        """Say that there is something to deliver. Costs nothing when it was said already."""
        if not self._wake.is_set():
            self._wake.set()

    def stop(self, patience: float) -> None:
        """Send what is due, for half of `patience` seconds at most; what is on its way then has the other half.

        What takes longer counts as not sent, so that the next start sends it again. Clocks that are being moved go on.
        """
        ends = time.monotonic() + patience
        self._is_ending = True
        self._wake.set()
        self._nobody_looks.wait(patience / 2)
        self._stopped.set()
        self._wake.set()
        self._lanes.idle(max(0.0, ends - time.monotonic()))

    @contextmanager
    def sole_sender(self, tenant_id: str) -> Iterator[None]:
        """Keep everybody else from delivering for the tenant, once what is on its way was recorded.

        For whoever moves its clock or replaces its state. Enter it before a transaction, never inside one: what
        is on its way needs the store. The same thread may enter it again. Other simulators are kept out too.
        """
        with self._lanes.alone(tenant_id) as nested:
            if nested or not self._store.is_shared:
                yield
                return
            with self._store.alone(tenant_id):
                self._wait_for_others(tenant_id)
                yield

    def _wait_for_others(self, tenant_id: str) -> None:
        # What they have taken they send and record, or another simulator inherits it when they are dead.
        ends = time.monotonic() + self._timeout + 2 * LEASE
        while time.monotonic() < ends and self._store.others_are_sending(tenant_id):
            time.sleep(LOOK)

    def replay(self, tenant: Tenant, delivery_id: int) -> bool:
        """Send a delivery again, with the same event id, whatever became of it. Returns False when there is none."""
        with self._store.transaction() as tx:
            found = tx.replay(tenant.id, delivery_id, tenant.clock.now())
        self.announce()
        return found

    def deliver_due(self, tenant: Tenant) -> Counter[DeliveryStatus]:
        """Attempt a batch of what is due now; return what became of it, nothing when nothing is due."""
        with self.sole_sender(tenant.id):
            return self._send(tenant, self._taken(tenant, alone=True))

    def _taken(self, tenant: Tenant, receiver: Receiver | None = None, *, alone: bool = False) -> list[DeliveryRecord]:
        """Return what is due; where there are other simulators, what they will not send then."""
        now = tenant.clock.now()
        if not self._store.is_shared:
            return self._store.look(outbox.due_deliveries, tenant.id, now, BATCH, receiver)
        with self._store.transaction() as tx:
            return tx.claim_deliveries(tenant.id, now, BATCH, receiver, alone=alone)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set() and (self._look() or not self._is_ending):
                if self._wake.wait(IDLE):
                    self._pace.give_way()  # what was announced waits for company: alone it costs four times as much
        finally:
            self._nobody_looks.set()

    def _look(self) -> bool:
        """See who has something to receive, and have it sent. Returns whether anything is on its way."""
        self._wake.clear()
        began = worked()
        try:
            self._let_go()
            for tenant, receiver in self._store.look(self._waiting):
                if not self._stopped.is_set() and self._lanes.begin(tenant.id, receiver):
                    self._crew.do(partial(self._serve, tenant, receiver))
        except StoreError:
            log.exception("the outbox could not be read; trying again")
        self._pace.spent(worked() - began)
        return self._lanes.count > 0

    def _let_go(self) -> None:
        """Give back what was taken of tenants where something could not be recorded: it is to be sent again."""
        for name in tuple(self._doubtful):
            if self._store.is_shared:
                with self._lanes.alone(name), self._store.transaction() as tx:
                    tx.release_own_deliveries(name)
            self._doubtful.discard(name)

    def _waiting(self, connection: Connection) -> list[tuple[Tenant, Receiver]]:
        """Return who has something to receive now, but for those that are being sent something."""
        found: list[tuple[Tenant, Receiver]] = []
        for name in outbox.tenants_with_deliveries(connection):
            tenant = self._tenants.get(name)
            if tenant is None:  # deleted, or of a sandbox file that is not in force
                continue
            now = tenant.clock.now()
            found += [
                (tenant, receiver)
                for receiver in outbox.receivers(connection, tenant.id)
                if not self._lanes.is_taken(tenant.id, receiver)
                and outbox.due_deliveries(connection, tenant.id, now, 1, receiver)
            ]
        return found

    def _serve(self, tenant: Tenant, receiver: Receiver) -> None:
        sent = False
        began = worked()
        try:
            # Read again: since it was looked at, somebody else may have been the sole sender.
            sent = bool(self._send(tenant, self._taken(tenant, receiver)))
        except StoreError:
            # Nobody is woken: what can't be recorded must not be sent over and over.
            self._doubtful.add(tenant.id)
            if not self._stopped.is_set():
                log.exception("deliveries could not be read or recorded; trying again")
        finally:
            self._pace.spent(worked() - began)
            self._lanes.end(tenant.id, receiver)
            if sent or (self._is_ending and tenant.id not in self._doubtful):
                self._wake.set()  # now: who looks while the lane is taken passes it over

    def _is_busy(self) -> bool:
        return any(tenant.presence.is_busy for tenant in self._tenants)

    def _send(self, tenant: Tenant, due: Sequence[DeliveryRecord]) -> Counter[DeliveryStatus]:
        if not due:
            return Counter()
        at = tenant.clock.now()
        replies = self._calls.send([self._call(tenant, delivery, at) for delivery in due])
        made = [attempted(delivery, reply, at) for delivery, reply in zip(due, replies, strict=True)]
        kept = self._store.transact(
            lambda tx: [
                (delivery, *attempt)
                for delivery, attempt in zip(due, made, strict=True)
                if tx.record_attempt(delivery, *attempt)
            ]
        )
        if self._on_delivery is not None:
            for delivery, attempt, becomes, due_at in kept:
                self._on_delivery(attempt_as_json(delivery, attempt, becomes, due_at))
        return Counter(becomes for _, becomes, _ in made)

    def _call(self, tenant: Tenant, delivery: DeliveryRecord, at: datetime) -> Call:
        account = tenant.accounts[delivery.platform]
        wire = self._contracts[delivery.platform].webhook_wire
        assert wire is not None  # only a platform with webhooks writes to the outbox
        # As configured now: address and secret may have changed since the lead was sold.
        buyer = account.buyers.get(delivery.buyer_id)
        secret = buyer.webhook.secret if buyer and buyer.webhook else ""
        url = buyer.webhook.url if buyer and buyer.webhook else delivery.url
        headers = wire.headers(account.readings, secret, delivery.body, delivery.event_id, at)
        return Call(url, delivery.body, {**headers, NOW_HEADER: at.isoformat(), **delivery.headers}, self._timeout)
