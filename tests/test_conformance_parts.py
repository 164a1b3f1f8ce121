"""The suite's own parts: expectations, the passive check, baseline, exit codes, target files, redaction."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from conformance import baseline, matrix, target_file
from conformance.case import Expect, Lever
from conformance.client import BudgetError, Client, NoAnswerError, Request
from conformance.expecting import body_faults, header_faults, pointed
from conformance.leads import People, content
from conformance.passive import Judgement, Validator
from conformance.results import CaseResult, Exchange, Exit, Kind, Stale, Verdict, Why
from conformance.runner import passive
from conformance.target import Budget, Ground, contract_of, words_under

PINGTREE = contract_of("pingtree")
GROUND = Ground(PINGTREE, words_under(PINGTREE, {}), {})
JSON: dict[str, str] = {"Content-Type": "application/json"}
REJECTED: dict[str, Any] = {
    "status": "201",
    "message": "Ping rejected",
    "data": {"leadStatus": "ping_reject", "transaction_id": "t", "isDeDupe": False, "message": "Nobody"},
}


def _judged(status: int, body: object, headers: dict[str, str] | None = None) -> Judgement:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Validator().judge(GROUND, "ping", status, headers or JSON, raw)


def _exchange(**more: Any) -> Exchange:
    plain = Exchange(1, "X", "pingtree", "ping", "POST", "http://x", {}, "", 200, {}, "{}", 1.0)
    return replace(plain, **more)


def _result(
    verdict: Verdict, name: str = "X", *, exchanges: tuple[Exchange, ...] = (_exchange(),), **more: Any
) -> CaseResult:
    return CaseResult(name, "a title", "pingtree", Kind.CASE, (name,), verdict, exchanges=exchanges, **more)


# --- the passive check --------------------------------------------------------------------------------------------


def test_an_answer_that_keeps_a_schema_is_that_row() -> None:
    assert _judged(201, REJECTED).rows == ("PT-PING-201-REJECT",)


def test_an_undocumented_status_is_a_problem_that_names_the_documented_ones() -> None:
    [problem] = _judged(418, REJECTED).problems
    assert "418" in problem
    assert "201, 400, 401, 405, 429, 500" in problem


@pytest.mark.parametrize(
    "change",
    [
        {"status": 201},
        {"message": None},
        {"extra": 1},
        {"data": {**REJECTED["data"], "isDeDupe": "false"}},
        {"data": {**REJECTED["data"], "amount": "45.00"}},
        {"data": {name: value for name, value in REJECTED["data"].items() if name != "transaction_id"}},
    ],
)
def test_a_body_that_breaks_its_schema_is_a_problem(change: dict[str, Any]) -> None:
    judged = _judged(201, REJECTED | change)
    assert judged.rows == ()
    assert judged.problems[0].startswith("PT-PING-201-REJECT")


def test_a_body_that_is_no_json_or_does_not_say_so_is_a_problem() -> None:
    assert "no JSON" in _judged(201, b'{"status"').problems[0]
    assert "text/html" in _judged(201, REJECTED, {"Content-Type": "text/html"}).problems[0]


def test_a_row_of_another_reading_is_no_row_but_is_named() -> None:
    contract = contract_of("leaddistro")
    ground = Ground(contract, words_under(contract, {}), {})
    [problem] = Validator().judge(ground, "ingest", 409, JSON, b"{}").problems
    assert "LD-ING-409-DUPLICATE is, under reading duplicate_http=409" in problem


def test_a_schema_break_of_a_row_that_is_ours_is_a_warning_where_ours_do_not_count() -> None:
    broken = _exchange(problems=("wrong",), warning=True)
    assert passive([_result(Verdict.PASS, exchanges=(broken,))]).verdict is Verdict.WARN
    assert passive([_result(Verdict.PASS, exchanges=(broken, replace(broken, warning=False)))]).verdict is Verdict.FAIL
    assert passive([_result(Verdict.PASS)]).verdict is Verdict.PASS


# --- expectations -------------------------------------------------------------------------------------------------


def test_pointers_reach_into_objects_and_lists() -> None:
    document = {"a": [{"b/c": 1}]}
    assert pointed(document, "/a/0/b~1c") == 1
    for pointer in ("/a/1", "/a/x", "/b", "/a/0/b~1c/d"):
        with pytest.raises(LookupError):
            pointed(document, pointer)


@pytest.mark.parametrize(
    "expect",
    [
        Expect("R", 200, body={"/a": 1}),
        Expect("R", 200, body={"/b": None}),
        Expect("R", 200, present=("/b",)),
        Expect("R", 200, absent=("/a",)),
        Expect("R", 200, differs={"/a": True}),
        Expect("R", 200, differs={"/b": 1}),
    ],
)
def test_each_expectation_of_a_body_can_fail(expect: Expect) -> None:
    assert len(list(body_faults(expect, {"a": True}))) == 1


def test_each_expectation_of_headers_can_fail() -> None:
    expect = Expect("R", 200, headers={"Allow": "POST"}, require=("Retry-After",), forbid=("X",))
    assert len(list(header_faults(expect, {"Allow": "GET", "X": "1"}))) == 3
    assert list(header_faults(expect, {"Allow": "POST", "Retry-After": "1"})) == []


# --- baseline and exit codes --------------------------------------------------------------------------------------

TODAY = date(2030, 1, 15)


def _expected(name: str, until: date = date(2030, 1, 31)) -> baseline.Expected:
    return baseline.Expected(name, until, "known")


def test_an_expected_failure_is_forgiven_until_its_day() -> None:
    [result], stale = baseline.applied([_result(Verdict.FAIL)], [_expected("X")], TODAY)
    assert result.expected_failure
    assert stale == ()
    assert matrix.exit_code([result], stale) is Exit.ALL_GREEN


@pytest.mark.parametrize(
    ("verdict", "entry"),
    [
        (Verdict.PASS, _expected("X")),
        (Verdict.INCONCLUSIVE, _expected("X")),
        (Verdict.PASS, _expected("NOBODY")),
        (Verdict.PASS, _expected("X", date(2030, 1, 14))),
    ],
)
def test_an_entry_that_passes_expired_or_names_nothing_is_stale(verdict: Verdict, entry: baseline.Expected) -> None:
    results, stale = baseline.applied([_result(verdict)], [entry], TODAY)
    assert len(stale) == 1
    assert matrix.exit_code(results, stale) is Exit.STALE_BASELINE


def test_an_expired_failure_fails_again() -> None:
    results, stale = baseline.applied([_result(Verdict.FAIL)], [_expected("X", date(2030, 1, 14))], TODAY)
    assert matrix.exit_code(results, stale) is Exit.FAILED


def test_a_baseline_file_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text('[[expected]]\nid = "X"\nuntil = 2030-01-31\nreason = "known"\n', "utf-8")
    assert baseline.load(good) == (_expected("X"),)
    for text in (
        '[[expected]]\nid = "X"\n',
        '[[expected]]\nid = "X"\nuntil = "soon"\nreason = "r"\n',
        "expected = 5",
        "[",
    ):
        bad = tmp_path / "bad.toml"
        bad.write_text(text, "utf-8")
        with pytest.raises(baseline.BaselineError, match=r"bad\.toml"):
            baseline.load(bad)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([Verdict.PASS, Verdict.WARN, Verdict.EXCLUDED, Verdict.NOT_APPLICABLE], Exit.ALL_GREEN),
        ([Verdict.PASS, Verdict.INCONCLUSIVE], Exit.INCOMPLETE),
        ([Verdict.INCONCLUSIVE, Verdict.FAIL], Exit.FAILED),
        ([Verdict.PASS, Verdict.ERROR], Exit.FAILED),
    ],
)
def test_the_gravest_verdict_decides_the_exit_code(verdicts: list[Verdict], code: Exit) -> None:
    assert matrix.exit_code([_result(verdict, str(n)) for n, verdict in enumerate(verdicts)], ()) is code


def test_a_run_without_an_answer_is_nothing_and_never_green() -> None:
    assert matrix.exit_code([_result(Verdict.PASS, exchanges=())], ()) is Exit.NOTHING_RAN
    assert matrix.exit_code([_result(Verdict.PASS)], [Stale("X", "y")]) is Exit.STALE_BASELINE


# --- target files -------------------------------------------------------------------------------------------------

TARGET = """
base_url = "http://127.0.0.1:9/"
levers = ["duplicate"]
[platforms.pingtree.readings]
unaccepted_value = "rejected"
[platforms.pingtree.accounts.main]
name = "lnk_x"
credentials = {ping = "MY_PING_TOKEN"}
lead = {state = "CA"}
variants.missing = {drop = ["state"]}
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_target_file_gives_accounts_readings_and_gentle_budgets(tmp_path: Path) -> None:
    target = target_file.load(_file(tmp_path, TARGET), {"MY_PING_TOKEN": "s3cret-value"})
    [world] = target.worlds
    ground = world.grounds["pingtree"]
    assert (target.name, target.base_url, target.judges_ours) == ("mine", "http://127.0.0.1:9", False)
    assert target.budget == Budget(1000, 1.0)
    assert target.levers == {Lever.DUPLICATE}
    assert ground.words["unaccepted_value"] == "rejected"
    assert ground.accounts["main"].variants["missing"].drop == ("state",)
    assert target.secrets == {"s3cret-value": "MY_PING_TOKEN"}
    assert "s3cret" not in json.dumps(target.redacted())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("base_url", "base_ulr"), "base_url"),
        (('levers = ["duplicate"]', 'levers = ["luck"]'), "luck"),
        (("platforms.pingtree", "platforms.pongtree"), "pongtree"),
        (("unaccepted_value", "unknown_reading"), "unknown_reading"),
        (("accounts.main", "accounts.first"), "main"),
        (("MY_PING_TOKEN", "NOT_SET"), "NOT_SET is not set"),
        (("base_url =", "base_url"), r"mine\.toml"),
    ],
)
def test_a_fault_in_a_target_file_is_named(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    with pytest.raises(target_file.TargetFileError, match=fault):
        target_file.load(_file(tmp_path, TARGET.replace(*change)), {"MY_PING_TOKEN": "x"})


def test_the_example_of_a_target_file_is_one() -> None:
    names = ("PINGTREE_PING_TOKEN", "PINGTREE_POST_TOKEN", "PINGTREE_FORM_TOKEN", "LEADDISTRO_API_KEY")
    example = Path(str(files("conformance").joinpath("targets", "example.toml")))
    target = target_file.load(example, dict.fromkeys(names, "x"))
    assert set(target.worlds[0].grounds) == {"pingtree", "leaddistro"}


# --- sending ------------------------------------------------------------------------------------------------------


@contextmanager
def _echo() -> Iterator[str]:
    class Echo(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path == "/cut":
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def _request(path: str = "/", body: bytes = b"it's", token: str = "s3cret") -> Request:
    return Request("pingtree", "ping", "POST", path, {"Authorization": f"Bearer {token}"}, body)


def test_reports_show_the_name_of_a_secret_and_never_its_value() -> None:
    with _echo() as url:
        client = Client(url, secrets={"s3cret": "MY_TOKEN"})
        exchange = client.send(_request(body=b'{"echo": "s3cret"}'), "X").exchange
        client.close()
    assert "s3cret" not in repr(exchange)
    assert exchange.request_headers["Authorization"] == "Bearer $MY_TOKEN"
    assert """-H 'Authorization: Bearer '"$MY_TOKEN"''""" in exchange.curl


def test_a_curl_is_quoted_for_the_shell() -> None:
    with _echo() as url:
        client = Client(url)
        exchange = client.send(_request(), "X").exchange
        client.close()
    assert exchange.curl.endswith("""--data-binary 'it'"'"'s'""")
    assert exchange.response_body == "it's"


def test_the_budget_of_requests_is_kept() -> None:
    with _echo() as url:
        client = Client(url, Budget(requests=2))
        for _ in range(2):
            client.send(_request(), "X")
        with pytest.raises(BudgetError, match="2 requests"):
            client.send(_request(), "X")
        client.close()


def test_requests_are_paced() -> None:
    pauses: list[float] = []
    with _echo() as url:
        client = Client(url, Budget(per_second=0.01), pause=pauses.append)
        for _ in range(3):
            client.send(_request(), "X")
        client.close()
    assert len(pauses) == 2
    assert all(90 < pause <= 100 for pause in pauses)


def test_a_connection_that_breaks_is_no_answer() -> None:
    with _echo() as url:
        client = Client(url)
        with pytest.raises(NoAnswerError, match="POST /cut"):
            client.send(_request("/cut"), "X")
        assert client.is_up()
        client.close()
    assert not client.is_up()


# --- people -------------------------------------------------------------------------------------------------------


def test_nobody_comes_twice_in_a_run_and_all_are_marked_and_made_up() -> None:
    people = People()
    leads = [people.person("leaddistro") for _ in range(300)]
    assert len({lead["phone"] for lead in leads}) == len({lead["email"] for lead in leads}) == 300
    assert all(lead["email"].endswith("@example.com") and lead["phone"][3:8] == "55501" for lead in leads)
    assert {lead["source"] for lead in leads} == {"leadsandbox-conformance"}
    assert People().person("leaddistro")["email"] != leads[0]["email"]


def test_a_ping_tells_nobodys_name() -> None:
    person = People().person("pingtree")
    assert "email" in person
    assert not {"first_name", "last_name", "email", "mobile"} & content(GROUND.operation("ping"), person).keys()
    assert content(GROUND.operation("post"), person) == person


def test_the_reasons_for_being_inconclusive_are_a_closed_list() -> None:
    assert {why.value for why in Why} == {
        "no-lever",
        "no-permission",
        "budget",
        "precondition-failed",
        "generator-invalid",
        "not-pressed",
        "target-unstable",
    }
