"""What a model allows at each place, read from its JSON Schema. Not what a file holds, nor how to say so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeAlias

from pydantic import BaseModel

from simulator.configuration.document import Document, Node, child
from simulator.configuration.problems import Path
from simulator.routing.values import value

Schema: TypeAlias = dict[str, Any]
Branch: TypeAlias = tuple[Path, str]


@value(frozen=True, slots=True)
class Place:
    """Where an error of the model belongs in the file.

    `node` is None when the file has nothing there. `is_key` means the key itself is wrong. `branches` are the
    members of unions that were tried on the way: (path of the union, the model's name for the member).
    `siblings` are the keys known beside it. A `secret` value is not to be repeated in a message.
    """

    path: Path
    node: Node | None
    is_key: bool = False
    branches: tuple[Branch, ...] = ()
    siblings: tuple[str, ...] = ()
    secret: bool = False


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema 2020-12 of the file, for publication and for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:leadsandbox:schema:{model.__name__.lower()}",
        **_schema_of(model),
    }


@cache
def _schema_of(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


class Shape:
    """Follows the locations that pydantic gives, which mix keys with its own names for members of unions."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._root = _schema_of(model)

    def place(self, document: Document, location: tuple[str | int, ...]) -> Place:
        """Find in the document what pydantic's `loc` names."""
        walk = _Walk(self, [self._root], document.root)
        for part in location:
            walk.step(part)
        return walk.place()

    def members(self, schemas: list[Schema]) -> tuple[list[Schema], dict[str, str] | None]:
        """Return the members of the union that stands here (none if there is none) and its tags, if any."""
        if len(schemas) != 1:
            return [], None
        here = self._followed(schemas[0])
        choices = [choice for choice in _choices(here) if choice.get("type") != "null"]
        if "discriminator" in here:
            return choices, here["discriminator"].get("mapping", {})
        return self.members(choices) if len(choices) == 1 else (choices, None)

    def leaves(self, schemas: list[Schema]) -> Iterator[Schema]:
        """Yield every schema that may hold here, references and unions resolved."""
        for each in schemas:
            here = self._followed(each)
            yield here
            yield from self.leaves(_choices(here))

    def _followed(self, here: Schema) -> Schema:
        while "$ref" in here:
            here = self._root.get("$defs", {}).get(here["$ref"].rpartition("/")[2], {})
        return here


def _choices(here: Schema) -> list[Schema]:
    return [*here.get("anyOf", ()), *here.get("oneOf", ()), *here.get("allOf", ())]


def _below(here: Schema, part: str | int) -> Iterator[Schema]:
    if part in here.get("properties", {}):
        yield here["properties"][part]
        return
    candidates = [here.get("additionalProperties"), *here.get("patternProperties", {}).values()]
    if isinstance(part, int):
        candidates += [here.get("items"), *here.get("prefixItems", ())[part : part + 1]]
    yield from (candidate for candidate in candidates if isinstance(candidate, dict))


def _is_member(choice: Schema, tag: str, tags: dict[str, str] | None) -> bool:
    reference: str = choice.get("$ref", "")
    if tags is not None:
        return reference == tags.get(tag)
    if not reference:
        return True
    # A validator of the whole model makes its tag `function-after[name(), Model]`.
    name = re.escape(reference.rpartition("/")[2])
    return re.fullmatch(rf"{name}|function-.*\b{name}\]+", tag) is not None


class _Walk:
    def __init__(self, shape: Shape, schemas: list[Schema], node: Node) -> None:
        self._shape, self._schemas, self._node = shape, schemas, node
        self._path: Path = ()
        self._branches: tuple[Branch, ...] = ()
        self._missing: tuple[str | int, ...] = ()
        self._is_key = False
        self._siblings: tuple[str, ...] = ()

    def step(self, part: str | int) -> None:
        choices, tags = self._shape.members(self._schemas)
        if part == "[key]":
            self._is_key = True
        elif choices:
            self._choose(choices, tags, str(part))
        elif (below := child(self._node, part)) is not None:
            self._descend(part, below)
        else:
            self._missing = (*self._missing, part)

    def _choose(self, choices: list[Schema], tags: dict[str, str] | None, tag: str) -> None:
        if tags is None:
            self._branches = (*self._branches, (self._path, tag))
        fitting = [choice for choice in choices if _is_member(choice, tag, tags)]
        # More than one entry says that the union is behind us.
        self._schemas = fitting or [*choices, {}]

    def _descend(self, part: str | int, below: Node) -> None:
        leaves = list(self._shape.leaves(self._schemas))
        self._siblings = _properties(leaves)
        self._schemas = [found for leaf in leaves for found in _below(leaf, part)]
        self._path, self._node, self._missing = (*self._path, part), below, ()

    def place(self) -> Place:
        leaves = list(self._shape.leaves(self._schemas))
        if self._missing:
            return Place((*self._path, *self._missing), None, branches=self._branches, siblings=_properties(leaves))
        secret = any(leaf.get("writeOnly") for leaf in leaves)
        return Place(self._path, self._node, self._is_key, self._branches, self._siblings, secret)


def _properties(leaves: list[Schema]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for leaf in leaves for key in leaf.get("properties", ())))
