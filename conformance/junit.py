"""The run as JUnit XML, with the ids of the claimed rows as properties of each test case."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from conformance.results import CaseResult, RunResult, Verdict

_SKIPPED = frozenset({Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE, Verdict.EXCLUDED})
_CONTROL = {code: None for code in range(32) if code not in {9, 10, 13}}  # XML 1.0 has no word for them


def write(run: RunResult, path: Path) -> None:
    """Write the file. Raises OSError."""
    tree = ET.ElementTree(document(run))
    ET.indent(tree)
    path.parent.mkdir(parents=True, exist_ok=True)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def document(run: RunResult) -> ET.Element:
    """Return `<testsuites>`: one suite for each platform."""
    root = ET.Element("testsuites", name="leadsandbox conform", time=f"{run.seconds:.3f}")
    for platform in dict.fromkeys(result.platform for result in run.results):
        root.append(_suite(platform or "whole run", [item for item in run.results if item.platform == platform], run))
    return root


def _suite(name: str, results: list[CaseResult], run: RunResult) -> ET.Element:
    verdicts = [result.verdict for result in results if not result.expected_failure]
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(results)),
        failures=str(verdicts.count(Verdict.FAIL)),
        errors=str(verdicts.count(Verdict.ERROR)),
        skipped=str(sum(verdict in _SKIPPED for verdict in verdicts)),
        time=f"{sum(result.milliseconds for result in results) / 1000:.3f}",
        timestamp=run.started,
    )
    suite.extend([_case(result) for result in results])
    return suite


def _case(result: CaseResult) -> ET.Element:
    case = ET.Element(
        "testcase", name=f"{result.id}: {result.title}", classname=f"conformance.{result.kind.value}",
        time=f"{result.milliseconds / 1000:.3f}",
    )  # fmt: skip
    properties = ET.SubElement(case, "properties")
    for row_id in result.verifies:
        ET.SubElement(properties, "property", name="row", value=row_id)
    ET.SubElement(properties, "property", name="verdict", value=result.verdict.value)
    if result.verdict in _SKIPPED or result.expected_failure:
        ET.SubElement(case, "skipped", message=_clean(_why(result)))
    elif result.verdict is Verdict.FAIL:
        ET.SubElement(case, "failure", message=_clean(result.detail)).text = _clean(_evidence(result))
    elif result.verdict is Verdict.ERROR:
        ET.SubElement(case, "error", message=_clean(result.detail)).text = _clean(_evidence(result))
    return case


def _why(result: CaseResult) -> str:
    if result.expected_failure:
        return f"expected failure: {result.detail}"
    return f"{result.verdict.value} {result.why.value if result.why else ''}: {result.detail}"


def _evidence(result: CaseResult) -> str:
    return "\n\n".join(
        f"documented: {item.documented}\nexpected: {item.expected}\nactual: {item.actual}\n{item.curl}"
        for item in result.findings
    )


def _clean(text: str) -> str:
    return text.translate(_CONTROL)
