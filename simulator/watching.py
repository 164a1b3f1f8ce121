"""Findings as they come: grades a tenant's last requests while somebody listens for them. What is graded is not here.

Vendors' calls pay nothing for it: grading has a thread of its own, which is there only while an event stream asks for
findings, and which rests four times as long as it works.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

from simulator.auditing import attempts_at_own_receivers, audit
from simulator.contract.model import Contract
from simulator.events import Hub
from simulator.journal import Journals, Readable
from simulator.store import Store
from simulator.tenants import Tenant, Tenants

KIND = "finding"
LAST = 2000  # requests of a platform that are looked at, so that a full journal does not make it slow
MOST_KNOWN = 1000  # findings that are remembered as told; beyond, the oldest may be told again
LOOK = 1.0  # seconds after which a thread notices that nobody listens any more
PAUSE = 0.1  # seconds of rest at least, in which requests gather
REST = 4.0  # times as long as grading took

Found: TypeAlias = dict[tuple[str, str, str], Mapping[str, Any]]
"""Findings by platform, duty and detail, which together name one fault."""


class Watch:
    """One thread for each tenant whose findings somebody listens for. Safe between threads."""

    def __init__(
        self,
        tenants: Tenants,
        journals: Journals,
        read: Readable,
        hub: Hub,
        store: Store,
        contracts: Mapping[str, Contract],
        own: str,
    ) -> None:
        """`journals` are this worker's, `read` those of all. Nobody grades receivers at `own`, the mock buyers."""
        self._tenants = tenants
        self._journals = journals
        self._read = read
        self._hub = hub
        self._store = store
        self._contracts = contracts
        self._own = own
        self._lock = threading.Lock()
        self._watched: dict[str, tuple[Tenant, threading.Event]] = {}
        hub.noticed = self._ring

    def attend(self, tenant: Tenant) -> None:
        """Tell new findings of a tenant from now on, for as long as somebody listens for them.

        What the journal shows already is told to nobody. To be called when the listener has its place.
        """
        if self._watches(tenant):
            return
        told = _Told(self._journals.of(tenant.id).clearings, self._found(tenant))
        bell = threading.Event()
        bell.set()  # for what came since
        with self._lock:
            if self._watches(tenant):
                return
            self._watched[tenant.id] = (tenant, bell)
        threading.Thread(target=self._follow, args=(tenant, bell, told), name="findings", daemon=True).start()

    def _watches(self, tenant: Tenant) -> bool:
        watched = self._watched.get(tenant.id)
        return watched is not None and watched[0] is tenant

    def _ring(self, tenant_id: str) -> None:
        if (watched := self._watched.get(tenant_id)) is not None:
            watched[1].set()

    def _follow(self, tenant: Tenant, bell: threading.Event, told: _Told) -> None:
        try:
            while self._is_wanted(tenant):
                if bell.wait(LOOK):
                    bell.clear()
                    time.sleep(self._tell(tenant, told))
        finally:
            with self._lock:
                self._leave(tenant)

    def _tell(self, tenant: Tenant, told: _Told) -> float:
        """Publish what is new, and return how many seconds to rest for it."""
        began = time.monotonic()
        for document in told.new(self._journals.of(tenant.id).clearings, self._found(tenant)):
            self._hub.publish(KIND, tenant.id, partial(dict, document))
        return max(PAUSE, REST * (time.monotonic() - began))

    def _is_wanted(self, tenant: Tenant) -> bool:
        """Whether to go on. Decided under the lock, so that a listener who comes now finds no thread that is ending."""
        with self._lock:
            wanted = self._tenants.get(tenant.id) is tenant and self._hub.wants(KIND, tenant.id)
            if not wanted:
                self._leave(tenant)
            return wanted and self._watches(tenant)

    def _leave(self, tenant: Tenant) -> None:
        if self._watches(tenant):  # and not another tenant, made anew under the same name
            del self._watched[tenant.id]

    def _found(self, tenant: Tenant) -> Found:
        attempts = attempts_at_own_receivers(self._store, tenant, self._own)
        card = audit(tenant, self._read.of(tenant.id), self._contracts, {}, attempts, last=LAST)
        return {
            (platform, finding["duty"], finding["detail"]): {"platform": platform, **finding}
            for platform, graded in card["platforms"].items()
            for duty in graded["duties"]
            if not duty["overall"]  # a later request may take that back
            for finding in duty["findings"]
        }


class _Told:
    """What was told already, within bounds. A journal that was cleared begins anew."""

    def __init__(self, clearings: int, found: Found) -> None:
        self._clearings = clearings
        self._known = dict.fromkeys(found)

    def new(self, clearings: int, found: Found) -> Iterator[Mapping[str, Any]]:
        if clearings != self._clearings:
            self._clearings = clearings
            self._known.clear()
        for name, document in found.items():
            if name not in self._known:
                self._known[name] = None
                yield document
        while len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
