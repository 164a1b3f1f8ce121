"""The last requests, bounded by how many and by how many bytes. What they mean is not known here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from simulator.journal.filtering import Filter, Label


@dataclass(frozen=True, slots=True)
class Kept:
    """One request: its number in the journal, its label, and its document as JSON."""

    number: int
    label: Label
    blob: bytes


class Ring:
    """Keeps what fits. Numbers count up from 0 without a gap. Not safe between threads by itself."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.entries: deque[Kept] = deque()
        self.bytes = 0
        self.next = 0
        self.evicted = 0
        self._evicted_between: tuple[datetime, datetime] | None = None

    def add(self, label: Label, blob: bytes) -> int:
        """Keep a request, drop the oldest that no longer fit, and return its number."""
        number = self.next
        self.next += 1
        self.entries.append(Kept(number, label, blob))
        self.bytes += len(blob)
        while len(self.entries) > self.max_entries or self.bytes > self.max_bytes:
            self._evict()
        return number

    def _evict(self) -> None:
        gone = self.entries.popleft()
        self.bytes -= len(gone.blob)
        self.evicted += 1
        first, last = self._evicted_between or (gone.label.at, gone.label.at)
        self._evicted_between = (min(first, gone.label.at), max(last, gone.label.at))

    def lost_nothing_between(self, wanted: Filter) -> bool:
        """Whether the filter's times leave out all that was evicted. A clock may have been moved back."""
        if self._evicted_between is None:
            return True
        first, last = self._evicted_between
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
        self._evicted_between = None
