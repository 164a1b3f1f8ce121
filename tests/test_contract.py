"""The vendors' contracts as data: rows, readings, schemas, and the wording of each row."""

import importlib.util
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator

from simulator.contract.model import ANY_OPERATION, Contract, Evidence, Row, in_force, words
from simulator.contract.reference import status_codes_page
from simulator.contract.table import load_formats, load_rows, load_schemas
from simulator.platforms import CONTRACTS
from simulator.routing.agreed import FieldType, Offer
from simulator.routing.decision import Bid, Check, Decision, FieldError, KeptLead, Reason

DOCS = Path(__file__).parent.parent / "docs"

UNREADABLE = "invalid_field malformed_body wrong_content_type body_too_large"
SENT_WRONG = f"missing_field unaccepted_value {UNREADABLE}"
GATES = "cap_reached outside_hours outside_area filtered suppressed"
TROUBLE = "unauthorized wrong_method internal_error maintenance rate_limited"
SUPPLIER = f"not_linked foreign_supplier unknown_campaign {SENT_WRONG} {TROUBLE}"
NO_TOKEN = "wrong_method internal_error maintenance"
UNLIMITED = f"unauthorized {NO_TOKEN}"
ASKED_WRONG = "missing_field invalid_field unaccepted_value malformed_body"
EVENT = (
    "fired event_unknown transaction_missing lead_unknown revenue_missing event_repeated event_locked source_inactive"
)
TOKEN_FAILURES = "ping_expired ping_mismatch ping_used ping_missing ping_invalid"

# Every way in which each operation can end.
ENDINGS = {
    ("pingtree", "ping"): f"bid no_bid ping_repeated {SENT_WRONG} {GATES} {TROUBLE}",
    ("pingtree", "post"): f"sold unsold duplicate ping_unknown ping_rejected ping_expired ping_used "
    f"{SENT_WRONG} {GATES} {TROUBLE}",
    ("pingtree", "form"): f"sold unsold duplicate ping_repeated {SENT_WRONG} {GATES} {TROUBLE}",
    ("pingtree", "update"): "updated updated_unsold lead_unknown outside_hours outside_area filtered suppressed "
    f"{SENT_WRONG} {UNLIMITED}",
    ("pingtree", "fetch"): f"found found_duplicate lead_unknown {ASKED_WRONG} {UNLIMITED}",
    ("pingtree", "list"): f"found unknown_campaign {ASKED_WRONG} {UNLIMITED}",
    ("pingtree", "event"): f"{EVENT} unknown_campaign {SENT_WRONG} {NO_TOKEN}",
    ("pingtree", "global_event"): f"{EVENT} {SENT_WRONG} {NO_TOKEN}",
    ("pingtree", "clicks"): f"offered no_offer lead_unknown unknown_campaign {ASKED_WRONG} {UNLIMITED}",
    ("pingtree", "click"): f"redirected lead_unknown unknown_campaign offer_unknown {ASKED_WRONG} {NO_TOKEN}",
    ("pingtree", "*"): "unknown_path",
    ("leaddistro", "ping"): f"available filtered suppressed no_buyer duplicate {SUPPLIER}",
    (
        "leaddistro",
        "ingest",
    ): "sold sold_past_suppression unmatched queued duplicate duplicate_routed filtered "
    f"suppressed {TOKEN_FAILURES} {SUPPLIER}",
    ("leaddistro", "lookup"): f"found missing_field invalid_field malformed_body {TROUBLE}",
    ("leaddistro", "update"): f"updated lead_unknown {SENT_WRONG} {UNLIMITED}",
    ("leaddistro", "*"): "unknown_path",
}

