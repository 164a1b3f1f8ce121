"""The text format of Prometheus. What is counted is not decided here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from simulator.metrics import BUCKETS, Latencies

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BOUNDS = (*map(str, BUCKETS), "+Inf")
_JOURNAL = {
    "entries": "Requests kept, all tenants",
    "bytes": "Bytes of requests kept, all tenants",
    "evicted": "Requests evicted since the last clearing, all tenants",
}


class _Collected(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def text(families: Sequence[Metric]) -> bytes:
    """Write down families. The registry is their own, so that two applications in one process do not meet."""
    registry = CollectorRegistry()
    registry.register(_Collected(families))
    return generate_latest(registry)


def counted(
    requests: Mapping[tuple[str, str, str, int], int],
    latencies: Mapping[tuple[str, str], Latencies],
    attempts: Mapping[tuple[str, str], int],
) -> list[Metric]:
    """Return everything that is counted in Prometheus' own terms."""
    return [_answers(requests), _seconds(latencies), _deliveries(attempts)]


def held(sizes: Iterable[Mapping[str, int]], streams: int) -> Iterator[Metric]:
    """Return what there is at this moment: of journals, and streams of events."""
    journals = list(sizes)
    for name, said in _JOURNAL.items():
        yield GaugeMetricFamily(f"leadsandbox_journal_{name}", said, sum(size[name] for size in journals))
    yield GaugeMetricFamily("leadsandbox_event_streams", "Open event streams", streams)


def _answers(requests: Mapping[tuple[str, str, str, int], int]) -> Metric:
    labels = ("platform", "operation", "row", "http")
    family = CounterMetricFamily("leadsandbox_requests", "Requests to vendor endpoints", labels=labels)
    for key, count in requests.items():
        family.add_metric([*map(str, key)], count)
    return family


def _seconds(latencies: Mapping[tuple[str, str], Latencies]) -> Metric:
    said = "Time from a request's arrival to its answer"
    family = HistogramMetricFamily("leadsandbox_request_seconds", said, labels=("platform", "operation"))
    for key, each in latencies.items():
        buckets = zip(_BOUNDS, accumulate(each.buckets), strict=True)
        family.add_metric(list(key), [(bound, float(count)) for bound, count in buckets], each.seconds)
    return family


def _deliveries(attempts: Mapping[tuple[str, str], int]) -> Metric:
    labels = ("platform", "outcome")
    family = CounterMetricFamily("leadsandbox_webhook_attempts", "Attempts to deliver a webhook", labels=labels)
    for key, count in attempts.items():
        family.add_metric(list(key), count)
    return family
