"""Threads for work that blocks: as many as were ever needed at once, up to a bound. What the work is is not known."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Threads:
    """Does work on daemon threads, in the order in which it came. They end with the process."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._hired = 0
        self._busy = 0  # jobs that wait or are done

    def do(self, job: Callable[[], object]) -> None:
        """Do it soon. What it raises goes to `threading.excepthook`, and costs a thread."""
        with self._lock:
            self._busy += 1
            hire = self._busy > self._hired and self._hired < self._most
            self._hired += hire
        self._jobs.put(job)
        if hire:
            self._hire()

    def _hire(self) -> None:
        try:
            threading.Thread(target=self._work, name=f"{self._name} {self._hired}", daemon=True).start()
        except RuntimeError:  # there can be no more threads; who works already does it, or nobody
            with self._lock:
                self._hired -= 1
                if not self._hired:
                    raise

    def _work(self) -> None:
        try:
            while True:
                self._jobs.get()()
                with self._lock:
                    self._busy -= 1
        finally:
            with self._lock:
                self._busy -= 1
                self._hired -= 1