# The ids of contract.md section 3 for these operations, typed in by hand.
DOSSIER = {
    "pingtree": """
        PT-PING-201-ACCEPT PT-PING-201-REJECT PT-PING-400-MISSING PT-PING-400-INVALID PT-PING-400-RULE
        PT-PING-401-AUTH PT-PING-405-METHOD PT-PING-500-INTERNAL
        PT-POST-201-ACCEPTED PT-POST-201-UNSOLD PT-POST-201-DUPLICATE PT-POST-400-MISSING PT-POST-400-INVALID
        PT-POST-400-RULE PT-POST-401-AUTH PT-POST-405-METHOD PT-POST-500-INTERNAL
        PT-FORM-201-ACCEPTED PT-FORM-2XX-SUCCESS PT-FORM-4XX-FIELD PT-FORM-401-AUTH PT-FORM-REJ-VALIDATION
        PT-FORM-REJ-SUPPRESS PT-FORM-REJ-ENUM
        PT-UPD-201-ACCEPTED PT-UPD-201-UNSOLD PT-UPD-400-MISSING PT-UPD-400-INVALID PT-UPD-400-REJECTED
        PT-UPD-401-AUTH PT-UPD-405-METHOD PT-UPD-500-INTERNAL
        PT-FETCH-200-FOUND PT-FETCH-200-DUP PT-FETCH-400 PT-FETCH-401 PT-FETCH-500
        PT-LIST-200 PT-LIST-400 PT-LIST-401 PT-LIST-500 PT-LIST-201-G1
        PT-EVT-200-FIRED PT-EVT-400-EVENTID PT-EVT-400-TXN PT-EVT-400-CID PT-EVT-400-REVENUE PT-EVT-400-DUP
        PT-EVT-403-INACTIVE PT-EVT-403-LOCK PT-EVT-500
        PT-GEVT-200 PT-GEVT-400-EVENTID PT-GEVT-400-TXN PT-GEVT-LEAD-NOT-FOUND PT-GEVT-400-DUP
        PT-CLICK-200-OFFERS PT-CLICK-200-EMPTY PT-CLICK-400 PT-CLICK-500
    """,
    "leaddistro": """
        LD-ING-201-ACCEPTED LD-ING-200-UNMATCHED LD-ING-XXX-DUPLICATE LD-ING-201-DUP-ROUTED
        LD-ING-400-VALIDATION
        LD-ING-401-UNAUTHORIZED LD-ING-403-FORBIDDEN LD-ING-404-CAMPAIGN LD-ING-422-FILTER
        LD-ING-400-FILTER-ALT
        LD-ING-422-SUPPRESS LD-ING-2XX-SUPPRESS-SKIP LD-ING-429-RATE LD-ING-500 LD-ING-503
        LD-ING-PING-EXPIRED LD-ING-PING-MISMATCH LD-ING-PING-REUSED LD-ING-PING-MISSING
        LD-PING-200-ACCEPTED LD-PING-200-BIDS LD-PING-200-FILTERED LD-PING-200-SUPPRESSED LD-PING-200-NO-BUYER
        LD-PING-200-DUPLICATE LD-PING-400 LD-PING-401 LD-PING-403 LD-PING-429
        LD-LOOK-401 LD-LOOK-429 LD-UPD-2XX
    """,
}

# Of those, the ones that the dossier calls documented in full, and the ones it infers. The HTTP status of
# LD-PING-200-ACCEPTED is inferred though its body is printed, so it is in neither.
FULL = """
    PT-PING-201-ACCEPT PT-PING-201-REJECT PT-PING-400-MISSING PT-PING-401-AUTH LD-ING-201-ACCEPTED
    LD-ING-200-UNMATCHED LD-ING-400-VALIDATION LD-ING-401-UNAUTHORIZED LD-ING-403-FORBIDDEN
    PT-FETCH-200-FOUND PT-LIST-201-G1
"""
INFERRED = """
    PT-POST-201-UNSOLD PT-POST-201-DUPLICATE PT-POST-400-MISSING PT-POST-400-INVALID PT-POST-400-RULE
    PT-POST-401-AUTH PT-POST-405-METHOD PT-POST-500-INTERNAL LD-ING-PING-EXPIRED LD-ING-PING-MISMATCH
    LD-ING-PING-REUSED LD-ING-PING-MISSING LD-PING-200-SUPPRESSED LD-PING-200-NO-BUYER LD-PING-200-DUPLICATE
    LD-PING-400
"""

ROWS = [
    pytest.param(contract, row, id=f"{name}-{row.id}") for name, contract in CONTRACTS.items() for row in contract.rows
]
OPERATIONS = [
    pytest.param(name, operation, id=f"{name}-{operation}")
    for name, contract in CONTRACTS.items()
    for operation in (*(item.name for item in contract.operations), ANY_OPERATION)
]
each_platform = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
each_row = pytest.mark.parametrize(("contract", "row"), ROWS)
each_operation = pytest.mark.parametrize(("platform", "operation"), OPERATIONS)


def row_named(row_id: str) -> tuple[Contract, Row]:
    return next((contract, row) for contract in CONTRACTS.values() for row in contract.rows if row.id == row_id)


def values_of(contract: Contract, reading: str) -> list[Any]:
    annotation = contract.readings.model_fields[reading].annotation
    return [False, True] if annotation is bool else list(get_args(annotation))


