"""docs/readings.md: what may be read in two ways, from the vendors' own models."""  # noqa: INP001  a script's neighbour, not a package

from __future__ import annotations

from collections.abc import Iterator

from schema_words import Schema, code, default, kind, table

from simulator.contract.model import Contract
from simulator.platforms import CONTRACTS

_INTRO = """\
# Readings

Where a vendor's pages disagree, or say nothing, the sandbox has to choose. Each choice is a setting of the sandbox
file, called a reading. This page is generated from the vendors' `readings.py` by `python docs/generate.py`; do not
edit it. Why each default was chosen: [decision 0002](decisions/0002-readings-of-conflicts.md) for the conflicts
C1 to C26, [decision 0003](decisions/0003-gaps.md) for the gaps, where no page says anything and the answer is ours.

A reading is in force for a platform's whole account. Which answers belong to a reading stands in the column
"reading" of [status-codes.md](status-codes.md).
"""


def page() -> str:
    """Return the page as Markdown, one table per platform."""
    return "\n".join([_INTRO, *(line for contract in CONTRACTS.values() for line in _platform(contract))])


def _platform(contract: Contract) -> Iterator[str]:
    yield from (f"## {contract.title}", "", "```yaml", f"{contract.platform}:", "  readings:")
    fields = contract.readings.model_json_schema()["properties"]
    name, schema = next(iter(fields.items()))
    yield from (f"    {name}: {code(schema['default']).strip('`')}  # the default", "```", "")
    heads = ("reading", "conflict", "values", "default", "what it decides")
    yield from table(heads, (_row(name, schema) for name, schema in fields.items()))
    yield ""


def _row(name: str, schema: Schema) -> list[str]:
    conflict, meaning = conflict_and_rest(schema["description"])
    return [code(name), conflict, kind(schema, str), default(schema, required=False), meaning]


def conflict_and_rest(description: str) -> tuple[str, str]:
    """Split `C14: one page says …`; what stands before the colon is a conflict's number, or `gap`."""
    conflict, _, rest = description.partition(": ")
    return conflict, rest[:1].upper() + rest[1:]
