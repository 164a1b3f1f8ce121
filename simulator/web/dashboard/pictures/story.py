"""The way of a request to its answer as steps of a timeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simulator.explaining import is_on_purpose

Entry = Mapping[str, Any]


def steps(entry: Entry, told: Entry) -> list[dict[str, str]]:
    """Return the steps in order, each {kind, title, detail}; `kind` is start, passed, failed, decided, end or odd."""
    return list(_steps(entry, told))


def _steps(entry: Entry, told: Entry) -> Iterator[dict[str, str]]:
    size = entry["request"]["body_bytes"]
    yield _step("start", "It came in", f"{entry['method']}, {size:,} bytes of body")
    who = entry["source_id"]
    if who:
        yield _step("passed", "The source was recognised", f"{who}{_campaign(entry)}")
    else:
        yield _step("odd", "Nobody was recognised", "neither the path nor a credential names a source")
    for trigger in entry["triggers"]:
        yield _step("odd", "A trigger was found", trigger)
    for error in () if is_on_purpose(entry) else entry["errors"]:
        yield _step("failed", f"Field {error['field']}: {error['code']}", error["message"])
    for rule in told["rules"]:
        yield _step("passed" if rule["passed"] else "failed", rule["rule"], rule["detail"])
    if asked := entry["asked"]:
        took = [item["latency_ms"] for item in asked if item["latency_ms"] is not None]
        slowest = f", the slowest in {max(took):.0f} ms" if took else ""
        yield _step("passed", f"Buyers considered: {len(asked)}", f"see the picture{slowest}")
    decided = told["decided_by"]
    yield _step("decided", f"Decided by {decided['rule']}", decided["detail"])
    yield _step("end", f"Answered {entry['http']}", f"row {entry['row']['id']}, after {entry['duration_ms']:.1f} ms")
    if entry["fault"]:
        yield _step("odd", "The answer was disturbed on its way", entry["fault"])


def _campaign(entry: Entry) -> str:
    return f", campaign {entry['campaign_id']}" if entry["campaign_id"] else ""


def _step(kind: str, title: str, detail: str) -> dict[str, str]:
    return {"kind": kind, "title": title, "detail": detail}