def readings_that_vary(contract: Contract) -> list[Any]:
    """The default, and every other value of every reading that has a closed list of values."""
    return [
        contract.readings(),
        *(
            contract.readings(**{name: value})
            for name in contract.readings.model_fields
            for value in values_of(contract, name)
        ),
    ]


KEPT = KeptLead(
    id="lead_1",
    campaign_id="campaign_1",
    source_id="supplier_1",
    buyer_id="buyer_1",
    status="ACCEPTED",
    state="TX",
    zip_code="75001",
    price=Decimal(45),
    is_test=False,
    at=datetime(2026, 5, 4, 12, 30, tzinfo=UTC),
)


def about_a_lead(reason: Reason) -> dict[str, Any]:
    """What an answer about a lead that was sent before is about."""
    is_duplicate = reason is Reason.FOUND_DUPLICATE
    lead = replace(KEPT, transaction_id="txn_1", is_duplicate=is_duplicate)
    redirect_url = "https://example.com/offer" if reason is Reason.REDIRECTED else ""
    return {"source_id": "src_1", "event_id": "evt_1", "redirect_url": redirect_url, "found": (lead,), "total": 1}


def least(reason: Reason) -> Decision:
    """The decision with no more than what its answer cannot do without."""
    return Decision(
        reason,
        lead_id="lead_1",
        campaign_id="campaign_1",
        transaction_id="txn_1",
        buyer_id="buyer_1",
        price=Decimal(45),
        ping_token="token",
        bids=(Bid("buyer_1", Decimal("45.5")),),
        allow=("POST",),
        **about_a_lead(reason),
        offers=(Offer("cl_001", url="https://example.com/offer"),) if reason is Reason.OFFERED else (),
    )


OFFERS = (
    Offer(
        "cl_001", "Title", "Description", "https://example.com/logo.png", "Go", "mobile", "https://example.com/offer"
    ),
    Offer("cl/2", url="https://example.com/offer"),
)


def most(reason: Reason) -> Decision:
    kept = replace(KEPT, transaction_id="txn_1", is_duplicate=reason is Reason.FOUND_DUPLICATE)
    return Decision(
        reason,
        detail="A sentence",
        errors=(
            FieldError("state", "required", "state is required"),
            FieldError("zip_code", "odd", "No ZIP"),
        ),
        failed_rules=(Check("states", passed=False, detail="state is not TX"), Check("hours", passed=False)),
        lead_id="lead_1",
        campaign_id="campaign_1",
        source_id="src_1",
        event_id="evt_1",
        transaction_id="txn_1",
        is_duplicate=True,
        buyer_id="buyer_1",
        buyer_name="XYZ Lenders",
        price=Decimal("45.00"),
        tcpa="You agree to be contacted",
        redirect_url="https://example.com/thanks",
        ping_token="token",
        bids=(Bid("buyer_1", Decimal(45)), Bid("buyer_2", Decimal(40))),
        retry_after=7,
        allow=("GET", "POST"),
        found=(
            replace(kept, redirect_url="https://example.com/thanks", values={"email": "john@example.com", "x": 1}),
            replace(kept, buyer_id="", status="UNMATCHED", price=None, state="", zip_code=""),
        ),
        total=12,
        offers=OFFERS if reason is Reason.OFFERED else (),
        origin="http://127.0.0.1:8080",
    )


def errors_of(schema: Any, value: Any) -> list[str]:
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(value)]


def answer(contract: Contract, row: Row, decision: Decision, **readings: Any) -> Any:
    return contract.render(row, decision, contract.readings(**readings))


def default_answer(contract: Contract, row: Row) -> dict[str, Any]:
    name, _, value = row.reading.partition("=")
    readings = {name: next(item for item in values_of(contract, name) if str(item) == value)} if name else {}
    body: dict[str, Any] = answer(contract, row, most(row.answers[0]), **readings).body
    return body


# Rows


@each_operation
def test_each_ending_has_exactly_one_row_under_every_combination_of_readings(platform: str, operation: str) -> None:
    contract = CONTRACTS[platform]
    rows = contract.rows_of(operation)
    names = sorted({row.reading.partition("=")[0] for row in rows if row.reading})
    for chosen in itertools.product(*(values_of(contract, name) for name in names)):
        readings = words(contract.readings(**dict(zip(names, chosen, strict=True))))
        for word in ENDINGS[platform, operation].split():
            found = [row.id for row in rows if Reason(word) in row.answers and in_force(row.reading, readings)]
            ignored = word in TOKEN_FAILURES.split() and readings.get("ping_token_failure") == "ignore"
            assert len(found) == (0 if ignored else 1), (word, chosen, found)
            assert ignored or contract.row_for(operation, Reason(word), readings).id == found[0]


