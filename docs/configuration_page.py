"""docs/configuration.md: every key of the sandbox file, from its JSON Schema. Key by key, no vendor's rules."""  # noqa: INP001  a script's neighbour, not a package

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from readings_page import conflict_and_rest
from schema_words import Schema, anchor, code, default, kind, table

from simulator.configuration.loading import schema as schema_of
from simulator.configuration.model import Sandbox

FOLDER = Path(__file__).parent
ROOT = ""

_INTRO = """\
# The sandbox file

`leadsandbox up --config FILE` replaces the [built-in sandbox](../fixtures/sandboxes/built-in.yaml). This page is
generated from the models of the file by `python docs/generate.py`; do not edit it.

- `leadsandbox check FILE` lists every error with its line, its key and what was probably meant.
- `leadsandbox schema` prints the JSON Schema, for completion in an editor.
- `leadsandbox spec NAME --config FILE` prints what a source or supplier may send under the file.

The file is YAML 1.2 of up to 5 MiB: one document, no tags, no merge keys (`<<`), no key twice; anchors are fine.
A number that begins with 0 stays text, since it is nearly always a ZIP code. Unknown keys are refused.
How the process runs (address, port, database) is not in this file, but on the [command line](cli.md).
"""

_EXAMPLE = """\
## An example

One Pingtree source with a posting specification and two buyers, one of them your own; one Lead Distro AI campaign
with a filter. It is [example-sandbox.yaml](example-sandbox.yaml), and a test loads it.
"""


class Definitions:
    """The models of the file: where each stands, and what its section is called."""

    def __init__(self, schema: Schema) -> None:
        self.all: dict[str, Schema] = {ROOT: schema, **schema["$defs"]}
        self._places: dict[str, list[tuple[str, str]]] = {ROOT: []}
        self._visit(ROOT, ())

    def _visit(self, name: str, inside: tuple[str, ...]) -> None:
        for key, schema in self.all[name].get("properties", {}).items():
            for below, brackets in _references(schema):
                if below in (*inside, name) or "properties" not in self.all[below]:
                    continue
                first = below not in self._places
                self._places.setdefault(below, []).append((name, key + brackets))
                if first:
                    self._visit(below, (*inside, name))

    def names(self) -> list[str]:
        """Return every model once, in the order of the file; the shared ones and what is in them come last."""
        return sorted(self._places, key=self._is_below_shared)

    def _is_below_shared(self, name: str) -> bool:
        return self.is_shared(name) or any(self._is_below_shared(parent) for parent, _ in self._places[name])

    def is_shared(self, name: str) -> bool:
        return len(self._places[name]) > 1

    def title(self, name: str) -> str:
        if name == ROOT:
            return "Top level"
        return str(self.all[name]["title"]) if self.is_shared(name) else self.paths(name)[0]

    def paths(self, name: str) -> list[str]:
        """Return the dotted paths of a model; those inside a shared model begin with that model's title."""
        return [f"{self._start(parent)}{key}" for parent, key in self._places[name]]

    def _start(self, parent: str) -> str:
        return "" if parent == ROOT else f"{self.title(parent)}."

    def link(self, name: str) -> str:
        """Word a reference: a link to the model's section, or an enumeration's values."""
        if "enum" in self.all[name]:
            return kind(self.all[name], self.link)
        return f"[{self.title(name)}]({anchor(self.title(name))})"


def _references(schema: Any, brackets: str = "") -> Iterator[tuple[str, str]]:
    if "$ref" in schema:
        yield schema["$ref"].rpartition("/")[2], brackets
    for item in schema.get("anyOf", ()):
        yield from _references(item, brackets)
    if "items" in schema:
        yield from _references(schema["items"], f"{brackets}[]")


def page() -> str:
    """Return the page as Markdown, one table per model."""
    definitions = Definitions(schema_of(Sandbox))
    sections = [line for name in definitions.names() for line in _section(definitions, name)]
    example = (FOLDER / "example-sandbox.yaml").read_text("utf-8").rstrip()
    return "\n".join([_INTRO, _EXAMPLE, "```yaml", example, "```", "", *sections])


def keys() -> dict[tuple[str, str], str]:
    """Return what each key means by section and key, as its model says it; "" where the model says nothing."""
    definitions = Definitions(schema_of(Sandbox))
    return {
        (definitions.title(name), key): schema.get("description", "")
        for name in definitions.names()
        for key, schema in definitions.all[name]["properties"].items()
    }


@cache
def explained() -> dict[tuple[str, str], str]:
    """Return the meanings in `keys.toml`, which are for keys whose models say nothing."""
    sections = tomllib.loads((FOLDER / "keys.toml").read_text("utf-8"))
    return {(title, key): text for title, texts in sections.items() for key, text in texts.items()}


def _section(definitions: Definitions, name: str) -> Iterator[str]:
    schema, title = definitions.all[name], definitions.title(name)
    yield from (f"## {title}" if name == ROOT or definitions.is_shared(name) else f"## `{title}`", "")
    if description := schema.get("description"):
        yield from (inspect.cleandoc(description), "")
    if definitions.is_shared(name):
        yield from ("Stands at " + ", ".join(map(code, definitions.paths(name))) + ".", "")
    rows = [_row(definitions, name, key) for key in schema["properties"]]
    yield from (*table(("key", "value", "default", "meaning"), rows), "")


def _row(definitions: Definitions, name: str, key: str) -> list[str]:
    whole, title = definitions.all[name], definitions.title(name)
    schema = whole["properties"][key]
    meaning = schema.get("description") or explained().get((title, key), "")
    if title.endswith(".readings"):
        conflict, _ = conflict_and_rest(meaning)
        meaning = f"{conflict}; see [readings.md](readings.md)"
    required = key in whole.get("required", ())
    return [code(key), kind(schema, definitions.link), default(schema, required=required), meaning]
