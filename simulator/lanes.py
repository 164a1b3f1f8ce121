"""Which webhooks may be on their way side by side, within one simulator. Nothing is sent here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.fibers import current

LANES = 32  # receivers served side by side

Receiver = tuple[str, str]
"""A platform and a buyer's id."""


class Lanes:
    """Who may send: one for each receiver, and none while a thread has the tenant for itself."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy: dict[str, set[Receiver]] = {}
        self._alone: dict[str, int] = {}
        self.count = 0

    @contextmanager
    def alone(self, tenant: str) -> Iterator[bool]:
        """Yield whether this thread had the tenant for itself already."""
        assert current() is None  # a fiber's thread is the others' as well
        me = threading.get_ident()
        with self._changed:
            nested = self._alone.get(tenant) == me
            if not nested:
                self._changed.wait_for(lambda: tenant not in self._alone)
                self._alone[tenant] = me
                self._changed.wait_for(lambda: tenant not in self._busy)
        try:
            yield nested
        finally:
            if not nested:
                with self._changed:
                    del self._alone[tenant]
                    self._changed.notify_all()

    def is_taken(self, tenant: str, receiver: Receiver) -> bool:
        """Whether somebody is sending to the receiver at this moment."""
        return receiver in self._busy.get(tenant, ())

    def begin(self, tenant: str, receiver: Receiver) -> bool:
        with self._changed:
            busy = self._busy.get(tenant, set())
            if tenant in self._alone or receiver in busy or self.count >= LANES:
                return False
            self._busy[tenant] = busy | {receiver}
            self.count += 1
            return True

    def end(self, tenant: str, receiver: Receiver) -> None:
        with self._changed:
            self._busy[tenant] -= {receiver}
            self.count -= 1
            if not self._busy[tenant]:
                del self._busy[tenant]
            self._changed.notify_all()

    def idle(self, patience: float) -> bool:
        """Wait until nothing is on its way; return False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count == 0, patience)
