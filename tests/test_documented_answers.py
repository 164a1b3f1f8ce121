"""Every example that the vendors print, sent to a running sandbox: only host and Pingtree's token are changed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from jsonschema import Draft202012Validator

from fixtures import documented
from simulator.platforms import CONTRACTS
from tests.sandbox import JSON, Answer, Sandbox, lead, number, phone, without

IDENTIFIERS = {"transaction_id", "id", "ping_id"}
EXAMPLES = {f"{platform}/{name}": example for platform in CONTRACTS for name, example in documented(platform).items()}
PING = EXAMPLES["pingtree/ping-accepted.json"]["request"]
INGEST = EXAMPLES["leaddistro/ingest-accepted.json"]["request"]
KEY = INGEST["headers"]["x-api-key"]


@pytest.fixture
def fresh(built_in: Sandbox) -> Sandbox:
    """The built-in sandbox with nobody's lead in it: the printed examples are all of one person."""
    built_in.control("reset")
    return built_in


def sent(sandbox: Sandbox, request: Mapping[str, Any], body: Any = None, **headers: str) -> Answer:
    """Send a printed request, or one with another body or other headers."""
    document = json.dumps(request["body"] if body is None else body).encode()
    given = {name: value for name, value in {**request["headers"], **headers}.items() if value}
    return sandbox.call(request["method"], request["path"], given, document)


def with_ping_token(sandbox: Sandbox, body: Any = None) -> Answer:
    return sent(sandbox, PING, body, **sandbox.source().auth("ping"))


def without_buyers(sandbox: Sandbox) -> Answer:
    return sandbox.source("lnk_nobody").send("ping", PING["body"])


def ingested(sandbox: Sandbox, **changes: Any) -> Answer:
    """Ingest the printed lead as somebody else, with changes."""
    somebody = {"phone": phone(), "email": f"somebody.{number()}@example.com"}
    return sent(sandbox, INGEST, {**INGEST["body"], **somebody, **changes})


def filtered_ping(sandbox: Sandbox) -> Answer:
    return sandbox.supplier(campaign="campaign_filtered").ping(state="NY")


def accepted_ping(sandbox: Sandbox) -> Answer:
    """Send the printed ping; its ids are placeholders and its key is not printed."""
    printed = EXAMPLES["leaddistro/ping-accepted.json"]["request"]
    ids = {name: INGEST["body"][name] for name in ("flo_campaign_id", "flo_supplier_id")}
    return sent(sandbox, printed, {**printed["body"], **ids}, **{"x-api-key": KEY, "Content-Type": JSON})


def printed_lead(sandbox: Sandbox, name: str, kind: str) -> Answer:
    """Sell a lead at the printed moment under the printed id, then send the printed request with a token of our own."""
    request = EXAMPLES[name]["request"]
    sandbox.control("clock", {"freeze": "2025-08-14T10:32:00Z"})
    own = request["query"].get("transaction_id") or request["path"].rpartition("/")[2]
    printed = own if own.startswith("txn_") else "txn_7f3a2b1c-4d56-78ef-9012-abcdef123456"
    assert sandbox.source().form(transaction_id=printed).lead_status == "accepted"
    headers = sandbox.source().auth(kind) if kind else {}
    answer = sandbox.call("GET", f"{request['path']}?{urlencode(request['query'])}", headers)
    sandbox.control("clock", {"reset": True})
    return answer


def listed_as_generation_1(sandbox: Sandbox) -> Answer:
    """The built-in sandbox follows the other generation: a trigger words one answer under this one."""
    request = EXAMPLES["pingtree/list-leads.json"]["request"]
    headers = sandbox.source().auth("api") | {"X-Sandbox-Trigger": "PT-LIST-201-G1"}
    answer = sandbox.sent("GET", request["path"], headers)
    schema = CONTRACTS["pingtree"].schemas["list"]["PT-LIST-201-G1"]
    Draft202012Validator(schema).validate(answer.body)
    return replace(answer, rows=frozenset({"PT-LIST-201-G1"}))


