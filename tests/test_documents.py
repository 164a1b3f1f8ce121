"""OpenAPI, the interactive page and the posting specifications: they say what the sandbox does, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from simulator import posting, specs
from simulator.configuration import sandboxes
from simulator.contract.model import ANY_OPERATION, Contract, Operation, words
from simulator.contract.openapi import Subject, document
from simulator.contract.published import Published
from simulator.platforms import CONTRACTS
from simulator.routing.decision import Reason
from tests.programs import program
from tests.running import environment, run, written
from tests.sandbox import Sandbox, running
from tests.tenant import Tenant

TIMEOUT = 30
DAY = "2026-03-04"
SPECIFICATIONS = posting.checked(None)
IDS = [f"{item.source.id}-{item.terms.campaign_id}-{item.operation.name}" for item in SPECIFICATIONS]
LEADS = [pytest.param(item, id=name) for item, name in zip(SPECIFICATIONS, IDS, strict=True)]
VALIDATION = {Reason.MISSING_FIELD, Reason.INVALID_FIELD, Reason.UNACCEPTED_VALUE, Reason.MALFORMED_BODY}


def got(sandbox: Sandbox, path: str, **parameters: str) -> requests.Response:
    return requests.get(f"{sandbox.base_url}/__sandbox/{path}", params=parameters, timeout=TIMEOUT)


# --- OpenAPI --------------------------------------------------------------------------------------------------


def whole(readings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    subjects = [
        Subject(contract, words(contract.readings(**(readings or {}).get(name, {}))), DAY)
        for name, contract in CONTRACTS.items()
    ]
    return document(subjects, title="all", version="1", server="/")


def responses(found: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every answer in the document, with the template of its path and its status."""
    for path, item in found["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield from ((path, status, answer) for status, answer in operation["responses"].items())


def templates(operation: Operation) -> list[str]:
    return [re.sub(r"<(\w+)>", r"{\1}", path) for path in (operation.path, *operation.aliases)]


def test_the_document_is_valid_openapi(built_in: Sandbox) -> None:
    OpenAPIV31SpecValidator(got(built_in, "openapi.json").json()).validate()


@pytest.mark.parametrize("platform", CONTRACTS)
def test_the_document_of_one_platform_is_valid_and_has_nothing_of_another(built_in: Sandbox, platform: str) -> None:
    found = got(built_in, "openapi.json", platform=platform).json()
    OpenAPIV31SpecValidator(found).validate()
    assert set(found["components"]["schemas"]) == {row.id for row in CONTRACTS[platform].rows}


def test_an_unknown_platform_is_refused(built_in: Sandbox) -> None:
    assert got(built_in, "openapi.json", platform="nobody").status_code == 400


def test_every_row_is_an_answer_of_its_operation_under_its_status_with_evidence_and_reading() -> None:
    found = whole()
    shown = {
        (path, status, row["x-row-id"]): row for path, status, answer in responses(found) for row in answer["x-rows"]
    }
    expected: set[tuple[str, str, str]] = set()
    for contract, row in ((owner, one) for owner in CONTRACTS.values() for one in owner.rows):
        if row.operation == ANY_OPERATION:
            said = found["components"]["responses"][row.id]["x-rows"]
        else:
            served = templates(next(item for item in contract.operations if item.name == row.operation))
            places = {(path, str(row.http), row.id) for path in served if path in found["paths"]}
            assert places
            expected |= places
            said = [shown[place] for place in places]
        assert {one["x-evidence"] for one in said} == {row.evidence.value}
        assert {one.get("x-reading", "") for one in said} == {row.reading}
        assert found["components"]["schemas"][row.id]["x-row-id"] == row.id
    assert set(shown) == expected


def test_a_method_or_path_that_the_reading_excludes_is_not_there() -> None:
    form = "/api/lead/add/{source_unique_id}"
    assert "get" in whole()["paths"][form]
    without = whole({"pingtree": {"form_get": False, "form_alias": False}})["paths"]
    assert "get" not in without[form]
    assert "/api/lead/{source_unique_id}" not in without


def test_every_operation_names_the_header_that_opens_it() -> None:
    found = whole()
    schemes = found["components"]["securitySchemes"]
    assert schemes["pingtree_ping"]["scheme"] == "bearer"
    assert schemes["leaddistro_api_key"]["name"] == "x-api-key"
    called = [one for path in found["paths"].values() for name, one in path.items() if name != "parameters"]
    assert {name for one in called for need in one["security"] for name in need} == set(schemes)


@pytest.mark.parametrize("name", ["pingtree ping", "pingtree form", "leaddistro ping", "leaddistro ingest"])
def test_an_answer_of_the_sandbox_is_what_the_document_says_of_its_status(built_in: Sandbox, name: str) -> None:
    tenant, (platform, _, operation_name) = Tenant(built_in.base_url), name.partition(" ")
    found = whole()
    operation = next(item for item in CONTRACTS[platform].operations if item.name == operation_name)
    path = re.sub(r"<(\w+)>", r"{\1}", operation.path)
    for headers in ({}, {"X-Sandbox-Trigger": "http_500"}, {"Authorization": "Bearer nobody", "x-api-key": "nobody"}):
        answer = tenant.say(name, headers=headers)
        content = found["paths"][path]["post"]["responses"][str(answer.status_code)]["content"]
        schema = {"components": found["components"], **content["application/json"]["schema"]}
        Draft202012Validator(schema).validate(answer.json())
    tenant.control("DELETE", f"tenants/{tenant.name}")


# --- the page -------------------------------------------------------------------------------------------------


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given_ = dict(attrs)
        self.found += [value for name, value in attrs if name in {"src", "href"} and value]
        self.inline += tag == "script" and "src" not in given_


def test_the_page_loads_only_what_the_sandbox_serves_and_runs_no_inline_script(built_in: Sandbox) -> None:
    page = got(built_in, "docs")
    links = Links(page.text)
    assert len(links.found) == 5
    assert links.inline == 0
    for link in links.found:
        assert link.startswith("/__sandbox/docs/")
        assert len(requests.get(built_in.base_url + link, timeout=TIMEOUT).content) > 100
    assert "validatorUrl: null" in got(built_in, "docs/start.js").text


def test_the_page_may_speak_to_nobody_but_the_sandbox(built_in: Sandbox) -> None:
    policy = got(built_in, "docs").headers["Content-Security-Policy"]
    given_ = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert given_["default-src"] == "'none'"
    assert given_["connect-src"] == given_["script-src"] == "'self'"
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("name", ["..%2f__init__.py", "swagger-ui.js", "LICENSE", "nothing"])
def test_the_page_serves_no_other_file(built_in: Sandbox, name: str) -> None:
    assert got(built_in, f"docs/{name}").status_code == 404


# --- posting specifications -----------------------------------------------------------------------------------


def sent(sandbox: Sandbox, item: Published, lead: Any) -> dict[str, Any]:
    """Send a lead as its specification says; return the journal's entry of the request."""
    found_header = item.contract.admission.header(item.source, item.operation)
    assert found_header is not None
    header = dict([found_header])
    url = sandbox.base_url + specs.path_of(item)
    answer = requests.post(url, json=lead, headers=header, timeout=TIMEOUT)
    found: dict[str, Any] = got(sandbox, f"requests/{answer.headers['X-Sandbox-Request-Id']}").json()
    return found


def is_invalid(entry: Mapping[str, Any]) -> bool:
    return entry["reason"] in VALIDATION


@pytest.mark.parametrize("item", LEADS)
def test_the_example_of_a_specification_obeys_it_and_is_taken(built_in: Sandbox, item: Published) -> None:
    assert list(Draft202012Validator(item.schema).iter_errors(item.example_on(DAY))) == []
    assert not is_invalid(sent(built_in, item, item.example_on(DAY)))


# No lone surrogate and no NUL: JSON cannot carry the one, and no lead may have the other.
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
FORMATTED = {
    # Plain ones: what else is an e-mail address, two validators do not agree about.
    "email": st.from_regex(r"[a-z][a-z0-9.]{0,20}[a-z]@example\.(com|org|net)", fullmatch=True).filter(
        lambda text: ".." not in text
    ),
    "date": st.dates().map(str),
    "uri": st.integers(0, 999).map("https://example.com/{}".format),
}
TYPED = {
    "string": st.text(CHARACTERS, max_size=40),
    "integer": st.integers(-(2**53), 2**53),
    "number": st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9),
    "boolean": st.booleans(),
}


