"""The last requests, bounded by how many and by how many bytes. What they mean is not known here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from simulator.journal.filtering import Filter, Label

Retold = Callable[[bytes], dict[str, Any]]
"""Makes a request's document of what was kept of it."""


class Kept(NamedTuple):
    """One request: its number in the journal, its label, what was kept of it as JSON, and who can tell it."""

    number: int
    label: Label
    blob: bytes
    retold: Retold


class Ring:
    """Keeps what fits. Numbers count up from 0 without a gap. Not safe between threads by itself."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.entries: deque[Kept] = deque()
        self.bytes = 0
        self.next = 0
        self.evicted = 0
        self._evicted_from: datetime | None = None
        self._evicted_to: datetime | None = None

    def add(self, label: Label, blob: bytes, retold: Retold) -> int:
        """Keep a request, drop the oldest that no longer fit, and return its number."""
        number = self.next
        self.next += 1
        self.entries.append(Kept(number, label, blob, retold))
        self.bytes += len(blob)
        while len(self.entries) > self.max_entries or self.bytes > self.max_bytes:
            self._evict()
        return number

    def shrink(self, most_bytes: int) -> None:
        """Drop the oldest until no more than so many bytes are left."""
        while self.bytes > most_bytes:
            self._evict()

    def _evict(self) -> None:
        gone = self.entries.popleft()
        self.bytes -= len(gone.blob)
        self.evicted += 1
        at = gone.label.at
        if self._evicted_from is None or at < self._evicted_from:
            self._evicted_from = at
        if self._evicted_to is None or at > self._evicted_to:
            self._evicted_to = at

    def lost_nothing_between(self, wanted: Filter) -> bool:
        """Whether the filter's times leave out all that was evicted. A clock may have been moved back."""
        first, last = self._evicted_from, self._evicted_to
        if first is None or last is None:
            return True
        too_late = wanted.since is not None and wanted.since > last
        return too_late or (wanted.until is not None and wanted.until <= first)

    def find(self, number: int) -> Kept | None:
        """Return a request, or None when it was evicted or never was."""
        oldest = self.next - len(self.entries)
        return self.entries[number - oldest] if oldest <= number < self.next else None

    def clear(self) -> None:
        """Forget all requests, and that any were evicted; numbers go on."""
        self.entries.clear()
        self.bytes = self.evicted = 0
        self._evicted_from = self._evicted_to = None
