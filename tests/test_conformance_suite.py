"""The suite against real servers: our sandbox with all levers and with none, others, and those that are down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from conformance import console, junit, report, runner, session
from conformance.cli import conform
from conformance.client import Client
from conformance.own import own_sandbox
from conformance.preflight import UnreachableError
from conformance.results import UNDOCUMENTED, CaseResult, Exit, Finding, RunResult, Verdict
from simulator.platforms import CONTRACTS

pytestmark = pytest.mark.long

NOW = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
ROWS = [row.id for contract in CONTRACTS.values() for row in contract.rows]
CREDENTIALS = {"PT_PING": "ping", "PT_POST": "post", "PT_FORM": "form"}


@pytest.fixture(scope="module")
def welcome() -> Iterator[dict[str, Any]]:
    with own_sandbox() as found:
        yield found


@pytest.fixture(scope="module")
def opened(welcome: dict[str, Any]) -> Iterator[session.Session]:
    with session.at_url(welcome["base_url"]) as found:
        yield found


@pytest.fixture(scope="module")
def full(opened: session.Session) -> RunResult:
    return session.conduct(opened, session.questions(), NOW)


def _verdicts(run: RunResult) -> dict[str, Verdict]:
    return {result.id: result.verdict for result in run.results}


def _run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(conform, arguments)


# --- our sandbox --------------------------------------------------------------------------------------------------


def test_every_row_of_both_tables_is_asserted_on_our_sandbox(full: RunResult) -> None:
    assert [row.id for row in full.rows] == ROWS
    assert [row.id for row in full.rows if not row.asserted] == []
    assert {result.verdict for result in full.results} == {Verdict.PASS}
    assert (full.exit_code, full.possible, full.achieved) == (Exit.ALL_GREEN, len(ROWS), len(ROWS))


def test_a_second_run_against_the_same_sandbox_finds_the_same(welcome: dict[str, Any], full: RunResult) -> None:
    with session.at_url(welcome["base_url"]) as fresh:
        again = session.conduct(fresh, session.questions(), NOW)
    assert _verdicts(again) == _verdicts(full)
    assert again.requests == full.requests or abs(again.requests - full.requests) < 20


def test_the_same_tenants_can_be_asked_twice(opened: session.Session, full: RunResult) -> None:
    results = runner.run(opened.hall, session.questions())
    assert {result.id: result.verdict for result in results} == _verdicts(full)


def test_each_case_reaches_the_row_that_it_claims_as_the_sandbox_itself_says(opened: session.Session) -> None:
    """Rows that differ in their trigger alone look alike from outside; the journal of the sandbox tells them apart."""
    control = opened.hall.control
    assert control is not None
    missed = {}
    for question in session.questions():
        if question.id not in ROWS:
            continue
        result = runner.ask(opened.hall, question)
        last = {name.lower(): value for name, value in result.exchanges[-1].response_headers.items()}
        row = control.journal(last["x-sandbox-request-id"])["row_id"]
        if row != question.id:
            missed[question.id] = row
    assert missed == {}


def test_a_server_with_another_status_is_caught_by_the_case_that_claims_the_row(opened: session.Session) -> None:
    with _server(_teapot) as url:
        hall = replace(opened.hall, client=Client(url))
        results = [runner.ask(hall, question) for question in session.questions(["PT-PING-4", "LD-ING-2"])]
        hall.client.close()
    survivors = [item.id for item in results if item.verdict not in {Verdict.FAIL, Verdict.INCONCLUSIVE}]
    assert results
    assert survivors == []
    assert runner.passive(results).verdict is Verdict.FAIL


# --- reports ------------------------------------------------------------------------------------------------------


def test_the_report_keeps_its_schema_and_holds_the_exchanges(full: RunResult, tmp_path: Path) -> None:
    report.write(full, tmp_path / "report.json")
    document = json.loads((tmp_path / "report.json").read_text("utf-8"))
    Draft202012Validator(report.schema(), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(document)
    assert document["version"] == 1
    assert document["achieved"] == len(ROWS)
    assert sum(len(result["exchanges"]) for result in document["results"]) > 300


def test_junit_names_the_rows_of_each_test(full: RunResult, tmp_path: Path) -> None:
    junit.write(full, tmp_path / "deep" / "junit.xml")
    root = ET.parse(tmp_path / "deep" / "junit.xml").getroot()
    named = {item.get("value") for item in root.iter("property") if item.get("name") == "row"}
    assert set(ROWS) <= named
    assert UNDOCUMENTED in named
    assert len(list(root.iter("testcase"))) == len(full.results)


def _failed(run: RunResult) -> RunResult:
    finding = Finding("PT-X", "HTTP 201", "HTTP 418\x00", "A buyer bid.", ("seed:001",), 1, "curl -i")
    result = CaseResult(
        "PT-X", "A title", "pingtree", run.results[0].kind, ("PT-X",), Verdict.FAIL, findings=(finding,)
    )
    return replace(run, results=(result,), exit_code=Exit.FAILED)


def test_a_failure_is_printed_with_the_documented_sentence_and_a_curl(full: RunResult) -> None:
    text = "\n".join(console.lines(_failed(full)))
    for part in ("A buyer bid. [PT-X: seed:001]", "HTTP 201", "HTTP 418", "curl -i", "1 FAIL"):
        assert part in text


def test_junit_stays_xml_whatever_a_server_says(full: RunResult, tmp_path: Path) -> None:
    junit.write(_failed(full), tmp_path / "junit.xml")
    assert ET.parse(tmp_path / "junit.xml").getroot().find(".//failure") is not None


# --- a server without levers --------------------------------------------------------------------------------------


def _target_file(folder: Path, url: str, welcome: dict[str, Any], **more: str) -> Path:
    source = welcome["platforms"]["pingtree"]["sources"][0]
    supplier = welcome["platforms"]["leaddistro"]["suppliers"][0]
    path = folder / "target.toml"
    path.write_text(
        f"""
