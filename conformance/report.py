"""`report.json`: the run as data, versioned, with a schema of its own. What it looks like to a reader is elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from conformance.results import REPORT_VERSION, RunResult, Verdict
from conformance.secrecy import masked


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema of a report."""
    found: Mapping[str, Any] = json.loads(files("conformance").joinpath("report.schema.json").read_text("utf-8"))
    return found


def document(run: RunResult) -> dict[str, Any]:
    """Return the report without credentials; every value is one that JSON has."""
    plain = masked(asdict(run))
    return {
        "version": REPORT_VERSION,
        "suite": _version(),
        **plain,
        "possible": run.possible,
        "achieved": run.achieved,
        "counts": {verdict.value: run.count(verdict) for verdict in Verdict},
    }


def write(run: RunResult, path: Path) -> None:
    """Write the report. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(run), indent=1) + "\n", "utf-8")


def _version() -> str:
    try:
        return version("leadsandbox")
    except PackageNotFoundError:
        return "unknown"
