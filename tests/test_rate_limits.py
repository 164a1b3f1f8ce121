"""Rate limits and the look-up, from a request to its answer."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import orjson
import pytest
import yaml
from werkzeug.serving import BaseWSGIServer, make_server

from simulator import app as composition
from simulator.addresses import CannotStartError
from simulator.configuration.loading import ConfigurationError, read_file
from simulator.configuration.model import Sandbox
from simulator.contract.account import Limit
from simulator.limits import Limiter, LimiterUnavailableError, MemoryLimiter
from simulator.platforms import CONTRACTS
from simulator.settings import Settings
from tests.running import sandbox

IDS = {"flo_campaign_id": "c", "flo_supplier_id": "one"}
LEAD = {**IDS, "first_name": "Ann", "last_name": "Lee", "phone": "2125550123", "email": "ann@example.com"}
KEY = {"x-api-key": "key_one"}
OTHER = {"x-api-key": "key_two"}
LOOKUP = "/api/v1/leads/lookup?phone=2125550123"

SANDBOX: dict[str, Any] = {
    "leaddistro": {
        "suppliers": [
            {"id": "one", "api_key": "key_one", "campaigns": ["c", "wordy"]},
            {"id": "two", "api_key": "key_two", "campaigns": ["c"], "test_mode": True},
            {
                "id": "more",
                "api_key": "key_more",
                "limits": {"lookup": {"rate": 20, "burst": 40, "seconds": 5}, "ingest": None},
            },
        ],
        "campaigns": [
            {"id": "c", "buyers": [{"id": "b", "price": 12.5, "states": ["TX"]}]},
            {"id": "wordy", "field_mapping": [{"name": "state"}]},
        ],
    },
    "pingtree": {
        "campaigns": [
            {
                "id": "p",
                "sources": [
                    {"id": "free", "link_id": "lnk_free"},
                    {"id": "tied", "link_id": "lnk_tied", "limits": {"ping": {"rate": 1, "burst": 2, "seconds": 3}}},
                ],
            }
        ]
    },
}


class Hand:
    now = 10**15

    def __call__(self) -> int:
        return self.now


class Watched:
    """Tells which keys were asked for."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def ask(self, key: str, limit: Limit) -> int:
        self.keys.append(key)
        return 0


class Failing:
    def ask(self, key: str, limit: Limit) -> int:
        raise LimiterUnavailableError("the disk is full")


Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Makes the application of a simulator with a given limiter."""

    def make(limiter: Limiter, document: dict[str, Any] = SANDBOX) -> Any:
        file = tmp_path / "sandbox.yaml"
        file.write_text(yaml.safe_dump(document))
        monkeypatch.setattr(composition, "open_limiter", lambda _: limiter)
        return composition.create(Settings(database=":memory:", config=file))

    return make


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def client(start: Start, clock: Hand) -> Any:
    """A simulator whose monotonic clock stands still."""
    return start(MemoryLimiter(clock)).test_client()


@pytest.fixture
def serve() -> Iterator[Callable[[Any], BaseWSGIServer]]:
    servers: list[tuple[BaseWSGIServer, threading.Thread]] = []

    def run(app: Any) -> BaseWSGIServer:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return server

    yield run
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def get(server: BaseWSGIServer, count: int) -> list[tuple[int, dict[str, str], Any]]:
    """Send look-ups over one connection; return status, headers and body of each."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    answers = []
    for _ in range(count):
        connection.request("GET", LOOKUP, headers=KEY)
        response = connection.getresponse()
        answers.append((response.status, dict(response.getheaders()), orjson.loads(response.read())))
    connection.close()
    return answers


def test_the_twenty_first_lookup_in_a_second_is_told_in_three_equal_ways_when_to_come_back(
    start: Start, serve: Callable[[Any], BaseWSGIServer], clock: Hand
) -> None:
    server = serve(start(MemoryLimiter(clock)))
    answers = get(server, 21)
    assert [status for status, _, _ in answers] == [200] * 20 + [429]
    _, headers, body = answers[-1]
    assert (headers["Retry-After"], headers["retry_after"], body["retry_after"]) == ("1", "1", 1)
    jsonschema.validate(body, CONTRACTS["leaddistro"].schemas["lookup"]["LD-LOOK-429"])
    clock.now += body["retry_after"] * 10**9
    assert get(server, 1)[0][0] == 200


def test_on_the_real_clock_and_four_connections_no_more_pass_than_the_law_lets_pass(
    start: Start, serve: Callable[[Any], BaseWSGIServer]
) -> None:
    server = serve(start(MemoryLimiter()))
    begin = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        answers = [answer for batch in pool.map(lambda _: get(server, 25), range(4)) for answer in batch]
    width = time.monotonic() - begin
    accepted = [status for status, _, _ in answers].count(200)
    assert 20 <= accepted <= min(50 + 10 * width, 20 * (math.floor(width) + 1))
    assert {status for status, _, _ in answers} <= {200, 429}


