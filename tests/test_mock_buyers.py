"""The mock buyers as a program: started on a free port, spoken to over real HTTP, ended by process id."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from mock_buyers.personas import BUILT_IN, load
from simulator.platforms.leaddistro.buyer_wire import webhook_headers
from simulator.platforms.pingtree.buyer_wire import read_ping, read_post
from simulator.routing.agreed import Buyer, Endpoint
from simulator.routing.decision import Bid

ROOT = Path(__file__).parent.parent
WAIT = 30  # longest wait for anything; nothing here depends on how soon it comes
PING = {"state": "CA", "zip_code": "90001", "loan_amount": 15000}
LEAD = {**PING, "first_name": "Ada", "email": "ada@example.com", "mobile": "2125550123"}
BUYER = Buyer(id="b", endpoint=Endpoint())
MONDAY_NOON = "2025-06-02T12:00:00-04:00"


def start(*options: str, fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mock_buyers", *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=tuple(fds))


def ready(program: subprocess.Popen[bytes]) -> str:
    assert program.stdout is not None
    assert select.select([program.stdout], [], [], WAIT)[0], "it never said that it was ready"
    return str(json.loads(program.stdout.readline())["url"])


def end(program: subprocess.Popen[bytes]) -> tuple[int, str]:
    if program.poll() is None:
        program.kill()
    _, errors = program.communicate(timeout=WAIT)
    return program.returncode, errors.decode()


@pytest.fixture
def launch() -> Iterator[Any]:
    programs: list[subprocess.Popen[bytes]] = []

    def started(*options: str, fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        programs.append(start(*options, fds=fds))
        return programs[-1]

    yield started
    for program in programs:
        end(program)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    program = start("--port", "0")
    yield ready(program)
    program.terminate()
    _, errors = program.communicate(timeout=WAIT)
    assert program.returncode == 0
    assert errors == b"", "the program logged an error while it was tested"


class Seat:
    """One buyer of a tenant of its own."""

    def __init__(self, url: str, platform: str, document: dict[str, Any]) -> None:
        path = f"{platform}/{uuid.uuid4().hex}/b"
        self.control, self.base = f"{url}/__buyers/{path}", f"{url}/{path}"
        self.http = requests.Session()
        self.put(document)

    def put(self, document: dict[str, Any]) -> requests.Response:
        answer = self.http.put(self.control, json=document, timeout=WAIT)
        answer.raise_for_status()
        return answer

    def patch(self, **changes: Any) -> requests.Response:
        return self.http.patch(self.control, json=changes, timeout=WAIT)

    def send(self, kind: str, values: Any = None, now: str = MONDAY_NOON, **more: Any) -> requests.Response:
        headers = {"X-Sandbox-Now": now, **more.pop("headers", {})}
        body: dict[str, Any] = {} if "data" in more else {"json": PING if values is None else values}
        return self.http.post(f"{self.base}/{kind}", headers=headers, timeout=WAIT, **body, **more)

    def bid(self, values: Any = None, now: str = MONDAY_NOON) -> Bid | str:
        answer = self.send("ping", values, now)
        return read_ping(BUYER, answer.status_code, answer.content)

    def buy(self, now: str = MONDAY_NOON) -> bool:
        bid = self.bid(now=now)
        if isinstance(bid, str):
            return False
        answer = self.send("post", {**LEAD, "ping_id": bid.ping_id}, now)
        return read_post(BUYER, answer.status_code, answer.content).accepted

    def received(self) -> dict[str, Any]:
        return dict(self.http.get(f"{self.control}/received", timeout=WAIT).json())


@pytest.fixture
def seat(url: str) -> Iterator[Any]:
    seats: list[Seat] = []

    def placed(persona: str = "eager", platform: str = "pingtree", **over: Any) -> Seat:
        seats.append(Seat(url, platform, {"persona": persona, **over}))
        return seats[-1]

    yield placed
    for each in seats:
        each.http.delete(each.control, timeout=WAIT)
        each.http.close()


def is_problem(answer: requests.Response, status: int) -> bool:
    body = answer.json()
    return (
        answer.status_code == status == body["status"]
        and answer.headers["Content-Type"].startswith("application/problem+json")
        and bool(body["title"] and body["detail"])
    )


def hung_up(answer: Any) -> str:
    """Return what a call that gets no whole answer gets."""
    try:
        return str(answer().status_code)
    except requests.exceptions.ChunkedEncodingError:
        return "truncated"
    except requests.exceptions.ConnectionError as cut:
        return "truncated" if "IncompleteRead" in str(cut) else "reset"


@contextmanager
def stalled(base: str, control: str) -> Iterator[socket.socket]:
    """Hold a connection on which a ping was received that is not being answered."""
    parts = urlsplit(f"{base}/ping")
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=WAIT) as call:
        call.sendall(f"POST {parts.path} HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        for _ in range(5000):
            if requests.get(f"{control}/received", timeout=WAIT).json()["counters"].get("stalled"):
                break
        else:
            pytest.fail("the ping never reached the buyer")
        yield call


# --- personas over Pingtree's wire


def test_eager_bids_and_then_buys(seat: Any) -> None:
    eager = seat("eager")
    bid = eager.bid()
    assert isinstance(bid, Bid)
    assert str(bid.amount) == "45.00"
    sale = eager.send("post", {**LEAD, "ping_id": bid.ping_id}).json()
    assert sale == {"accepted": True, "redirect_url": "https://buyer.example.com/thank-you"}


@pytest.mark.parametrize(
    ("lead", "refusal"),
    [
        ({"state": "FL", "zip_code": "33101", "loan_amount": 1}, "state not bought"),
        ({"state": "CA", "zip_code": "00501", "loan_amount": 1}, "ZIP code not bought"),
        ({"state": "CA", "zip_code": "90001"}, "missing loan_amount"),
    ],
)
def test_picky_refuses_what_it_does_not_buy(seat: Any, lead: dict[str, Any], refusal: str) -> None:
    picky = seat("picky")
    assert isinstance(picky.bid(), Bid)
    assert picky.bid(lead) == refusal


def test_cheap_pays_less_than_premium_and_premium_shows_its_consent_text(seat: Any) -> None:
    cheap, premium = seat("cheap").bid(), seat("premium").bid()
    assert cheap.amount < premium.amount
    assert "Premium Example Lenders" in premium.tcpa
    assert "tcpa" not in seat("cheap").send("ping").json()


def test_premium_pays_by_the_loan_amount(seat: Any) -> None:
    premium = seat("premium")
    amounts = [str(premium.bid({"loan_amount": amount}).amount) for amount in (0, 5000, 10000, 99999)]
    assert amounts == ["60.00", "70.00", "80.00", "140.00"]
    assert str(premium.bid({"state": "CA"}).amount) == "75.00"


def test_flaky_fails_some_calls_in_every_way_it_names(seat: Any) -> None:
    flaky = seat("flaky", error_rate=0.5)
    seen = {hung_up(lambda: flaky.send("ping")) for _ in range(60)}
    assert seen == {"200", "500", "503", "reset", "truncated"}


def test_garbled_never_gives_an_answer_that_can_be_read(seat: Any) -> None:
    garbled = seat("garbled")
    answers = [garbled.send("ping") for _ in range(40)]
    assert all(isinstance(read_ping(BUYER, each.status_code, each.content), str) for each in answers)
    assert {each.headers["Content-Type"].partition(";")[0] for each in answers} == {
        "application/json",
        "text/html",
    }


def test_two_faced_bids_and_then_rejects_the_post(seat: Any) -> None:
    two_faced = seat("two-faced")
    bid = two_faced.bid()
    answer = two_faced.send("post", {**LEAD, "ping_id": bid.ping_id})
    assert answer.json() == {"accepted": False, "reason": "Duplicate in our own system"}


def test_capped_buys_its_number_a_day_and_again_the_next_day(seat: Any) -> None:
    capped = seat("capped", max_accepts_per_day=2)
    assert [capped.buy() for _ in range(3)] == [True, True, False]
    assert capped.bid() == "daily cap reached"
    assert capped.buy(now="2025-06-03T00:00:00-04:00")


def test_a_cap_holds_for_posts_whose_pings_were_accepted_before(seat: Any) -> None:
    capped = seat("capped", max_accepts_per_day=1)
    bids = [capped.bid() for _ in range(3)]
    posts = [capped.send("post", {**LEAD, "ping_id": bid.ping_id}).json()["accepted"] for bid in bids]
    assert posts == [True, False, False]


@pytest.mark.parametrize(("period", "next_day"), [("day", True), ("total", False)])
def test_a_budget_ends_with_the_last_dollar(seat: Any, period: str, next_day: bool) -> None:
    spender = seat("eager", budget={"amount": 100, "period": period})
    assert [spender.buy() for _ in range(3)] == [True, True, False]
    assert spender.bid() == "budget spent"
    assert spender.buy(now="2025-06-03T12:00:00-04:00") is next_day


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2025-06-02T08:59:59-04:00", False),
        ("2025-06-02T13:00:00Z", True),
        ("2025-06-02T17:00:00-04:00", False),
        ("2025-06-01T12:00:00-04:00", False),
    ],
)
def test_sleepy_buys_during_office_hours_only(seat: Any, now: str, is_open: bool) -> None:
    assert isinstance(seat("sleepy").bid(now=now), Bid) is is_open


def test_slow_takes_as_long_as_its_journal_says(seat: Any) -> None:
    slow = seat("slow", latency={"kind": "uniform", "low_ms": 30, "high_ms": 60})
    answer = slow.send("ping")
    delay = slow.received()["received"][0]["delay_ms"]
    assert 30 <= delay <= 60
    assert answer.elapsed.total_seconds() * 1000 >= delay


def test_silent_never_answers(seat: Any) -> None:
    silent = seat("silent")
    with stalled(silent.base, silent.control) as open_call:
        assert select.select([open_call], [], [], 0.3)[0] == []


# --- the rules of the wire


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"first_name": "Ada", "email": "ada@example.com"}, ["email", "first_name"]),
        ({"sub1": "ada@example.com"}, ["sub1"]),
        ({"custom": 2125550123}, ["custom"]),
        ({"custom": "123-45-6789"}, ["custom"]),
    ],
)
@pytest.mark.parametrize("persona", ["eager", "silent", "garbled", "flaky"])
def test_every_persona_refuses_personal_data_in_a_ping(
    seat: Any, persona: str, body: dict[str, Any], fields: list[str]
) -> None:
    answer = seat(persona).send("ping", {**PING, **body})
    assert is_problem(answer, 422)
    assert answer.json()["fields"] == fields


def test_personal_data_is_found_under_the_buyers_own_names(seat: Any) -> None:
    mapped = seat("eager", mapping={"first_name": "fn", "state": "st"}, states=["CA"])
    assert mapped.send("ping", {"st": "CA", "fn": "Ada"}).json()["fields"] == ["fn"]
    assert isinstance(mapped.bid({"st": "CA"}), Bid)
    assert mapped.bid({"st": "FL"}) == "state not bought"


def test_a_blank_personal_field_in_a_ping_is_nothing(seat: Any) -> None:
    assert isinstance(seat().bid({**PING, "email": ""}), Bid)


def test_a_post_needs_a_ping_id_that_this_buyer_gave(seat: Any) -> None:
    one, other = seat(), seat(seed=9)
    foreign = other.bid().ping_id
    for ping_id in ({}, {"ping_id": "bp_1"}, {"ping_id": foreign}, {"ping_id": ["x"]}):
        answer = one.send("post", {**LEAD, **ping_id})
        assert answer.json() == {"accepted": False, "reason": "unknown ping_id"}


def test_a_ping_id_is_good_for_one_post(seat: Any) -> None:
    eager = seat()
    post = {**LEAD, "ping_id": eager.bid().ping_id}
    assert eager.send("post", post).json()["accepted"] is True
    assert eager.send("post", post).json() == {"accepted": False, "reason": "ping_id was posted before"}


def test_a_buyer_that_is_not_pinged_takes_posts_without_ping_id(seat: Any) -> None:
    assert seat(bypass_ping=True).send("post", LEAD).json()["accepted"] is True


def test_form_bodies_and_queries_are_read_like_json(seat: Any) -> None:
    picky = seat("picky", price=7)
    form = picky.send("ping", data={"state": "CA", "zip_code": "90001", "loan_amount": "1"})
    query = picky.http.get(f"{picky.base}/ping", params=PING, headers={"X-Sandbox-Now": MONDAY_NOON}, timeout=WAIT)
    assert form.json()["bid"] == query.json()["bid"] == "7.00"


def test_answers_stand_where_the_persona_puts_them(seat: Any) -> None:
    keys = {"accepted": "result.ok", "bid": "result.price", "ping_id": "token"}
    body = seat(answer_keys=keys).send("ping").json()
    assert body["result"] == {"ok": True, "price": "45.00"}
    bid = read_ping(Buyer(id="b", endpoint=Endpoint(answer_keys=keys)), 200, json.dumps(body).encode())
    assert isinstance(bid, Bid)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"7", b"[" * 20_000, b'{"a":NaN}'])
@pytest.mark.parametrize("kind", ["ping", "post"])
def test_an_unreadable_body_is_a_problem_document(seat: Any, kind: str, body: bytes) -> None:
    answer = seat().send(kind, data=body, headers={"Content-Type": "application/json"})
    assert is_problem(answer, 400)


def test_a_body_that_is_too_large_is_a_problem_document(seat: Any) -> None:
    assert is_problem(seat().send("post", {"a": "x" * 1_100_000}), 413)


def test_a_form_that_is_not_utf_8_is_a_problem_document(seat: Any) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert is_problem(seat().send("ping", data=b"a=\xff", headers=form), 400)


@pytest.mark.parametrize("now", ["yesterday", "2025-06-02T12:00:00", "0001-01-01T00:00:00Z", ""])
def test_a_time_that_is_none_is_a_problem_document(seat: Any, now: str) -> None:
    assert is_problem(seat().send("ping", now=now), 400)


def test_without_the_simulators_time_the_wall_clock_counts(seat: Any) -> None:
    eager = seat()
    eager.http.post(f"{eager.base}/ping", json=PING, timeout=WAIT).raise_for_status()
    assert eager.received()["received"][0]["time"] > "2025"


def test_unknown_buyers_platforms_and_methods_are_problem_documents(url: str, seat: Any) -> None:
    assert is_problem(requests.post(f"{url}/pingtree/t/nobody/ping", json=PING, timeout=WAIT), 404)
    assert is_problem(requests.get(f"{url}/nothing", timeout=WAIT), 404)
    assert is_problem(requests.put(f"{url}/__buyers/acme/t/b", json={}, timeout=WAIT), 404)
    wrong = requests.delete(f"{seat().base}/ping", timeout=WAIT)
    assert is_problem(wrong, 405)
    assert set(wrong.headers["Allow"].split(",")) >= {"GET", "POST"}


# --- Lead Distro AI's webhooks


def delivery(body: bytes, secret: str = "s3cret", event: str = "evt_1", timestamp: int | None = None) -> Any:
    return {"data": body, "headers": webhook_headers(secret, body, event, timestamp=timestamp)}


def test_a_well_signed_webhook_is_received(seat: Any) -> None:
    hook = seat(platform="leaddistro", secret="s3cret")
    answer = hook.send("webhook", **delivery(b'{"is_test":true}'))
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    entry = hook.received()["received"][0]
    assert (entry["signature"], entry["is_test"]) == ("good", True)


@pytest.mark.parametrize("body", [b'{"is_test": true}', b""])
def test_a_webhook_whose_bytes_changed_is_answered_as_the_vendors_sample_does(seat: Any, body: bytes) -> None:
    hook = seat(platform="leaddistro", secret="s3cret")
    sent = delivery(b'{"is_test":true}')
    answer = hook.send("webhook", **{**sent, "data": body})
    assert (answer.status_code, answer.text) == (401, "Invalid signature")
    assert hook.received()["counters"]["signature_bad"] == 1


def test_an_unsigned_webhook_is_refused_where_a_secret_is_set(seat: Any) -> None:
    assert seat(platform="leaddistro", secret="s").send("webhook", {}).status_code == 401
    assert seat(platform="leaddistro").send("webhook", {}).status_code == 200


def test_a_redelivery_is_received_again_and_counted_as_duplicate(seat: Any) -> None:
    hook = seat(platform="leaddistro", secret="s3cret")
    answers = [hook.send("webhook", **delivery(b"{}", event=event)) for event in ("e1", "e1", "e2")]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert hook.received()["counters"]["duplicate"] == 1


def test_an_event_that_was_not_taken_is_no_duplicate_later(seat: Any) -> None:
    hook = seat(platform="leaddistro", webhook_status=503)
    assert hook.send("webhook", **delivery(b"{}", event="e1")).status_code == 503
    hook.patch(webhook_status=None)
    assert hook.send("webhook", **delivery(b"{}", event="e1")).status_code == 200
    assert hook.received()["counters"].get("duplicate", 0) == 0


def test_a_timestamped_signature_is_verified_with_its_timestamp_and_its_age(seat: Any) -> None:
    hook = seat(platform="leaddistro", secret="s3cret", replay_seconds=300)
    for age, status in ((0, 200), (299, 200), (301, 401)):
        sent = delivery(b"{}", event=str(age), timestamp=1_748_880_000 - age)
        assert hook.send("webhook", now="2025-06-02T16:00:00Z", **sent).status_code == status
    assert hook.received()["counters"]["signature_stale"] == 1


def test_a_signed_webhook_that_is_no_json_object_is_a_problem_document(seat: Any) -> None:
    hook = seat(platform="leaddistro", secret="s3cret")
    assert is_problem(hook.send("webhook", **delivery(b"[1]")), 400)


# --- switches, seeds, memory


def test_switches_take_effect_on_the_next_call_and_can_be_taken_back(seat: Any) -> None:
    eager = seat()
    eager.patch(mode="refuse")
    assert eager.bid() == "this buyer was switched to refuse"
    eager.patch(mode="break")
    assert eager.bid() == "HTTP 500"
    eager.patch(mode="stall")
    with pytest.raises(requests.exceptions.ReadTimeout):
        eager.http.post(f"{eager.base}/ping", json=PING, timeout=0.2)
    eager.patch(mode=None)
    assert isinstance(eager.bid(), Bid)


def test_a_running_buyer_can_become_another_and_keeps_what_it_promised(seat: Any) -> None:
    chameleon = seat("cheap")
    promised = chameleon.bid()
    assert chameleon.put({"persona": "premium", "price": 99}).status_code == 200
    assert str(chameleon.bid().amount) == "99.00"
    assert chameleon.send("post", {**LEAD, "ping_id": promised.ping_id}).json()["accepted"] is True
    shown = chameleon.http.get(chameleon.control, timeout=WAIT).json()
    assert (shown["persona"], shown["bought"]["dollars"]) == ("premium", "5.00")


def test_the_same_seed_and_the_same_calls_repeat(seat: Any) -> None:
    def run(each: Seat) -> list[str]:
        return [hung_up(lambda: each.send("ping")) for _ in range(25)]

    first, second, other = seat("flaky"), seat("flaky"), seat("flaky", seed=2)
    ran = run(first)
    assert run(second) == ran
    assert run(other) != ran
    first.http.post(f"{first.control}/reset", timeout=WAIT).raise_for_status()
    assert run(first) == ran


def test_jitter_strays_within_its_share_and_repeats(seat: Any) -> None:
    price = {"kind": "fixed", "amount": 100, "jitter": 0.1}
    one, two = seat(seed=4, price=price), seat(seed=4, price=price)
    amounts = [one.bid().amount for _ in range(20)]
    assert amounts == [two.bid().amount for _ in range(20)]
    assert len(set(amounts)) > 10
    assert all(90 <= amount <= 110 for amount in amounts)


def test_reset_empties_journal_cap_and_promises(seat: Any) -> None:
    capped = seat("capped", max_accepts_per_day=1)
    assert capped.buy()
    promised = capped.bid()
    assert promised == "daily cap reached"
    capped.http.post(f"{capped.control}/reset", timeout=WAIT).raise_for_status()
    assert capped.received() == {"counters": {}, "received": []}
    assert capped.buy()


def test_the_journal_says_what_came_and_what_was_answered_without_secrets(seat: Any) -> None:
    eager = seat()
    eager.send("ping", headers={"Authorization": "Bearer abc", "X-Api-Key": "k"})
    entry = eager.received()["received"][0]
    assert (entry["kind"], entry["outcome"], entry["body"]) == ("ping", "accepted", PING)
    assert entry["answered"]["status"] == 200
    assert entry["answered"]["body"]["bid"] == "45.00"
    headers = {name.lower(): value for name, value in entry["headers"].items()}
    assert (headers["authorization"], headers["x-api-key"]) == ("***", "***")


def test_the_journal_is_bounded_and_its_counters_are_not(seat: Any) -> None:
    eager = seat()
    for _ in range(230):
        eager.send("ping")
    told = eager.received()
    assert len(told["received"]) == 200
    assert told["received"][-1]["number"] == 230
    assert (told["counters"]["received"], told["counters"]["evicted"]) == (230, 30)


def test_large_bodies_are_kept_in_part(seat: Any) -> None:
    eager = seat()
    eager.send("post", {"a": "x" * 500_000})
    entry = eager.received()["received"][0]
    assert len(entry["body"]) == 8192
    assert entry["body_bytes"] > 500_000


# --- control


def test_a_new_buyer_is_created_and_a_known_one_reconfigured(url: str) -> None:
    control = f"{url}/__buyers/pingtree/{uuid.uuid4().hex}/b"
    created = requests.put(control, json={"persona": "cheap", "secret": "abc"}, timeout=WAIT)
    assert created.status_code == 201
    assert created.json()["resolved"]["secret"] == created.json()["overrides"]["secret"] == "***"
    assert created.json()["urls"]["ping"].endswith("/b/ping")
    assert requests.put(control, json={}, timeout=WAIT).status_code == 200
    assert requests.delete(control, timeout=WAIT).status_code == 204
    assert is_problem(requests.get(control, timeout=WAIT), 404)
    assert is_problem(requests.delete(control, timeout=WAIT), 404)


def test_buyers_are_listed_and_deleted_by_tenant(url: str) -> None:
    tenant = uuid.uuid4().hex
    for platform, name in (("pingtree", "a"), ("pingtree", "b"), ("leaddistro", "c")):
        requests.put(f"{url}/__buyers/{platform}/{tenant}/{name}", json={}, timeout=WAIT)

    def listed() -> list[str]:
        found = requests.get(f"{url}/__buyers", params={"tenant": tenant}, timeout=WAIT).json()["buyers"]
        return [each["buyer"] for each in found]

    assert listed() == ["a", "b", "c"]
    gone = requests.delete(f"{url}/__buyers/pingtree/{tenant}", timeout=WAIT)
    assert gone.json() == {"deleted": 2}
    assert listed() == ["c"]
    requests.delete(f"{url}/__buyers/leaddistro/{tenant}", timeout=WAIT)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"persona": "egaer"}, "did you mean 'eager'?"),
        ({"persona": 7}, "no persona is called"),
        ({"colour": "red"}, "colour"),
        ({"error_rate": 2}, "error_rate"),
        ({"price": {"kind": "curve", "field": "a", "points": [[2, 1], [1, 1]]}}, "must rise"),
        ({"price": "NaN"}, "price"),
        ({"latency": 999_999}, "latency"),
        ({"timezone": "Mars/Olympus"}, "no such time zone"),
        ({"timezone": "../etc/passwd"}, "no such time zone"),
        ({"hours": {"opens": "25:00"}}, "hours.opens"),
        ({"states": ["California"], "zip_codes": ["x"]}, "zip_codes"),
    ],
)
def test_a_bad_persona_document_is_refused_and_changes_nothing(seat: Any, document: dict[str, Any], told: str) -> None:
    eager = seat()
    for method in ("PUT", "PATCH"):
        answer = eager.http.request(method, eager.control, json=document, timeout=WAIT)
        assert is_problem(answer, 422)
        assert told in " ".join(answer.json()["errors"])
    assert str(eager.bid().amount) == "45.00"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"x"'])
def test_a_control_body_that_is_no_object_is_a_problem_document(seat: Any, body: bytes) -> None:
    eager = seat()
    assert is_problem(eager.http.put(eager.control, data=body, timeout=WAIT), 400)


def test_it_says_that_it_is_well(url: str) -> None:
    assert requests.get(f"{url}/healthz", timeout=WAIT).json()["status"] == "ok"


def test_every_built_in_persona_can_be_put(seat: Any) -> None:
    for name in load(BUILT_IN):
        shown = seat(name)
        assert shown.http.get(shown.control, timeout=WAIT).json()["persona"] == name


# --- the program


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_even_while_an_answer_is_stalled(launch: Any, number: int) -> None:
    program = launch("--port", "0")
    url = ready(program)
    control = f"{url}/__buyers/pingtree/t/b"
    requests.put(control, json={"persona": "silent"}, timeout=WAIT).raise_for_status()
    with stalled(f"{url}/pingtree/t/b", control) as open_call:
        program.send_signal(number)
        assert program.wait(timeout=WAIT) == 0
        assert open_call.recv(100) == b""


def test_it_stops_when_its_parent_is_gone(launch: Any) -> None:
    reader, writer = os.pipe()
    program = launch("--port", "0", "--parent-fd", str(reader), fds=[reader])
    os.close(reader)
    ready(program)
    os.close(writer)
    assert program.wait(timeout=WAIT) == 0


def test_it_serves_on_an_inherited_socket(launch: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        program = launch("--fd", str(ours.fileno()), fds=[ours.fileno()])
        url = ready(program)
        assert url.endswith(f":{ours.getsockname()[1]}")
        assert requests.get(f"{url}/healthz", timeout=WAIT).status_code == 200


def test_a_taken_port_is_one_line_and_exit_code_3(launch: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        program = launch("--port", str(taken.getsockname()[1]))
        _, errors = program.communicate(timeout=WAIT)
    assert program.returncode == 3
    assert errors.decode().count("\n") == 1
    assert b"cannot listen" in errors


@pytest.mark.parametrize("options", [("--fd", "77"), ("--fd", "0"), ("--port", "0", "--parent-fd", "77")])
def test_a_descriptor_that_cannot_serve_is_one_line_and_exit_code_3(launch: Any, options: Any) -> None:
    program = launch(*options)
    _, errors = program.communicate(timeout=WAIT)
    assert (program.returncode, errors.decode().count("\n")) == (3, 1)


def test_bad_usage_is_exit_code_2(launch: Any) -> None:
    for options in (("--port", "x"), ("--nonsense",), ("--personas", "/nowhere.yaml"), ("--host", "0.0.0.0")):
        program = launch(*options, *([] if "--port" in options else ["--port", "0"]))
        program.communicate(timeout=WAIT)
        assert program.returncode == 2


def test_a_bad_personas_file_is_exit_code_2_and_every_fault_is_told(launch: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("a: {persona: nobody}\nb: {error_rate: 7, colour: red}\n")
    program = launch("--port", "0", "--personas", str(file))
    _, errors = program.communicate(timeout=WAIT)
    assert program.returncode == 2
    assert "a: persona: no persona is called 'nobody'" in errors.decode()
    assert "b.error_rate" in errors.decode()
    assert "b.colour" in errors.decode()


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", "a: b\n", ""])
def test_a_personas_file_that_is_no_mapping_is_exit_code_2(launch: Any, tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    program = launch("--port", "0", "--personas", str(file))
    _, errors = program.communicate(timeout=WAIT)
    assert (program.returncode, errors.decode().count("\n")) == (2, 1)


def test_personas_of_ones_own_stand_beside_the_built_in_ones(launch: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("grumpy: {persona: eager, price: 3, post_reject_rate: 1}\n")
    url = ready(launch("--port", "0", "--personas", str(file)))
    assert {"grumpy", "eager"} <= set(requests.get(f"{url}/__buyers", timeout=WAIT).json()["personas"])
    control = f"{url}/__buyers/pingtree/t/b"
    shown = requests.put(control, json={"persona": "grumpy"}, timeout=WAIT).json()
    assert (shown["resolved"]["price"]["amount"], shown["resolved"]["post_reject_rate"]) == ("3", 1.0)


def test_with_a_control_token_control_calls_need_it_and_vendors_calls_do_not(launch: Any) -> None:
    url = ready(launch("--port", "0", "--control-token", "tok"))
    control = f"{url}/__buyers/pingtree/t/b"
    assert is_problem(requests.put(control, json={}, timeout=WAIT), 401)
    headers = {"Authorization": "Bearer tok"}
    assert requests.put(control, json={}, headers=headers, timeout=WAIT).status_code == 201
    assert requests.post(f"{url}/pingtree/t/b/ping", json=PING, timeout=WAIT).json()["accepted"] is True