# What is sent to get each printed answer: the printed request, or that with the one change which its text names.
REQUESTS: Mapping[str, Callable[[Sandbox], Answer]] = {
    "pingtree/ping-accepted.json": with_ping_token,
    "pingtree/ping-rejected.json": without_buyers,
    "pingtree/ping-missing-field.json": lambda box: with_ping_token(box, without(PING["body"], "state")),
    "pingtree/ping-unauthorized.json": lambda box: sent(box, PING),
    "pingtree/fetch-found.json": lambda box: printed_lead(box, "pingtree/fetch-found.json", "api"),
    "pingtree/list-leads.json": lambda box: printed_lead(box, "pingtree/list-leads.json", "api"),
    "pingtree/list-generation-1.json": listed_as_generation_1,
    "pingtree/click-listing.json": lambda box: printed_lead(box, "pingtree/click-listing.json", ""),
    "leaddistro/ingest-accepted.json": lambda box: sent(box, INGEST),
    "leaddistro/ingest-unmatched.json": lambda box: ingested(box, state="WA"),
    "leaddistro/ingest-unauthorized.json": lambda box: sent(box, INGEST, **{"x-api-key": ""}),
    "leaddistro/ingest-forbidden.json": lambda box: ingested(box, flo_campaign_id="campaign_unlinked"),
    "leaddistro/ingest-unknown-campaign.json": lambda box: ingested(box, flo_campaign_id="campaign_of_nobody"),
    "leaddistro/ingest-validation-failed.json": lambda box: ingested(box, phone="555", case_type="unheard of"),
    "leaddistro/ping-accepted.json": accepted_ping,
    "leaddistro/ping-filtered.json": filtered_ping,
}


def shape(value: Any) -> Any:
    """What a value is made of: keys and types, no contents."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [json.loads(one) for one in sorted({json.dumps(shape(inner)) for inner in value})]
    return type(value).__name__


def holds(whole: Any, part: Any) -> bool:
    """Whether everything in `part` stands in `whole`."""
    if isinstance(part, dict):
        return all(key in whole and holds(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return all(any(holds(one, item) for one in whole) for item in part)
    return bool(whole == part)


def at_home(sandbox: Sandbox, value: Any) -> Any:
    """The printed body with the platform's host changed to ours."""
    return json.loads(json.dumps(value).replace(CONTRACTS["pingtree"].base_url, sandbox.base_url))


def without_identifiers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_identifiers(inner) for key, inner in value.items() if key not in IDENTIFIERS}
    return value


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_printed_example_is_what_the_running_sandbox_answers(fresh: Sandbox, name: str) -> None:
    example = EXAMPLES[name]
    printed = example["response"]
    answer = REQUESTS[name](fresh)
    assert example["row"] in answer.rows
    assert printed["status"] in {answer.status, None}
    if example.get("cut"):
        assert holds(shape(answer.body), shape(printed["body"]))
        assert holds(answer.body, at_home(fresh, printed["body"]))
    else:
        assert shape(answer.body) == shape(printed["body"])
    if "field_errors" not in printed["body"]:  # whose printed messages are of a campaign that we do not know
        expected = at_home(fresh, printed["body"])
        assert holds(without_identifiers(answer.body), without_identifiers(expected))


def test_every_printed_example_is_sent() -> None:
    assert REQUESTS.keys() == EXAMPLES.keys()


def test_the_printed_lead_is_a_duplicate_the_second_time(fresh: Sandbox) -> None:
    who = lead()
    assert ingested(fresh, **who).status == 201
    assert ingested(fresh, **who).rows == {"LD-ING-200-DUPLICATE"}


@pytest.mark.parametrize("platform", sorted(CONTRACTS))
def test_the_example_of_every_operation_works_on_the_built_in_sandbox(fresh: Sandbox, platform: str) -> None:
    curls = [item["curl"] for item in fresh.welcome["requests"] if item["platform"] == platform]
    assert len(curls) == len(CONTRACTS[platform].operations)
    assert all(fresh.base_url in curl for curl in curls)


def test_a_ping_then_a_post_of_the_built_in_sandbox_is_sold(fresh: Sandbox) -> None:
    source = fresh.source()
    transaction_id = with_ping_token(fresh).data["transaction_id"]
    answer = source.post(transaction_id, PING["body"])
    assert answer.rows == {"PT-POST-201-ACCEPTED"}
    assert answer.data["redirect_url"] == "https://xyz-lenders.example.com/welcome"
