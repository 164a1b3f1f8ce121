"""Lead Distro AI's lead-update, over HTTP. Its fields and answers are the sandbox's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from simulator.contract.model import Evidence
from simulator.platforms import CONTRACTS
from tests.sandbox import FORM, Answer, Sandbox, Supplier, lead, running

CONFIG: dict[str, Any] = {
    "leaddistro": {
        "campaigns": [{"id": "campaign_abc123", "buyers": [{"id": "buyer", "price": 10}]}],
        "suppliers": [
            {"id": "supplier_xyz789", "api_key": "key_one", "campaigns": ["campaign_abc123"]},
            {"id": "second", "api_key": "key_two", "campaigns": ["campaign_abc123"]},
        ],
    }
}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("update"), CONFIG) as started:
        yield started
        assert started.log.read_text() == ""


@pytest.fixture
def supplier(box: Sandbox) -> Supplier:
    return box.supplier()


def update(supplier: Supplier, **fields: Any) -> Answer:
    return supplier.send("lead-update", fields)


def stored(supplier: Supplier, lead_id: str) -> str:
    [(values,)] = supplier.sandbox.query("SELECT values_json FROM leads WHERE id = ?", lead_id)
    return str(values)


def test_every_row_of_it_is_called_ours() -> None:
    rows = CONTRACTS["leaddistro"].rows_of("update")
    assert {row.evidence for row in rows} == {Evidence.OURS}
    assert {code for row in rows for code in row.covers} == {"LD-UPD-2XX"}


@pytest.mark.parametrize("name", ["id", "phone", "email"])
def test_a_lead_is_found_by_its_id_phone_or_email(supplier: Supplier, name: str) -> None:
    who = lead()
    sold = supplier.ingest(who).data["id"]
    answer = update(supplier, outcome="converted", **{name: {**who, "id": sold}[name]})
    assert answer.rows == {"LD-UPD-200"}
    assert answer.data == {"id": sold, "campaign_id": "campaign_abc123", "updated": True}
    assert '"outcome":"converted"' in stored(supplier, sold)


def test_what_was_told_before_and_the_lead_itself_stay(supplier: Supplier) -> None:
    who = lead()
    sold = supplier.ingest(who).data["id"]
    update(supplier, id=sold, outcome="contacted", sales_rep="Ann", call_count=2, speed_to_lead_seconds=30)
    update(supplier, id=sold, outcome="converted", revenue=250.5, first_name="Mallory", status="REJECTED")
    values = stored(supplier, sold)
    for part in ('"outcome":"converted"', '"sales_rep":"Ann"', '"call_count":2', '"revenue":250.5', who["first_name"]):
        assert part in values
    assert "Mallory" not in values
    assert "REJECTED" not in values


def test_of_several_leads_the_newest_is_meant(box: Sandbox, supplier: Supplier) -> None:
    who = lead()
    first = supplier.ingest(who).data["id"]
    box.control("clock", {"advance": "31 days"})
    second = supplier.ingest(who).data["id"]
    assert update(supplier, phone=who["phone"], outcome="won").data["id"] == second != first
    box.control("clock", {"reset": True})


def test_another_supplier_s_lead_is_not_found(box: Sandbox, supplier: Supplier) -> None:
    sold = supplier.ingest().data["id"]
    for answer in (
        update(box.supplier("second"), id=sold, outcome="won"),
        update(supplier, id="nobody", outcome="won"),
    ):
        assert answer.rows == {"LD-UPD-404"}
        assert answer.body["error"] == "lead_not_found"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"outcome": "won"}, {"id": "required"}),
        ({"id": "x"}, {"outcome": "required"}),
        ({"id": "x", "note": "no field of it"}, {"outcome": "required"}),
        ({"phone": "5", "outcome": "won"}, {"phone": "invalid_format"}),
        ({"id": 5, "outcome": "won"}, {"id": "invalid_format"}),
        ({"id": "x", "revenue": "much"}, {"revenue": "invalid_format"}),
        ({"id": "x", "call_count": -1}, {"call_count": "invalid_format"}),
    ],
)
def test_a_fault_is_a_field_error(supplier: Supplier, fields: dict[str, Any], error: dict[str, str]) -> None:
    answer = update(supplier, **fields)
    assert answer.rows == {"LD-UPD-400"}
    assert answer.fields_in_error == error


def test_a_form_encoded_update_is_read_as_the_types_that_it_means(supplier: Supplier) -> None:
    sold = supplier.ingest().data["id"]
    answer = supplier.send("lead-update", {"id": sold, "revenue": "12.5", "call_count": "3"}, form=True)
    assert answer.status == 200
    assert '"revenue":12.5,"call_count":3' in stored(supplier, sold)
    assert supplier.sandbox.call("POST", "/api/v1/lead-update", {"Content-Type": FORM}, b"").status == 401


def test_it_takes_a_key_and_post_only(box: Sandbox, supplier: Supplier) -> None:
    assert box.call("POST", "/api/v1/lead-update", {"x-api-key": "nonsense"}, b"{}").rows == {"LD-UPD-401"}
    assert box.call("GET", "/api/v1/lead-update", supplier.auth).rows == {"LD-UPD-405"}
