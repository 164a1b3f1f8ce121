"""Counts and latencies for Prometheus, of one process and all its tenants. Labels are rows, which are finite."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from simulator.events import Hub
from simulator.journal import Journals

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One registry of its own, so that two applications in one process do not meet."""

    def __init__(self, journals: Journals, hub: Hub) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "leadsandbox_requests",
            "Requests to vendor endpoints",
            ("platform", "operation", "row", "http"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "leadsandbox_request_seconds",
            "Time from the request's arrival to its answer",
            ("platform", "operation"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._deliveries = Counter(
            "leadsandbox_webhook_attempts",
            "Attempts to deliver a webhook",
            ("platform", "outcome"),
            registry=self._registry,
        )
        self._known: dict[tuple[str, str, str, int], tuple[Counter, Histogram]] = {}
        self._watch(journals, hub)

    def _watch(self, journals: Journals, hub: Hub) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"leadsandbox_{name}", text, registry=self._registry)

        for key, text in (
            ("entries", "Requests kept"),
            ("bytes", "Bytes of requests kept"),
            ("evicted", "Requests evicted since the last clearing"),
        ):
            gauge(f"journal_{key}", f"{text}, all tenants").set_function(partial(_sum, journals, key))
        gauge("event_streams", "Open event streams").set_function(lambda: hub.listening)

    def answered(self, platform: str, operation: str, row: str, http: int, seconds: float) -> None:
        """Count one answer. Nothing else is a label: platform, operation and row come from the contracts."""
        key = (platform, operation, row, http)
        known = self._known.get(key)
        if known is None:
            known = (self._requests.labels(*map(str, key)), self._seconds.labels(platform, operation))
            self._known[key] = known
        known[0].inc()
        known[1].observe(seconds)

    def delivered(self, platform: str, outcome: str) -> None:
        """Count one attempt; `outcome` is a word of the outbox, such as `delivered`, `pending` or `given_up`."""
        self._deliveries.labels(platform, outcome).inc()

    def text(self) -> bytes:
        return generate_latest(self._registry)


def _sum(journals: Journals, key: str) -> int:
    return sum(size[key] for size in journals.sizes())
