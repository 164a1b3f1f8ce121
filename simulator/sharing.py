"""One sandbox in several simulators: each takes in what another changed before its change counts as made.

Nothing here decides what a change is. Why it is so: docs/decisions/0022.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from simulator.store import LEASE, FaultRow, Store, StoreError
from simulator.tenancy import Others, Tenancy
from simulator.tenants import Tenant
from simulator.triggers.arming import MOST_ARMED, Armed, Faults, Scope, TooManyFaultsError, is_alive, seeded
from simulator.triggers.table import Trigger, Words

BEAT = 1.0  # seconds between signs of life
SURE = LEASE - 2.0  # seconds that a simulator serves after one: it stops well before others take it for dead
LOOK = 0.004  # seconds between looks whether the others have taken a change in
LEAVING = 0.5  # seconds that telling the others of the end may take; else they find out by themselves, after a lease

log = logging.getLogger(__name__)


class SharedFaults(Faults):
    """The armed faults of a tenant that several simulators have: what is armed `n` times fires so often over all."""

    def __init__(self, tenant: str, store: Store, words: Mapping[str, Words], tell: Callable[[int], None]) -> None:
        super().__init__()
        self._tenant = tenant
        self._store = store
        self._words = words
        self._tell = tell

    def arm(
        self,
        trigger: Trigger,
        scope: Scope,
        *,
        count: int | None,
        probability: float,
        seed: int | None,
        ttl: timedelta | None,
        now: datetime,
    ) -> Armed:
        document = {
            "trigger": trigger.word,
            "scope": [scope.platform, scope.operation, scope.source],
            "probability": probability,
            "seed": seed,
            "until": (now + ttl).isoformat() if ttl is not None else None,
        }
        with self._store.transaction() as tx:
            version = tx.changed(self._tenant)  # holds back whoever else arms a fault
            rows = tx.faults(self._tenant)
            over = [row.id for row in rows if not is_alive(self._read(row), now)]
            for spent in over:
                tx.remove_faults(self._tenant, spent)
            if len(rows) - len(over) >= MOST_ARMED:
                raise TooManyFaultsError(f"at most {MOST_ARMED} faults can be armed; disarm some")
            row = FaultRow(f"fault_{version}", count, 0, document)
            tx.add_fault(self._tenant, row)
        self._tell(version)
        return self._read(row)

    def disarm(self, number: str | None = None) -> int:
        with self._store.transaction() as tx:
            version = tx.changed(self._tenant)
            gone = tx.remove_faults(self._tenant, number)
        self._tell(version)
        return gone

    def armed(self, now: datetime) -> tuple[Armed, ...]:
        self.read()
        return super().armed(now)

    def read(self) -> None:
        """Have what the store has. Who rolled dice before rolls them on."""
        rows = self._store.faults(self._tenant)
        with self._lock:
            known = {item.id: item for item in self._armed}
            self._armed = tuple(self._read(row, known.get(row.id)) for row in sorted(rows, key=_number))

    def _read(self, row: FaultRow, known: Armed | None = None) -> Armed:
        if known is not None:
            known.fired = row.fired
            return known
        scope, until = Scope(*row.document["scope"]), row.document["until"]
        named = self._words[scope.platform] if scope.platform else None
        words = [named] if named else list(self._words.values())
        trigger = next(found for each in words if (found := each.understand(row.document["trigger"])))
        moment = datetime.fromisoformat(until) if until else None
        dice = seeded(row.document["seed"], _number(row))
        return Armed(row.id, trigger, scope, row.most, row.document["probability"], moment, row.fired, dice)

    def _spent(self, item: Armed) -> bool:
        with self._store.transaction() as tx:
            fired = tx.fire_fault(self._tenant, item.id)
        if fired is None:
            item.count = item.fired  # used up by others: never again
            return False
        item.fired = fired
        return True


def _number(row: FaultRow) -> int:
    return int(row.id.rpartition("_")[2])


class Sharing(Others):
    """This simulator among the others of its store.

    One thread gives signs of life, takes in what was changed, and releases what dead ones were at. `on_gone` is
    called with a tenant that another simulator deleted.
    """

    def __init__(self, store: Store, words: Mapping[str, Words], on_gone: Callable[[Tenant], object]) -> None:
        self._store = store
        self._words = words
        self._on_gone = on_gone
        self._lock = threading.RLock()
        self._tenancy: Tenancy | None = None
        self._seen = 0
        self._sure_until = 0.0
        self._stopped = threading.Event()

    def join(self) -> None:
        """Become one of them. What is loaded after this is not older than any change that will be told."""
        with self._lock:
            self._seen = self._store.newest_change()
            self._beat()
        with self._store.transaction() as tx:
            tx.release_work()

    def start(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        threading.Thread(target=self._run, name="sharing", daemon=True).start()

    def leave(self) -> None:
        """Let nobody wait for this simulator any more. A database that hangs does not hold up the end."""
        self._stopped.set()
        telling = threading.Thread(target=self._tell_of_the_end, name="leaving", daemon=True)
        telling.start()
        telling.join(LEAVING)

    def _tell_of_the_end(self) -> None:
        try:
            with self._lock, self._store.transaction() as tx:  # after a sign of life that is under way, and the last
                tx.leave()
        except StoreError as error:
            log.warning("the other simulators could not be told that this one ends: %s", error)

    def be_sure(self) -> None:
        """Know every change that counts as made, at the cost of a look at the clock. Raises StoreUnavailableError."""
        if time.monotonic() > self._sure_until:
            self.catch_up()

    def catch_up(self) -> None:
        with self._lock:
            changes = self._store.changes_since(self._seen)
            for name, version in changes:
                self._take_in(name)
                self._seen = version
            self._beat()

    def _take_in(self, name: str) -> None:
        if self._tenancy is None:
            return
        try:
            self._tenancy.take_in(name)
        except StoreError:
            raise
        except Exception:
            # One tenant that cannot be taken in must not keep the others from being.
            log.exception("tenant %s could not be taken in", name)
        tenant = self._tenancy.tenants.get(name)
        if tenant is not None and isinstance(tenant.faults, SharedFaults):
            tenant.faults.read()

    def _beat(self) -> None:
        if self._stopped.is_set():
            return
        began = time.monotonic()
        with self._store.transaction() as tx:
            tx.join(self._seen)
        self._sure_until = began + SURE

    def tell(self, version: int) -> None:
        self.catch_up()
        ends = time.monotonic() + LEASE
        while time.monotonic() < ends:
            slowest = self._store.slowest()
            if slowest is None or slowest >= version:
                return
            time.sleep(LOOK)
        log.warning("change %d was not taken in by all simulators within %.0f s", version, LEASE)

    def adopt(self, tenant: Tenant) -> None:
        faults = SharedFaults(tenant.id, self._store, self._words, self.tell)
        faults.read()
        tenant.faults = faults

    def gone(self, tenant: Tenant) -> None:
        self._on_gone(tenant)

    def _run(self) -> None:
        bell, away = self._store.bell(), False
        while not self._stopped.is_set():
            bell.wait(BEAT)
            if self._stopped.is_set():
                break
            try:
                self.catch_up()
                self._bury()
                away = False
            except StoreError as error:
                if not away:  # once, not every time
                    log.error("the other simulators are out of sight: %s", error)  # noqa: TRY400  the line says all
                away = True
        bell.close()

    def _bury(self) -> None:
        with self._store.transaction() as tx:
            dead = tx.bury()
        for name in dead:
            log.warning("simulator %s was not heard from; what it was at is released", name)
