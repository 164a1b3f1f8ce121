"""The suite is proved by known-bad servers: each must be caught by a case that claims the row it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from conformance import report
from conformance.mutants import catalogue, cli, proving
from conformance.mutants.model import Ask, Got, Mutant, Sent, harmless, teapot, untouched
from conformance.mutants.outcome import KillMatrix, Outcome
from conformance.mutants.proxy import in_front_of
from conformance.mutants.recognising import has_twin, is_row, rows
from conformance.mutants.schema_parts import changed, dropped, parts, with_unknown
from conformance.own import own_sandbox
from conformance.results import CaseResult, Exit, Kind, RowResult, RunResult, Verdict, Why

pytestmark = pytest.mark.long

GENERATED = {
    "status",
    "truncated",
    "not-json",
    "header",
    "drop",
    "null",
    "retype",
    "value",
    "format",
    "empty",
    "code",
    "unknown",
}
EVERY = 29
"""Of the generated mutants every so manieth is tried here; `leadsandbox conform --self-test` tries them all."""


@pytest.fixture(scope="module")
def welcome() -> Iterator[dict[str, Any]]:
    with own_sandbox() as found:
        yield found


@pytest.fixture(scope="module")
def chosen() -> list[Mutant]:
    """All mutants written by hand, and some of each generated kind."""
    by_hand = [mutant for mutant in catalogue.mutants() if mutant.kind not in GENERATED]
    some = list(islice((mutant for mutant in catalogue.mutants() if mutant.kind in GENERATED), 0, None, EVERY))
    return [*by_hand, *some]


@pytest.fixture(scope="module")
def matrix(welcome: dict[str, Any], chosen: list[Mutant]) -> KillMatrix:
    return proving.prove(welcome, chosen, identity_runs=1)


def claims() -> set[str]:
    return {row_id for question in proving.everything() for row_id in question.verifies}


def test_there_are_at_least_two_hundred_mutants_and_each_has_a_name_of_its_own() -> None:
    names = [mutant.id for mutant in catalogue.mutants()]
    assert len(names) >= 200
    assert len(set(names)) == len(names)


def test_every_row_and_every_invariant_is_broken_by_a_mutant() -> None:
    broken = {name for mutant in catalogue.mutants() for name in mutant.breaks}
    assert rows().keys() <= broken
    assert {name for name in claims() if name.startswith("INV-")} - broken == set()


def test_what_a_mutant_breaks_is_claimed_by_something_of_its_platform() -> None:
    claimed = {(question.platform, name) for question in proving.everything() for name in question.verifies}
    for mutant in catalogue.mutants():
        assert mutant.breaks, mutant.id
        assert {(mutant.platform, name) for name in mutant.breaks} <= claimed, mutant.id


def test_every_documented_kind_of_wrong_answer_is_made_of_the_table() -> None:
    kinds = {mutant.kind for mutant in catalogue.mutants()}
    assert kinds >= GENERATED
    for row_id in rows():
        made = {mutant.kind for mutant in catalogue.mutants() if row_id in mutant.breaks}
        assert made >= {"status", "truncated", "not-json", "header", "drop", "null", "retype", "unknown"}, row_id


def test_every_excuse_names_a_mutant_and_gives_a_reason() -> None:
    names = {mutant.id for mutant in catalogue.mutants()}
    assert catalogue.excused().keys() <= names
    assert all(len(why.split()) > 10 for why in catalogue.excused().values())


def test_the_identity_mutant_is_passed_and_the_control_mutant_fails_every_case(matrix: KillMatrix) -> None:
    assert matrix.identity == ((),)
    assert matrix.unmoved == ()
    assert matrix.void == ""


def test_every_mutant_is_caught_by_a_case_that_claims_what_it_breaks_or_is_excused(matrix: KillMatrix) -> None:
    assert len(matrix.outcomes) >= 200
    assert [outcome.id for outcome in matrix.unexcused] == []


def test_a_mutant_that_is_caught_did_something(matrix: KillMatrix) -> None:
    idle = [outcome.id for outcome in matrix.outcomes if outcome.killed and not outcome.acted]
    assert [name for name in idle if not name.startswith("LD-HOOK/")] == []


def test_who_caught_a_mutant_claims_the_row(matrix: KillMatrix) -> None:
    verifies = {question.id: question.verifies for question in proving.everything()}
    for outcome in matrix.outcomes:
        for broken, by in outcome.caught.items():
            assert broken in verifies[by]


def test_a_mutant_survives_when_the_cases_of_its_row_are_gone(welcome: dict[str, Any]) -> None:
    mutant = next(item for item in catalogue.mutants() if item.id == "PT-PING-201-ACCEPT/drop/data.amount")
    others = [item for item in proving.everything() if "PT-PING-201-ACCEPT" not in item.verifies]
    every = proving.everything()
    with proving.bench(welcome, {}) as bench:
        assert proving.tried(bench, mutant, others).missed == ("PT-PING-201-ACCEPT",)
        assert proving.tried(bench, mutant, every).killed


def test_a_mutant_that_changes_nothing_survives_and_is_known_to_have_done_nothing(welcome: dict[str, Any]) -> None:
    idle = Mutant("idle", "test", "pingtree", "nothing is wrong", ("PT-ANY-404-PATH",), harmless)
    with proving.bench(welcome, {}) as bench:
        outcome = proving.tried(bench, idle, proving.everything())
    assert (outcome.killed, outcome.acted) == (False, False)


def test_the_proxy_passes_status_headers_and_bytes_unchanged(welcome: dict[str, Any]) -> None:
    sent = Sent("PUT", "/api/v1/ping", (("Content-Type", "application/json"),), b'{"a": 1}')
    with in_front_of(welcome["base_url"]) as proxy, in_front_of(proxy.base_url) as outer:
        direct, through = proxy.ask(sent), outer.ask(sent)
        request_id = "x-sandbox-request-id"
        assert through.status == direct.status == 405
        assert through.body == direct.body
        assert through.header("Allow") == direct.header("Allow") == "POST"
        assert [name.lower() for name, _ in through.headers] == [name.lower() for name, _ in direct.headers]
        assert through.header(request_id)


def test_the_proxy_serves_what_the_mutant_says(welcome: dict[str, Any]) -> None:
    with in_front_of(welcome["base_url"]) as proxy, in_front_of(proxy.base_url) as outer:
        proxy.mutant = teapot
        assert outer.ask(Sent("GET", "/", ())).status == 418
        proxy.mutant = untouched
        assert outer.ask(Sent("GET", "/", ())).status == 404


def test_headers_are_dropped_without_regard_to_case_and_underscores_are_no_hyphens() -> None:
    got = Got(429, (("Retry-After", "1"), ("retry_after", "1")), b"")
    assert got.without("retry-after").headers == (("retry_after", "1"),)


def test_rows_that_are_worded_alike_are_known_as_twins() -> None:
    assert has_twin(rows()["LD-ING-201-DUP-ROUTED"])
    assert not has_twin(rows()["PT-PING-201-ACCEPT"])


def test_an_answer_is_a_row_only_on_the_rows_own_path() -> None:
    row = rows()["LD-PING-401"]
    got = Got(401, (), b'{"error": "unauthorized", "message": "no"}')
    assert is_row(row, Sent("POST", "/api/v1/ping", ()), got)
    assert not is_row(row, Sent("POST", "/api/v1/ingest", ()), got)


def test_a_schema_is_taken_apart_into_its_keys_at_every_depth() -> None:
    inner = {"type": "object", "properties": {"b": {}}, "required": ["b"], "additionalProperties": False}
    schema = {"properties": {"a": inner, "l": {"items": inner}}, "required": ["a"]}
    assert [(part.name, part.required) for part in parts(schema)] == [
        ("a", True),
        ("a.b", True),
        ("l", False),
        ("l.0.b", True),
    ]
    assert list(with_unknown(schema)) == [("a",), ("l", 0)]


def test_a_body_is_edited_at_one_place_and_the_original_kept() -> None:
    body = {"a": {"b": 1}, "l": [{"b": 2}]}
    assert changed(body, ("l", 0, "b"), 3) == {"a": {"b": 1}, "l": [{"b": 3}]}
    assert dropped(body, ("a", "b")) == {"a": {}, "l": [{"b": 2}]}
    assert changed(body, ("l", 1, "b"), 3) == dropped(body, ("x", "y")) == body == {"a": {"b": 1}, "l": [{"b": 2}]}
    assert changed(body, ("a", "new"), 3, anew=True)["a"] == {"b": 1, "new": 3}


def outcome(**more: Any) -> Outcome:
    given: dict[str, Any] = {
        "id": "m",
        "kind": "drop",
        "platform": "pingtree",
        "says": "",
        "breaks": ("A", "B"),
        "caught": {},
        "acted": True,
    }
    return Outcome(**(given | more))


def test_a_mutant_is_caught_only_when_each_row_that_it_breaks_is() -> None:
    assert outcome(caught={"A": "case"}).missed == ("B",)
    assert outcome(caught={"A": "case", "B": "case"}).killed
    assert outcome(caught={"A": "case"}, all_of=False).killed
    assert not outcome(all_of=False).killed


def proof(*outcomes: Outcome, **more: Any) -> KillMatrix:
    falsified = frozenset(name for item in outcomes for name in item.caught)
    given: dict[str, Any] = {"identity": ((),), "unmoved": (), "stale": (), "seconds": 1.0, "falsified": falsified}
    return KillMatrix(outcomes, **(given | more))


def ran(*names: str) -> RunResult:
    line = RowResult("", "pingtree", "ping", 201, "x", "full", "A sentence.", (), "", (), True, True, True, True)
    lines = tuple(replace(line, id=name) for name in names)
    return RunResult(
        {"name": "t", "base_url": "u"}, "2026-01-01T00:00:00+00:00", 1.0, (), lines, Exit.ALL_GREEN, True, 1
    )


CAUGHT = {"A": "case", "B": "case"}


def test_a_proof_that_holds_leaves_the_runs_own_exit_code() -> None:
    assert cli.with_proof(ran("A", "B"), proof(outcome(caught=CAUGHT))).exit_code == Exit.ALL_GREEN


@pytest.mark.parametrize(
    "matrix",
    [
        proof(outcome(caught=CAUGHT), outcome(id="survivor")),
        proof(outcome(caught=CAUGHT), identity=((), ("PT-PING-201-ACCEPT",))),
        proof(outcome(caught=CAUGHT), unmoved=("LD-PING-401",)),
        proof(outcome(caught=CAUGHT), stale=("gone",)),
    ],
    ids=["survivor without a reason", "identity failed", "control passed", "stale excuse"],
)
def test_a_proof_that_does_not_hold_ends_with_13(matrix: KillMatrix) -> None:
    assert cli.with_proof(ran("A", "B"), matrix).exit_code == Exit.SELF_TEST
    assert cli.with_proof(ran("A", "B"), proof(outcome(caught=CAUGHT), outcome(excuse="because"))).exit_code == 0


def test_a_row_that_no_mutant_falsified_ends_with_13() -> None:
    run = cli.with_proof(ran("A", "B", "C"), proof(outcome(caught=CAUGHT)))
    assert [row.falsified for row in run.rows] == [True, True, False]
    assert run.exit_code == Exit.SELF_TEST
    assert any("not falsified" in line and " C " in line for line in cli.lines(proof(outcome(caught=CAUGHT)), run))


def test_the_kill_matrix_is_part_of_the_report_and_keeps_its_schema(matrix: KillMatrix) -> None:
    document = report.document(cli.with_proof(ran("A"), matrix))
    Draft202012Validator(report.schema()).validate(document)
    assert document["self_test"]["mutants"] == len(matrix.outcomes)
    assert {item["id"] for item in document["self_test"]["survivors"]} == {item.id for item in matrix.survivors}


def test_the_terminal_names_survivors_with_their_reasons() -> None:
    matrix = proof(outcome(id="excused", excuse="It is so."), outcome(id="open"), outcome(id="idle", acted=False))
    text = "\n".join(cli.lines(matrix, ran("A")))
    assert "excused (A, B): It is so." in text
    assert "open (A, B): NO REASON" in text
    assert "idle (A, B): NO REASON, and it changed nothing" in text


def test_the_self_test_command_ends_with_13_when_a_mutant_survives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = proof(outcome(id="open"))
    monkeypatch.setattr(cli, "proved", lambda: (cli.with_proof(ran("A"), matrix), matrix))
    assert cli.self_test() == 13
    assert "The self-test failed." in capsys.readouterr().out


def test_a_case_that_could_not_begin_is_not_passed_by_the_control_mutant() -> None:
    result = CaseResult("c", "", "pingtree", Kind.CASE, ("A",), Verdict.INCONCLUSIVE, Why.NO_LEVER)
    assert not proving._moved(result)
    assert not proving._moved(replace(result, verdict=Verdict.PASS, why=None))
    assert proving._moved(replace(result, verdict=Verdict.FAIL, why=None))


def test_a_mutant_that_breaks_the_connection_is_a_failure_and_no_hang(welcome: dict[str, Any]) -> None:
    def cut(sent: Sent, ask: Ask) -> Got:
        raise ConnectionError("cut")

    question = next(item for item in proving.everything() if item.id == "PT-PING-401-AUTH")
    with proving.bench(welcome, {}) as bench:
        assert bench.ask(question, cut).verdict is Verdict.FAIL
