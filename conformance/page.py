"""`report.html`: a report as one page that needs no network and reads without JavaScript. Judges nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined, Template

from conformance import report
from conformance.results import RunResult
from conformance.secrecy import masked

STEPS = ("declared", "cased", "observed", "asserted", "falsified")
_TEMPLATE, _STYLE, _SCRIPT = "page.html.jinja", "page.css", "page.js"


def write(run: RunResult, path: Path) -> None:
    """Write the page of a run. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html(report.document(run)), "utf-8")


def html(report_document: Mapping[str, Any]) -> str:
    """Return the page of a report, as `report.json` has it."""
    document = masked(report_document)
    results = {result["id"]: result for result in document["results"]}
    stories = [result for result in document["results"] if result["kind"] != "case"]
    return _template().render(
        run=document,
        style=_text(_STYLE),
        script=_text(_SCRIPT),
        policy=policy(_text(_STYLE), _text(_SCRIPT)),
        steps=STEPS,
        totals={step: sum(bool(row[step]) for row in document["rows"]) for step in STEPS},
        groups=_groups(document["rows"], results),
        stories=stories,
        verdicts=[verdict for verdict, count in document["counts"].items() if count],
        proof=document.get("self_test"),
        kills=_kills(document.get("self_test")),
        ending=_ending(document),
    )


def policy(style: str, script: str) -> str:
    """Return the content security policy: this style and this script, and nothing from anywhere."""
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'"
    return f"{nothing}; style-src '{_hash(style)}'; script-src '{_hash(script)}'"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _groups(rows: list[dict[str, Any]], results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows by operation, each with the cases that claim it."""
    return [
        {"platform": platform, "operation": operation, "rows": [_row(row, results) for row in members]}
        for (platform, operation), members in groupby(rows, lambda row: (row["platform"], row["operation"]))
    ]


def _row(row: dict[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    claims = [results[name] for name in row["cases"] if name in results]
    return {**row, "claims": [item for item in claims if item["kind"] == "case"], "told": _told(claims)}


def _told(claims: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the journeys among the claims: a page shows them once, in their own place."""
    return [item for item in claims if item["kind"] != "case"]


def _kills(proof: Mapping[str, Any] | None) -> dict[str, list[tuple[str, str]]]:
    """Return, for each row, the mutants that were caught and by what."""
    found: dict[str, list[tuple[str, str]]] = {}
    for mutant, caught in (proof or {}).get("kills", {}).items():
        for row_id, case_id in caught.items():
            found.setdefault(row_id, []).append((mutant, case_id))
    return found


def _ending(document: Mapping[str, Any]) -> str:
    return {
        0: "All rows that apply are asserted" if document["rows"] else "Nothing failed",
        1: "Not conforming",
        5: "Nothing was asked",
        10: "Green, but incomplete for this target",
        11: "The baseline is out of date",
        13: "The self-test failed",
    }.get(document["exit_code"], f"Exit code {document['exit_code']}")


@cache
def _template() -> Template:
    loader = DictLoader({_TEMPLATE: _text(_TEMPLATE)})
    # Everything is escaped but the page's own style and script, which hold no value of a run.
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["pretty"] = pretty
    return environment.get_template(_TEMPLATE)


@cache
def _text(name: str) -> str:
    return files("conformance").joinpath("page_files", name).read_text("utf-8").strip("\n")


def pretty(body: str) -> str:
    """Return a JSON body with one key on a line, anything else as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
