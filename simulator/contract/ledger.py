"""Where checks write down what they saw, and the verdicts that follow. No duty is checked here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.contract.duty import Duties, Duty, Finding, Outcome, Severity, Verdict
from simulator.contract.sent import Attempt, Sent
from simulator.contract.traffic import History

MOST_REQUESTS = 100  # ids that one finding keeps; it counts all
MOST_EXAMPLES = 10  # ids that are kept of the occasions of a duty

_RANK = {Severity.FAIL: 0, Severity.WARN: 1, Severity.INFO: 2}
_OUTCOMES = {Severity.FAIL: Outcome.FAIL, Severity.WARN: Outcome.WARN, Severity.INFO: Outcome.INFO}
MASKED = "The journal keeps no values of bodies (--mask-bodies), and this duty needs them"


@dataclass(slots=True)
class _Found:
    count: int = 0
    requests: dict[str, None] = field(default_factory=dict)  # in the order of their coming, each once


class Ledger:
    """What was exercised and what was not met, by duty."""

    def __init__(self) -> None:
        self._exercised: Counter[str] = Counter()
        self._examples: dict[str, dict[str, None]] = {}
        self._found: dict[str, dict[tuple[str, Severity | None], _Found]] = {}

    def met(self, duty: str, *sent: Sent | Attempt) -> None:
        """Say that there was an occasion for the duty, and which requests were it."""
        self._exercised[duty] += 1
        examples = self._examples.setdefault(duty, {})
        if len(examples) < MOST_EXAMPLES:
            examples.update(dict.fromkeys(item.id for item in sent[:MOST_EXAMPLES]))

    def broken(self, duty: str, detail: str, *sent: Sent | Attempt, severity: Severity | None = None) -> None:
        """Say that a duty was not met, and by which requests. Equal details make one finding.

        `severity` is for what is less than the duty's own.
        """
        found = self._found.setdefault(duty, {}).setdefault((detail, severity), _Found())
        found.count += 1
        if len(found.requests) < MOST_REQUESTS:
            found.requests.update(dict.fromkeys(item.id for item in sent))

    def verdict(self, duty: Duty, severity: Severity, *, masked: bool) -> Verdict:
        """Return what was written down of one duty; `severity` is the one in force."""
        findings = self._findings(duty, severity)
        exercised = self._exercised[duty.id]
        if severity is Severity.OFF:
            return Verdict(duty, Outcome.OFF, exercised)
        if findings:
            return Verdict(duty, _OUTCOMES[findings[0].severity], max(exercised, 1), findings)
        if duty.unseen:
            return Verdict(duty, Outcome.NOT_SEEN, reason=duty.unseen)
        if masked and duty.needs_values:
            return Verdict(duty, Outcome.NOT_SEEN, exercised, reason=MASKED)
        if exercised:
            return Verdict(duty, Outcome.PASS, exercised, requests=tuple(self._examples[duty.id])[:MOST_EXAMPLES])
        return Verdict(duty, Outcome.NOT_SEEN, reason=f"Not exercised; it takes {duty.exercised_by}")

    def _findings(self, duty: Duty, severity: Severity) -> tuple[Finding, ...]:
        """Return the worst first. A severity that a user set counts for every finding of the duty."""
        chosen = severity is not duty.severity
        found = [
            Finding(severity if chosen else own or severity, detail, tuple(item.requests), item.count)
            for (detail, own), item in self._found.get(duty.id, {}).items()
        ]
        return tuple(sorted(found, key=lambda item: _RANK.get(item.severity, 9)))


def grade(duties: Duties, history: History, severities: Mapping[str, Severity]) -> tuple[Verdict, ...]:
    """Return a verdict for every duty of the catalogue, in its order. `severities` overrides those of the catalogue."""
    ledger = Ledger()
    for check in duties.checks:
        check(history, ledger)
    return tuple(
        ledger.verdict(duty, severities.get(duty.id, duty.severity), masked=history.is_masked)
        for duty in duties.catalogue
    )
