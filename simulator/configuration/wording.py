"""Pydantic's errors in plain words. Not where they stand in the file, nor which of them count."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from simulator.configuration.document import shown
from simulator.configuration.problems import did_you_mean
from simulator.configuration.shape import Place

_MOST_LISTED = 20

_TEXT = "must be text"
_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_TRUTH = "must be true or false"
_LIST = "must be a list"
_MAPPING = "must be a mapping (key: value)"
_DATE = "must be a date such as 2026-01-31"
_TIME = "must be a time such as 08:30"
_MOMENT = "must be a date and time such as 2026-01-31T08:30:00Z"
_SPAN = "must be a duration such as PT5M"

# Longest prefix first where one is the start of another: the first that matches counts.
_KINDS = (
    ("string_type", _TEXT),
    ("string_sub_type", _TEXT),
    ("int_", _WHOLE),
    ("float_", _NUMBER),
    ("decimal_type", _NUMBER),
    ("decimal_parsing", _NUMBER),
    ("finite_number", "must be a finite number"),
    ("bool_", _TRUTH),
    ("list_type", _LIST),
    ("tuple_type", _LIST),
    ("set_type", _LIST),
    ("frozen_set_type", _LIST),
    ("dict_type", _MAPPING),
    ("mapping_type", _MAPPING),
    ("model_type", _MAPPING),
    ("model_attributes_type", _MAPPING),
    ("dataclass_type", _MAPPING),
    ("datetime_", _MOMENT),
    ("date_", _DATE),
    ("timezone_", _MOMENT),
    ("time_delta_", _SPAN),
    ("time_", _TIME),
)
_BOUNDS_OF_TIME = re.compile(r"(date|datetime|time)_(past|future)")
_JARGON = re.compile(r"^(Value error, |Assertion failed, |(\w+ )?(input )?should )", re.IGNORECASE)


class Words(NamedTuple):
    message: str
    hint: str = ""


def worded(error: Mapping[str, Any], place: Place) -> Words:
    """Word one of `ValidationError.errors()`."""
    words = _worded(error, place)
    return words._replace(message=f"the key {words.message}") if place.is_key else words


def _worded(error: Mapping[str, Any], place: Place) -> Words:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return Words("is missing")
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return _unknown_key(place)
    if kind in {"literal_error", "enum", "union_tag_invalid"}:
        return _one_of(listed(context.get("expected") or context["expected_tags"]), place)
    if kind in {"value_error", "assertion_error"}:
        return Words(str(context.get("error", error["msg"])))
    if kind in {"too_short", "too_long"}:
        return Words(_count(kind, context))
    return Words(_requirement(kind, error["msg"], context) + _got(place))


def listed(words: str) -> list[str]:
    """Split pydantic's `'a', 'b' or 'c'` into the values as they are written in a file."""
    found = re.findall(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^\s,]+", words)
    if len(found) > 2 and found[-2] == "or":
        del found[-2]
    return [str(ast.literal_eval(word)) if word[0] in "'\"" else word for word in found]


def either(words: list[Words]) -> Words:
    """Join what several members of a union want into one sentence."""
    wants, gots = zip(*(_split(each.message) for each in words), strict=True)
    parts = list(dict.fromkeys(wants))
    joined = " or ".join([parts[0], *(part.removeprefix("must be ") for part in parts[1:])])
    return Words(joined + gots[0], next((each.hint for each in words if each.hint), ""))


def _split(message: str) -> tuple[str, str]:
    want, separator, got = message.rpartition(" (got ")
    return (want, separator + got) if separator else (got, "")


def _unknown_key(place: Place) -> Words:
    key = str(place.path[-1])
    hint = did_you_mean(key, place.siblings)
    if not hint and 0 < len(place.siblings) <= _MOST_LISTED:
        hint = f"known here: {', '.join(place.siblings)}"
    return Words("is not a known key", hint)


def _one_of(values: list[str], place: Place) -> Words:
    written = str(place.path[-1]) if place.is_key else getattr(place.node, "text", "")
    listing = ", ".join(values[:_MOST_LISTED]) + (", …" if len(values) > _MOST_LISTED else "")
    want = f"must be one of {listing}" if len(values) > 1 else f"must be {listing}"
    return Words(want + _got(place), did_you_mean(written, values))


def _got(place: Place) -> str:
    if place.is_key or place.node is None or place.secret:
        return ""
    return f" (got {shown(place.node)})"


def _requirement(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind == "string_too_short" and context["min_length"] == 1:
        return "must not be empty"
    for prefix, words in _KINDS:
        if kind.startswith(prefix) and not _BOUNDS_OF_TIME.match(kind):
            return words
    plain = _JARGON.sub("must ", message)
    return plain if plain.startswith("must ") else plain[:1].lower() + plain[1:]


def _count(kind: str, context: Mapping[str, Any]) -> str:
    bound, limit = ("least", context["min_length"]) if kind == "too_short" else ("most", context["max_length"])
    return f"must have at {bound} {limit} {'entry' if limit == 1 else 'entries'}"
