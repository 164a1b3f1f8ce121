"""What the vendors print, transcribed by hand, against the table, the schemas and the wording."""

import copy
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fixtures import documented
from simulator.contract.model import Contract, Evidence, Row, words
from simulator.platforms import CONTRACTS
from simulator.routing.agreed import Offer
from simulator.routing.decision import Decision, FieldError, KeptLead, Reason

EXAMPLES = [
    pytest.param(platform, example, id=f"{platform}-{name}")
    for platform in CONTRACTS
    for name, example in documented(platform).items()
]
TABLES = [
    pytest.param(platform, table, id=f"{platform}-{name}")
    for platform in CONTRACTS
    for name, table in documented(platform, "status_tables").items()
]
each_example = pytest.mark.parametrize(("platform", "example"), EXAMPLES)
each_table = pytest.mark.parametrize(("platform", "table"), TABLES)

OPTIONAL = {"buyerTcpa"}  # "some campaigns return" it

TXN = "txn_7f3a2b1c-4d56-78ef-9012-abcdef123456"
TCPA = "By submitting this form you agree to be contacted by XYZ Lenders..."
LEAD = KeptLead(
    id="lead_1",
    campaign_id="cmp_9z8y7x6w",
    source_id="src_abc123",
    buyer_id="buyer_1",
    status="ACCEPTED",
    state="CA",
    zip_code="90001",
    price=Decimal(45),
    is_test=False,
    at=datetime(2025, 8, 14, 10, 32, tzinfo=UTC),
    transaction_id=TXN,
)
# What must have been decided for the printed answer to be given.
DECISIONS = {
    "PT-FETCH-200-FOUND": Decision(Reason.FOUND, found=(LEAD,)),
    "PT-LIST-200": Decision(Reason.FOUND, found=(LEAD,), total=1),
    "PT-LIST-201-G1": Decision(Reason.FOUND),
    "PT-CLICK-200-OFFERS": Decision(
        Reason.OFFERED,
        campaign_id="cmp_9z8y7x6w",
        source_id="src_abc123",
        transaction_id="txn_7f3a2b1c",
        offers=(Offer("cl_001"),),
    ),
    "PT-PING-201-ACCEPT": Decision(Reason.BID, transaction_id=TXN, price=Decimal(45), tcpa=TCPA),
    "PT-PING-201-REJECT": Decision(Reason.NO_BID, transaction_id=TXN),
    "PT-PING-400-MISSING": Decision(
        Reason.MISSING_FIELD, errors=(FieldError("state", "required", "state is required"),)
    ),
    "PT-PING-401-AUTH": Decision(Reason.UNAUTHORIZED, "No such token"),
    "LD-ING-201-ACCEPTED": Decision(
        Reason.SOLD, lead_id="lead_id", buyer_id="buyer_abc", campaign_id="campaign_abc123"
    ),
    "LD-ING-200-UNMATCHED": Decision(Reason.UNMATCHED, lead_id="lead_id", campaign_id="campaign_abc123"),
    "LD-ING-400-VALIDATION": Decision(
        Reason.INVALID_FIELD,
        errors=(
            FieldError("phone", "invalid_format", "Phone must be 10-15 digits"),
            FieldError("case_type", "required", "case_type is required for this campaign"),
        ),
    ),
    "LD-ING-401-UNAUTHORIZED": Decision(Reason.UNAUTHORIZED),
    "LD-ING-403-FORBIDDEN": Decision(Reason.NOT_LINKED),
    "LD-ING-404-CAMPAIGN": Decision(Reason.UNKNOWN_CAMPAIGN),
    "LD-PING-200-ACCEPTED": Decision(Reason.AVAILABLE, ping_token="eyJjaWQiOiJkZDJiM2..."),
    "LD-PING-200-FILTERED": Decision(Reason.FILTERED),
}


def row_of(platform: str, example: Any) -> tuple[Contract, Row]:
    contract = CONTRACTS[platform]
    return contract, next(row for row in contract.rows if row.id == example["row"])


def conforms(schema: Any, body: Any, *, cut: bool = False) -> bool:
    """Whether the body is valid; of a cut body, whether what is left of it is."""
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return all(cut and error.validator == "required" for error in validator.iter_errors(body))


