"""`conform buyer`: receivers that verify what they get are passed, and each way of getting it wrong is found."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from conformance import report
from conformance.buyer import bidders, buyer, receivers
from conformance.cli import conform

pytestmark = pytest.mark.long

SECRET = "0123456789abcdef0123456789abcdef"
SIGNATURE = "X-LeadDistro-Signature"
EVENT = "X-LeadDistro-Event-Id"
TAMPERED = {
    "HOOK-SIGNATURE-WRONG",
    "HOOK-SIGNATURE-FOREIGN",
    "HOOK-SIGNATURE-MISSING",
    "HOOK-SIGNATURE-EMPTY",
    "HOOK-BYTE-ALTERED",
    "HOOK-VALUE-ALTERED",
}

Answer = tuple[int, Any]


@dataclass
class Call:
    """What a receiver got. Header names are looked up without regard to case in `headers`, with it in `exact`."""

    path: str
    headers: Message
    exact: Mapping[str, str]
    body: bytes


@dataclass
class Server:
    url: str
    calls: list[Call] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[Call], Answer]) -> Iterator[Server]:
    """Serve a buyer that answers as a function says: a status, and a JSON document or None."""
    server = Server("")

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            call = Call(self.path, self.headers, dict(self.headers.items()), body)
            server.calls.append(call)
            status, document = answer(call)
            raw = (
                b"" if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
            )
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    server.url = f"http://127.0.0.1:{listening.server_address[1]}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def signed(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def careful(call: Call) -> Answer:
    """Answer as the vendor's sample receiver does."""
    if not hmac.compare_digest(signed(call.body), call.headers.get(SIGNATURE, "")):
        return 401, {"error": "Invalid signature"}
    try:
        json.loads(call.body)
    except ValueError:
        return 400, None
    return 200, {"received": True}


def examined(*arguments: str) -> tuple[Result, dict[str, dict[str, Any]]]:
    """Run the command; return what it ended with, and the results by id."""
    runner = CliRunner(env={"LEADSANDBOX_BUYER_SECRET": ""})
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "report.json")
        ended = runner.invoke(buyer, [*arguments, "--json", str(written)])
        document = json.loads(written.read_text()) if written.exists() else {"results": []}
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    if document["results"]:
        Draft202012Validator(report.schema()).validate(document)
    return ended, {result["id"]: result for result in document["results"]}


def receiver(answer: Callable[[Call], Answer], *more: str) -> tuple[int, dict[str, str]]:
    """Examine a receiver; return the exit code, and the checks that were not passed with their verdicts."""
    with serving(answer) as server:
        ended, results = examined("--url", f"{server.url}/hook", "--secret", SECRET, *more)
    return ended.exit_code, odd(results)