@pytest.mark.parametrize(
    ("reading", "left"),
    [
        ("retry_after_header", ["retry_after", "body"]),
        ("retry_after_underscore_header", ["Retry-After", "body"]),
        ("retry_after_body", ["Retry-After", "retry_after"]),
    ],
)
def test_each_carrier_of_the_wait_can_be_switched_off(start: Start, clock: Hand, reading: str, left: list[str]) -> None:
    document = {**SANDBOX, "leaddistro": {**SANDBOX["leaddistro"], "readings": {reading: False}}}
    client = start(MemoryLimiter(clock), document).test_client()
    for _ in range(20):
        client.get(LOOKUP, headers=KEY)
    answer = client.get(LOOKUP, headers=KEY)
    found = [name for name in ("Retry-After", "retry_after") if name in answer.headers]
    assert answer.status_code == 429
    assert found + ["body"] * ("retry_after" in answer.json) == left


def test_suppliers_and_endpoints_have_limits_of_their_own(client: Any) -> None:
    for _ in range(25):
        client.get(LOOKUP, headers=KEY)
    assert client.get(LOOKUP, headers=KEY).status_code == 429
    assert client.get(LOOKUP, headers=OTHER).status_code == 200
    assert client.post("/api/v1/ping", json=IDS, headers=KEY).status_code == 200
    assert client.post("/api/v1/ingest", json=LEAD, headers=KEY).status_code == 200


@pytest.mark.parametrize(("path", "limit"), [("/api/v1/ingest", 200), ("/api/v1/ping", 1000)], ids=["ingest", "ping"])
def test_the_limit_comes_before_the_body_is_read(client: Any, path: str, limit: int) -> None:
    answers = [client.post(path, data=b"{", headers=KEY, content_type="application/json") for _ in range(limit + 1)]
    assert [answer.status_code for answer in answers] == [400] * limit + [429]


def test_requests_that_nobody_is_answerable_for_touch_no_limit(start: Start) -> None:
    limiter = Watched()
    client = start(limiter).test_client()
    assert client.get(LOOKUP).status_code == 401
    assert client.get(LOOKUP, headers={"x-api-key": "key_onf"}).status_code == 401
    assert client.post(LOOKUP, headers=KEY).status_code == 405
    assert client.get("/api/v1/nothing", headers=KEY).status_code == 404
    assert limiter.keys == []
    client.get(LOOKUP, headers=KEY)
    client.post("/api/v1/ingest", json=LEAD, headers=OTHER)
    assert limiter.keys == ["default leaddistro one lookup", "default leaddistro two ingest"]


def test_a_limiter_that_fails_is_the_vendors_503_and_never_a_pass(start: Start) -> None:
    client = start(Failing()).test_client()
    answers = [
        client.get(LOOKUP, headers=KEY),
        client.post("/api/v1/ingest", json=LEAD, headers=KEY),
        client.post("/api/v1/ping", json=IDS, headers=KEY),
    ]
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert {answer.json["error"] for answer in answers} == {"service_unavailable"}


def test_a_place_that_cannot_keep_the_limits_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match="--limits-state"):
        composition.create(Settings(database=":memory:", limits_state=str(tmp_path)))


def test_two_simulators_with_one_state_pass_together_what_one_may_pass(tmp_path: Path) -> None:
    shared = ("--db", ":memory:", "--limits-state", str(tmp_path / "limits"))
    with sandbox(*shared) as one, sandbox(*shared) as two:
        connections = [HTTPConnection(urlsplit(item.base_url).netloc, timeout=60) for item in (one, two)]
        headers = {"x-api-key": one.credentials("supplier_xyz789")["api_key"]}
        statuses = []
        begin = time.monotonic()
        for n in range(100):
            connections[n % 2].request("GET", LOOKUP, headers=headers)
            response = connections[n % 2].getresponse()
            response.read()
            statuses.append(response.status)
        width = time.monotonic() - begin
        for connection in connections:
            connection.close()
    assert 20 <= statuses.count(200) <= min(50 + 10 * width, 20 * (math.floor(width) + 1))
    assert set(statuses) <= {200, 429}


# What the sandbox file says


def test_a_supplier_may_have_other_limits_or_none(client: Any) -> None:
    more = {"x-api-key": "key_more"}
    assert [client.get(LOOKUP, headers=more).status_code for _ in range(41)] == [200] * 40 + [429]
    assert {client.post("/api/v1/ingest", json={}, headers=more).status_code for _ in range(300)} == {400}


