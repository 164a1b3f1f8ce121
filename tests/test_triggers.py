"""Every documented outcome on purpose: from the lead, by header, by an armed fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from simulator.contract.model import ANY_OPERATION, Contract, Operation, Row, words
from simulator.platforms import CONTRACTS
from simulator.triggers.readings import under
from simulator.triggers.table import Words, aliases, behaviours, words_of
from tests.sandbox import Sandbox
from tests.tenant import Tenant


def _rows() -> Iterator[Any]:
    for contract in CONTRACTS.values():
        for row in contract.rows:
            if row.operation != ANY_OPERATION:
                yield pytest.param(contract, row, id=row.id)


def _operation(contract: Contract, row: Row) -> Operation:
    return next(item for item in contract.operations if item.name == row.operation)


@pytest.fixture(scope="module")
def tenant(built_in: Sandbox) -> Tenant:
    return Tenant(built_in.base_url)


def _assert_is(contract: Contract, row: Row, answer: requests.Response) -> None:
    readings = words(under(row.reading, contract.readings()))
    assert answer.status_code == row.http, answer.text
    Draft202012Validator(contract.schema_for(row, readings)).validate(answer.json())


@pytest.mark.parametrize(("contract", "row"), list(_rows()))
def test_a_row_named_in_the_lead_is_answered(tenant: Tenant, contract: Contract, row: Row) -> None:
    operation = _operation(contract, row)
    field = "id" if operation.methods.keys() == {"GET"} else "sub1"
    _assert_is(contract, row, tenant.send(contract, operation, {}, **{field: f"sandbox:{row.id}"}))


@pytest.mark.parametrize(("contract", "row"), list(_rows()))
def test_a_row_named_in_the_header_is_answered(tenant: Tenant, contract: Contract, row: Row) -> None:
    answer = tenant.send(contract, _operation(contract, row), {"X-Sandbox-Trigger": row.id.lower()})
    _assert_is(contract, row, answer)


def test_a_path_that_nobody_documents_needs_no_trigger(built_in: Sandbox) -> None:
    for contract in CONTRACTS.values():
        [row] = contract.rows_of(ANY_OPERATION)
        _assert_is(contract, row, requests.get(f"{built_in.base_url}{contract.path_prefix}x/y/z", timeout=10))


def test_a_triggered_bid_can_be_posted_and_is_sold(tenant: Tenant) -> None:
    pinged = tenant.say("pingtree ping", sub1="sandbox:bid=12.50").json()["data"]
    assert pinged["amount"] == "12.50"
    posted = tenant.say("pingtree post", transaction_id=pinged["transaction_id"]).json()["data"]
    assert posted["leadStatus"] == "accepted"
    again = tenant.say("pingtree post", transaction_id=pinged["transaction_id"])
    assert again.status_code == 400, "one sale per ping, triggered or not"


def test_a_post_can_be_refused_after_an_accepted_ping(tenant: Tenant) -> None:
    pinged = tenant.say("pingtree ping", sub2="sandbox:post_reject").json()["data"]
    assert pinged["leadStatus"] == "ping_accept", "a ping is answered as usual"
    posted = tenant.say("pingtree post", transaction_id=pinged["transaction_id"], sub2="sandbox:post_reject")
    assert posted.json()["data"]["leadStatus"] == "unsold"


def test_two_bidders_leave_two_bids_in_the_store(tenant: Tenant) -> None:
    pinged = tenant.say("pingtree ping", zip_code="00002").json()["data"]
    pings = {item["transaction_id"]: item for item in tenant.control("GET", "pings").json()["pings"]}
    amounts = [bid["amount"] for bid in pings[pinged["transaction_id"]]["bids"]]
    assert amounts == ["45.00", "44.00"]


def test_the_lead_wins_over_the_header_and_the_header_over_an_armed_fault(tenant: Tenant) -> None:
    armed = tenant.control("POST", "faults", {"trigger": "http_500", "operation": "ping", "platform": "pingtree"})
    try:
        header = {"X-Sandbox-Trigger": "no_bid"}
        by_lead = tenant.say("pingtree ping", sub1="sandbox:PT-PING-400-RULE", headers=header)
        by_header = tenant.say("pingtree ping", headers=header)
        by_fault = tenant.say("pingtree ping")
    finally:
        tenant.control("DELETE", f"faults/{armed.json()['id']}")
    assert (by_lead.status_code, by_header.status_code, by_fault.status_code) == (400, 201, 500)


def test_a_fault_fires_as_often_as_it_was_armed_for(tenant: Tenant) -> None:
    tenant.control("POST", "faults", {"trigger": "http_503", "operation": "ingest", "count": 2})
    seen = [tenant.say("leaddistro ingest").status_code for _ in range(3)]
    assert seen == [503, 503, 201]
    assert tenant.control("GET", "faults").json()["faults"] == []


def test_a_fault_ends_with_its_time_to_live_on_the_sandbox_clock(tenant: Tenant) -> None:
    tenant.control("POST", "faults", {"trigger": "http_503", "operation": "ingest", "ttl_seconds": 60})
    before = tenant.say("leaddistro ingest").status_code
    tenant.control("POST", "clock", {"advance": "61 s"})
    assert (before, tenant.say("leaddistro ingest").status_code) == (503, 201)


def test_a_seeded_probability_repeats(tenant: Tenant) -> None:
    runs = []
    for _ in range(2):
        tenant.control("POST", "faults", {"trigger": "http_503", "operation": "ingest", "probability": 0.5, "seed": 7})
        runs.append([tenant.say("leaddistro ingest").status_code for _ in range(12)])
        tenant.control("DELETE", "faults")
    assert runs[0] == runs[1]
    assert set(runs[0]) == {201, 503}


def test_a_fault_of_one_source_leaves_the_others_alone(tenant: Tenant) -> None:
    tenant.control("POST", "faults", {"trigger": "http_503", "source": "somebody_else"})
    assert tenant.say("leaddistro ingest").status_code == 201
    tenant.control("DELETE", "faults")


@pytest.mark.parametrize(
    "document", [{"trigger": "no_such"}, {}, {"trigger": "hang", "count": 0}, {"trigger": "hang", "x": 1}]
)
def test_a_fault_that_cannot_be_is_refused_with_problem_details(tenant: Tenant, document: dict[str, Any]) -> None:
    refused = tenant.control("POST", "faults", document)
    assert refused.status_code == 400
    assert refused.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("alias", aliases(), ids=lambda alias: f"{alias.field}={alias.equals}")
def test_an_alias_means_a_trigger_that_exists(alias: Any) -> None:
    assert all(Words(contract).understand(alias.trigger) for contract in CONTRACTS.values())


@pytest.mark.parametrize("word", words_of(CONTRACTS.values()))
def test_every_word_of_the_table_is_understood(word: str) -> None:
    assert any(Words(contract).understand(word) for contract in CONTRACTS.values())


def test_ordinary_leads_are_not_read_for_triggers(tenant: Tenant) -> None:
    said = tenant.say("leaddistro ingest", note="my sandbox is 9999 m long, call 212-555-0142").json()
    assert said["data"]["status"] == "ACCEPTED"


def test_a_phone_number_of_ours_triggers_in_any_spelling(tenant: Tenant) -> None:
    answer = tenant.say("leaddistro ingest", phone="+1 (500) 555-0103")
    assert answer.json()["data"]["status"] == "DUPLICATE"


def test_behaviours_are_named_once_and_explained() -> None:
    assert all(item.meaning.endswith(".") and item.name == name for name, item in behaviours().items())
