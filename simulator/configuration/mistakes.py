"""Which of pydantic's errors count, and where each belongs in the file. Not how they are worded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from simulator.configuration.document import Document, Position, Word, child
from simulator.configuration.problems import Path, Problem
from simulator.configuration.shape import Place, Shape
from simulator.configuration.wording import either, listed, worded
from simulator.routing.values import value

_OURS = {"value_error", "assertion_error"}
_OF_A_KEY = {"extra_forbidden", "unexpected_keyword_argument"}


@value(frozen=True, slots=True)
class Mistake:
    """One error, or those of several members of a union that all want something else in one place."""

    place: Place
    errors: tuple[dict[str, Any], ...]

    @property
    def kind(self) -> str:
        return str(self.errors[0]["type"])


def mistakes_of(error: ValidationError, shape: Shape, document: Document) -> list[Mistake]:
    """Place every single error of pydantic in the document."""
    found: list[dict[str, Any]] = [dict(each) for each in error.errors(include_url=False, include_input=False)]
    mistakes = [_placed(each, shape.place(document, each["loc"])) for each in found]
    broken = {path[:depth] for path in (each.place.path for each in mistakes) for depth in range(len(path))}
    # A list counts only its valid items, so one with a wrong item is called too short as well.
    return [each for each in mistakes if each.kind != "too_short" or each.place.path not in broken]


def _placed(error: dict[str, Any], place: Place) -> Mistake:
    named = re.match(r"'([^']*)'", error.get("ctx", {}).get("discriminator", ""))
    if named is None or place.node is None:
        return Mistake(place, (error,))
    if error["type"] == "union_tag_not_found":
        error = {**error, "type": "missing"}
    chosen = child(place.node, named[1])
    return Mistake(replace(place, path=(*place.path, named[1]), node=chosen), (error,))


def wants_text(mistake: Mistake) -> bool:
    """Whether an unquoted word was read as a number or boolean where the model wants the word itself."""
    node, error = mistake.place.node, mistake.errors[0]
    if not isinstance(node, Word) or node.value is None or isinstance(node.value, str) or mistake.place.is_key:
        return False
    if mistake.kind in {"literal_error", "enum"}:
        return node.text in listed(error["ctx"]["expected"])
    return mistake.kind == "string_type"


def problem_of(mistake: Mistake, document: Document) -> Problem:
    words = [worded(error, mistake.place) for error in mistake.errors]
    message, hint = either(words) if len(words) > 1 else words[0]
    return document.problem(mistake.place.path, message, hint, at=_position(mistake, document))


def _position(mistake: Mistake, document: Document) -> Position:
    place = mistake.place
    if place.node is None:
        return document.locate_key(place.path)
    if place.is_key or mistake.kind in _OF_A_KEY:
        return document.locate_key(place.path)
    return document.locate(place.path)


def likeliest(mistakes: Iterable[Mistake], depth: int = 0) -> list[Mistake]:
    """Keep, for each union, the errors of the member that its author most likely meant."""
    kept: list[Mistake] = []
    unions: dict[Path, dict[str, list[Mistake]]] = {}
    for mistake in mistakes:
        if len(mistake.place.branches) <= depth:
            kept.append(mistake)
            continue
        path, member = mistake.place.branches[depth]
        unions.setdefault(path, {}).setdefault(member, []).append(mistake)
    for path, members in unions.items():
        kept += _nearest(path, [likeliest(each, depth + 1) for each in members.values()])
    return kept


def _nearest(path: Path, members: Sequence[list[Mistake]]) -> list[Mistake]:
    ranked = sorted(members, key=lambda mistakes: _distance(path, mistakes))
    shortest = _distance(path, ranked[0])
    if shortest != (1, 0, 1):
        return ranked[0]
    tied = [mistakes[0] for mistakes in ranked if _distance(path, mistakes) == shortest]
    return [Mistake(tied[0].place, tuple(error for mistake in tied for error in mistake.errors))]


def _distance(path: Path, mistakes: Sequence[Mistake]) -> tuple[int, int, int]:
    """Rank a member: our own validator spoke (all else fits), errors inside, not even of the kind."""
    here = [mistake.kind in _OURS for mistake in mistakes if mistake.place.path == path]
    if here:
        return (-1 if all(here) and len(here) == len(mistakes) else 1), 0, len(mistakes)
    # Keys tell best what was meant: those unknown or missing weigh more than anything deeper.
    keys = [mistake.kind in _OF_A_KEY | {"missing"} for mistake in mistakes if _is_child(mistake, path)]
    return 0, sum(keys), len(mistakes)


def _is_child(mistake: Mistake, path: Path) -> bool:
    return len(mistake.place.path) == len(path) + 1