def test_a_pingtree_source_is_limited_only_when_the_file_says_so(client: Any) -> None:
    welcome = client.get("/__sandbox/welcome").json
    tokens = {item["id"]: item["credentials"]["ping"] for item in welcome["platforms"]["pingtree"]["sources"]}

    def ping(name: str) -> Any:
        headers = {"Authorization": f"Bearer {tokens[name]}"}
        return client.post(f"/api/lead/ping/lnk_{name}", json={"state": "TX"}, headers=headers)

    assert {ping("free").status_code for _ in range(30)} == {201}
    answers = [ping("tied") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert answers[-1].json["data"]["leadStatus"] == "rejected"


def test_a_burst_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.yaml"
    file.write_text(
        "leaddistro:\n"
        "  suppliers:\n"
        "    - id: s\n"
        "      api_key: k\n"
        "      limits:\n"
        "        ingest: {rate: 100, burst: 100, seconds: 10}\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        read_file(file, Sandbox)
    [problem] = caught.value.problems
    assert "burst must be above rate" in str(problem)
    assert ":6" in str(problem)


# The look-up


def test_a_supplier_finds_its_leads_by_id_phone_and_email(client: Any) -> None:
    sold = client.post("/api/v1/ingest", json={**LEAD, "state": "tx", "zip_code": "75001"}, headers=KEY).json["data"]
    found = [
        client.get("/api/v1/leads/lookup", query_string=query, headers=KEY).json["data"]["leads"]
        for query in (
            {"id": sold["id"]},
            {"phone": "+1 (212) 555-0123"},
            {"email": "ANN@example.com"},
            {"id": sold["id"], "phone": "2125550123", "email": "ann@example.com"},
        )
    ]
    lead = found[0][0]
    assert found == [[lead]] * 4
    assert lead.pop("created_at").endswith("Z")
    assert lead == {
        "id": sold["id"],
        "campaign_id": "c",
        "supplier_id": "one",
        "buyer_id": "b",
        "status": "ACCEPTED",
        "state": "TX",
        "zip_code": "75001",
        "price": "12.50",
        "is_test": False,
    }


def test_a_lead_must_match_all_that_is_asked_for(client: Any) -> None:
    sold = client.post("/api/v1/ingest", json={**LEAD, "state": "TX"}, headers=KEY).json["data"]
    for query in (
        {"id": sold["id"], "phone": "2125550124"},
        {"id": sold["id"], "email": "bob@example.com"},
        {"phone": "2125550123", "email": "bob@example.com"},
        {"id": "nobody"},
    ):
        answer = client.get("/api/v1/leads/lookup", query_string=query, headers=KEY)
        assert (answer.status_code, answer.json) == (200, {"data": {"leads": []}}), query


def test_the_newest_lead_comes_first_and_the_answer_keeps_to_its_schema(client: Any) -> None:
    client.post("/api/v1/ingest", json={**LEAD, "state": "TX"}, headers=KEY)
    client.post("/api/v1/ingest", json=LEAD, headers=KEY)
    wordy = {**LEAD, "flo_campaign_id": "wordy", "state": "somewhere"}
    client.post("/api/v1/ingest", json=wordy, headers=KEY)
    body = client.get(LOOKUP, headers=KEY).json
    jsonschema.validate(body, CONTRACTS["leaddistro"].schemas["lookup"]["LD-LOOK-200"])
    assert [lead["status"] for lead in body["data"]["leads"]] == ["UNMATCHED", "DUPLICATE", "ACCEPTED"]
    assert [lead["buyer_id"] for lead in body["data"]["leads"]] == [None, None, "b"]


def test_a_supplier_never_finds_anothers_leads(client: Any) -> None:
    sold = client.post("/api/v1/ingest", json={**LEAD, "state": "TX"}, headers=KEY).json["data"]
    for query in ({"id": sold["id"]}, {"phone": "2125550123"}, {"email": "ann@example.com"}):
        answer = client.get("/api/v1/leads/lookup", query_string=query, headers=OTHER)
        assert answer.json == {"data": {"leads": []}}


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("", "id", "required"),
        ("name=Ann", "id", "required"),
        ("phone=&email=", "id", "required"),
        ("phone=12", "phone", "invalid_format"),
        ("email=ann", "email", "invalid_format"),
        ("id=1&id=2", "body", "invalid_format"),
        ("id=%ff", "body", "invalid_format"),
    ],
)
def test_a_lookup_that_asks_for_nothing_is_a_field_error(client: Any, query: str, field: str, code: str) -> None:
    answer = client.get(f"/api/v1/leads/lookup?{query}", headers=KEY)
    [error] = answer.json["field_errors"]
    assert (answer.status_code, error["field"], error["code"]) == (400, field, code)


def test_the_welcome_shows_how_to_look_up(client: Any) -> None:
    requests = {item["operation"]: item["curl"] for item in client.get("/__sandbox/welcome").json["requests"]}
    assert requests["lookup"].startswith("curl 'http")
    assert "/api/v1/leads/lookup?phone=5551234567'" in requests["lookup"]
    assert "-H 'x-api-key: key_one'" in requests["lookup"]
