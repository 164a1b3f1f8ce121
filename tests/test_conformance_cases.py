"""Do the cases say what the table says, and does it show when a case, a row or a required key goes missing?"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from conformance import catalogue, golden
from conformance.case import Case, Lever
from conformance.catalogue import CaseFileError
from conformance.journey import Journey
from conformance.passive import FORMATS, Validator
from conformance.session import questions
from simulator.contract.model import Contract, Evidence
from simulator.platforms import CONTRACTS

pytestmark = pytest.mark.long

CASES = catalogue.cases()
JOURNEYS = catalogue.journeys()
ROWS = {row.id: row for contract in CONTRACTS.values() for row in contract.rows}
by_id = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def _without_row(contract: Contract, row_id: str) -> Contract:
    return replace(contract, rows=tuple(row for row in contract.rows if row.id != row_id))


def _without_required(contract: Contract, operation: str, key: str, pointer: str) -> Contract:
    schemas = {name: dict(parts) for name, parts in contract.schemas.items()}
    changed = copy.deepcopy(dict(schemas[operation][key]))
    _drop(changed, pointer.split("/")[1:])
    schemas[operation][key] = changed
    return replace(contract, schemas=schemas)


def _drop(schema: dict[str, Any], parts: list[str]) -> None:
    *way, last = parts
    for part in way:
        if part == "*":
            schema = schema["items"] if isinstance(schema.get("items"), dict) else schema["additionalProperties"]
        else:
            schema = schema["properties"][part]
    schema["required"].remove(last)


# --- nothing may be missing ---------------------------------------------------------------------------------------


def test_each_row_has_a_case_file_of_its_name_and_each_file_a_row() -> None:
    assert catalogue.gaps(CONTRACTS, CASES) == ()


def test_the_contracts_are_those_of_the_golden_list() -> None:
    assert golden.differences(CONTRACTS) == ()


@by_id
def test_a_deleted_case_is_missed(case: Case) -> None:
    [gap] = catalogue.gaps(CONTRACTS, [one for one in CASES if one is not case])
    assert case.id in gap


@pytest.mark.parametrize("platform", CONTRACTS)
def test_each_deleted_row_is_missed_by_the_golden_list_and_by_its_case(platform: str) -> None:
    for row in CONTRACTS[platform].rows:
        fewer = {**CONTRACTS, platform: _without_row(CONTRACTS[platform], row.id)}
        assert any(row.id in line for line in golden.differences(fewer)), row.id
        assert catalogue.gaps(fewer, CASES) == (f"{platform}: case {row.id} has no row",)


@pytest.mark.parametrize("platform", CONTRACTS)
def test_each_deleted_required_key_of_an_answer_is_missed(platform: str) -> None:
    contract, tried = CONTRACTS[platform], 0
    for operation, schemas in contract.schemas.items():
        for key, schema in schemas.items():
            if key == golden.REQUEST:
                continue
            for pointer in set(golden.required_keys(schema)):
                weaker = {**CONTRACTS, platform: _without_required(contract, operation, key, pointer)}
                [line] = golden.differences(weaker)
                assert f"required {key}" in line
                tried += 1
    assert tried > 100


def test_a_changed_status_is_missed_by_the_golden_list() -> None:
    contract = CONTRACTS["pingtree"]
    rows = tuple(replace(row, http=418) if row.id == "PT-PING-201-ACCEPT" else row for row in contract.rows)
    [line] = golden.differences({**CONTRACTS, "pingtree": replace(contract, rows=rows)})
    assert "PT-PING-201-ACCEPT" in line


# --- what the files say -------------------------------------------------------------------------------------------


@by_id
def test_a_case_expects_status_and_row_as_the_table_has_them(case: Case) -> None:
    for step in case.steps:
        if step.expect is not None:
            assert step.expect.http == ROWS[step.expect.row].http
            assert ROWS[step.expect.row].operation == step.operation


@by_id
def test_a_case_is_about_the_row_that_it_claims(case: Case) -> None:
    assert case.verifies == (case.id,)
    assert case.steps[-1].expect is not None
    assert case.steps[-1].expect.row == case.id


# A list of leads has no such word; its case looks at the leads.
@pytest.mark.parametrize("case", [case for case in CASES if case.id != "LD-LOOK-200"], ids=lambda case: case.id)
def test_a_case_looks_at_the_word_in_the_body(case: Case) -> None:
    code, expect = ROWS[case.id].code, [step.expect for step in case.steps if step.expect]
    said = [pair for item in expect if item.row == case.id for pair in item.body.items()]
    words = {str(value) for _, value in said if not isinstance(value, bool)}
    words |= {pointer.rpartition("/")[2] for pointer, value in said if value is True}
    named = code in words
    assert named or "/filter_errors/0" in expect[-1].present


@by_id
def test_only_what_plain_input_cannot_provoke_is_triggered(case: Case) -> None:
    assert (Lever.TRIGGER in case.needs) == (ROWS[case.id].http in {500, 503})


def test_case_ids_and_journey_ids_are_used_once() -> None:
    ids = [question.id for question in questions()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.id)
def test_a_journey_claims_an_invariant_and_rows_that_there_are(journey: Journey) -> None:
    assert journey.verifies[0] == journey.id
    assert journey.title.endswith(".") is False
    assert len(journey.title) > 20
    assert all(row_id in ROWS for row_id in journey.verifies[1:])


def test_the_schema_of_case_files_is_a_schema() -> None:
    Draft202012Validator.check_schema(dict(catalogue.case_schema()))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("title: short", "required"),
        ("title: a title that is long enough\nverifies: [PT-X]\nsteps: []", "non-empty"),
        ("title: a title that is long enough\nverifies: [PT-X]\nsteps: [{send: ping}]", "steps"),
        ("title: a title that is long enough\nverifies: [PT-X]\nsteps: [{advance: 1 s, sned: ping}]", "sned"),
        ("title: a title that is long enough\nverifies: [PT-X]\nneeds: [luck]\nsteps: [{advance: 1 s}]", "luck"),
        ("title: [", "PT-X.yaml"),
    ],
)
def test_a_case_file_with_a_fault_is_named_with_it(text: str, fault: str) -> None:
    with pytest.raises(CaseFileError, match=fault):
        catalogue.read("pingtree", "PT-X", text)


def test_each_patch_of_a_list_becomes_a_step_and_null_takes_a_field_away() -> None:
    text = """
title: A case with two patches in one entry
verifies: [PT-PING-400-INVALID]
steps:
  - send: ping
    each: [{state: null}, {zip_code: "1"}]
    expect: {row: PT-PING-400-INVALID, http: 400}
"""
    first, second = catalogue.read("pingtree", "PT-PING-400-INVALID", text).steps
    assert (first.drop, dict(first.patch)) == (("state",), {})
    assert (second.drop, dict(second.patch)) == ((), {"zip_code": "1"})
    assert first.lead != second.lead


# --- the table's schemas ------------------------------------------------------------------------------------------


def test_all_formats_that_the_schemas_name_are_checked() -> None:
    texts = [json.dumps(schema) for contract in CONTRACTS.values() for schema in contract.schemas.values()]
    named = {part.split('"')[0] for text in texts for part in text.split('"format": "')[1:]}
    assert named <= set(FORMATS)
    assert Validator()


def test_every_row_says_how_well_it_is_documented() -> None:
    assert {row.evidence for row in ROWS.values()} == set(Evidence)


def test_the_schema_of_reports_is_a_schema() -> None:
    found = json.loads(files("conformance").joinpath("report.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(found)
