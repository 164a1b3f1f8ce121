"""Findings in the event stream: each fault once, as it comes, and nothing graded while nobody listens for it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests

from simulator import watching
from simulator.events import Hub, Interest
from simulator.journal import Journals
from simulator.watching import Watch
from tests.running import wait_until
from tests.sandbox import Sandbox
from tests.tenant import TIMEOUT, Tenant
from tests.test_duties_http import ATTRIBUTES, NO_BID, PERSON, Client, consent, id_of, name_of, sold

pytestmark = pytest.mark.long


@pytest.fixture
def tenant(built_in: Sandbox) -> Iterator[Tenant]:
    made = Tenant(built_in.base_url)
    yield made
    made.control("DELETE", f"tenants/{made.name}")


class Listener:
    """An open event stream."""

    def __init__(self, response: requests.Response) -> None:
        self._lines = response.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(self._lines) == ": listening"

    def next(self) -> tuple[str, dict[str, Any]]:
        kind = ""
        for line in self._lines:
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return kind, json.loads(line.removeprefix("data: "))
        raise AssertionError("the stream ended")


@contextlib.contextmanager
def listening(tenant: Tenant, kinds: str = "finding") -> Iterator[Listener]:
    with tenant.session.get(
        f"{tenant.base}/__sandbox/events",
        params={"tenant": tenant.name, "kinds": kinds},
        stream=True,
        timeout=TIMEOUT,
    ) as response:
        assert response.status_code == 200, response.text
        yield Listener(response)


def with_pii(client: Client, zip_code: str) -> requests.Response:
    return client.pingtree("ping", {**ATTRIBUTES, "zip_code": zip_code, "email": "jo@example.com"})


def with_birthday(client: Client) -> requests.Response:
    return client.pingtree("ping", {**ATTRIBUTES, "date_of_birth": "1986-05-04"})


def test_a_fault_is_told_once_when_it_happens_with_all_that_the_scorecard_says(tenant: Tenant) -> None:
    client = Client(tenant)
    with listening(tenant) as listener:
        sold(client, PERSON)
        first = with_pii(client, "90002")
        kind, found = listener.next()
        assert (kind, found["platform"], found["duty"], found["severity"]) == ("finding", "pingtree", "D01", "fail")
        assert found["requests"] == [id_of(first)]
        with_pii(client, "90003")
        with_birthday(client)
        _, found = listener.next()
        assert found["duty"] == "D02"
    verdict = client.audit()["pingtree"]["D02"]
    assert found == {"platform": "pingtree", **verdict["findings"][0]}
    assert {"rule", "source", "advice", "detail", "count"} <= set(found)


def test_a_fault_of_a_sequence_is_told_with_both_requests(tenant: Tenant) -> None:
    client = Client(tenant)
    with listening(tenant) as listener:
        refused = client.pingtree("ping", ATTRIBUTES, **NO_BID)
        lead = {**ATTRIBUTES, **PERSON, **consent(client), "transaction_id": name_of(refused)}
        post = client.pingtree("post", lead)
        _, found = listener.next()
    assert (found["duty"], found["requests"]) == ("D10", [id_of(refused), id_of(post)])


def test_what_happened_before_is_not_told_and_a_reset_journal_begins_anew(tenant: Tenant) -> None:
    client = Client(tenant)
    with_pii(client, "90002")
    with listening(tenant) as listener:
        with_birthday(client)
        assert listener.next()[1]["duty"] == "D02"
        tenant.control("POST", "reset", {"scopes": ["journal"]})
        again = with_pii(client, "90003")
        _, found = listener.next()
        assert (found["duty"], found["requests"]) == ("D01", [id_of(again)])


def test_two_listeners_hear_the_same_and_one_who_wants_other_events_hears_none(tenant: Tenant) -> None:
    client = Client(tenant)
    with (
        listening(tenant) as one,
        listening(tenant, "finding,clock") as two,
        listening(tenant, "clock,request") as mute,
    ):
        with_pii(client, "90002")
        assert one.next() == two.next()
        tenant.control("POST", "clock", {"advance": "1 s"})
        assert [mute.next()[0], mute.next()[0]] == ["request", "clock"]
        assert two.next()[0] == "clock"


def test_kinds_that_are_none_are_refused_with_those_that_are(tenant: Tenant) -> None:
    for wrong in ("findings", "", "request,"):
        answer = tenant.session.get(
            f"{tenant.base}/__sandbox/events", params={"kinds": wrong}, stream=True, timeout=TIMEOUT
        )
        assert answer.status_code == 400
        assert "request, delivery, finding" in answer.json()["detail"]


# --- the thread that grades ---------------------------------------------------------------------------------------


class Grader:
    """A tenant whose scorecard is what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.details: list[str] = []
        self.overall = False
        self.gradings = 0
        self.tenant = SimpleNamespace(id="a")
        self.journals, self.hub = Journals(), Hub()
        self.tenants = {"a": self.tenant}
        monkeypatch.setattr(watching, "audit", self._audit)
        monkeypatch.setattr(watching, "attempts_at_own_receivers", lambda *_: {})
        monkeypatch.setattr(watching, "LOOK", 0.01)
        monkeypatch.setattr(watching, "PAUSE", 0.001)
        self.watch = Watch(cast("Any", self.tenants), self.journals, self.journals, self.hub, cast("Any", None), {}, "")

    def _audit(self, *_: Any, last: int) -> dict[str, Any]:
        assert last == watching.LAST
        self.gradings += 1
        findings = [{"duty": "D01", "detail": detail} for detail in self.details]
        return {"platforms": {"p": {"duties": [{"overall": self.overall, "findings": findings}]}}}

    def listen(self) -> Any:
        place = self.hub.subscribe("a", Interest(frozenset({"finding"})))
        self.watch.attend(cast("Any", self.tenant))
        return place

    def request(self) -> None:
        self.hub.publish("request", "a", dict)

    def threads(self) -> int:
        return sum(thread.name == "findings" for thread in threading.enumerate())


