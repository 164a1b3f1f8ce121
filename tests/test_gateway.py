"""What runs on what: vendors' calls hold no thread while they wait, and everything else has one."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from tests.running import Client, Running, sandbox, written

SUPPLIER = {"id": "s", "api_key": "k", "campaigns": ["c"]}
CAMPAIGN = {"id": "c", "buyers": [{"id": "b", "price": 45}]}
SLOW = 1500  # milliseconds
HEADERS = {"x-api-key": "k"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One sandbox with two threads, so that whoever held one would be noticed."""
    folder = tmp_path_factory.mktemp("gateway")
    config = written(folder, {"leaddistro": {"suppliers": [SUPPLIER], "campaigns": [CAMPAIGN]}})
    with sandbox("--config", config, "--db", str(folder / "s.db"), "--threads", "2", "--direct") as running:
        yield running


def ping(**more: object) -> dict[str, object]:
    return {"flo_campaign_id": "c", "flo_supplier_id": "s", "state": "TX", **more}


def test_many_slow_answers_are_waited_for_at_once_on_two_threads(up: Running) -> None:
    callers = [Client(up.base_url) for _ in range(40)]
    start = time.monotonic()
    for caller in callers:
        caller.ask("/api/v1/ping", ping(sub1=f"sandbox:slow={SLOW}"), HEADERS)
    quick = Client(up.base_url)
    assert quick.post("/api/v1/ping", ping(), HEADERS)[0] == 200
    assert [caller.answer()[0] for caller in callers] == [200] * 40
    # One after the other, or two at a time, they would take half a minute and more.
    assert SLOW / 1000 <= time.monotonic() - start < 20 * SLOW / 1000
    for caller in (*callers, quick):
        caller.close()


def test_the_control_api_answers_while_calls_wait(up: Running) -> None:
    callers = [Client(up.base_url) for _ in range(10)]
    for caller in callers:
        caller.ask("/api/v1/ping", ping(sub1=f"sandbox:slow={SLOW}"), HEADERS)
    assert requests.get(f"{up.base_url}/__sandbox/health", timeout=30).status_code == 200
    for caller in callers:
        assert caller.answer()[0] == 200
        caller.close()


def test_a_stream_comes_part_by_part_and_gives_its_place_back(up: Running) -> None:
    for _ in range(3):  # there is a place for one
        with listener(up) as stream:
            lines = stream.iter_lines()
            assert next(lines) == b": listening"
            answer = requests.post(f"{up.base_url}/api/v1/ping", json=ping(), headers=HEADERS, timeout=30)
            told = next(line for line in lines if line.startswith(b"data: "))
            assert json.loads(told.removeprefix(b"data: "))["id"] == answer.headers["X-Sandbox-Request-Id"]


def listener(up: Running) -> requests.Response:
    """Return a stream, once there is a place for it."""
    end = time.monotonic() + 30
    while (stream := requests.get(f"{up.base_url}/__sandbox/events", stream=True, timeout=30)).status_code == 503:
        assert time.monotonic() < end, "the place was not given back"
        time.sleep(0.05)
    return stream


def test_a_header_that_is_sent_twice_is_a_list(up: Running) -> None:
    host, _, port = up.base_url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    body = json.dumps(ping()).encode()
    connection.putrequest("POST", "/api/v1/ping")
    for name, value in (("x-api-key", "k"), ("X-Sandbox-Trigger", "no_bid"), ("X-Sandbox-Trigger", "slow=1")):
        connection.putheader(name, value)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    found = requests.get(f"{up.base_url}/__sandbox/requests/{answer.getheader('X-Sandbox-Request-Id')}", timeout=30)
    assert found.json()["request"]["headers"]["x-sandbox-trigger"] == "no_bid,slow=1"


def test_a_reset_on_purpose_is_one_where_no_relay_has_a_process(up: Running) -> None:
    client = Client(up.base_url)
    client.ask("/api/v1/ping", ping(sub1="sandbox:reset"), HEADERS)
    with pytest.raises(ConnectionResetError):
        client.answer()
    client.close()


def test_what_is_no_request_is_refused_in_the_vendor_s_words(up: Running) -> None:
    host, _, port = up.base_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as sock:
        sock.sendall(b"POST /api/v1/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
        answer = http.client.HTTPResponse(sock, method="POST")
        answer.begin()
        assert answer.status == 400
        assert json.loads(answer.read())["field_errors"][0]["field"] == "request"


def test_answers_of_a_connection_come_in_the_order_of_its_requests(up: Running) -> None:
    """The first one is slow, and one in between has a thread."""
    host, _, port = up.base_url.removeprefix("http://").partition(":")

    def request(method: str, path: str, fields: dict[str, object] | None = None) -> bytes:
        body = json.dumps(fields).encode() if fields else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nContent-Type: application/json\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body

    with socket.create_connection((host, int(port)), timeout=30) as sock:
        sock.sendall(
            request("POST", "/api/v1/ping", ping(sub1="sandbox:slow=300"))
            + request("GET", "/healthz")
            + request("GET", "/api/v1/ping")
        )
        found = []
        stream = sock.makefile("rb")
        for _ in range(3):
            found.append(int(stream.readline().split()[1]))
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            stream.read(length)
        stream.close()
    assert found == [200, 200, 405]


def test_clients_that_reset_the_connection_with_their_answer_unread_leave_no_complaint(up: Running) -> None:
    where = urlsplit(up.base_url)
    body = json.dumps(ping()).encode()
    head = b"POST /api/v1/ping HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    before = up.stderr
    for _ in range(50):
        with socket.create_connection((where.hostname, where.port), timeout=30) as sock:
            sock.sendall(head % len(body) + body)
            assert sock.recv(9) == b"HTTP/1.1 "  # closing now, with more to read, is a reset
    client = Client(up.base_url)
    assert client.post("/api/v1/ping", ping(), HEADERS)[0] == 200
    client.close()
    assert up.stderr == before