def odd(results: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    fine = {"PASS", "NOT_APPLICABLE"}
    return {name: result["verdict"] for name, result in results.items() if result["verdict"] not in fine}


def test_a_receiver_that_verifies_the_raw_bytes_is_passed() -> None:
    assert receiver(careful) == (0, {})


def test_a_receiver_that_verifies_nothing_fails_every_tampered_delivery() -> None:
    code, found = receiver(lambda _: (200, None))
    assert code == 1
    assert found == {**dict.fromkeys(TAMPERED, "FAIL"), "HOOK-NO-JSON": "WARN"}


def test_a_receiver_that_signs_the_parsed_body_anew_takes_an_altered_byte_and_refuses_other_writings() -> None:
    def rewriting(call: Call) -> Answer:
        try:
            again = json.dumps(json.loads(call.body), separators=(",", ":"), ensure_ascii=False).encode()
        except ValueError:
            return 400, None
        return (200 if signed(again) == call.headers.get(SIGNATURE) else 401), None

    code, found = receiver(rewriting)
    assert code == 1
    assert found == {"HOOK-BYTE-ALTERED": "FAIL", "HOOK-ESCAPES": "FAIL", "HOOK-KEY-ORDER": "FAIL"}


def test_a_receiver_that_sorts_keys_fails_on_their_order() -> None:
    def sorting(call: Call) -> Answer:
        first = next(iter(json.loads(call.body)), "") if call.body.endswith(b"}") else ""
        return careful(call) if first in {"id", ""} else (401, None)

    assert receiver(sorting) == (1, {"HOOK-KEY-ORDER": "FAIL"})


def test_a_receiver_that_reads_the_header_in_one_case_alone_fails() -> None:
    def exact(call: Call) -> Answer:
        return careful(call) if SIGNATURE in call.exact else (401, None)

    assert receiver(exact) == (1, {"HOOK-HEADER-CASE": "FAIL"})


def test_a_receiver_that_forgets_about_missing_signatures_fails() -> None:
    def trusting(call: Call) -> Answer:
        return careful(call) if call.headers.get(SIGNATURE) else (200, None)

    assert receiver(trusting) == (1, {"HOOK-SIGNATURE-MISSING": "FAIL", "HOOK-SIGNATURE-EMPTY": "FAIL"})


def test_a_receiver_that_refuses_a_repeated_event_is_warned_about() -> None:
    seen: set[str] = set()

    def once(call: Call) -> Answer:
        event = call.headers.get(EVENT, "")
        again = event in seen
        seen.add(event)
        return (409, None) if again else careful(call)

    assert receiver(once) == (0, {"HOOK-REPEATED": "WARN"})


def test_a_receiver_that_is_slow_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "FAST_MS", -1.0)
    assert receiver(careful) == (0, {"HOOK-FAST": "WARN"})


def test_a_receiver_that_refuses_test_leads_old_leads_or_new_fields_is_warned_about() -> None:
    def picky(call: Call) -> Answer:
        status, document = careful(call)
        lead = json.loads(call.body) if status == 200 else {}
        fresh = str(lead.get("created_at", "")) >= str(max(times, default=""))
        times.append(str(lead.get("created_at", "")))
        refused = lead.get("is_test") or "added_later" in lead or not (fresh or status != 200)
        return (422, None) if refused else (status, document)

    times: list[str] = []
    code, found = receiver(picky)
    assert code == 0
    assert found.items() >= {"HOOK-TEST": "WARN", "HOOK-FIELD-ADDED": "WARN", "HOOK-LATE": "WARN"}.items()
    assert found["HOOK-OUT-OF-ORDER"] == "WARN"


def test_a_receiver_that_crashes_on_tampering_refuses_it_and_is_warned_about() -> None:
    def crashing(call: Call) -> Answer:
        status, document = careful(call)
        return (status, document) if status == 200 else (500, None)

    code, found = receiver(crashing)
    assert code == 0
    assert found == {**dict.fromkeys(TAMPERED, "WARN"), "HOOK-NO-JSON": "WARN"}


def test_a_receiver_that_refuses_everything_proves_nothing_by_refusing_tampered_deliveries() -> None:
    code, found = receiver(lambda _: (401, None))
    assert code == 1
    assert found["HOOK-GOOD"] == "FAIL"
    assert {found[name] for name in TAMPERED} == {"INCONCLUSIVE"}


def test_without_a_secret_what_needs_one_is_inconclusive_and_a_forged_signature_is_still_tried() -> None:
    with serving(careful) as server:
        ended, results = examined("--url", f"{server.url}/hook", "--platform", "leaddistro")
    assert ended.exit_code == 10
    assert "FAIL" not in odd(results).values()
    assert results["HOOK-BYTE-ALTERED"]["why"] == "no-permission"
    assert results["HOOK-SIGNATURE-WRONG"]["verdict"] == "PASS"
    with serving(lambda _: (200, None)) as server:
        ended, results = examined("--url", f"{server.url}/hook", "--platform", "leaddistro")
    assert ended.exit_code == 1
    assert results["HOOK-SIGNATURE-WRONG"]["verdict"] == "FAIL"


