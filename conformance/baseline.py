"""Failures that are known and expected, each with an end date. An entry that is wrong fails the run, too."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from conformance.results import CaseResult, Stale, Verdict

_FAILURES = frozenset({Verdict.FAIL, Verdict.ERROR})


class BaselineError(ValueError):
    """The baseline file can't be read. One line."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A case that is known to fail until a day, and why."""

    id: str
    until: date
    reason: str


def load(path: Path) -> tuple[Expected, ...]:
    """Read `[[expected]]` tables with `id`, `until` (a date) and `reason`. Raises BaselineError, OSError."""
    try:
        entries = tomllib.loads(path.read_text("utf-8")).get("expected", [])
        return tuple(_entry(path, entry) for entry in entries)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise BaselineError(f"{path}: {error}") from error


def _entry(path: Path, entry: Mapping[str, object]) -> Expected:
    if set(entry) != {"id", "until", "reason"}:
        raise BaselineError(f"{path}: an expected failure has id, until and reason, not {', '.join(entry)}")
    case_id, until, reason = entry["id"], entry["until"], entry["reason"]
    if not isinstance(case_id, str) or not isinstance(reason, str) or type(until) is not date:
        raise BaselineError(f"{path}: {case_id}: id and reason are texts, until is a date such as 2030-01-31")
    return Expected(case_id, until, reason)


def applied(
    results: Iterable[CaseResult], expected: Iterable[Expected], today: date
) -> tuple[tuple[CaseResult, ...], tuple[Stale, ...]]:
    """Mark the failures that are expected; return the entries that are wrong as well."""
    known = {item.id: item for item in expected}
    results = tuple(results)
    in_force = {case_id for case_id, item in known.items() if today <= item.until}
    marked = tuple(
        replace(result, expected_failure=True) if result.id in in_force and result.verdict in _FAILURES else result
        for result in results
    )
    verdicts = {result.id: result.verdict for result in results}
    return marked, tuple(stale for item in known.values() if (stale := _stale(item, verdicts, today)))


def _stale(item: Expected, verdicts: Mapping[str, Verdict], today: date) -> Stale | None:
    if item.id not in verdicts:
        return Stale(item.id, "names nothing that was asked")
    if today > item.until:
        return Stale(item.id, f"expired on {item.until.isoformat()}: {item.reason}")
    if verdicts[item.id] not in _FAILURES:
        return Stale(item.id, f"is {verdicts[item.id].value}, so the failure is no longer to be expected")
    return None
