"""Where one case plays: sends its steps, holds each answer against what is expected, and stops at the first fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.case import Expect, Step
from conformance.client import Answer, BudgetError, Client, NoAnswerError
from conformance.composing import Composer, ImpossibleError
from conformance.control import Control, ControlError
from conformance.expecting import body_faults, header_faults, pointed
from conformance.leads import People
from conformance.passive import Validator
from conformance.results import Exchange, Finding, Verdict, Why
from conformance.target import Ground, Target, World
from simulator.contract.model import Row


class StopError(Exception):
    """A case ends here, with this verdict."""

    def __init__(
        self, verdict: Verdict, detail: str, why: Why | None = None, findings: tuple[Finding, ...] = ()
    ) -> None:
        super().__init__(detail)
        self.verdict = verdict
        self.why = why
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Hall:
    """What all cases of a run share."""

    target: Target
    client: Client
    validator: Validator
    people: People
    control: Control | None = None


@dataclass
class Stage:
    """One case at work in one world. `claims` are the rows it is about: a fault of another row is no failure."""

    hall: Hall
    world: World
    platform: str
    case_id: str
    claims: tuple[str, ...]
    exchanges: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.composer = Composer(self.ground, self.hall.people)

    @property
    def ground(self) -> Ground:
        return self.world.grounds[self.platform]

    @property
    def control(self) -> Control:
        """The sandbox's own side. Only journeys that need its lever ask for it."""
        if self.hall.control is None:
            raise StopError(Verdict.INCONCLUSIVE, "the target has no control API", Why.NO_LEVER)
        return self.hall.control

    def play(self, step: Step) -> Answer | None:
        """Do one step; return the last answer. Raises StopError when it is not as expected."""
        if step.advance:
            self.advance(step.advance)
        if not step.operation:
            return None
        answer = self.send(step)
        for _ in range(step.times - 1):
            if step.expect is None or answer.status == step.expect.http:
                break
            answer = self.send(step)
        if step.expect is not None:
            self.expect(step.expect, answer)
        return answer

    def advance(self, pause: str) -> None:
        """Move the target's clock."""
        try:
            self.control.advance(self.world.tenant, pause)
        except ControlError as error:
            raise StopError(Verdict.ERROR, str(error)) from error

    def send(self, step: Step) -> Answer:
        """Send a step's request. Raises StopError when it can't be sent or nothing comes back."""
        try:
            answer = self.hall.client.send(self.composer.request(step), self.case_id)
        except ImpossibleError as error:
            raise StopError(Verdict.INCONCLUSIVE, str(error), error.why) from error
        except BudgetError as error:
            raise StopError(Verdict.INCONCLUSIVE, str(error), Why.BUDGET) from error
        except NoAnswerError as error:
            raise self._unanswered(step, error) from error
        judged = self.hall.validator.judge(self.ground, step.operation, answer.status, answer.headers, answer.raw)
        warning = judged.only_ours and not self.hall.target.judges_ours
        exchange = replace(answer.exchange, rows=judged.rows, problems=judged.problems, warning=warning)
        self.exchanges.append(exchange)
        return replace(answer, exchange=exchange)

    def expect(self, expect: Expect, answer: Answer) -> None:
        """Hold an answer against what is expected and bind what later steps want. Raises StopError."""
        row = self.row(expect.row)
        faults = [] if answer.status == expect.http else [f"HTTP {answer.status}"]
        if not faults:
            faults = self._faults(row, expect, answer)
        if faults:
            raise self._unexpected(row, expect, answer, faults)
        body = answer.parsed()
        for name, pointer in expect.bind.items():
            self.composer.bound[name] = pointed(body, pointer)

    def row(self, row_id: str) -> Row:
        for row in self.ground.contract.rows:
            if row.id == row_id:
                return row
        raise StopError(Verdict.ERROR, f"the table has no row {row_id}")

    def require(self, holds: bool, expected: str, actual: object, row_id: str = "") -> None:
        """Let a journey state a fact. Raises StopError when it does not hold."""
        if holds:
            return
        last = self.exchanges[-1] if self.exchanges else None
        finding = self._finding(row_id or self.claims[0], expected, str(actual), last)
        raise StopError(Verdict.FAIL, f"expected {expected}, got {actual}", findings=(finding,))

    def _faults(self, row: Row, expect: Expect, answer: Answer) -> list[str]:
        if answer.exchange.problems:
            return list(answer.exchange.problems)
        try:
            body = answer.parsed()
        except ValueError as error:
            return [f"the body is no JSON: {error}"]
        filled = self.composer.filled
        wanted = replace(expect, body=filled(dict(expect.body)), differs=filled(dict(expect.differs)))
        found = [f"{row.id}: {fault}" for fault in self.hall.validator.faults(self.ground, row, body)]
        return [*found, *body_faults(wanted, body), *header_faults(expect, answer.headers)]

    def _unexpected(self, row: Row, expect: Expect, answer: Answer, faults: list[str]) -> StopError:
        expected = f"HTTP {expect.http} {row.code} ({row.id})"
        actual = "; ".join(faults)
        finding = self._finding(row.id, expected, actual, answer.exchange)
        if row.id in self.claims:
            return StopError(Verdict.FAIL, f"expected {expected}, got {actual}", findings=(finding,))
        detail = f"a step before the one in question failed: expected {expected}, got {actual}"
        return StopError(Verdict.INCONCLUSIVE, detail, Why.PRECONDITION_FAILED, (finding,))

    def _unanswered(self, step: Step, error: NoAnswerError) -> StopError:
        row_id = step.expect.row if step.expect else self.claims[0]
        finding = self._finding(row_id, "an HTTP answer", str(error), None)
        if row_id in self.claims and self.hall.client.is_up():
            return StopError(Verdict.FAIL, f"no HTTP answer: {error}", findings=(finding,))
        return StopError(Verdict.INCONCLUSIVE, f"no HTTP answer: {error}", Why.TARGET_UNSTABLE, (finding,))

    def _finding(self, row_id: str, expected: str, actual: str, exchange: Exchange | None) -> Finding:
        rows: Mapping[str, Row] = {row.id: row for row in self.ground.contract.rows}
        row = rows.get(row_id)
        return Finding(
            row=row_id,
            expected=expected,
            actual=actual,
            documented=row.meaning if row else "",
            source=row.source if row else (),
            exchange=exchange.number if exchange else None,
            curl=exchange.curl if exchange else "",
        )


def at(answer: Answer, pointer: str) -> Any:
    """Return what a JSON pointer names in an answer, None when there is no such place."""
    try:
        return pointed(answer.parsed(), pointer)
    except (LookupError, ValueError):
        return None