base_url = "{url}"
budget = {{requests = 1000, per_second = 10000}}
{more.get("top", "")}
[platforms.pingtree.accounts.main]
name = "{source["name"]}"
credentials = {{ping = "PT_PING", post = "PT_POST", form = "PT_FORM"}}
lead = {{state = "CA", zip_code = "90001", credit_score = "good"}}
[platforms.leaddistro.accounts.main]
id = "{supplier["id"]}"
credentials = {{api_key = "LD_KEY"}}
lead = {{flo_campaign_id = "campaign_abc123", flo_supplier_id = "{supplier["id"]}", state = "TX"}}
{more.get("bottom", "")}
""",
        "utf-8",
    )
    return path


def _secrets(welcome: dict[str, Any]) -> dict[str, str]:
    credentials = welcome["platforms"]["pingtree"]["sources"][0]["credentials"]
    key = welcome["platforms"]["leaddistro"]["suppliers"][0]["credentials"]["api_key"]
    return {name: credentials[kind] for name, kind in CREDENTIALS.items()} | {"LD_KEY": key}


def test_a_target_without_levers_has_no_false_failure_and_each_gap_its_reason(
    welcome: dict[str, Any], tmp_path: Path
) -> None:
    path, found = _target_file(tmp_path, welcome["base_url"], welcome), tmp_path / "report.json"
    ended = _run("--target", str(path), "--json", str(found), **_secrets(welcome))
    document = json.loads(found.read_text("utf-8"))
    assert ended.exit_code == Exit.INCOMPLETE, ended.output
    assert document["counts"]["FAIL"] == document["counts"]["ERROR"] == 0
    assert 10 < document["achieved"] == document["possible"] < len(ROWS)
    assert f"possible on this target {document['possible']}, achieved {document['achieved']}" in ended.output
    assert all(item["detail"] and item["why"] for item in document["results"] if item["verdict"] == "INCONCLUSIVE")
    assert all(row["why"] for row in document["rows"] if not row["asserted"])


def test_rows_that_are_ours_are_excluded_where_they_do_not_count(welcome: dict[str, Any], tmp_path: Path) -> None:
    with session.from_file(_target_file(tmp_path, welcome["base_url"], welcome), _secrets(welcome)) as found:
        run = session.conduct(found, session.questions(["PT-ANY-404-PATH", "PT-PING-201"]), NOW)
    assert _verdicts(run)["PT-ANY-404-PATH"] is Verdict.EXCLUDED
    assert _verdicts(run)["PT-PING-201-ACCEPT"] is Verdict.PASS


def test_a_report_holds_no_credential_of_a_target_file(welcome: dict[str, Any], tmp_path: Path) -> None:
    found = tmp_path / "report.json"
    path = _target_file(tmp_path, welcome["base_url"], welcome)
    _run("--target", str(path), "--json", str(found), "--only", "PT-PING", **_secrets(welcome))
    text = found.read_text("utf-8")
    assert "$PT_PING" in text
    assert not [value for value in _secrets(welcome).values() if value in text]


def test_a_used_up_budget_is_inconclusive_and_not_a_failure(welcome: dict[str, Any], tmp_path: Path) -> None:
    path = _target_file(tmp_path, welcome["base_url"], welcome)
    path.write_text(path.read_text("utf-8").replace("requests = 1000", "requests = 10"), "utf-8")
    ended = _run("--target", str(path), **_secrets(welcome))
    assert ended.exit_code == Exit.INCOMPLETE, ended.output
    assert "budget" in ended.output
    assert "10 requests in" in ended.output


def test_a_stale_baseline_has_its_own_exit_code(welcome: dict[str, Any], tmp_path: Path) -> None:
    known = tmp_path / "known.toml"
    known.write_text('[[expected]]\nid = "PT-PING-201-ACCEPT"\nuntil = 2999-12-31\nreason = "x"\n', "utf-8")
    path = _target_file(tmp_path, welcome["base_url"], welcome, top='baseline = "known.toml"')
    ended = _run("--target", str(path), "--only", "PT-PING-201-ACCEPT", **_secrets(welcome))
    assert ended.exit_code == Exit.STALE_BASELINE, ended.output


# --- the wrong server ---------------------------------------------------------------------------------------------


def _teapot(handler: BaseHTTPRequestHandler) -> None:
    handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    handler.send_response(418)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"{}")


class _server:  # noqa: N801  used like a function
    """A server that does one thing, on a free port."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        methods = {f"do_{name}": answer for name in ("GET", "POST", "PUT", "DELETE")}
        quiet = {"log_message": lambda *_: None, "protocol_version": "HTTP/1.1"}
        kind = type("Answering", (BaseHTTPRequestHandler,), methods | quiet)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _assert_unreachable(ended: Result, *words: str) -> None:
    assert ended.exit_code == Exit.UNREACHABLE, ended.output
    assert len(ended.output.strip().splitlines()) == 1, ended.output
    assert all(word in ended.output for word in words), ended.output


