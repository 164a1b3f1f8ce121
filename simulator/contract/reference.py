"""Contract → Markdown: the page of status codes. Writing the file is `docs/generate.py`'s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from simulator.contract.model import ANY_OPERATION, Contract, Operation, Row

_INTRO = """\
# Status codes

Every answer that the sandbox gives on a platform's endpoints. This page is generated from the platforms'
`status_codes.toml` by `python docs/generate.py`; do not edit it.

**Evidence** says how well an answer is documented:

- `full`: a vendor page documents the status and prints the body;
- `row`: only the row of a status table, or the code, is documented; the rest is inferred from its siblings;
- `ours`: no vendor page has it. It is this sandbox's own, or inferred, and a real platform may do otherwise.

**Reading**: where vendor pages disagree or are silent, the answer belongs to one reading of them, written
`name=value`. It is given only while that reading is in force. No entry: always.

**Source** is where it is documented, or what an inference rests on: `seed:NNN` is one of the vendor pages
that the project began with, `public:/…` another page of the same vendor's public documentation.
"""

_HEADS = ("id", "HTTP", "code", "evidence", "reading", "meaning", "source")


def status_codes_page(contracts: Mapping[str, Contract]) -> str:
    """Return the page as Markdown, one section per platform and one table per operation."""
    return "\n".join([_INTRO, *(line for contract in contracts.values() for line in _platform(contract))])


def _platform(contract: Contract) -> Iterator[str]:
    yield f"## {contract.title}\n"
    for operation in contract.operations:
        yield from _section(_heading(operation), contract.rows_of(operation.name))
    yield from _section("Any other path", contract.rows_of(ANY_OPERATION))


def _heading(operation: Operation) -> str:
    methods = ", ".join(operation.methods)
    path = operation.path.replace("<", "{").replace(">", "}")
    return f"{operation.name}: `{methods} {path}`"


def _section(heading: str, rows: Iterable[Row]) -> Iterator[str]:
    yield f"### {heading}\n"
    yield _line(_HEADS)
    yield _line("---" for _ in _HEADS)
    yield from (_line(_cells(row)) for row in rows)
    yield ""


def _cells(row: Row) -> tuple[str, ...]:
    reading = f"`{row.reading}`" if row.reading else ""
    sources = ", ".join(f"`{source}`" for source in row.source)
    code, evidence = f"`{row.code}`", row.evidence.value
    return (f"`{row.id}`", str(row.http), code, evidence, reading, row.meaning, sources)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
