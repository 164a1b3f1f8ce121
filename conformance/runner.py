"""Runs cases and journeys against a target, one after the other, and adds up what came of it. Prints nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from conformance.case import Case, Lever, Step
from conformance.composing import ImpossibleError
from conformance.control import ControlError
from conformance.journey import Journey
from conformance.results import UNDOCUMENTED, CaseResult, Finding, Kind, Verdict, Why
from conformance.stage import Hall, Stage, StopError
from conformance.target import Ground, Target, World
from simulator.contract.model import ANY_OPERATION, Row, in_force
from simulator.platforms import CONTRACTS

Question = Case | Journey
"""What can be asked of a server."""

OURS = "ours: no vendor documents what it claims, so it is judged on the sandbox alone"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why a question is not asked of a target."""

    verdict: Verdict
    detail: str
    why: Why | None = None


def run(
    hall: Hall, questions: Iterable[Question], done: Callable[[CaseResult], None] = lambda _: None
) -> list[CaseResult]:
    """Ask every question; `done` hears of each result. The passive check of all answers comes last."""
    results = []
    for question in questions:
        result = ask(hall, question)
        results.append(result)
        done(result)
    watched = passive(results)
    done(watched)
    return [*results, watched]


def ask(hall: Hall, question: Question) -> CaseResult:
    """Ask one question of the target."""
    started = time.monotonic()
    place = placed(hall.target, question)
    if isinstance(place, Skipped):
        return _result(question, place.verdict, place.detail, why=place.why)
    stage = Stage(hall, place, question.platform, question.id, question.verifies)
    try:
        _play(stage, question)
        return _result(question, Verdict.PASS, "", stage=stage, milliseconds=_since(started))
    except StopError as stop:
        verdict, detail, why, findings = stop.verdict, str(stop), stop.why, stop.findings
    except ImpossibleError as error:
        verdict, detail, why, findings = Verdict.INCONCLUSIVE, str(error), error.why, ()
    except (ControlError, LookupError, TypeError, ValueError) as error:
        verdict, detail, why, findings = Verdict.ERROR, f"{type(error).__name__}: {error}", None, ()
    return _result(
        question,
        verdict,
        detail,
        why=why,
        findings=findings,
        stage=stage,
        milliseconds=_since(started),
    )


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)


def _play(stage: Stage, question: Question) -> None:
    if isinstance(question, Case):
        for step in question.steps:
            stage.play(step)
    else:
        question.tell(stage)


def placed(target: Target, question: Question) -> World | Skipped:
    """Return the world that a question is asked in, or why it is not asked."""
    rows = _rows(question)
    if not target.judges_ours and any(row.evidence.value == "ours" for row in rows):
        return Skipped(Verdict.EXCLUDED, OURS)
    worlds = [world for world in target.worlds if question.platform in world.grounds]
    if not worlds:
        return Skipped(Verdict.NOT_APPLICABLE, f"the target does not speak {question.platform}")
    wanted = [*(f"{name}={value}" for name, value in question.readings.items()), *(row.reading for row in rows)]
    fitting = [world for world in worlds if _holds(world.grounds[question.platform].words, wanted)]
    if not fitting:
        return Skipped(Verdict.NOT_APPLICABLE, f"under another reading: {', '.join(filter(None, wanted))}")
    missing = sorted(lever.value for lever in question.needs - target.levers)
    if missing:
        return Skipped(Verdict.INCONCLUSIVE, f"the target gives no lever {', '.join(missing)}", Why.NO_LEVER)
    absent = sorted(question.accounts - fitting[0].grounds[question.platform].accounts.keys())
    if absent:
        return Skipped(Verdict.INCONCLUSIVE, f"the target has no account {', '.join(absent)}", Why.NO_LEVER)
    return _with_variants(fitting[0], question)


def _with_variants(world: World, question: Question) -> World | Skipped:
    accounts = world.grounds[question.platform].accounts
    for step in question.steps if isinstance(question, Case) else ():
        if step.variant and step.variant not in accounts[step.account].variants:
            detail = f"the target tells no lead that is {step.variant} for account {step.account}"
            return Skipped(Verdict.INCONCLUSIVE, detail, Why.NO_LEVER)
        if step.operation not in {"", ANY_OPERATION} and (lacking := _lacking(world.grounds[question.platform], step)):
            return lacking
    return world


def _lacking(ground: Ground, step: Step) -> Skipped | None:
    """Return what the target does not tell of the sender: an id in path or body, or the credential."""
    operation, account = ground.operation(step.operation), ground.accounts[step.account]
    named = {place for place, name in operation.arguments.items() if name in step.patch}
    places = [] if step.path else [place for place in re.findall(r"<([^>]+)>", operation.path) if place not in named]
    places += [place for name, place in operation.fills.items() if name not in step.patch and name not in step.drop]
    for place in places:
        if place not in account.arguments:
            return Skipped(Verdict.INCONCLUSIVE, f"the target tells no {place} of {step.account!r}", Why.NO_LEVER)
    wanted = operation.credential if in_force(operation.credential_reading, ground.words) else ""
    if step.credential == "own" and wanted and wanted not in account.credentials:
        detail = f"the target gives {step.account!r} no {wanted} credential"
        return Skipped(Verdict.INCONCLUSIVE, detail, Why.NO_PERMISSION)
    return None


def _rows(question: Question) -> list[Row]:
    known = {row.id: row for row in CONTRACTS[question.platform].rows}
    return [known[row_id] for row_id in question.verifies if row_id in known]


def _holds(words: Mapping[str, str], wanted: Iterable[str]) -> bool:
    return all(in_force(reading, words) for reading in wanted)


def passive(results: Iterable[CaseResult]) -> CaseResult:
    """Judge every answer of the run: an undocumented status or a broken schema is a failure of its own."""
    exchanges = tuple(item for result in results for item in result.exchanges if item.problems)
    findings = tuple(
        Finding(
            row=f"{item.platform} {item.operation}",
            expected="a documented status with a body that keeps its schema",
            actual="; ".join(item.problems),
            exchange=item.number,
            curl=item.curl,
        )
        for item in exchanges
    )
    seen = sum(len(result.exchanges) for result in results)
    broken = Verdict.WARN if all(item.warning for item in exchanges) else Verdict.FAIL
    return CaseResult(
        id=UNDOCUMENTED,
        title="Every answer of the run is documented and keeps its schema",
        platform="",
        kind=Kind.PASSIVE,
        verifies=(UNDOCUMENTED,),
        verdict=broken if findings else Verdict.PASS if seen else Verdict.NOT_APPLICABLE,
        detail=f"{len(findings)} of {seen} answers are not as documented" if findings else "",
        findings=findings,
    )


def _result(
    question: Question,
    verdict: Verdict,
    detail: str,
    *,
    why: Why | None = None,
    findings: tuple[Finding, ...] = (),
    stage: Stage | None = None,
    milliseconds: float = 0.0,
) -> CaseResult:
    return CaseResult(
        id=question.id,
        title=question.title,
        platform=question.platform,
        kind=Kind.CASE if isinstance(question, Case) else Kind.JOURNEY,
        verifies=question.verifies,
        verdict=verdict,
        why=why,
        detail=detail,
        findings=findings,
        exchanges=tuple(stage.exchanges) if stage else (),
        milliseconds=milliseconds,
    )


__all__ = ["Lever", "Question", "Skipped", "ask", "passive", "placed", "run"]