def values(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values of every kind that a field's schema allows, filtered by the schema itself."""
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    drawn = FORMATTED[schema["format"]] if "format" in schema else TYPED[schema["type"]]
    if "pattern" in schema:
        drawn = st.from_regex(schema["pattern"], alphabet=CHARACTERS).map(lambda text: text.removesuffix("\n"))
    return drawn.filter(Draft202012Validator(schema).is_valid)


def leads(item: Published) -> st.SearchStrategy[dict[str, Any]]:
    """Leads of every kind that a specification allows."""
    schema = item.schema
    found = {name: values(value) for name, value in schema["properties"].items()}
    optional = {name: drawn for name, drawn in found.items() if name not in schema["required"]}
    required = {name: drawn for name, drawn in found.items() if name in schema["required"]}
    return st.fixed_dictionaries(required, optional=optional)


@pytest.mark.parametrize("number", range(len(SPECIFICATIONS)), ids=IDS)
def test_whatever_obeys_a_specification_passes_validation(built_in: Sandbox, number: int) -> None:
    item = SPECIFICATIONS[number]

    @settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(lead=leads(item))
    def passes(lead: dict[str, Any]) -> None:
        entry = sent(built_in, item, lead)
        assert not is_invalid(entry), (entry["reason"], entry["detail"])

    passes()


def forbidden(item: Published) -> Iterator[tuple[str, dict[str, Any]]]:
    """Leads that break the specification in one place."""
    schema, good = item.schema, item.example_on(DAY)
    linked = {item.token_field}
    for name in schema["required"]:
        yield f"without {name}", {key: value for key, value in good.items() if key != name}
    for name, value in schema["properties"].items():
        if "x-transform" in value or name in linked or "const" in value:
            continue
        for wrong in ([1], {"a": 1}, 3.5, True, "no such value"):
            if not Draft202012Validator(value, format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid(wrong):
                yield f"{name} = {wrong!r}", {**good, name: wrong}


@pytest.mark.parametrize("item", LEADS)
def test_whatever_a_specification_forbids_is_refused(built_in: Sandbox, item: Published) -> None:
    tried = list(forbidden(item))
    assert len(tried) > 10
    for what, lead in tried:
        entry = sent(built_in, item, lead)
        assert is_invalid(entry) or entry["reason"] == Reason.PING_MISSING, (what, entry["reason"])


def test_a_lead_for_another_campaign_than_the_specification_fixes_is_not_taken_under_it(built_in: Sandbox) -> None:
    [item] = [
        one
        for one in posting.named(SPECIFICATIONS, "supplier_test")
        if (one.terms.campaign_id, one.operation.name) == ("campaign_abc123", "ping")
    ]
    assert (
        sent(built_in, item, {**item.example_on(DAY), "flo_campaign_id": "campaign_filtered"})["reason"] == "not_linked"
    )


def test_a_ping_post_campaign_demands_the_token_unless_the_reading_forgives_it() -> None:
    def demanded(**readings: Any) -> set[str]:
        sandbox, read_file = sandboxes.load(None)
        section = sandbox.leaddistro.model_copy(update={"readings": CONTRACTS["leaddistro"].readings(**readings)})
        found = posting.specifications(sandbox.model_copy(update={"leaddistro": section}), read_file)
        return {one.token_field for one in found if one.terms.campaign_id == "campaign_pingpost"}

    assert demanded() == {"", "flo_ping_id"}
    assert demanded(ping_token_failure="ignore") == {""}


FORMATS = {
    "html": "text/html",
    "markdown": "text/markdown",
    "schema": "application/json",
    "openapi": "application/json",
    "curl": "text/plain",
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["src_strict", "lnk_strict", "supplier_xyz789"])
def test_a_specification_is_served_in_every_format(built_in: Sandbox, name: str, form: str) -> None:
    answer = got(built_in, f"specs/{name}", format=form)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(FORMATS[form])
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(FORMATS) == set(specs.FORMATS)


@pytest.mark.parametrize("name", ["src_strict", "supplier_xyz789"])
def test_the_openapi_document_of_a_source_is_valid_and_names_its_own_path(built_in: Sandbox, name: str) -> None:
    found = got(built_in, f"specs/{name}", format="openapi").json()
    OpenAPIV31SpecValidator(found).validate()
    assert "/api/lead/ping/lnk_strict" in found["paths"] or "/api/v1/ingest" in found["paths"]
    assert found["servers"] == [{"url": built_in.base_url}]


def test_the_rules_that_no_schema_can_show_stand_in_the_specification(built_in: Sandbox) -> None:
    page = got(built_in, "specs/src_strict", format="markdown").text
    for rule in ("CA, NY, TX", "At most 100 leads a day", "at least 1000 dollars", "within 300 seconds"):
        assert rule in page


@pytest.mark.parametrize(
    ("path", "status"),
    [("specs/nobody", 404), ("specs/your_supplier_api_key", 404), ("specs/src_strict?format=pdf", 400)],
)
def test_an_unknown_name_a_key_in_its_place_and_an_unknown_format_are_refused(
    built_in: Sandbox, path: str, status: int
) -> None:
    assert got(built_in, path).status_code == status


def test_a_regenerated_token_stands_in_the_specification_at_once(built_in: Sandbox) -> None:
    tenant = Tenant(built_in.base_url)
    new = tenant.control(
        "POST", "credentials/regenerate", {"platform": "pingtree", "owner": "src_abc123", "kind": "ping"}
    )
    assert new.json()["credential"] in tenant.control("GET", "specs/src_abc123?format=curl").text
    assert tenant.name in tenant.control("GET", "specs/src_abc123").text
    tenant.control("DELETE", f"tenants/{tenant.name}")


def test_names_in_the_sandbox_file_cannot_write_html(tmp_path: Any) -> None:
    bad = "<script>alert(1)</script>"
    field = {"name": "a|b", "label": bad, "required": ["ping"]}
    source = {
        "id": "<b>",
        "link_id": "lnk",
        "fields": [field],
        "conditions": [{"name": bad, "field": "x", "operator": "==", "value": bad}],
    }
    document_ = {"pingtree": {"campaigns": [{"id": "c", "sources": [source]}]}}
    with running(tmp_path, document_) as sandbox:
        page = got(sandbox, "specs/lnk")
        assert "<script" not in page.text
        assert page.text.count("&lt;script&gt;") >= 3
        assert "<b>" not in page.text
        markdown = got(sandbox, "specs/lnk", format="markdown").text
        assert "`a\\|b`" in markdown
        outside = re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
        assert "<script" not in outside


def test_the_curls_of_a_specification_are_taken_as_they_are(built_in: Sandbox) -> None:
    program("curl")
    tenant = Tenant(built_in.base_url)  # the example's person is known to nobody in it
    script = tenant.control("GET", "specs/src_dedupe?format=curl").text.replace("curl ", "curl -s -w '\\n' ")
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True, timeout=60)
    said = [json.loads(line)["data"]["leadStatus"] for line in done.stdout.splitlines()]
    # The form is of somebody else; the update is of the lead that was posted.
    assert said == ["ping_accept", "accepted", "accepted", "accepted"]
    tenant.control("DELETE", f"tenants/{tenant.name}")


def curls(tenant: Tenant, name: str) -> list[tuple[str, str, str]]:
    """Return operation, campaign and command of each curl in a specification."""
    text = tenant.control("GET", f"specs/{name}?format=curl").text
    found = re.split(r"^# (\w+), (\S+)\n", text, flags=re.MULTILINE)[1:]
    return list(zip(found[::3], found[1::3], found[2::3], strict=True))


def pasted(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    script = (
        command.replace("curl ", "curl -s ", 1) if "\ncurl" not in command else command.replace("\ncurl", "\ncurl -s")
    )
    return subprocess.run(
        ["bash", "-c", script], env=environment(**variables), capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", ["src_abc123", "src_dedupe", "src_strict", "supplier_xyz789", "supplier_test"])
def test_who_pastes_the_curls_of_a_specification_and_reads_the_answers_breaks_no_duty(
    built_in: Sandbox, name: str
) -> None:
    program("curl")
    tenant = Tenant(built_in.base_url)
    variables: dict[str, str] = {}
    refused = ""
    for operation, campaign, command in curls(tenant, name):
        if campaign == refused:
            continue
        answer = json.loads(pasted(command, **variables).stdout)
        if operation == "ping":
            told = answer.get("data", answer)
            refused = "" if told.get("accepted") or told.get("leadStatus") == "ping_accept" else campaign
            variables = {"TXN": told.get("transaction_id", ""), "PING_TOKEN": told.get("ping_id", "")}
            tenant.control("POST", "clock", {"advance": 5})  # the consumer reads what the buyer says
    card = tenant.control("GET", "audit").json()
    assert {duty["duty"] for part in card["platforms"].values() for duty in part["duties"] if duty["findings"]} <= {
        "D64"
    }
    assert not {"fail", "warn"} & card["summary"].keys()
    tenant.control("DELETE", f"tenants/{tenant.name}")


def test_a_curl_that_needs_what_the_ping_answered_sends_nothing_without_it(built_in: Sandbox) -> None:
    program("curl")
    tenant = Tenant(built_in.base_url)
    [command] = [
        text
        for operation, campaign, text in curls(tenant, "supplier_xyz789")
        if (operation, campaign) == ("ingest", "campaign_pingpost")
    ]
    done = pasted(command)
    assert done.returncode != 0
    assert "what the ping answered" in done.stderr
    assert tenant.control("GET", "requests").json()["requests"] == []
    tenant.control("DELETE", f"tenants/{tenant.name}")


def test_the_example_of_a_post_has_consent_of_the_day_on_which_it_is_told(built_in: Sandbox) -> None:
    tenant = Tenant(built_in.base_url)
    tenant.control("POST", "clock", {"freeze": True})
    tenant.control("POST", "clock", {"set": "2027-05-06T12:00:00Z"})
    paths = [
        tenant.control("GET", name).json()["paths"] for name in ("openapi.json", "specs/src_abc123?format=openapi")
    ]
    for path in (next(item for path, item in found.items() if path.startswith("/api/lead/post/")) for found in paths):
        example = path["post"]["requestBody"]["content"]["application/json"]["example"]
        assert (example["tcpa_consent"], example["tcpa_consent_date"]) == ("yes", "2027-05-06")
    tenant.control("DELETE", f"tenants/{tenant.name}")


@pytest.mark.parametrize(
    ("form", "told"), [({"type": "date"}, "\"'$(date -u +%F)'\""), ({"acceptable": ["2020", "2021"]}, '"2020"')]
)
def test_a_date_that_a_sandbox_file_gives_a_form_has_it_in_the_curl(
    tmp_path: Path, form: dict[str, Any], told: str
) -> None:
    field = {"name": "tcpa_consent_date", "required": ["post"], **form}
    source = {"id": "src", "link_id": "lnk", "fields": [field]}
    file = written(tmp_path, {"pingtree": {"campaigns": [{"id": "c", "sources": [source]}]}})
    curls_ = run("spec", "src", "--format", "curl", "--config", file).stdout
    assert f'"tcpa_consent_date": {told}' in curls_.partition("# post, ")[2].partition("# form, ")[0]


def contract_and_operation() -> list[tuple[Contract, Operation]]:
    return [(contract, operation) for contract in CONTRACTS.values() for operation in contract.operations]


@pytest.mark.parametrize(("contract", "operation"), contract_and_operation(), ids=lambda one: getattr(one, "name", ""))
def test_every_operation_has_a_path_of_its_own_in_the_document(contract: Contract, operation: Operation) -> None:
    path = re.sub(r"<(\w+)>", r"{\1}", operation.path)
    called = whole()["paths"][path]
    assert {name.upper() for name in called} - {"PARAMETERS"} == set(operation.methods)
    assert contract.platform in called[next(iter(operation.methods)).lower()]["tags"]
