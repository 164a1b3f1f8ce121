"""Explanations name the rule that decided and every buyer that lost, as the configuration has them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from simulator.explaining import ACCEPTED, explain
from simulator.platforms import CONTRACTS
from simulator.routing.decision import Reason
from simulator.web.dashboard.pictures.story import steps
from tests.running import Client, Running, run, sandbox, written

LOAN = {"name": "loan_amount", "type": "number"}
FIELDS = [{"name": "state", "type": "state", "required": ["ping", "post"]}, LOAN]
AUCTION: list[dict[str, Any]] = [
    {"id": "high", "persona": {"price": 60}},
    {"id": "low", "persona": {"price": 5}},
    {"id": "modest", "persona": {"price": 2}, "minimum_price": 3},
    {"id": "rich", "persona": {"price": 90}, "filters": [{"field": "loan_amount", "operator": ">=", "value": 9000}]},
    {"id": "southern", "persona": {"price": 95}, "states": ["FL", "GA"]},
]
REFUSERS: list[dict[str, Any]] = [
    {"id": "grumpy", "persona": {"mode": "refuse"}},
    {"id": "far", "persona": {"price": 9}, "states": ["AK"]},
]
WATERFALL: list[dict[str, Any]] = [
    {"id": "first", "price": 80, "priority": 1, "states": ["TX"]},
    {"id": "second", "price": 60, "priority": 2, "states": ["TX", "CA"]},
]
FILTERS = [
    {"name": "served states", "field": "state", "operator": "IN", "value": ["CA", "TX", "OH"]},
    {"name": "adults", "field": "age", "operator": ">=", "value": 18},
]
SANDBOX: dict[str, Any] = {
    "pingtree": {
        "campaigns": [
            {
                "id": "auction",
                "sources": [{"id": "src", "link_id": "lnk", "fields": FIELDS, "states": ["NY", "FL"]}],
                "buyers": AUCTION,
            },
            {
                "id": "refused",
                "sources": [{"id": "src_no", "link_id": "lnk_no", "fields": FIELDS}],
                "buyers": REFUSERS,
            },
        ]
    },
    "leaddistro": {
        "suppliers": [{"id": "sup", "api_key": "key_of_the_supplier", "campaigns": ["fall"]}],
        "campaigns": [{"id": "fall", "inbound_filters": FILTERS, "buyers": WATERFALL}],
    },
}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("explain")
    with sandbox("--config", written(folder, SANDBOX), "--db", ":memory:") as running:
        yield running


def explained(up: Running, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """Send a request; return its entry, which the header of the answer led to, with the explanation."""
    with contextlib.closing(Client(up.base_url)) as client:
        client.ask(path, body, headers)
        response = client._connection.getresponse()
        response.read()
        found: dict[str, Any] = client.get(f"/__sandbox/requests/{response.headers['X-Sandbox-Request-Id']}")[1]
    assert found["http"] == response.status
    return found


def ping(up: Running, link_id: str, operation: str = "ping", **fields: Any) -> dict[str, Any]:
    token = up.credentials(link_id)[operation]
    return explained(up, f"/api/lead/{operation}/{link_id}", fields, {"Authorization": f"Bearer {token}"})


def ingest(up: Running, **fields: Any) -> dict[str, Any]:
    person = {"first_name": "Jane", "last_name": "Roe", "email": "jane@example.com", "phone": "2125550123"}
    ids = {"flo_campaign_id": "fall", "flo_supplier_id": "sup"}
    return explained(up, "/api/v1/ingest", ids | person | fields, {"x-api-key": "key_of_the_supplier"})


def buyers(entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["buyer_id"]: item for item in entry["explanation"]["buyers"]}


def names(configured: list[dict[str, Any]]) -> set[str]:
    return {buyer["id"] for buyer in configured}


def remedies(entry: Mapping[str, Any]) -> str:
    return "\n".join(entry["explanation"]["to_be_accepted"])


def test_an_accepted_ping_names_the_winner_and_why_each_other_buyer_lost(up: Running) -> None:
    entry = ping(up, "lnk", state="NY", loan_amount=500)
    found = buyers(entry)
    assert entry["explanation"]["accepted"] is True
    assert set(found) == names(AUCTION)
    assert [name for name, item in found.items() if item["took_it"]] == ["high"]
    assert (found["high"]["amount"], found["low"]["amount"]) == ("60.00", "5.00")
    assert all(found[name]["latency_ms"] > 0 for name in ("high", "low", "modest"))
    assert {"high", "60.00", "5.00"} <= set(found["low"]["why"].replace(":", "").split())
    assert "3.00" in found["modest"]["why"]
    assert "loan_amount" in found["rich"]["why"]
    assert "9000" in found["rich"]["why"]
    assert "FL, GA" in found["southern"]["why"]
    assert "high" in entry["explanation"]["because"]
    assert entry["explanation"]["to_be_accepted"] == []


def test_a_rejected_ping_names_the_auction_and_why_nobody_bid(up: Running) -> None:
    entry = ping(up, "lnk_no", state="NY")
    found = buyers(entry)
    assert entry["explanation"]["accepted"] is False
    assert entry["explanation"]["decided_by"]["rule"].startswith("auction")
    assert set(found) == names(REFUSERS)
    assert not any(item["took_it"] for item in found.values())
    assert all(item["why"] for item in found.values())
    assert "AK" in found["far"]["why"]
    assert all(name in remedies(entry) for name in names(REFUSERS))


def test_a_ping_from_elsewhere_names_the_rule_of_the_source_and_the_states_it_takes(up: Running) -> None:
    entry = ping(up, "lnk", state="CA")
    assert entry["explanation"]["decided_by"]["rule"] == "states"
    assert "FL, NY" in remedies(entry)
    assert set(buyers(entry)) == names(AUCTION)
    assert {item["outcome"] for item in buyers(entry).values()} == {"not reached"}


def test_a_filtered_ingest_names_the_filter_the_others_tried_and_every_buyer(up: Running) -> None:
    entry = ingest(up, state="UT", age=17)
    explanation = entry["explanation"]
    assert explanation["decided_by"]["rule"] == "served states"
    assert {rule["rule"]: rule["passed"] for rule in explanation["rules"]} == {"served states": False, "adults": False}
    assert [rule["rule"] for rule in explanation["rules"] if rule["decided"]] == ["served states"]
    assert all(value in remedies(entry) for value in ("served states", "CA, TX, OH", "adults", "18"))
    assert set(buyers(entry)) == names(WATERFALL)
    assert all("served states" in item["why"] for item in buyers(entry).values())


def test_a_passed_rule_is_told_apart_from_the_one_that_decided(up: Running) -> None:
    rules = ingest(up, state="TX", age=17)["explanation"]["rules"]
    assert {rule["rule"]: (rule["passed"], rule["decided"]) for rule in rules} == {
        "served states": (True, False),
        "adults": (False, True),
    }


def test_an_unmatched_ingest_names_each_buyer_that_could_not_have_it(up: Running) -> None:
    entry = ingest(up, state="OH", age=30)
    assert entry["reason"] == Reason.UNMATCHED
    assert entry["explanation"]["decided_by"]["rule"].startswith("distribution")
    assert set(buyers(entry)) == names(WATERFALL)
    for buyer in WATERFALL:
        assert all(state in buyers(entry)[buyer["id"]]["why"] for state in buyer["states"])
        assert buyer["id"] in remedies(entry)


def test_a_sold_ingest_names_the_buyers_that_were_not_reached(up: Running) -> None:
    found = buyers(ingest(up, state="TX", age=30, phone="2125550124", email="joe@example.com"))
    assert found["first"]["took_it"] is True
    assert (found["second"]["outcome"], found["second"]["took_it"]) == ("not reached", False)
    assert "first" in found["second"]["why"]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [({}, ("send state",)), ({"state": "Texas"}, ("change state",)), ({"state": "NY", "loan_amount": "x"}, ("loan",))],
)
def test_a_faulty_lead_is_told_every_field_to_change(
    up: Running, fields: dict[str, Any], wanted: tuple[str, ...]
) -> None:
    entry = ping(up, "lnk", **fields)
    assert entry["explanation"]["decided_by"]["rule"] == "posting specification"
    assert all(part in remedies(entry) for part in wanted)


def test_a_wrong_token_is_told_which_token_it_takes(up: Running) -> None:
    token = up.credentials("lnk")["post"]
    entry = explained(up, "/api/lead/ping/lnk", {"state": "NY"}, {"Authorization": f"Bearer {token}"})
    assert entry["explanation"]["decided_by"]["rule"] == "credential"
    assert "ping token" in remedies(entry)


def test_a_post_of_an_unknown_ping_is_told_to_post_a_known_one(up: Running) -> None:
    entry = ping(up, "lnk", "post", state="NY", transaction_id="txn_nobody")
    assert entry["explanation"]["decided_by"]["rule"] == "ping to post"
    assert "txn_nobody" in remedies(entry)


def test_a_trigger_is_named_as_what_decided(up: Running) -> None:
    token = up.credentials("lnk")["ping"]
    headers = {"Authorization": f"Bearer {token}", "X-Sandbox-Trigger": "no_bid"}
    entry = explained(up, "/api/lead/ping/lnk", {"state": "NY"}, headers)
    assert "no_bid" in entry["explanation"]["decided_by"]["rule"]
    assert "without the trigger no_bid" in remedies(entry)


def test_what_a_trigger_makes_up_is_not_told_of_the_lead(up: Running) -> None:
    token = up.credentials("lnk")["ping"]
    headers = {"Authorization": f"Bearer {token}", "X-Sandbox-Trigger": "http_503"}
    entry = explained(up, "/api/lead/ping/lnk", {"state": "NY"}, headers)
    assert entry["explanation"]["to_be_accepted"] == ["send it without the trigger http_503"]
    said = steps(entry, entry["explanation"])
    assert not any("state" in step["title"] or "state" in step["detail"] for step in said)


def test_the_explanation_quotes_the_row_of_the_table(up: Running) -> None:
    entry = ingest(up, state="UT", age=30)
    [row] = [row for row in CONTRACTS["leaddistro"].rows if row.id == entry["row_id"]]
    assert entry["row"] == {
        "id": row.id,
        "evidence": row.evidence.value,
        "reading": row.reading,
        "meaning": row.meaning,
        "source": list(row.source),
    }
    assert row.meaning in entry["text"]


# --- the pure function ------------------------------------------------------------------------------------------


def entry_of(reason: Reason, **more: Any) -> dict[str, Any]:
    row = {"id": "R", "evidence": "full", "reading": "", "meaning": "", "source": []}
    empty: dict[str, Any] = {
        "triggers": [],
        "fault": None,
        "errors": [],
        "checks": [],
        "asked": [],
        "retry_after": None,
    }
    return {"reason": reason.value, "detail": "the detail", "row": row, "buyer_id": ""} | empty | more


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_rule_and_each_refusal_a_remedy(reason: Reason) -> None:
    failing = {"rule": "a filter", "passed": False, "detail": "the detail", "reason": reason.value}
    by_check = reason in {Reason.FILTERED, Reason.OUTSIDE_AREA, Reason.OUTSIDE_HOURS, Reason.SUPPRESSED}
    errors = [{"field": "state", "code": "required", "message": "state is required"}]
    by_field = reason in {Reason.MISSING_FIELD, Reason.INVALID_FIELD, Reason.UNACCEPTED_VALUE}
    found = explain(entry_of(reason, checks=[failing] if by_check else [], errors=errors if by_field else []))
    assert found["decided_by"]["rule"] != reason.value
    assert bool(found["to_be_accepted"]) is (reason not in ACCEPTED)


def test_a_rate_limit_says_how_long_to_wait() -> None:
    assert "wait 7 s" in explain(entry_of(Reason.RATE_LIMITED, retry_after=7))["to_be_accepted"][0]


def test_a_fault_on_the_wire_is_not_what_decided() -> None:
    found = explain(entry_of(Reason.NO_BID, triggers=["header: slow=normal:500:100"], fault="slow=512"))
    assert found["decided_by"]["rule"].startswith("auction")


@pytest.mark.parametrize("reason", [Reason.NO_BUYER, Reason.UNMATCHED, Reason.NO_BID, Reason.RATE_LIMITED])
def test_where_a_trigger_alone_decided_nothing_but_the_trigger_has_to_change(reason: Reason) -> None:
    found = explain(entry_of(reason, triggers=["header: no_bid"]))
    assert found["to_be_accepted"] == ["send it without the trigger no_bid"]


def test_a_trigger_that_meant_nothing_is_not_what_decided() -> None:
    found = explain(entry_of(Reason.NO_BID, triggers=["header: nonsense (no such trigger)"]))
    assert found["decided_by"]["rule"].startswith("auction")


# --- the command line ---------------------------------------------------------------------------------------------


def test_explain_prints_what_the_control_api_explains(up: Running) -> None:
    entry = ingest(up, state="UT", age=30)
    shown = run("explain", entry["id"], "--url", up.base_url)
    assert (shown.returncode, shown.stdout.strip()) == (0, entry["text"].strip())
    as_json = run("explain", entry["id"], "--url", up.base_url, "--json")
    assert json.loads(as_json.stdout) == entry


def test_explain_of_an_unknown_id_ends_with_2_and_names_it(up: Running) -> None:
    ended = run("explain", "req_nobody_1", "--url", up.base_url)
    assert ended.returncode == 2
    assert "req_nobody_1" in ended.stderr


@pytest.mark.parametrize("command", [("explain", "req_a_1"), ("logs",), ("logs", "--follow")])
def test_where_no_sandbox_answers_the_commands_end_with_4(command: tuple[str, ...]) -> None:
    ended = run(*command, "--url", "http://127.0.0.1:9")
    assert ended.returncode == 4
    assert "127.0.0.1:9" in ended.stderr


def test_logs_shows_a_line_a_request_that_leads_to_its_explanation(up: Running) -> None:
    entry = ingest(up, state="UT", age=31)
    shown = run("logs", "--url", up.base_url, "--row", entry["row_id"], "--limit", "1")
    [line] = shown.stdout.splitlines()
    for part in (entry["id"], "POST", "/api/v1/ingest", "422", entry["row_id"], "filtered", "served states"):
        assert part in line


def test_logs_refuses_a_filter_that_cannot_be_read(up: Running) -> None:
    ended = run("logs", "--url", up.base_url, "--http", "often")
    assert ended.returncode == 2
    assert "http" in ended.stderr