def details(stream: Iterator[bytes], count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        lines = next(stream).decode().splitlines()
        found += [json.loads(line.removeprefix("data: "))["detail"] for line in lines if line.startswith("data: ")]
    return found


def test_nothing_is_graded_while_nobody_listens_for_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    grader = Grader(monkeypatch)
    grader.hub.subscribe("a", Interest(frozenset({"request"})))
    grader.request()
    assert grader.gradings == grader.threads() == 0


def test_one_thread_grades_for_all_listeners_and_ends_with_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    grader = Grader(monkeypatch)
    one, two = grader.listen(), grader.listen()
    assert grader.threads() == 1
    one.end()
    grader.details = ["x"]
    grader.request()
    assert details(two.stream(), 1) == ["x"]
    two.end()
    wait_until(lambda: grader.threads() == 0, "the thread has ended")
    before = grader.gradings
    grader.request()
    assert grader.gradings == before
    three = grader.listen()
    assert grader.threads() == 1
    three.end()


def test_a_tenant_that_is_no_more_is_no_longer_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    grader = Grader(monkeypatch)
    place = grader.listen()
    del grader.tenants["a"]
    wait_until(lambda: grader.threads() == 0, "the thread has ended")
    place.end()


def test_what_a_later_request_may_take_back_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    grader = Grader(monkeypatch)
    place = grader.listen()
    grader.overall = True
    grader.details = ["in sum"]
    before = grader.gradings
    grader.request()
    wait_until(lambda: grader.gradings > before, "it was graded")
    grader.details = ["for good"]
    grader.overall = False
    grader.request()
    assert details(place.stream(), 1) == ["for good"]
    place.end()


def test_only_so_many_findings_are_remembered_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_KNOWN", 3)
    grader = Grader(monkeypatch)
    place = grader.listen()
    stream = place.stream()
    heard: list[str] = []
    for said, new in ((["a", "b", "c"], 3), (["a", "b", "c", "d"], 1), (["a", "d"], 1)):
        grader.details = said
        grader.request()
        heard += details(stream, new)
    assert heard == ["a", "b", "c", "d", "a"]  # "a" was forgotten, the others were not
    place.end()