@each_operation
def test_no_row_answers_a_reason_that_its_operation_cannot_end_with(platform: str, operation: str) -> None:
    answered = {reason.value for row in CONTRACTS[platform].rows_of(operation) for reason in row.answers}
    assert answered == set(ENDINGS[platform, operation].split())


@each_platform
def test_no_two_rows_are_the_same_answer(contract: Contract) -> None:
    keys = [(row.operation, row.http, row.code, row.reading, row.answers) for row in contract.rows]
    assert len(keys) == len(set(keys))


@each_row
def test_a_row_belongs_to_an_operation_and_carries_its_prefix(contract: Contract, row: Row) -> None:
    prefixes = {item.name: item.prefix for item in contract.operations}
    if row.operation == ANY_OPERATION:
        assert "-ANY-" in row.id
    else:
        assert row.id.startswith(prefixes[row.operation] + "-")


@each_row
def test_a_row_says_what_it_means_and_where_that_is_written(contract: Contract, row: Row) -> None:
    assert row.meaning.endswith(".")
    assert row.source
    assert all(source.startswith(("seed:", "public:/")) for source in row.source)


@each_row
def test_the_reading_of_a_row_is_one_that_can_be_chosen(contract: Contract, row: Row) -> None:
    if row.reading:
        name, _, value = row.reading.partition("=")
        assert value in [words(contract.readings(**{name: item}))[name] for item in values_of(contract, name)]


@each_platform
def test_the_readings_of_operations_are_ones_that_can_be_chosen(contract: Contract) -> None:
    for operation in contract.operations:
        for mapping in (operation.methods, operation.bodies, operation.aliases):
            for reading in filter(None, mapping.values()):
                name, _, value = reading.partition("=")
                assert value in {"true", "false"}
                assert contract.readings.model_fields[name].annotation is bool


@each_platform
def test_paths_lie_under_the_prefix_of_the_platform(contract: Contract) -> None:
    paths = {path for operation in contract.operations for path in (operation.path, *operation.aliases)}
    outside = {path for path in paths if not path.startswith(contract.path_prefix)}
    printed_without = {"/click/list/<campaign_id>/<transaction_id>"}  # the page of this one prints no prefix
    assert outside == (printed_without if contract.platform == "pingtree" else set())


@each_platform
def test_every_dossier_row_of_these_operations_is_in_the_table(contract: Contract) -> None:
    carried = {row.id for row in contract.rows}.union(*(row.covers for row in contract.rows))
    wanted = set(DOSSIER[contract.platform].split())
    assert wanted <= carried
    assert set().union(*(row.covers for row in contract.rows)) <= wanted


@each_row
def test_a_row_is_as_well_documented_as_the_dossier_says(contract: Contract, row: Row) -> None:
    if row.id in DOSSIER[contract.platform].split():
        assert (row.evidence is Evidence.FULL) == (row.id in FULL.split())
        assert (row.evidence is Evidence.OURS) == (row.id in INFERRED.split())


@each_row
def test_the_status_that_an_id_or_a_reading_names_is_the_http_status(contract: Contract, row: Row) -> None:
    named = re.findall(r"\b\d{3}\b", f"{row.id} {row.reading}")
    assert {int(status) for status in named} <= {row.http}


@each_platform
def test_no_row_that_only_the_sandbox_has_is_called_documented(contract: Contract) -> None:
    wanted = set(DOSSIER[contract.platform].split())
    for row in contract.rows:
        if row.evidence is not Evidence.OURS:
            assert wanted & {row.id, *row.covers}, row.id


@each_operation
def test_a_reason_outside_the_table_is_a_hole_and_not_an_answer(platform: str, operation: str) -> None:
    contract = CONTRACTS[platform]
    hole = Reason.PING_MISMATCH if operation != "ingest" else Reason.BID
    with pytest.raises(LookupError, match=f"no row of '{re.escape(operation)}' answers '{hole}'"):
        contract.row_for(operation, hole, words(contract.readings()))


GOOD_ROW = """
[[row]]
id = "X-1"
operation = "ping"
http = 201
code = "ok"
answers = ["bid"]
evidence = "full"
source = ["seed:001"]
meaning = "Yes."
"""


