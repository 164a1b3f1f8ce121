"""The matrix: each row from declared to asserted, and the code that a run ends with. Nothing is sent or printed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from conformance.results import CaseResult, Exit, RowResult, Stale, Verdict
from conformance.runner import Question, Skipped, placed
from conformance.target import Target
from simulator.contract.model import Contract, Row
from simulator.platforms import CONTRACTS

_ORDER = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.WARN, Verdict.PASS)
_ASIDE = frozenset({Verdict.NOT_APPLICABLE, Verdict.EXCLUDED})


def rows_of(target: Target, questions: Iterable[Question], results: Iterable[CaseResult]) -> tuple[RowResult, ...]:
    """Return a line for each row of the platforms that the target speaks."""
    spoken = {platform for world in target.worlds for platform in world.grounds}
    asked: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        for row_id in question.verifies:
            asked[row_id].append(question)
    by_id = {result.id: result for result in results}
    observed = {row for result in by_id.values() for item in result.exchanges for row in item.rows}
    return tuple(
        _row(contract, row, target, asked[row.id], by_id, observed)
        for platform, contract in CONTRACTS.items()
        if platform in spoken
        for row in contract.rows
    )


def _row(
    contract: Contract,
    row: Row,
    target: Target,
    questions: list[Question],
    results: Mapping[str, CaseResult],
    observed: set[str],
) -> RowResult:
    claims = [results[question.id] for question in questions if question.id in results]
    verdict, why = _verdict(claims)
    return RowResult(
        id=row.id,
        platform=contract.platform,
        operation=row.operation,
        http=row.http,
        code=row.code,
        evidence=row.evidence.value,
        meaning=row.meaning,
        source=row.source,
        reading=row.reading,
        cases=tuple(question.id for question in questions),
        cased=bool(questions),
        possible=_is_possible(target, questions),
        observed=row.id in observed,
        asserted=any(claim.verdict is Verdict.PASS for claim in claims) and row.id in observed,
        verdict=verdict,
        why=why,
    )


def _is_possible(target: Target, questions: Iterable[Question]) -> bool:
    """Whether the target can do all that some case of the row needs."""
    return any(not isinstance(placed(target, question), Skipped) for question in questions)


def _verdict(claims: list[CaseResult]) -> tuple[Verdict, str]:
    """Return the gravest verdict; what does not apply counts only when nothing else was asked."""
    asked = [claim for claim in claims if claim.verdict not in _ASIDE] or claims
    if not asked:
        return Verdict.INCONCLUSIVE, "not asked"
    gravest = min(asked, key=lambda claim: _ORDER.index(claim.verdict) if claim.verdict in _ORDER else len(_ORDER))
    return gravest.verdict, gravest.detail if gravest.verdict is not Verdict.PASS else ""


def exit_code(results: Iterable[CaseResult], stale: Iterable[Stale]) -> Exit:
    """Return what the command ends with: the gravest of what happened."""
    unexpected = [result for result in results if not result.expected_failure]
    verdicts = {result.verdict for result in unexpected}
    if not any(result.exchanges for result in results):
        return Exit.NOTHING_RAN
    if verdicts & {Verdict.FAIL, Verdict.ERROR}:
        return Exit.FAILED
    if any(True for _ in stale):
        return Exit.STALE_BASELINE
    return Exit.INCOMPLETE if Verdict.INCONCLUSIVE in verdicts else Exit.ALL_GREEN
