"""Counts and latencies for Prometheus, of one process and all its tenants; and sums of them. Labels are finite."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from simulator.events import Hub
from simulator.journal import Journals

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDS = (*map(str, BUCKETS), "+Inf")
_JOURNAL = {
    "entries": "Requests kept, all tenants",
    "bytes": "Bytes of requests kept, all tenants",
    "evicted": "Requests evicted since the last clearing, all tenants",
}


class _Latencies:
    """How many answers took how long. `buckets` are not cumulative."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * len(_BOUNDS)
        self.seconds = 0.0


class Metrics(Collector):
    """One registry of its own, so that two applications in one process do not meet.

    Counting is done here and put into Prometheus' words when asked: its own counters cost several times as much.
    """

    def __init__(self, journals: Journals, hub: Hub) -> None:
        self._journals = journals
        self._hub = hub
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, str, int], int] = {}
        self._latencies: dict[tuple[str, str], _Latencies] = {}
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, platform: str, operation: str, row: str, http: int, seconds: float) -> None:
        """Count one answer. Nothing else is a label: platform, operation and row come from the contracts."""
        key = (platform, operation, row, http)
        place = bisect_left(BUCKETS, seconds)
        with self._lock:
            self._requests[key] = self._requests.get(key, 0) + 1
            latencies = self._latencies.get(key[:2])
            if latencies is None:
                latencies = self._latencies[key[:2]] = _Latencies()
            latencies.buckets[place] += 1
            latencies.seconds += seconds

    def delivered(self, platform: str, outcome: str) -> None:
        """Count one attempt; `outcome` is a word of the outbox: `delivered`, `pending` or `given_up`."""
        with self._lock:
            self._attempts[platform, outcome] += 1

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Return everything in Prometheus' own terms."""
        with self._lock:
            yield from (self._answers(), self._seconds(), self._deliveries())
        for name, text in _JOURNAL.items():
            total = sum(size[name] for size in self._journals.sizes())
            yield GaugeMetricFamily(f"leadsandbox_journal_{name}", text, total)
        yield GaugeMetricFamily("leadsandbox_event_streams", "Open event streams", self._hub.streams)

    def _answers(self) -> Metric:
        labels = ("platform", "operation", "row", "http")
        family = CounterMetricFamily("leadsandbox_requests", "Requests to vendor endpoints", labels=labels)
        for key, count in self._requests.items():
            family.add_metric([*map(str, key)], count)
        return family

    def _seconds(self) -> Metric:
        text = "Time from a request's arrival to its answer"
        family = HistogramMetricFamily("leadsandbox_request_seconds", text, labels=("platform", "operation"))
        for key, latencies in self._latencies.items():
            buckets = zip(_BOUNDS, accumulate(latencies.buckets), strict=True)
            family.add_metric(list(key), [(bound, float(count)) for bound, count in buckets], latencies.seconds)
        return family

    def _deliveries(self) -> Metric:
        labels = ("platform", "outcome")
        family = CounterMetricFamily("leadsandbox_webhook_attempts", "Attempts to deliver a webhook", labels=labels)
        for key, count in self._attempts.items():
            family.add_metric(list(key), count)
        return family


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
