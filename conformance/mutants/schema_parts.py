"""Takes a row's schema apart into the keys of its body, and edits a body at one of them. Knows no mutant."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One key of a body: where it is, its own schema, and whether it must be there. Of a list, the first item."""

    place: Place
    schema: Mapping[str, Any]
    required: bool

    @property
    def name(self) -> str:
        return ".".join(map(str, self.place))


def parts(schema: Mapping[str, Any], place: Place = ()) -> Iterator[Part]:
    """Yield every key that a schema names, outer ones first."""
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        yield Part((*place, name), inner, name in required)
        yield from parts(inner, (*place, name))
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield from parts(items, (*place, 0))


def with_unknown(schema: Mapping[str, Any], place: Place = ()) -> Iterator[Place]:
    """Yield where the schema closes an object to keys that it does not name."""
    if schema.get("additionalProperties") is False or "maxProperties" in schema:
        yield place
    for name, inner in schema.get("properties", {}).items():
        yield from with_unknown(inner, (*place, name))
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield from with_unknown(items, (*place, 0))


def changed(body: Any, place: Place, value: Any, *, anew: bool = False) -> Any:
    """Return a body with another value at a place; the same body when there is no such place and it is not `anew`."""
    copied = copy.deepcopy(body)
    holder = _holder(copied, place)
    if holder is not None and (anew or _has(holder, place[-1])):
        holder[place[-1]] = value
    return copied


def dropped(body: Any, place: Place) -> Any:
    """Return a body without a key; the same body when there is no such key."""
    copied = copy.deepcopy(body)
    holder = _holder(copied, place)
    if holder is not None and _has(holder, place[-1]):
        del holder[place[-1]]
    return copied


def _holder(body: Any, place: Place) -> Any:
    for step in place[:-1]:
        if not _has(body, step):
            return None
        body = body[step]
    return body if isinstance(body, dict | list) else None


def _has(holder: Any, step: str | int) -> bool:
    if isinstance(holder, list):
        return isinstance(step, int) and step < len(holder)
    return isinstance(holder, dict) and step in holder
