"""Words JSON Schema and tables as Markdown, for the generated pages. Which pages there are is `generate.py`'s."""  # noqa: INP001  a script's neighbour, not a package

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
Link = Callable[[str], str]

_PATTERNS = {
    r"^[\x21-\x7e]+$": "text without spaces",
    r"^[A-Z]{2}$": "state code",
    r"^[0-9]{5}$": "ZIP code",
    r"^https?://.+": "URL",
    r"^(https?://.+)?$": "URL",
    r"^([01]\d|2[0-3]):[0-5]\d$": "time of day",
    r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$": "time of day",
}
_PLAIN = {"boolean": "`true`, `false`", "object": "mapping", "null": "nothing"}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; a bar inside a cell does not end it."""
    for cells in (heads, ["---"] * len(heads), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def code(value: object) -> str:
    """Return a value as a sandbox file spells it."""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def anchor(title: str) -> str:
    """Return the link to a heading, made as GitHub makes it."""
    return "#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def kind(schema: Schema, link: Link) -> str:
    """Say what a value may be. `link` words a reference to another definition."""
    if "$ref" in schema:
        return link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(kind(item, link) for item in _alternatives(schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(map(code, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'], link)}"
    return _scalar(schema)


def _alternatives(choices: Sequence[Schema]) -> Iterator[Schema]:
    numeric = any(item.get("type") == "number" for item in choices)
    for item in choices:
        # "Nothing" is what leaving the key out means, and an amount of money in quotes is still an amount.
        if item.get("type") != "null" and not (numeric and item.get("type") == "string"):
            yield item


def _scalar(schema: Schema) -> str:
    name = schema.get("type", "")
    if name == "string":
        text = "date" if schema.get("format") == "date" else "text"
        return _PATTERNS.get(schema.get("pattern", ""), text) + _length(schema)
    if name in {"integer", "number"}:
        return ("whole number" if name == "integer" else "number") + _limits(schema)
    return _PLAIN.get(name, "anything")


def _length(schema: Schema) -> str:
    least = schema.get("minLength", 0)
    return f", at least {least} characters" if least > 1 else ""


def _limits(schema: Schema) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to"}
    found = [f"{word} {schema[key]:,.0f}" for key, word in words.items() if key in schema]
    return (", " if found else "") + " ".join(found)


def default(schema: Schema, *, required: bool) -> str:
    """Say what holds when the key is left out."""
    if required:
        return "required"
    value = schema.get("default")
    if "$ref" in schema and isinstance(value, dict):
        return "its defaults"
    return "none" if value is None or value in ("", [], {}) else code(value)
