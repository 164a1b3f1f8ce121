"""Each case and journey as one test: what can't be asked of the target is skipped with the reason, never passed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance import golden, session
from conformance.results import CaseResult, Verdict
from conformance.runner import Question, ask, passive
from simulator.platforms import CONTRACTS

_SKIPPED = frozenset({Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE, Verdict.EXCLUDED})
_results: list[CaseResult] = []


@pytest.mark.parametrize("question", session.questions(), ids=lambda question: question.id)
def test_case(question: Question, opened: session.Session, record_property: Callable[[str, object], None]) -> None:
    for row_id in question.verifies:
        record_property("row", row_id)
    result = ask(opened.hall, question)
    _results.append(result)
    if result.verdict in _SKIPPED:
        pytest.skip(f"{result.verdict.value}: {result.detail}")
    curls = "\n".join(finding.curl for finding in result.findings)
    assert result.verdict is Verdict.PASS, f"{result.title}: {result.detail}\n{curls}"


def test_every_answer_is_documented_and_keeps_its_schema(opened: session.Session) -> None:
    watched = passive(_results)
    opened.still_there()
    actual = "\n".join(f"{item.row}: {item.actual}" for item in watched.findings)
    assert watched.verdict is not Verdict.FAIL, actual


def test_the_contract_is_that_of_the_golden_list() -> None:
    assert golden.differences(CONTRACTS) == ()
