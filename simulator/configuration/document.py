"""A sandbox file as values that know their line and column. Not how it is parsed or what it ought to hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from simulator.configuration.problems import Path, Problem, key_of
from simulator.configuration.scalars import Scalar
from simulator.routing.values import value

_LONGEST_SHOWN = 60


class Position(NamedTuple):
    """Counted from 1."""

    line: int
    column: int


@value(frozen=True, slots=True)
class Word:
    """A scalar: `value` is what it means, `text` what was written (without quotes)."""

    position: Position
    text: str
    value: Scalar
    size: int = 1


@value(frozen=True, slots=True)
class Items:
    """A list. `size` counts the values inside, those behind aliases each time."""

    position: Position
    items: tuple[Node, ...]
    size: int


@value(frozen=True, slots=True)
class Entries:
    """A mapping; keys are always text. `keys` says where each key stands."""

    position: Position
    entries: dict[str, Node]
    keys: dict[str, Position]
    size: int


Node: TypeAlias = Word | Items | Entries


@value(frozen=True, slots=True)
class Document:
    """A file that is readable YAML. `problems` leave the rest readable, as a repeated key does."""

    name: str
    root: Entries
    problems: tuple[Problem, ...] = ()

    def find(self, path: Path) -> Node | None:
        """Return what stands at exactly this path."""
        *_, last = self._trail(path)
        return last[1] if last[0] == len(path) else None

    def locate(self, path: Path) -> Position:
        """Return where the value at `path` begins, or its nearest parent if the file has no such path."""
        *_, (_, node) = self._trail(path)
        return node.position

    def locate_key(self, path: Path) -> Position:
        """Return where the key of `path` stands: for an item of a list, the item itself."""
        *before, (depth, node) = self._trail(path)
        parent = before[-1][1] if before else None
        return parent.keys[str(path[depth - 1])] if isinstance(parent, Entries) else node.position

    def problem(self, path: Path, message: str, hint: str = "", *, at: Position | None = None) -> Problem:
        """Word a problem with the value at `path` (or `at` another place)."""
        line, column = at or self.locate(path)
        return Problem(self.name, line, column, key_of(path), message, hint)

    def _trail(self, path: Path) -> Iterator[tuple[int, Node]]:
        node: Node | None = self.root
        for depth, step in enumerate((*path, None)):
            if node is None:
                return
            yield depth, node
            node = child(node, step) if step is not None else None


def child(node: Node, step: str | int) -> Node | None:
    """Return the node one step below. Models number the keys of some mappings; in the file they are text."""
    if isinstance(node, Entries):
        return node.entries.get(str(step))
    if isinstance(node, Items) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def plain(node: Node) -> Any:
    """Return fresh dicts, lists and scalars, nothing shared between two aliases of one anchor."""
    if isinstance(node, Entries):
        return {key: plain(value) for key, value in node.entries.items()}
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return node.value


def shown(node: Node) -> str:
    """Word a value for the end of a message: `"XX"`, `5`, `a list`."""
    if isinstance(node, Entries):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    if node.value is None:
        return "nothing"
    text = node.text if len(node.text) <= _LONGEST_SHOWN else node.text[:_LONGEST_SHOWN] + "…"
    return json.dumps(text, ensure_ascii=False) if isinstance(node.value, str) else text