def stamped(tolerance: float) -> Callable[[Call], Answer]:
    """Return a receiver of the blog's model: a timestamp that is signed and may be so many seconds old."""
    newest: list[int] = []

    def answer(call: Call) -> Answer:
        stamp = call.headers.get("X-LeadDistro-Timestamp", "0")
        newest.append(int(stamp))
        if signed(f"{stamp}.".encode() + call.body) != call.headers.get(SIGNATURE):
            return 401, None
        if max(newest) - int(stamp) > tolerance:
            return 401, None
        return (200, None) if call.body.endswith(b"}") else (400, None)

    return answer


def test_a_receiver_with_timestamps_refuses_an_old_one_and_one_that_was_not_signed() -> None:
    assert receiver(stamped(300), "--timestamped") == (0, {})
    assert receiver(stamped(1e9), "--timestamped") == (0, {"HOOK-LATE": "WARN"})


def test_a_receiver_that_does_not_expect_timestamps_is_not_asked_about_them() -> None:
    with serving(careful) as server:
        _, results = examined("--url", server.url, "--secret", SECRET)
    assert results["HOOK-STAMP-ALTERED"]["verdict"] == "NOT_APPLICABLE"
    assert results["HOOK-STAMP-ALTERED"]["exchanges"] == []


def test_what_is_delivered_is_what_the_check_says() -> None:
    with serving(careful) as server:
        examined("--url", server.url, "--secret", SECRET)
    genuine = [call for call in server.calls if signed(call.body) == call.headers.get(SIGNATURE)]
    events = [call.headers.get(EVENT) for call in genuine]
    assert len(genuine) < len(server.calls)
    assert max(events.count(event) for event in events) == 3
    assert {"x-leaddistro-signature", "X-LEADDISTRO-SIGNATURE", SIGNATURE} <= {
        name for call in genuine for name in call.exact
    }
    people = [json.loads(call.body) for call in genuine if call.body.endswith(b"}")]
    assert all(lead["email"].endswith("@example.com") and "55501" in lead["phone"] for lead in people)
    assert {lead["is_test"] for lead in people} == {True, False}


def test_each_duty_of_a_receiver_is_graded_and_named_with_its_sentence() -> None:
    assert {check.duty for check in receivers.CHECKS if check.duty} == {"D70", "D71", "D72", "D73", "D74"}
    with serving(lambda _: (200, None)) as server:
        ended, results = examined("--url", server.url, "--secret", SECRET)
    [finding] = results["HOOK-BYTE-ALTERED"]["findings"]
    assert finding["row"] == "D70"
    assert finding["documented"].startswith("D70: A webhook receiver verifies")
    assert finding["source"] == ["public:/docs/api-webhook-signing"]
    assert "curl -i -X POST" in finding["curl"]
    assert finding["documented"] in ended.output


def test_the_secret_stands_in_no_report() -> None:
    with serving(lambda call: (200, {"echo": call.headers.get(SIGNATURE, ""), "secret": SECRET})) as server:
        ended, results = examined("--url", server.url, "--secret", SECRET)
    assert SECRET not in json.dumps(results)
    assert SECRET not in ended.output


@dataclass
class Bidder:
    """A buyer of Pingtree's kind that does it right; tests break one thing each."""

    bid: Any = "45.00"
    given: dict[str, int] = field(default_factory=dict)

    def __call__(self, call: Call) -> Answer:
        try:
            lead = json.loads(call.body)
        except ValueError:
            return 400, {"accepted": False, "reason": "no JSON"}
        return self.ping(lead) if call.path.endswith("/ping") else self.post(lead)

    def ping(self, _lead: dict[str, Any]) -> Answer:
        name = f"ping-{len(self.given)}"
        self.given[name] = 0
        return 200, {"accepted": True, "ping_id": name, "bid": self.bid}

    def post(self, lead: dict[str, Any]) -> Answer:
        name = lead.get("ping_id", "")
        if self.given.get(name) != 0:
            return 200, {"accepted": False, "reason": "unknown or used"}
        self.given[name] += 1
        return 200, {"accepted": True, "redirect_url": "https://buyer.example.com/thanks"}