def test_a_target_that_is_down_is_unreachable() -> None:
    with _server(_teapot) as url:
        pass
    _assert_unreachable(_run("--target", url), "nothing answers")


def test_another_server_is_not_judged() -> None:
    with _server(_teapot) as url:
        _assert_unreachable(_run("--target", url), "no leadsandbox", "target file")


def test_a_target_file_of_a_server_that_is_down_is_unreachable(welcome: dict[str, Any], tmp_path: Path) -> None:
    with _server(_teapot) as url:
        pass
    path = _target_file(tmp_path, url, welcome)
    _assert_unreachable(_run("--target", str(path), **_secrets(welcome)), "nothing answers")


def test_a_target_file_of_another_server_is_not_judged(welcome: dict[str, Any], tmp_path: Path) -> None:
    with _server(_teapot) as url:
        path = _target_file(tmp_path, url, welcome)
        _assert_unreachable(_run("--target", str(path), **_secrets(welcome)), "no Pingtree", "418")


@pytest.mark.parametrize("variable", ["PT_PING", "PT_POST", "PT_FORM", "LD_KEY"])
def test_wrong_credentials_are_named_and_no_row_is_judged(
    welcome: dict[str, Any], tmp_path: Path, variable: str
) -> None:
    path = _target_file(tmp_path, welcome["base_url"], welcome)
    _assert_unreachable(_run("--target", str(path), **_secrets(welcome) | {variable: "wrong"}), "401", variable)


def test_a_server_that_was_started_anew_meanwhile_is_not_judged(opened: session.Session) -> None:
    elsewhere = replace(opened, boot="another")
    with pytest.raises(UnreachableError, match="started anew"):
        session.conduct(elsewhere, session.questions(["PT-PING-201"]), NOW)


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_lists_its_cases_and_asks_nothing() -> None:
    ended = _run("--list")
    assert ended.exit_code == 0
    assert [row for row in ROWS if row not in ended.output] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "NOTHING"],
        ["--target", "no-such-file.toml"],
        ["--no-such-option"],
        ["--baseline", "none.toml", "--only", "PT-PING-201-ACCEPT"],
    ],
)
def test_usage_errors_have_their_own_exit_code(arguments: list[str]) -> None:
    assert _run(*arguments).exit_code == Exit.USAGE


def test_the_command_starts_a_sandbox_of_its_own_and_says_how_it_went(tmp_path: Path) -> None:
    ended = _run("--only", "LD-ING-201-ACCEPTED", "--junit", str(tmp_path / "junit.xml"))
    assert ended.exit_code == 0, ended.output
    assert "PASS" in ended.output
    assert "LD-ING-201-ACCEPTED" in ended.output
    assert (tmp_path / "junit.xml").exists()
