"""Duties of the integrator's own traffic, and the last conformance report: verdicts with their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response

from simulator.web.conformance import ReportError
from simulator.web.dashboard import evidence
from simulator.web.dashboard.frame import UI, Frame
from simulator.web.dashboard.parts import Parts
from simulator.web.problems import ProblemError

OUTCOMES = ("fail", "warn", "info", "pass", "not seen", "off")
STEPS = ("declared", "cased", "observed", "asserted", "falsified")
ENDINGS = {
    0: "All green",
    1: "A case failed",
    5: "Nothing ran",
    10: "Nothing failed, but not all could be tested",
    11: "The baseline is stale",
    13: "The suite's own test failed",
}
SHOWN_IDS = 8
MOST_EXCHANGES = 40


def add(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    _add_duties(pages, parts, frame)
    _add_conformance(pages, parts, frame)


def _add_duties(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    @pages.get(f"{UI}/duties")
    def duties() -> Response:
        card = evidence.card(parts, parts.tenant())
        return frame.page(
            "duties.html.jinja",
            "duties",
            "Duties",
            card=card,
            platforms=[_sorted(name, platform) for name, platform in card["platforms"].items()],
            outcomes=OUTCOMES,
            most_ids=SHOWN_IDS,
        )


def _add_conformance(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    @pages.get(f"{UI}/conformance")
    def conformance() -> Response:
        report, problem = _report(parts)
        return frame.page(
            "conformance.html.jinja",
            "conformance",
            "Conformance",
            report=report,
            problem=problem,
            groups=_grouped(report) if report else [],
            titles={name: contract.title for name, contract in parts.contracts.items()},
            loose=_loose(report) if report else [],
            steps=STEPS,
            ending=ENDINGS.get(report["exit_code"], f"Exit code {report['exit_code']}") if report else "",
            file=parts.reports.file,
            put=frame.curl("PUT", "/conformance", tenant=False) + " --data-binary @report.json",
        )

    @pages.get(f"{UI}/conformance/<path:name>")
    def evidence_of(name: str) -> Response:
        report, problem = _report(parts)
        row = next((item for item in report["rows"] if item["id"] == name), None) if report else None
        found = _results(report, name) if report else []
        if row is None and not found:
            detail = problem or f"The last report has neither a row nor a case called {name[:100]!r}"
            raise ProblemError(404, "Not found", detail)
        return frame.page(
            "conformance_row.html.jinja",
            "conformance",
            name,
            name=name,
            row=row,
            results=found,
            steps=STEPS,
            most=MOST_EXCHANGES,
        )


def _sorted(name: str, platform: Mapping[str, Any]) -> dict[str, Any]:
    """Return a platform's duties by outcome, what went wrong first."""
    groups = {outcome: [item for item in platform["duties"] if item["outcome"] == outcome] for outcome in OUTCOMES}
    return {**platform, "name": name, "groups": {outcome: found for outcome, found in groups.items() if found}}


def _report(parts: Parts) -> tuple[Mapping[str, Any] | None, str]:
    try:
        return parts.reports.last(), ""
    except ReportError as error:
        return None, str(error)


def _grouped(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of each operation."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in report["rows"]:
        groups.setdefault((row["platform"], row["operation"]), []).append(row)
    return [{"platform": one, "operation": other, "rows": rows} for (one, other), rows in groups.items()]


def _loose(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return journeys and whole-run checks, which no single row stands for."""
    return [item for item in report["results"] if item["kind"] != "case"]


def _results(report: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [item for item in report["results"] if name == item["id"] or name in item["verifies"]]
