"""The event stream, its bounds and its end, and what Prometheus is told."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from simulator.events import PACE, Hub, Interest, TooManySubscribersError
from simulator.journal import Journals
from simulator.metrics import Metrics
from tests.running import COMMAND, PATIENCE, Client, Running, environment, sandbox, wait_until


def told(stream: Iterator[bytes]) -> list[tuple[str, Any]]:
    """Read one batch of a stream."""
    lines = next(stream).decode().splitlines()
    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    documents = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return list(zip(kinds, documents, strict=True))


# --- the hub ------------------------------------------------------------------------------------------------------


def test_nothing_is_prepared_while_nobody_listens() -> None:
    hub = Hub()
    hub.publish("request", "a", lambda: pytest.fail("asked for an event that nobody reads"))
    hub.subscribe("b")
    hub.publish("request", "a", lambda: pytest.fail("asked for an event of another tenant"))


def test_each_listener_hears_its_own_tenant_in_order() -> None:
    hub = Hub()
    one, two = (hub.subscribe(tenant).stream() for tenant in ("a", "b"))
    next(one), next(two)
    for number in range(3):
        hub.publish("request", "a", lambda number=number: {"n": number})  # type: ignore[misc]
    hub.publish("clock", "b", lambda: {"n": 9})
    assert told(one) == [("request", {"n": 0}), ("request", {"n": 1}), ("request", {"n": 2})]
    assert told(two) == [("clock", {"n": 9})]


def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    hub = Hub(queue=3)
    stream = hub.subscribe("a").stream()
    next(stream)
    for number in range(10):
        hub.publish("request", "a", lambda number=number: {"n": number})  # type: ignore[misc]
    found = told(stream)
    assert found[0] == ("dropped", {"events": 7})
    assert [document["n"] for _, document in found[1:]] == [7, 8, 9]


def test_a_reader_that_wants_at_most_so_many_a_second_gets_the_newest_and_is_told_how_many_were_left_out() -> None:
    hub = Hub()
    stream = hub.subscribe("a", Interest(most=6)).stream()
    next(stream)
    hub.publish("clock", "a", lambda: {"n": "at noon"})
    for number in range(10):
        hub.publish("request", "a", lambda number=number: {"n": number})  # type: ignore[misc]
    found = told(stream)
    assert found[0] == ("dropped", {"events": 7})
    assert [document["n"] for _, document in found[1:]] == ["at noon", 7, 8, 9]


def test_what_is_left_out_is_never_worded_and_what_is_told_is_worded_once_for_all_readers() -> None:
    hub = Hub()
    streams = [hub.subscribe("a", Interest(most=6)).stream() for _ in range(3)]
    for stream in streams:
        next(stream)
    worded: list[int] = []

    def word(number: int) -> dict[str, int]:
        worded.append(number)
        return {"n": number}

    for number in range(10):
        hub.publish("request", "a", partial(word, number))
    assert worded == []
    assert [told(stream)[1:] for stream in streams] == [[("request", {"n": number}) for number in (7, 8, 9)]] * 3
    assert worded == [7, 8, 9]


def test_what_is_not_traffic_is_told_as_it_was_when_it_happened() -> None:
    hub = Hub()
    stream = hub.subscribe("a", Interest(most=2)).stream()
    next(stream)
    clock = {"n": 1}
    hub.publish("clock", "a", lambda: clock)
    clock["n"] = 2
    assert told(stream) == [("clock", {"n": 1})]


@pytest.mark.parametrize(
    ("most", "came", "seconds"),
    [(0, 500, PACE), (200, 1, PACE), (200, 60, 0.3), (200, 500, 0.5), (1, 5, 1.0), (2, 5, 0.5)],
)
def test_a_reader_rests_as_long_as_what_it_got_may_last(most: int, came: int, seconds: float) -> None:
    hub = Hub()
    reader = hub.subscribe("a", Interest(most=most))
    for _ in range(came):
        hub.publish("request", "a", dict)
    reader.news()
    assert reader.pause(now=1000.0) == pytest.approx(seconds)
    assert reader.pause(now=1000.05) <= seconds


def test_a_reader_hears_of_the_requests_that_it_chose_and_of_nothing_else_less() -> None:
    hub = Hub()
    stream = hub.subscribe("a", Interest(matches=lambda label: label == "odd")).stream()
    next(stream)
    for number in range(6):
        hub.publish("request", "a", lambda number=number: {"n": number}, "odd" if number % 2 else "even")  # type: ignore[misc]
    hub.publish("clock", "a", lambda: {"n": "now"})
    assert [document["n"] for _, document in told(stream)] == [1, 3, 5, "now"]


def test_there_are_only_so_many_places_and_a_reader_that_leaves_frees_one() -> None:
    hub = Hub(most_subscribers=2)
    first, _ = hub.subscribe("a"), hub.subscribe("a")
    with pytest.raises(TooManySubscribersError):
        hub.subscribe("a")
    first.end()
    first.end()
    assert hub.subscribe("a")
    assert hub.listening == 2


def test_a_silent_stream_still_beats() -> None:
    stream = Hub().subscribe("a").stream(heartbeat=0.001)
    next(stream)
    assert next(stream).startswith(b":")


def test_a_closed_hub_ends_its_streams_and_takes_nobody_in() -> None:
    hub = Hub()
    stream = hub.subscribe("a").stream()
    next(stream)
    threading.Thread(target=hub.close).start()
    assert list(stream) == []
    with pytest.raises(TooManySubscribersError):
        hub.subscribe("a")


# --- over HTTP ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def up() -> Iterator[Running]:
    with sandbox("--db", ":memory:") as running:
        yield running


@contextlib.contextmanager
def listening(up: Running) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(up.base_url.removeprefix("http://"), timeout=PATIENCE)
    connection.request("GET", "/__sandbox/events")
    response = connection.getresponse()
    try:
        yield response
    finally:
        response.close()
        connection.close()


def heard(response: http.client.HTTPResponse, kind: str) -> dict[str, Any]:
    """Return the next event of a kind."""
    while line := response.readline():
        if line.decode().strip() == f"event: {kind}":
            document: dict[str, Any] = json.loads(response.readline().decode().removeprefix("data: "))
            return document
    raise AssertionError("the stream ended")


def get(up: Running, path: str) -> tuple[int, str]:
    address = up.base_url.removeprefix("http://")
    with contextlib.closing(http.client.HTTPConnection(address, timeout=PATIENCE)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def ingest(up: Running, phone: str) -> None:
    ids = {"flo_campaign_id": "campaign_abc123", "flo_supplier_id": "supplier_xyz789"}
    person = {
        "first_name": "Jane",
        "last_name": "Roe",
        "email": f"jane.{phone}@example.com",
        "phone": phone,
        "state": "TX",
    }
    with contextlib.closing(Client(up.base_url)) as client:
        assert client.post("/api/v1/ingest", ids | person, {"x-api-key": "your_supplier_api_key"})[0] == 201


def samples(up: Running) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(get(up, "/__sandbox/metrics")[1])
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def test_a_listener_hears_of_a_request_and_of_its_webhook(up: Running) -> None:
    with listening(up) as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        stream.readline()
        ingest(up, "2125550101")
        request = heard(stream, "request")
        assert (request["http"], request["operation"], request["source_id"]) == (201, "ingest", "supplier_xyz789")
        assert get(up, f"/__sandbox/requests/{request['id']}")[0] == 200
        assert heard(stream, "delivery")["status"] == "delivered"


@pytest.mark.parametrize("arguments", [(), ("--mask-bodies",)])
def test_an_event_says_of_a_request_what_the_list_says(arguments: tuple[str, ...]) -> None:
    with sandbox("--db", ":memory:", *arguments) as running:
        key = running.credentials("supplier_xyz789")["api_key"]
        sent = [
            ("/api/v1/ping", {"note": "plain"}),
            (f"/api/v1/ping?key={key}&x=<b>", {"note": "a secret in the query"}),
            ("/api/v1/ping?" + "q" * 5000, {"flo_campaign_id": key}),
            (f"/api/v1/{key}/unknown", {}),
        ]
        with requests.get(f"{running.base_url}/__sandbox/events?kinds=request", stream=True, timeout=60) as stream:
            for path, body in sent:
                requests.post(f"{running.base_url}{path}", json=body, headers={"x-api-key": key}, timeout=60)
            lines = (line for line in stream.iter_lines() if line.startswith(b"data: "))
            events = [json.loads(next(lines).removeprefix(b"data: ")) for _ in sent]
        listed = requests.get(f"{running.base_url}/__sandbox/requests", timeout=60).json()["requests"]
        assert events == listed[::-1]
        assert key not in json.dumps(events)


def test_a_listener_hears_that_something_was_emptied(up: Running) -> None:
    with listening(up) as events:
        requests.post(f"{up.base_url}/__sandbox/reset", json={"scopes": ["clock", "journal"]}, timeout=PATIENCE)
        assert heard(events, "clock")["frozen"] is False
        assert heard(events, "state") == {"reset": ["clock", "journal"]}
        requests.delete(f"{up.base_url}/__sandbox/requests", timeout=PATIENCE)
        assert heard(events, "state") == {"reset": ["journal"]}


def test_a_stream_brings_the_requests_that_its_filters_let_through_and_at_most_so_many(up: Running) -> None:
    asked = "kinds=request&operation=ping&http=4xx&most=10"
    with requests.get(f"{up.base_url}/__sandbox/events?{asked}", stream=True, timeout=60) as stream:
        get(up, "/nowhere")
        for number in range(30):
            assert requests.post(f"{up.base_url}/api/v1/ping", json={"n": number}, timeout=60).status_code == 401
        told, left = 0, 0
        for line in stream.iter_lines():
            document = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
            left += document.get("events", 0)
            told += "operation" in document
            assert document.get("operation", "ping") == "ping"
            if told + left == 30:
                break
    assert told >= 5


@pytest.mark.parametrize("wrong", ["most=0", "most=many", "most=1001", "row=LD-NONE", "http=nine", "since=2026-01-01"])
def test_what_a_stream_cannot_be_asked_for_is_refused(up: Running, wrong: str) -> None:
    status, text = get(up, f"/__sandbox/events?{wrong}")
    assert (status, wrong.partition("=")[0] in json.loads(text)["detail"]) == (400, True)


def test_listeners_past_the_limit_are_told_so_and_places_come_back(up: Running) -> None:
    def open_streams() -> float:
        return samples(up)["leadsandbox_event_streams", frozenset()]

    wait_until(lambda: open_streams() == 0, "earlier listeners have left")
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            assert stack.enter_context(listening(up)).status == 200
        status, text = get(up, "/__sandbox/events")
        assert (status, json.loads(text)["title"]) == (503, "Too many event streams")
    wait_until(lambda: open_streams() == 0, "the server has noticed that its listeners left")


def test_an_open_stream_ends_with_the_server_and_does_not_hold_it_up() -> None:
    with sandbox("--db", ":memory:") as running, listening(running) as stream:
        stream.readline()
        running.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            while stream.readline():
                pass
        assert running.process.wait(PATIENCE) == 0


def test_logs_follows_what_comes_in_until_it_is_interrupted(up: Running) -> None:
    command = [COMMAND, "logs", "--follow", "--json", "--row", "LD-ING-201-ACCEPTED", "--url", up.base_url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    try:
        wait_until(lambda: samples(up)["leadsandbox_event_streams", frozenset()] == 1, "logs listens")
        get(up, "/nowhere")
        ingest(up, "2125550102")
        lines = (json.loads(line) for line in process.stdout)
        assert next(one for one in lines if one["detail"])["row_id"] == "LD-ING-201-ACCEPTED"
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, "")


# --- metrics ------------------------------------------------------------------------------------------------------


def test_metrics_count_answers_by_row_and_time_them(up: Running) -> None:
    labels = {"platform": "leaddistro", "operation": "ingest"}
    counted = (
        "leadsandbox_requests_total",
        frozenset((labels | {"row": "LD-ING-401-UNAUTHORIZED", "http": "401"}).items()),
    )
    timed = ("leadsandbox_request_seconds_count", frozenset(labels.items()))
    before = samples(up)
    with contextlib.closing(Client(up.base_url)) as client:
        for _ in range(3):
            assert client.post("/api/v1/ingest", {}, {})[0] == 401
    after = samples(up)
    assert after[counted] - before.get(counted, 0) == 3
    assert after[timed] - before.get(timed, 0) == 3


def test_metrics_count_deliveries_by_outcome(up: Running) -> None:
    delivered = (
        "leadsandbox_webhook_attempts_total",
        frozenset({("platform", "leaddistro"), ("outcome", "delivered")}),
    )
    before = samples(up).get(delivered, 0)
    ingest(up, "2125550103")
    wait_until(lambda: samples(up).get(delivered, 0) > before, "the webhook was delivered")


def test_what_callers_send_makes_no_labels(up: Running) -> None:
    get(up, "/nowhere/at/all?x=1")
    before = len(samples(up))
    for number in range(20):
        get(up, f"/nowhere/{number}")
    assert len(samples(up)) == before


def test_the_buckets_of_a_histogram_add_up() -> None:
    metrics = Metrics(Journals(), Hub())
    for seconds in (0.0005, 0.001, 0.002, 0.3, 60.0):
        metrics.answered("one", "ping", "R", 200, seconds)
    families = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}
    found = families["leadsandbox_request_seconds"].samples
    by_bound = {one.labels["le"]: one.value for one in found if "le" in one.labels}
    assert (by_bound["0.001"], by_bound["0.0025"], by_bound["0.5"], by_bound["+Inf"]) == (2, 3, 4, 5)
    assert [one.value for one in found if one.name.endswith("_sum")] == [pytest.approx(60.3035)]
