"""Counts and latencies for Prometheus, of one process and all its tenants; and sums of them. Labels are finite."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from simulator.events import Hub
from simulator.journal import Journals

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Latencies:
    """How many answers took how long. `buckets` are not cumulative."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0


class Metrics:
    """Counts, and puts them into Prometheus' words when asked: its own counters cost several times as much."""

    def __init__(self, journals: Journals, hub: Hub) -> None:
        self._journals = journals
        self._hub = hub
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, str, int], int] = {}
        self._latencies: dict[tuple[str, str], Latencies] = {}
        self._attempts: Counter[tuple[str, str]] = Counter()

    def answered(self, platform: str, operation: str, row: str, http: int, seconds: float) -> None:
        """Count one answer. Nothing else is a label: platform, operation and row come from the contracts."""
        key = (platform, operation, row, http)
        place = bisect_left(BUCKETS, seconds)
        with self._lock:
            self._requests[key] = self._requests.get(key, 0) + 1
            latencies = self._latencies.get(key[:2])
            if latencies is None:
                latencies = self._latencies[key[:2]] = Latencies()
            latencies.buckets[place] += 1
            latencies.seconds += seconds

    def delivered(self, platform: str, outcome: str) -> None:
        """Count one attempt; `outcome` is a word of the outbox: `delivered`, `pending` or `given_up`."""
        with self._lock:
            self._attempts[platform, outcome] += 1

    def text(self) -> bytes:
        from simulator.metrics import exposition  # noqa: PLC0415  a heavy import that no start should wait for

        with self._lock:
            counted = exposition.counted(self._requests, self._latencies, self._attempts)
        return exposition.text([*counted, *exposition.held(self._journals.sizes(), self._hub.streams)])


def summed(texts: Iterable[bytes]) -> bytes:
    """Return the sums of several of these texts, sample by sample, each family once."""
    families: dict[str, dict[str, float]] = {}
    comments: dict[str, list[str]] = {}
    for text in texts:
        family = ""
        for line in text.decode().splitlines():
            if line.startswith("# "):
                family = line.split(" ")[2]
                said = comments.setdefault(family, [])
                said += [line] if line not in said else []
                continue
            sample, _, value = line.rpartition(" ")
            samples = families.setdefault(family, {})
            samples[sample] = samples.get(sample, 0.0) + float(value)
    lines = (
        line
        for family, said in comments.items()
        for line in (*said, *(f"{sample} {value}" for sample, value in families.get(family, {}).items()))
    )
    return "".join(f"{line}\n" for line in lines).encode()
