"""Reads a contract's data files: rows from TOML, schemas from JSON. What a row means is `model.py`'s."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any

import tomli

from simulator.contract.model import ANY_OPERATION, Evidence, Row
from simulator.routing.agreed import FieldType
from simulator.routing.decision import Reason

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FORMATS_FILE = "_formats.json"
ANY_FILE = "any"  # the schemas of the rows of no operation: "*" is no file name

_TEXTS = ("id", "operation", "code", "evidence", "meaning", "reading")
_LISTS = ("answers", "source", "covers")
_OPTIONAL = {"reading": "", "covers": []}
_COLUMNS = frozenset((*_TEXTS, *_LISTS, "http"))


def load_rows(path: Traversable) -> tuple[Row, ...]:
    """Read `[[row]]` tables. Raises ValueError naming the row and the column that are wrong."""
    rows = tuple(_row(entry) for entry in tomli.loads(path.read_text("utf-8"))["row"])
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise ValueError(f"row {row.id}: column id: used twice")
        seen.add(row.id)
    return rows


def load_schemas(folder: Traversable) -> Mapping[str, Mapping[str, Any]]:
    """Read `<operation>.json` files; return the `$defs` of each, complete in themselves, by operation.

    Files whose name starts with `_` hold shared parts, which `{"$ref": "_file.json#/$defs/name"}` brings in.
    """
    documents = _documents(folder)
    return {
        _operation(name): {key: _complete(schema, documents) for key, schema in document["$defs"].items()}
        for name, document in documents.items()
        if not name.startswith("_")
    }


def load_formats(folder: Traversable) -> Mapping[FieldType, Mapping[str, Any]]:
    """Read the JSON Schema of each field type from `_formats.json`."""
    found = json.loads(folder.joinpath(FORMATS_FILE).read_text("utf-8"))["$defs"]
    return {FieldType(name): schema for name, schema in found.items()}


def _row(entry: Mapping[str, Any]) -> Row:
    name = str(entry.get("id", "without id"))
    full = _OPTIONAL | dict(entry)
    _check_columns(name, full)
    return Row(
        id=full["id"],
        operation=full["operation"],
        http=full["http"],
        code=full["code"],
        answers=tuple(_reason(name, word) for word in full["answers"]),
        evidence=_evidence(name, full["evidence"]),
        source=tuple(full["source"]),
        meaning=full["meaning"],
        reading=_reading(name, full["reading"]),
        covers=tuple(full["covers"]),
    )


def _check_columns(name: str, entry: Mapping[str, Any]) -> None:
    for column in sorted(entry.keys() ^ _COLUMNS):
        raise ValueError(f"row {name}: column {column}: {'missing' if column in _COLUMNS else 'unknown'}")
    for column in _TEXTS:
        if not _are_texts([entry[column]]):
            raise ValueError(f"row {name}: column {column}: not a string")
    for column in _LISTS:
        if not _are_texts(entry[column]):
            raise ValueError(f"row {name}: column {column}: not a list of strings")
    if type(entry["http"]) is not int or not 100 <= entry["http"] <= 599:
        raise ValueError(f"row {name}: column http: {entry['http']!r} is no HTTP status")


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _reason(name: str, word: str) -> Reason:
    try:
        return Reason(word)
    except ValueError:
        raise ValueError(f"row {name}: column answers: {word!r} is no reason") from None


def _evidence(name: str, word: str) -> Evidence:
    try:
        return Evidence(word)
    except ValueError:
        raise ValueError(f"row {name}: column evidence: {word!r} is none of full, row, ours") from None


def _reading(name: str, text: str) -> str:
    reading, equals, value = text.partition("=")
    if text and not (reading and equals and value):
        raise ValueError(f"row {name}: column reading: {text!r} is not name=value")
    return text


def _documents(folder: Traversable) -> dict[str, Mapping[str, Any]]:
    files = sorted(folder.iterdir(), key=lambda item: item.name)
    return {item.name: json.loads(item.read_text("utf-8")) for item in files if item.name.endswith(".json")}


def _operation(name: str) -> str:
    stem = name.removesuffix(".json")
    return ANY_OPERATION if stem == ANY_FILE else stem


def _complete(schema: Mapping[str, Any], documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {"$schema": DIALECT, **_inlined(schema, documents)}


def _inlined(node: Any, documents: Mapping[str, Mapping[str, Any]]) -> Any:
    # What JSON is made of, asked for by its own types: it is asked some ten thousand times in every start.
    if isinstance(node, dict):
        shared = _shared(node["$ref"], documents) if "$ref" in node else {}
        own = {key: _inlined(value, documents) for key, value in node.items() if key != "$ref"}
        return _inlined(shared, documents) | own if shared else own
    if isinstance(node, list):
        return [_inlined(item, documents) for item in node]
    return node


def _shared(reference: str, documents: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    name, _, part = reference.partition("#/$defs/")
    found: Mapping[str, Any] = documents[name]["$defs"][part]
    return found