def bidding(answer: Callable[[Call], Answer]) -> tuple[int, dict[str, str]]:
    with serving(answer) as server:
        ended, results = examined("--url", f"{server.url}/ping")
    return ended.exit_code, odd(results)


def test_a_buyer_that_bids_and_buys_once_is_passed() -> None:
    assert bidding(Bidder()) == (0, {})


def test_a_buyer_whose_bid_cannot_be_read_fails() -> None:
    code, found = bidding(Bidder(bid="a lot"))
    assert code == 1
    assert found["BID-ANSWER"] == "FAIL"
    assert found["BID-SALE"] == "INCONCLUSIVE"


def test_a_buyer_that_gives_every_ping_one_id_fails() -> None:
    class Forgetful(Bidder):
        def ping(self, _lead: dict[str, Any]) -> Answer:
            self.given["one"] = 0
            return 200, {"accepted": True, "ping_id": "one", "bid": self.bid}

    assert bidding(Forgetful()) == (1, {"BID-UNIQUE-ID": "FAIL"})


def test_a_buyer_that_buys_whatever_is_posted_is_warned_about() -> None:
    class Greedy(Bidder):
        def post(self, _lead: dict[str, Any]) -> Answer:
            return 200, {"accepted": True}

    code, found = bidding(Greedy())
    assert code == 0
    assert found == dict.fromkeys(("BID-SOLD-ONCE", "BID-UNKNOWN-ID", "BID-ALTERED-ID"), "WARN")


def test_a_buyer_that_takes_what_is_no_json_fails() -> None:
    good = Bidder()

    def blind(call: Call) -> Answer:
        return good(call) if call.body.endswith(b"}") else (200, {"accepted": True, "ping_id": "x", "bid": 1})

    assert bidding(blind) == (1, {"BID-NO-JSON": "FAIL"})


def test_a_buyer_that_needs_its_keys_in_order_fails() -> None:
    good, orders = Bidder(), []

    def orderly(call: Call) -> Answer:
        if call.path.endswith("/ping") and call.body.endswith(b"}"):
            orders.append([name for name in json.loads(call.body) if name in {"state", "zip_code"}])
        return (400, None) if orders[-1] != orders[0] else good(call)

    assert bidding(orderly) == (1, {"BID-WRITING": "FAIL"})


def test_a_buyer_that_wants_no_lead_is_inconclusive_and_not_failed() -> None:
    code, found = bidding(lambda _: (200, {"accepted": False, "reason": "Not today"}))
    assert code == 10
    assert set(found.values()) == {"INCONCLUSIVE"}


def test_a_buyer_that_refuses_what_it_bid_on_is_warned_about_and_one_that_breaks_there_fails() -> None:
    class TwoFaced(Bidder):
        def post(self, _lead: dict[str, Any]) -> Answer:
            return 200, {"accepted": False, "reason": "On second thoughts"}

    class Broken(Bidder):
        def post(self, _lead: dict[str, Any]) -> Answer:
            return 200, b"<html>"

    assert bidding(TwoFaced()) == (0, {"BID-SALE": "WARN"})
    assert bidding(Broken())[1]["BID-SALE"] == "FAIL"


def test_a_buyer_that_is_slow_to_bid_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bidders, "FAST_MS", -1.0)
    assert bidding(Bidder()) == (0, {"BID-FAST": "WARN"})


def test_no_ping_carries_personal_data() -> None:
    with serving(Bidder()) as server:
        examined("--url", f"{server.url}/ping")
    pings = [json.loads(call.body) for call in server.calls if call.path == "/ping" and call.body.endswith(b"}")]
    assert pings
    assert all({"first_name", "last_name", "email", "mobile", "address"}.isdisjoint(lead) for lead in pings)