def holds(whole: Any, part: Any) -> bool:
    """Whether everything in `part` stands in `whole`."""
    if isinstance(part, dict):
        return all(key in whole and holds(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return all(any(holds(one, item) for one in whole) for item in part)
    return bool(whole == part)


def readings_of(contract: Contract, example: Any) -> Any:
    """The readings that an example's page follows."""
    name, _, value = example.get("reading", "").partition("=")
    return contract.readings(**({name: value} if name else {}))


def keys_in(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        if isinstance(node, dict):
            yield (*path, key)
        yield from keys_in(value, (*path, key))


def taken(body: Any, path: tuple[Any, ...], new_name: str = "") -> Any:
    """The body without the key at `path`, or with the key renamed."""
    changed = copy.deepcopy(body)
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    value = parent.pop(path[-1])
    if new_name:
        parent[new_name] = value
    return changed


@each_example
def test_a_printed_answer_is_what_the_sandbox_says(platform: str, example: dict[str, Any]) -> None:
    contract, row = row_of(platform, example)
    decision = DECISIONS[row.id]
    readings = readings_of(contract, example)
    assert contract.row_for(example["operation"], decision.reason, words(readings)) is row
    body, printed = contract.render(row, decision, readings).body, example["response"]["body"]
    assert holds(body, printed) if example.get("cut") else body == printed


@each_example
def test_a_printed_status_is_the_status_of_its_row(platform: str, example: dict[str, Any]) -> None:
    _, row = row_of(platform, example)
    assert example["response"]["status"] in {row.http, None}
    if row.evidence is Evidence.FULL:
        assert example["response"]["status"] == row.http


@each_example
def test_a_printed_answer_conforms_and_stops_to_when_a_key_goes_or_changes(
    platform: str, example: dict[str, Any]
) -> None:
    contract, row = row_of(platform, example)
    schema, body = contract.schemas[row.operation][row.id], example["response"]["body"]
    cut = example.get("cut", False)
    assert conforms(schema, body, cut=cut)
    for path in keys_in(body):
        assert cut or conforms(schema, taken(body, path)) == (path[-1] in OPTIONAL), path
        assert not conforms(schema, taken(body, path, f"{path[-1]}_"), cut=cut), path


@each_example
def test_a_printed_request_is_one_that_the_operation_takes(platform: str, example: dict[str, Any]) -> None:
    contract, row = row_of(platform, example)
    if "request" not in example:
        return
    operation = next(item for item in contract.operations if item.name == row.operation)
    request = example["request"]
    assert request["method"] in operation.methods
    assert re.fullmatch(re.sub(r"<\w+>", "[^/]+", operation.path), request["path"])
    sent = request["body"] if "body" in request else request["query"]
    in_path = dict.fromkeys(operation.arguments.values(), "in the path")
    assert conforms(contract.schemas[row.operation]["request"], in_path | sent)


@pytest.mark.parametrize(("platform", "row_id"), [("leaddistro", "LD-ING-201-ACCEPTED")])
def test_a_printed_request_without_a_required_field_is_refused(platform: str, row_id: str) -> None:
    request = documented(platform)["ingest-accepted.json"]["request"]["body"]
    schema = CONTRACTS[platform].schemas["ingest"]["request"]
    refused = {name for name in request if not conforms(schema, taken(request, (name,)))}
    assert refused == {"flo_campaign_id", "flo_supplier_id", "first_name", "last_name", "phone", "email"}


@pytest.mark.parametrize("platform", CONTRACTS)
def test_every_fully_documented_row_has_a_printed_example(platform: str) -> None:
    printed = {example["row"] for example in documented(platform).values()}
    full = {row.id for row in CONTRACTS[platform].rows if row.evidence is Evidence.FULL}
    assert full <= printed


@each_table
def test_every_line_of_a_printed_status_table_is_a_documented_row(platform: str, table: dict[str, Any]) -> None:
    rows = CONTRACTS[platform].rows_of(table["operation"])
    found = [(row.http, row.code) for row in rows if row.evidence is not Evidence.OURS]
    for line in table["rows"]:
        assert any(http == line["http"] and line["code"] in {code, None} for http, code in found), line


@each_table
def test_a_complete_status_table_has_every_documented_row(platform: str, table: dict[str, Any]) -> None:
    if table["complete"]:
        rows = CONTRACTS[platform].rows_of(table["operation"])
        found = {(row.http, row.code) for row in rows if row.evidence is not Evidence.OURS}
        assert found == {(line["http"], line["code"]) for line in table["rows"]}
