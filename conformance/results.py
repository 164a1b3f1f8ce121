"""What a run leaves behind: verdicts, findings, exchanges, the matrix. Nothing is judged or printed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

REPORT_VERSION = 1
"""The version of `report.json`; a breaking change of its shape counts it up."""

UNDOCUMENTED = "UNDOCUMENTED"
"""The id of the check that looks at every answer of a run: its status is in the table and its body keeps a schema."""


class Verdict(StrEnum):
    """How one case ended."""

    PASS = "PASS"  # noqa: S105  a verdict
    FAIL = "FAIL"
    WARN = "WARN"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    EXCLUDED = "EXCLUDED"
    ERROR = "ERROR"


class Why(StrEnum):
    """Why a case is inconclusive. The list is closed."""

    NO_LEVER = "no-lever"
    NO_PERMISSION = "no-permission"
    BUDGET = "budget"
    PRECONDITION_FAILED = "precondition-failed"
    GENERATOR_INVALID = "generator-invalid"
    NOT_PRESSED = "not-pressed"
    TARGET_UNSTABLE = "target-unstable"


class Kind(StrEnum):
    """Where a judgement comes from."""

    CASE = "case"
    JOURNEY = "journey"
    PASSIVE = "passive"


class Exit(IntEnum):
    """What the command ends with."""

    ALL_GREEN = 0
    FAILED = 1
    USAGE = 2
    CANNOT_START = 3
    UNREACHABLE = 4
    NOTHING_RAN = 5
    INCOMPLETE = 10
    STALE_BASELINE = 11
    SELF_TEST = 13


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, secrets redacted. `milliseconds` is wall time.

    `rows` are the ids of the rows whose status and schema the answer keeps; several when rows differ in their
    trigger alone. `problems` is what the passive validator says against it; empty when it conforms. With `warning` they
    concern rows that are ours, on a target that is not judged by those.
    """

    number: int
    case_id: str
    platform: str
    operation: str
    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: str
    status: int
    response_headers: Mapping[str, str]
    response_body: str
    milliseconds: float
    rows: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    curl: str = ""
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as documented. `exchange` is the number of the exchange that shows it, or None."""

    row: str
    expected: str
    actual: str
    documented: str = ""
    source: tuple[str, ...] = ()
    exchange: int | None = None
    curl: str = ""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case, journey or passive check ended. `detail` is one sentence; `why` is set when inconclusive."""

    id: str
    title: str
    platform: str
    kind: Kind
    verifies: tuple[str, ...]
    verdict: Verdict
    why: Why | None = None
    detail: str = ""
    findings: tuple[Finding, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    milliseconds: float = 0.0
    expected_failure: bool = False


@dataclass(frozen=True, slots=True)
class RowResult:
    """One line of the matrix. `falsified` is None until a self-test has said.

    declared: in the table. cased: some case claims it. observed: an answer of this run kept it. asserted: a case that
    claims it passed. `possible`: this target has all that one of its cases needs. `why` says why it is not asserted.
    """

    id: str
    platform: str
    operation: str
    http: int
    code: str
    evidence: str
    meaning: str
    source: tuple[str, ...]
    reading: str
    cases: tuple[str, ...]
    cased: bool
    possible: bool
    observed: bool
    asserted: bool
    falsified: bool | None = None
    verdict: Verdict = Verdict.INCONCLUSIVE
    why: str = ""
    declared: bool = True


@dataclass(frozen=True, slots=True)
class Stale:
    """An entry of the baseline that is wrong: it passed, expired or names nothing that ran."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """A whole run. `target` is the redacted configuration that it ran with; `started` is ISO 8601, UTC.

    `self_test` is the kill matrix (`mutants/outcome.py`), None when the suite was not tested.
    """

    target: Mapping[str, object]
    started: str
    seconds: float
    results: tuple[CaseResult, ...]
    rows: tuple[RowResult, ...]
    exit_code: Exit
    complete: bool
    requests: int
    stale: tuple[Stale, ...] = ()
    notes: tuple[str, ...] = field(default=())
    self_test: Mapping[str, object] | None = None

    @property
    def possible(self) -> int:
        """Rows that can be asserted on this target."""
        return sum(row.possible for row in self.rows)

    @property
    def achieved(self) -> int:
        """Rows that were asserted."""
        return sum(row.asserted for row in self.rows)

    def count(self, verdict: Verdict) -> int:
        return sum(result.verdict is verdict for result in self.results)