def test_the_post_endpoint_is_beside_the_ping_endpoint_unless_it_is_named() -> None:
    with serving(Bidder()) as server:
        examined("--url", f"{server.url}/buyers/a/")
        examined("--url", f"{server.url}/one/ping", "--post-url", f"{server.url}/two/take")
    assert {call.path for call in server.calls} == {
        "/buyers/a/ping",
        "/buyers/a/post",
        "/one/ping",
        "/two/take",
    }


@pytest.fixture(scope="module")
def mock_buyers() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-m", "mock_buyers", "--port", "0"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def set_up(base: str, place: str, **persona: Any) -> None:
    request = urllib.request.Request(f"{base}/__buyers/{place}", json.dumps(persona).encode(), method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status in {200, 201}


@pytest.mark.parametrize("persona", ["eager", "cheap", "premium", "capped"])
def test_mock_buyers_that_bid_are_passed(mock_buyers: str, persona: str) -> None:
    set_up(mock_buyers, f"pingtree/conform/{persona}", persona=persona)
    ended, results = examined("--url", f"{mock_buyers}/pingtree/conform/{persona}/ping")
    assert (ended.exit_code, odd(results)) == (0, {})


def test_a_mock_buyer_that_is_two_faced_or_garbled_is_found(mock_buyers: str) -> None:
    set_up(mock_buyers, "pingtree/conform/two", persona="two_faced")
    _, results = examined("--url", f"{mock_buyers}/pingtree/conform/two/ping")
    assert results["BID-SALE"]["verdict"] == "WARN"
    set_up(mock_buyers, "pingtree/conform/garbled", persona="garbled")
    ended, results = examined("--url", f"{mock_buyers}/pingtree/conform/garbled/ping")
    assert ended.exit_code == 1
    assert results["BID-ANSWER"]["verdict"] == "FAIL"


def test_a_mock_buyers_receiver_is_passed_with_its_secret_and_found_without_one(mock_buyers: str) -> None:
    set_up(mock_buyers, "leaddistro/conform/hook", persona="eager", secret=SECRET)
    ended, results = examined("--url", f"{mock_buyers}/leaddistro/conform/hook/webhook", "--secret", SECRET)
    assert (ended.exit_code, odd(results)) == (0, {})
    set_up(mock_buyers, "leaddistro/conform/open", persona="eager")
    ended, results = examined("--url", f"{mock_buyers}/leaddistro/conform/open/webhook", "--secret", SECRET)
    assert ended.exit_code == 1
    assert {name for name, verdict in odd(results).items() if verdict == "FAIL"} == TAMPERED


def test_nothing_listening_ends_with_4_and_one_line() -> None:
    with serving(careful) as server:
        gone = server.url
    ended, results = examined("--url", gone, "--secret", SECRET)
    assert ended.exit_code == 4
    assert ended.output.startswith(f"Error: nothing answers at {gone}")
    assert len(ended.output.splitlines()) == 1
    assert results == {}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--url", "buyer.example.com/hook"),
        ("--url", "ftp://buyer.example.com/ping"),
        ("--url", "http://127.0.0.1:9/ping", "--post-url", "http://127.0.0.1:8/post"),
        ("--url", "http://127.0.0.1:9/ping", "--platform", "nobody"),
    ],
)
def test_bad_options_end_with_2(arguments: tuple[str, ...]) -> None:
    assert examined(*arguments)[0].exit_code == 2


def test_buyer_is_a_sub_command_of_conform_and_writes_every_report(tmp_path: Path) -> None:
    files = {kind: tmp_path / f"report.{kind}" for kind in ("html", "json", "junit")}
    options = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    with serving(careful) as server:
        ended = CliRunner().invoke(conform, ["buyer", "--url", server.url, "--secret", SECRET, *options])
    assert ended.exit_code == 0, ended.output
    assert all("HOOK-BYTE-ALTERED" in path.read_text() for path in files.values())
