"""From YAML text to a Document, or to the problems that keep it from being one. No model is known here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml
from yaml import events

from simulator.configuration.document import Document, Entries, Items, Node, Position, Word
from simulator.configuration.problems import ConfigurationError, Path, Problem, key_of
from simulator.configuration.scalars import is_not_finite, resolved

MAX_BYTES = 5 * 1024 * 1024
MAX_VALUES = 100_000
MAX_DEPTH = 50

# libyaml's parser is some thirty times faster than the pure one; both give the same events.
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML has no place for, not all that it has one for: a set of nearly all characters takes Python 9 ms to compile.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_START = Position(1, 1)

_UNCLOSED = "a bracket or brace is not closed, a comma is missing, or a value that holds ': ' needs quotes"

# What the parser says, and what people can do about it. The first that matches counts.
_HINTS = (
    ("could not find expected ':'", "a key needs a colon and a space after it"),
    ("mapping values are not allowed", "check the indentation; a value that holds ': ' needs quotes"),
    ("expected <block end>", "check the indentation: keys of one mapping start in one column"),
    ("did not find expected key", "check the indentation: keys of one mapping start in one column"),
    ("did not find expected '-' indicator", "check the indentation: items of one list start in one column"),
    ("did not find expected ',' or", _UNCLOSED),
    ("did not find expected node content", _UNCLOSED),
    ("unexpected end of stream", "a quote is not closed"),
    ("cannot start any token", "a value that starts with this character needs quotes"),
    ("unknown escape character", "use single quotes where a backslash means a backslash"),
)


def parse(text: str, *, name: str) -> Document:
    """Read one YAML document. Raises ConfigurationError when there is nothing that could be validated."""
    text = text.removeprefix("\ufeff")
    _refuse_unreadable(text, name)
    try:
        return _Composer(name, text).document()
    except yaml.YAMLError as error:
        raise ConfigurationError([_syntax_problem(error, text, name)]) from None


def _refuse_unreadable(text: str, name: str) -> None:
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise ConfigurationError([Problem(name, 0, 0, "", "is larger than 5 MiB")])
    if found := _UNPRINTABLE.search(text):
        message = f"holds the control character U+{ord(found[0]):04X}, which YAML does not allow"
        at = position_in(text, found.start())
        raise ConfigurationError([Problem(name, *at, "", message, "remove it")])


def position_in(text: str, index: int) -> Position:
    """Return the line and column of a character."""
    return Position(text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


def _syntax_problem(error: yaml.YAMLError, text: str, name: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = str(getattr(error, "problem", None) or error)
    at = min(_position(mark) if mark else _START, position_in(text, len(text)))
    if _is_tab(text, at):
        return Problem(name, *at, "", "is indented with a tab", "YAML allows only spaces here")
    hint = next((hint for words, hint in _HINTS if words in what), "")
    return Problem(name, *at, "", f"is not valid YAML: {what}", hint)


def _is_tab(text: str, at: Position) -> bool:
    lines = text.split("\n")
    return at.line <= len(lines) and lines[at.line - 1][at.column - 1 : at.column] == "\t"


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _position(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)


class _Composer:
    """Turns the parser's events into nodes. It constructs no objects, and gives up on what is too large."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_PARSER))
        self._anchors: dict[str, Node] = {}
        self._problems: list[Problem] = []
        self._count = 0

    def document(self) -> Document:
        next(self._events)
        event = next(self._events)
        if isinstance(event, events.StreamEndEvent):
            self._give_up(_START, (), "is empty")
        root = self._node(next(self._events), ())
        self._refuse_a_second_document()
        if isinstance(root, Word) and root.value is None:
            self._give_up(_START, (), "is empty")
        if not isinstance(root, Entries):
            what = "a list" if isinstance(root, Items) else "a single value"
            self._give_up(root.position, (), f"must be a mapping (key: value) at the top level, not {what}")
        return Document(self._name, root, tuple(self._problems))

    def _refuse_a_second_document(self) -> None:
        next(self._events)
        event = next(self._events)
        if isinstance(event, events.DocumentStartEvent):
            self._give_up(_position(event.start_mark), (), "holds more than one document", "remove this ---")

    def _node(self, event: Any, path: Path) -> Node:
        at = _position(event.start_mark)
        self._count += 1
        if self._count > MAX_VALUES or len(path) > MAX_DEPTH:
            self._refuse_size(at)
        if isinstance(event, events.AliasEvent):
            return self._aliased(event.anchor, at, path)
        node = self._made(event, at, path)
        if node.size > MAX_VALUES:
            self._refuse_size(at)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _made(self, event: Any, at: Position, path: Path) -> Node:
        if event.tag:
            self._note(at, path, f"carries a tag ({_short(event.tag)}); tags are not read here", "remove it")
        if isinstance(event, events.ScalarEvent):
            return self._word(event, at, path)
        return self._items(at, path) if isinstance(event, events.SequenceStartEvent) else self._entries(at, path)

    def _word(self, event: Any, at: Position, path: Path) -> Word:
        is_plain = event.style is None or event.style == ""
        if is_plain and is_not_finite(event.value):
            self._note(at, path, f"must be a finite number (got {event.value})", "")
        return Word(at, event.value, resolved(event.value) if is_plain else event.value)

    def _items(self, at: Position, path: Path) -> Items:
        items: list[Node] = []
        while not isinstance(event := next(self._events), events.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return Items(at, tuple(items), 1 + sum(item.size for item in items))

    def _entries(self, at: Position, path: Path) -> Entries:
        entries: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        while not isinstance(event := next(self._events), events.MappingEndEvent):
            key_at = _position(event.start_mark)
            key = self._key(event, path)
            value = self._node(next(self._events), (*path, key))
            if key in entries:
                self._note(key_at, (*path, key), "is written twice", f"the first is on line {keys[key].line}")
            else:
                entries[key], keys[key] = value, key_at
        return Entries(at, entries, keys, 1 + sum(value.size for value in entries.values()))

    def _key(self, event: Any, path: Path) -> str:
        is_word = isinstance(event, events.ScalarEvent | events.AliasEvent)
        node = self._node(event, path) if is_word else None
        if not isinstance(node, Word):
            what = "a key must be a single word, not a list or a mapping"
            self._give_up(_position(event.start_mark), path, what)
        if node.value is None:
            self._note(node.position, path, "a key is empty", "")
        if node.text == "<<" and not getattr(event, "style", None):
            hint = "YAML 1.2 has none: write the keys out, or give the whole value an anchor"
            self._note(node.position, path, "holds a merge key (<<)", hint)
        return node.text

    def _aliased(self, anchor: str | None, at: Position, path: Path) -> Node:
        if anchor is None or anchor not in self._anchors:
            self._give_up(at, path, f"*{anchor} refers to nothing that is complete above it")
        return self._anchors[anchor]

    def _note(self, at: Position, path: Path, message: str, hint: str) -> None:
        self._problems.append(Problem(self._name, *at, key_of(path), message, hint))

    def _give_up(self, at: Position, path: Path, message: str, hint: str = "") -> NoReturn:
        self._note(at, path, message, hint)
        raise ConfigurationError(self._problems)

    def _refuse_size(self, at: Position) -> NoReturn:
        limits = f"{MAX_VALUES:,} keys and values (each alias counts in full) or {MAX_DEPTH} levels"
        self._give_up(at, (), f"holds more than {limits}")
