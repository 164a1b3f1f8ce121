"""Sales that the store would not let us finish: what they hold is given back as soon as it can be written again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.store import PingRecord, Store, StoreError


class Leftovers:
    """Remembers the pings of such sales; there are as many as were in flight when the store failed.

    What the process itself forgets by dying, the next start gives back.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._left: deque[PingRecord] = deque()

    @contextmanager
    def watching(self, ping: PingRecord) -> Iterator[None]:
        """Remember the ping if the store fails in the block; nobody knows then how much of the sale it kept."""
        try:
            yield
        except StoreError:
            self._left.append(ping)
            raise

    def release(self) -> None:
        """Give back what is left; what can't be now is left for the next time."""
        while self._left:
            try:
                ping = self._left.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                with self._store.transaction() as tx:
                    tx.release_ping(ping)
            except StoreError:
                self._left.append(ping)
                return