def test_a_row_needs_neither_reading_nor_covers(tmp_path: Path) -> None:
    path = tmp_path / "rows.toml"
    path.write_text(GOOD_ROW)
    assert load_rows(path) == (Row("X-1", "ping", 201, "ok", (Reason.BID,), Evidence.FULL, ("seed:001",), "Yes."),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('code = "ok"', 'kode = "ok"', "row X-1: column code: missing"),
        ('code = "ok"', 'code = "ok"\nprice = 1', "row X-1: column price: unknown"),
        ('code = "ok"', "code = 1", "row X-1: column code: not a string"),
        ("http = 201", 'http = "201"', "row X-1: column http: '201'"),
        ("http = 201", "http = 1", "row X-1: column http: 1 is no HTTP status"),
        ("http = 201", "http = true", "row X-1: column http: True"),
        ('["bid"]', '["bet"]', "row X-1: column answers: 'bet' is no reason"),
        ('["bid"]', '"bid"', "row X-1: column answers: not a list of strings"),
        ('["seed:001"]', "[1]", "row X-1: column source: not a list of strings"),
        ('"full"', '"sure"', "row X-1: column evidence: 'sure'"),
        ('code = "ok"', 'code = "ok"\nreading = "gen1"', "row X-1: column reading: 'gen1' is not name=value"),
        ('id = "X-1"', "", "row without id: column id: missing"),
        ('"Yes."\n', '"Yes."\n' + GOOD_ROW, "row X-1: column id: used twice"),
    ],
)
def test_a_wrong_table_is_refused_by_row_and_column(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "rows.toml"
    path.write_text(GOOD_ROW.replace(old, new))
    with pytest.raises(ValueError, match="^" + message.replace("[", r"\[")):
        load_rows(path)


# Readings


@each_platform
def test_every_reading_names_its_conflict_or_gap(contract: Contract) -> None:
    for field in contract.readings.model_fields.values():
        assert (field.description or "").startswith(("C", "gap: "))


@each_platform
def test_an_unknown_reading_is_refused(contract: Contract) -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        contract.readings(moon_phase="full")


def test_readings_flatten_to_words_that_keep_their_spelling() -> None:
    pingtree = words(CONTRACTS["pingtree"].readings(unaccepted_value="invalidField"))
    assert (pingtree["form_get"], pingtree["unaccepted_value"], pingtree["token_grace_seconds"]) == (
        "true",
        "invalidField",
        "0",
    )
    assert words(CONTRACTS["leaddistro"].readings(filter_failure_http=400))["filter_failure_http"] == "400"


# Schemas


def without_references(node: Any) -> bool:
    if isinstance(node, dict):
        return "$ref" not in node and all(map(without_references, node.values()))
    return not isinstance(node, list) or all(map(without_references, node))


@each_row
def test_a_row_has_a_valid_schema_that_is_complete_in_itself(contract: Contract, row: Row) -> None:
    schema = contract.schemas[row.operation][row.id]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert without_references(schema)


@each_operation
def test_every_schema_is_the_request_or_a_row_under_a_reading(platform: str, operation: str) -> None:
    contract = CONTRACTS[platform]
    ids = {row.id for row in contract.rows_of(operation)}
    assert ("request" in contract.schemas[operation]) == (operation != ANY_OPERATION)
    for key, schema in contract.schemas[operation].items():
        Draft202012Validator.check_schema(schema)
        row_id, _, reading = key.partition("@")
        assert row_id in ids | {"request"}
        if reading:
            name, _, value = reading.partition("=")
            assert value in [str(item).lower() for item in values_of(contract, name)]


@each_platform
def test_there_are_schemas_for_the_operations_and_no_others(contract: Contract) -> None:
    assert set(contract.schemas) == {*(item.name for item in contract.operations), ANY_OPERATION}


@each_platform
def test_every_field_type_has_a_format(contract: Contract) -> None:
    assert set(contract.formats) == set(FieldType)
    for schema in contract.formats.values():
        Draft202012Validator.check_schema(schema)


@each_platform
def test_requests_spell_no_format_of_their_own(contract: Contract) -> None:
    formats = [dict(schema) for schema in contract.formats.values()]
    for operation in contract.operations:
        for name, schema in contract.schemas[operation.name]["request"]["properties"].items():
            rules = {key: schema[key] for key in ("type", "format", "pattern") if key in schema}
            assert any(
                rules == {key: known[key] for key in ("type", "format", "pattern") if key in known} for known in formats
            ), name


VALUES = [
    ("pingtree", FieldType.PHONE, ["2125550123"], ["12125550123", "212-555-0123", "212555012", ""]),
    ("pingtree", FieldType.ZIP, ["90001"], ["9000", "90001-1234", "9000a"]),
    ("leaddistro", FieldType.PHONE, ["5551234567", "+1 (212) 555-0123"], ["555123456", "1" * 16, "phone"]),
    ("leaddistro", FieldType.ZIP, ["90001", "90001-1234"], ["9000", "90001-12"]),
    *(
        (platform, *rest)
        for platform in CONTRACTS
        for rest in [
            (FieldType.STATE, ["CA", "tx"], ["California", "C", "C1"]),
            (FieldType.DATE, ["1990-02-28"], ["1990-02-30", "02/28/1990"]),
            (FieldType.EMAIL, ["john@example.com"], ["john", ""]),
            (FieldType.URL, ["https://example.com/a"], ["example", ""]),
            (FieldType.INTEGER, [5], ["5", 5.5, True]),
            (FieldType.NUMBER, [5, 5.5], ["5"]),
            (FieldType.BOOLEAN, [True], ["true", 1]),
            (FieldType.STRING, ["", "a"], [1]),
            (FieldType.LIST, ["a"], [1]),
        ]
    ),
]


@pytest.mark.parametrize(("platform", "kind", "good", "bad"), VALUES, ids=[f"{item[0]}-{item[1]}" for item in VALUES])
def test_formats_take_and_refuse_the_same_in_both_validators(
    platform: str, kind: FieldType, good: list[Any], bad: list[Any]
) -> None:
    schema = dict(CONTRACTS[platform].formats[kind])
    fast = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    for value in good:
        assert not errors_of(schema, value), value
        assert fast.is_valid(value), value
    for value in bad:
        assert errors_of(schema, value), value
        assert not fast.is_valid(value), value


def test_shared_parts_are_brought_in_and_may_be_narrowed(tmp_path: Path) -> None:
    (tmp_path / "_formats.json").write_text('{"$defs": {"string": {"type": "string"}}}')
    (tmp_path / "any.json").write_text(
        '{"$defs": {"X": {"items": [{"$ref": "_formats.json#/$defs/string", "minLength": 1}]}}}'
    )
    (tmp_path / "notes.txt").write_text("not read")
    schema = load_schemas(tmp_path)["*"]["X"]
    assert schema["items"] == [{"type": "string", "minLength": 1}]
    assert load_formats(tmp_path) == {FieldType.STRING: {"type": "string"}}


# Wording


@each_row
@pytest.mark.parametrize("decision", [least, most])
def test_an_answer_conforms_to_its_schema_under_every_reading(
    contract: Contract, row: Row, decision: Callable[[Reason], Decision]
) -> None:
    checked = 0
    for readings in readings_that_vary(contract):
        chosen = words(readings)
        if not in_force(row.reading, chosen):
            continue
        schema = contract.schema_for(row, chosen)
        for reason in row.answers:
            body = contract.render(row, decision(reason), readings).body
            assert not errors_of(schema, body), (reason, readings, body)
            checked += 1
    assert checked


@each_row
def test_an_answer_is_refused_by_the_schema_of_every_row_that_says_something_else(contract: Contract, row: Row) -> None:
    body = default_answer(contract, row)
    for other in contract.rows_of(row.operation):
        says_the_same = (other.code, str(body.get("status"))) == (row.code, str(other.http)) or (
            "status" not in body and other.code == row.code
        )
        if not says_the_same:
            assert errors_of(contract.schemas[other.operation][other.id], body), other.id


@each_row
def test_an_unknown_key_is_refused(contract: Contract, row: Row) -> None:
    body = default_answer(contract, row)
    schema = contract.schemas[row.operation][row.id]
    assert not errors_of(schema, body)
    assert errors_of(schema, body | {"debug": True})
    if "data" in body:
        assert errors_of(schema, body | {"data": body["data"] | {"debug": True}})


@each_row
def test_the_http_status_or_the_code_is_in_the_body(contract: Contract, row: Row) -> None:
    body = default_answer(contract, row)
    found = {str(body.get(key)) for key in ("status", "error", "reason")}
    found |= {str(word) for pair in body.get("data", {}).items() for word in pair}
    found |= {"accepted"} if body.get("accepted") is True else set()
    assert row.code in found
    assert row.http == int(body.get("status", row.http))


def test_the_amount_is_a_string_required_on_accept_and_forbidden_on_reject() -> None:
    contract, accept = row_named("PT-PING-201-ACCEPT")
    schema = contract.schemas["ping"]["PT-PING-201-ACCEPT"]
    body = answer(contract, accept, most(Reason.BID)).body
    for amount in (45.0, "45", "45.000", "-1.00", ""):
        assert errors_of(schema, body | {"data": body["data"] | {"amount": amount}})
    rejected = answer(contract, row_named("PT-PING-201-REJECT")[1], most(Reason.NO_BID)).body
    assert "amount" not in rejected["data"]
    with_amount = rejected | {"data": rejected["data"] | {"amount": "45.00"}}
    assert errors_of(contract.schemas["ping"]["PT-PING-201-REJECT"], with_amount)


def test_an_amount_has_two_decimals() -> None:
    contract, row = row_named("PT-PING-201-ACCEPT")
    body = answer(contract, row, Decision(Reason.BID, price=Decimal("12.5"), transaction_id="txn_1")).body
    assert body["data"]["amount"] == "12.50"
    assert "buyerTcpa" not in body["data"]


def test_only_the_reading_makes_a_pingtree_answer_name_the_buyer() -> None:
    contract, row = row_named("PT-PING-201-ACCEPT")
    assert "buyer_name" not in answer(contract, row, most(Reason.BID)).body["data"]
    named = answer(contract, row, most(Reason.BID), name_buyer=True).body
    assert named["data"]["buyer_name"] == "XYZ Lenders"


def test_generation_1_is_flat() -> None:
    contract = CONTRACTS["pingtree"]
    for row in contract.rows:
        assert "data" not in answer(contract, row, most(row.answers[0]), envelope="gen1").body
    _, row = row_named("PT-FORM-201-ACCEPTED")
    assert answer(contract, row, most(Reason.SOLD), envelope="gen1").body == {
        "status": "201",
        "type": "success",
        "message": "Lead accepted",
        "isDeDupe": "true",
        "lead_status": "sold",
        "transaction_id": "txn_1",
        "redirect_url": "https://example.com/thanks",
        "buyer_name": "XYZ Lenders",
    }


def test_a_missing_field_is_named_before_an_invalid_one() -> None:
    contract, row = row_named("PT-POST-400-MISSING")
    errors = (FieldError("mobile", "invalid_format", "10 digits"), FieldError("email", "required", "needed"))
    body = answer(contract, row, Decision(Reason.MISSING_FIELD, errors=errors)).body
    assert body["message"] == "Missing required field: email"


@each_row
def test_an_internal_error_tells_nothing_of_its_cause(contract: Contract, row: Row) -> None:
    if Reason.INTERNAL_ERROR in row.answers:
        body = answer(contract, row, Decision(Reason.INTERNAL_ERROR, detail="KeyError: 'secret'")).body
        assert "secret" not in str(body)


def test_a_redirect_names_the_place_that_it_leads_to() -> None:
    contract, row = row_named("PT-REDIR-302")
    assert answer(contract, row, most(Reason.REDIRECTED)).headers == (("Location", "https://example.com/thanks"),)


@each_row
def test_a_wrong_method_is_told_the_right_ones(contract: Contract, row: Row) -> None:
    if Reason.WRONG_METHOD in row.answers:
        rendered = answer(contract, row, Decision(Reason.WRONG_METHOD, allow=("GET", "POST")))
        assert rendered.headers == (("Allow", "GET, POST"),)


@each_row
def test_a_rate_limit_names_whole_seconds(contract: Contract, row: Row) -> None:
    if Reason.RATE_LIMITED in row.answers:
        assert ("Retry-After", "7") in answer(contract, row, most(Reason.RATE_LIMITED)).headers
        assert ("Retry-After", "1") in answer(contract, row, least(Reason.RATE_LIMITED)).headers


@pytest.mark.parametrize("row_id", ["LD-ING-429-RATE", "LD-PING-429", "LD-LOOK-429"])
def test_each_of_the_three_carriers_of_the_wait_can_be_switched_off(row_id: str) -> None:
    contract, row = row_named(row_id)
    decision = most(Reason.RATE_LIMITED)
    everything = answer(contract, row, decision)
    assert (everything.headers, everything.body["retry_after"]) == (
        (("Retry-After", "7"), ("retry_after", "7")),
        7,
    )
    assert answer(contract, row, decision, retry_after_header=False).headers == (("retry_after", "7"),)
    assert answer(contract, row, decision, retry_after_underscore_header=False).headers == (("Retry-After", "7"),)
    assert "retry_after" not in answer(contract, row, decision, retry_after_body=False).body


def test_filter_errors_are_objects_or_names() -> None:
    contract, row = row_named("LD-ING-422-FILTER")
    decision = most(Reason.FILTERED)
    assert answer(contract, row, decision).body["filter_errors"][0] == {
        "rule": "states",
        "message": "state is not TX",
    }
    named = answer(contract, row, decision, filter_errors_shape="strings").body
    assert named["filter_errors"] == ["states", "hours"]


def test_a_ping_names_bids_only_under_the_reading_and_by_its_key() -> None:
    contract = CONTRACTS["leaddistro"]
    assert set(answer(contract, row_named("LD-PING-200-ACCEPTED")[1], most(Reason.AVAILABLE)).body) == {
        "accepted",
        "ping_id",
        "message",
    }
    _, row = row_named("LD-PING-200-BIDS")
    body = answer(contract, row, most(Reason.AVAILABLE), ping_bids="on", ping_bids_key="offers").body
    assert body["offers"][0] == {"buyer_id": "buyer_1", "price": "45.00"}
    assert not errors_of(contract.schemas["ping"]["LD-PING-200-BIDS"], body)


@pytest.mark.parametrize(
    ("row_id", "code"),
    [
        ("LD-ING-PING-EXPIRED", "expired"),
        ("LD-ING-PING-MISMATCH", "mismatch"),
        ("LD-ING-PING-REUSED", "used"),
        ("LD-ING-PING-MISSING", "required"),
        ("LD-ING-PING-INVALID", "invalid"),
    ],
)
def test_a_failed_ping_token_is_a_field_error_of_flo_ping_id(row_id: str, code: str) -> None:
    contract, row = row_named(row_id)
    (error,) = answer(contract, row, Decision(row.answers[0])).body["field_errors"]
    assert (error["field"], error["code"]) == ("flo_ping_id", code)


def test_a_lead_that_found_a_buyer_is_answered_201_and_one_that_did_not_200() -> None:
    rows = CONTRACTS["leaddistro"].rows_of("ingest")
    assert {row.http for row in rows if row.code == "ACCEPTED"} == {201}
    assert {row.http for row in rows if row.code == "UNMATCHED"} == {200}


def test_an_unmatched_lead_has_no_buyer() -> None:
    contract, row = row_named("LD-ING-200-UNMATCHED")
    assert answer(contract, row, most(Reason.UNMATCHED)).body["data"]["buyer_id"] is None


# Normalisation


@pytest.mark.parametrize(("platform", "phone"), [("pingtree", "mobile"), ("leaddistro", "phone")])
def test_a_lead_is_routed_by_one_spelling_of_phone_email_state_and_zip(platform: str, phone: str) -> None:
    values = {
        phone: "+1 (212) 555-0123",
        "email": " John@Example.COM ",
        "state": "tx ",
        "zip_code": "90001-1234",
    }
    lead = CONTRACTS[platform].normalise(values)
    assert (lead.phone, lead.email, lead.state, lead.zip_code) == (
        "2125550123",
        "john@example.com",
        "TX",
        "90001",
    )
    assert lead.values is values


@each_platform
@pytest.mark.parametrize("values", [{}, {"mobile": None, "phone": None, "email": None, "state": None}])
def test_what_was_not_sent_is_empty(contract: Contract, values: dict[str, Any]) -> None:
    lead = contract.normalise(values)
    assert (lead.phone, lead.email, lead.state, lead.zip_code) == ("", "", "", "")


def test_a_phone_that_came_as_a_number_is_read_and_a_foreign_one_keeps_its_digits() -> None:
    normalise = CONTRACTS["leaddistro"].normalise
    assert normalise({"phone": 12125550123}).phone == "2125550123"
    assert normalise({"phone": "+44 20 7946 0123"}).phone == "442079460123"
    assert normalise({"phone": "22125550123"}).phone == "22125550123"


# The page


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_pages_are_up_to_date() -> None:
    assert generator().main(["--check"]) == 0


def test_a_stale_page_fails_the_check_until_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = generator()
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    assert module.main(["--check"]) == 1
    assert list(tmp_path.iterdir()) == []
    assert module.main([]) == 0
    assert module.main(["--check"]) == 0


@each_row
def test_the_page_of_status_codes_shows_every_row(contract: Contract, row: Row) -> None:
    assert f"| `{row.id}` | {row.http} | `{row.code}` | {row.evidence} |" in status_codes_page(CONTRACTS)
