"""`conform diff`: the rows and journeys in which two reports differ, such as the sandbox's and a vendor's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from jsonschema import Draft202012Validator

from conformance import report
from conformance.results import REPORT_VERSION, Exit

ABSENT = "absent"
"""What stands for a row that one of two reports has not."""


class ReportError(ValueError):
    """A file is no report of this version. One line."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row, journey or check that ended differently. `why` is the first finding or the reason, "" without one."""

    id: str
    title: str
    left: str
    right: str
    left_why: str = ""
    right_why: str = ""


def load(path: Path) -> dict[str, Any]:
    """Read a report. Raises ReportError."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    for fault in Draft202012Validator(report.schema()).iter_errors(document):
        raise ReportError(f"{path} is no report of version {REPORT_VERSION}: {fault.json_path}: {fault.message[:200]}")
    found: dict[str, Any] = document
    return found


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield what differs between two reports: rows in the table's order, then journeys and checks."""
    yield from _compared(left, right, left["rows"], right["rows"], _row)
    yield from _compared(left, right, _stories(left), _stories(right), _story)


def _stories(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [result for result in document["results"] if result["kind"] != "case"]


def _row(row: Mapping[str, Any]) -> str:
    """Return how a row ended: a verdict, and whether it was seen where it was not asserted."""
    if row["asserted"] or row["verdict"] == "PASS":
        return str(row["verdict"])
    return f"{row['verdict']}, {'observed' if row['observed'] else 'not observed'}"


def _story(result: Mapping[str, Any]) -> str:
    return str(result["verdict"])


def _compared(
    left: Mapping[str, Any], right: Mapping[str, Any], ours: list[Any], theirs: list[Any], word: Any
) -> Iterator[Difference]:
    one, other = ({item["id"]: item for item in items} for items in (ours, theirs))
    for name in dict.fromkeys((*one, *other)):
        ends = tuple(word(items[name]) if name in items else ABSENT for items in (one, other))
        if ends[0] != ends[1]:
            known = one.get(name) or other[name]
            title = known.get("meaning") or known.get("title", "")
            yield Difference(name, title, ends[0], ends[1], _why(left, one.get(name)), _why(right, other.get(name)))


def _why(document: Mapping[str, Any], item: Mapping[str, Any] | None) -> str:
    """Return the first finding of what claims a row, or the reason why there is no verdict."""
    if item is None:
        return ""
    claims = [result for result in document["results"] if item["id"] in {result["id"], *result["verifies"]}]
    actual = next((finding["actual"] for result in claims for finding in result["findings"]), "")
    return str(actual or item.get("why") or item.get("detail") or "")


@click.command()
@click.argument("left", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("right", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the differences as one JSON document.")
@click.pass_context
def diff(ctx: click.Context, left: Path, right: Path, as_json: bool) -> None:
    """Show where two reports (report.json) differ, such as the sandbox's and a vendor's.

    Exit codes: 0 no difference, 1 they differ, 2 a file is no report.
    """
    try:
        one, other = load(left), load(right)
    except ReportError as error:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        ctx.exit(Exit.USAGE)
    found = list(differences(one, other))
    if as_json:
        click.echo(
            json.dumps(
                {"left": one["target"], "right": other["target"], "differences": [asdict(item) for item in found]}
            )
        )
    else:
        for line in lines(found, one, other):
            click.echo(line)
    ctx.exit(Exit.FAILED if found else Exit.ALL_GREEN)


def lines(found: list[Difference], left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[str]:
    """Yield the differences for a terminal."""
    names = [f"{document['target']['name']} ({document['started']})" for document in (left, right)]
    yield f"left   {names[0]}"
    yield f"right  {names[1]}"
    for item in found:
        yield from ("", f"{item.id}  {item.title}")
        for side, end, why in (("left", item.left, item.left_why), ("right", item.right, item.right_why)):
            yield f"  {side:<6} {end}" + (f": {why[:300]}" if why and end != "PASS" else "")
    yield ""
    yield f"{len(found)} differences" if len(found) != 1 else "1 difference"
