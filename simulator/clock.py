"""Sandbox time: the machine's clock plus an offset that a tenant may move. Rate limits do not use it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """A movable clock. Every moment it tells is aware and in UTC. Safe to share between threads."""

    def __init__(self, offset: timedelta = timedelta(0), frozen_at: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._offset = offset
        self._frozen_at = frozen_at

    def now(self) -> datetime:
        frozen = self._frozen_at
        return frozen if frozen is not None else datetime.now(UTC) + self._offset  # noqa: TID251  the edge itself

    def advance(self, by: timedelta) -> datetime:
        """Move on by `by`, which may be negative, and return the new now."""
        with self._lock:
            if self._frozen_at is not None:
                self._frozen_at += by
            else:
                self._offset += by
        return self.now()
