"""Who is at work for a tenant, so that one that is deleted is forgotten after the last of them. Nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Presence:
    """Counts requests under way. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._elsewhere = 0
        self._closed = False

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def is_busy(self) -> bool:
        """Whether a request is being worked at: one that waits for a buyer's answer is not."""
        return self._inside > self._elsewhere

    def enter(self) -> None:
        with self._lock:
            self._inside += 1

    def leave(self) -> bool:
        """Return whether this was the last one of a tenant that is no more: then there is something to clear away."""
        with self._lock:
            self._inside -= 1
            return self._closed and self._inside == 0

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Say that the request only waits for somebody else's answer."""
        with self._lock:
            self._elsewhere += 1
        try:
            yield
        finally:
            with self._lock:
                self._elsewhere -= 1

    def close(self) -> None:
        """Say that the tenant is no more. Whoever is inside may finish."""
        with self._lock:
            self._closed = True
