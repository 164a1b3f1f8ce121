"""From the bytes of a request to its fields, or to the reason why not. Vendor-blind; no field rules here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import parse_qsl

import orjson

from simulator.contract.account import Received
from simulator.contract.model import BodyType
from simulator.routing.decision import Reason
from simulator.routing.values import value

MAX_FIELDS = 1000  # of a form; more is an attack or a mistake
MAX_DEPTH = 64  # of nested JSON; what is checked, stored and sent on has limits of its own further up


@value(frozen=True, slots=True)
class Unreadable:
    """Why a body gives no fields. `detail` is one sentence for the caller."""

    reason: Reason
    detail: str


@value(frozen=True, slots=True)
class Fields:
    """What was sent. `as_text` tells that every value is a string because the encoding knows no other type."""

    values: dict[str, Any]
    as_text: bool


class _RepeatedKeyError(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RepeatedKeyError(key)
            seen.add(key)
    return found


_END_OF_KEY = re.compile(rb'"[ \t\r\n]*:')  # or something like it inside a text
_without_repeats = json.JSONDecoder(object_pairs_hook=_object)


def fields_of(received: Received, allowed: AbstractSet[BodyType]) -> Fields | Unreadable:
    """Read the fields of a request whose operation takes the body types `allowed`."""
    if received.method == "GET":
        return _form(received.query, "The query string")
    if received.body_too_large:
        return Unreadable(Reason.BODY_TOO_LARGE, "The body is larger than 1 MiB")
    if BodyType.URL in allowed and received.query and not received.body:
        return _form(received.query, "The query string")
    kind = _body_type(received.headers)
    if kind not in allowed:
        wanted = " or ".join(sorted(item.value for item in allowed - {BodyType.QUERY, BodyType.URL}))
        sent = received.headers.get("content-type") or "nothing"
        return Unreadable(Reason.WRONG_CONTENT_TYPE, f"Content-Type must be {wanted}, not {sent[:100]}")
    if kind is BodyType.FORM:
        return _form(received.body, "The body")
    return _json(received.body)


def _body_type(headers: Mapping[str, str]) -> BodyType | None:
    content_type = headers.get("content-type", "")
    if content_type == BodyType.JSON:  # as most say it
        return BodyType.JSON
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip().lower()
    if media_type == BodyType.FORM.value:
        return BodyType.FORM
    charset = parameters.lower().replace(" ", "").replace('"', "").partition("charset=")[2] or "utf-8"
    is_json = media_type == BodyType.JSON.value or media_type.endswith("+json")
    return BodyType.JSON if is_json and charset in {"utf-8", "utf8", "us-ascii"} else None


def _json(body: bytes) -> Fields | Unreadable:
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Unreadable(Reason.MALFORMED_BODY, f"The body is not valid JSON: {error}")
    if not isinstance(values, dict):
        return Unreadable(Reason.MALFORMED_BODY, "The body must be a JSON object")
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > MAX_DEPTH and _is_too_deep(values):
        return Unreadable(Reason.MALFORMED_BODY, f"The body nests deeper than {MAX_DEPTH} levels")
    try:
        # orjson keeps the last of two equal keys in silence; which one was meant, nobody can know.
        if _may_repeat_keys(body, values, brackets):
            _without_repeats.decode(body.decode())
    except _RepeatedKeyError as error:
        return Unreadable(Reason.MALFORMED_BODY, f"The key {str(error)[:100]!r} stands twice in one object")
    return _without_nul(body, values)


def _may_repeat_keys(body: bytes, values: dict[str, Any], brackets: int) -> bool:
    """Say no where it is certain at a glance: every key has a colon of its own, so that there are none to spare."""
    if brackets > 1 and any(isinstance(value, dict | list) for value in values.values()):
        return True
    return body.count(b":") > len(values) and len(_END_OF_KEY.findall(body)) > len(values)


def _is_too_deep(values: Any) -> bool:
    level = [values]
    for _ in range(MAX_DEPTH):
        level = [inner for item in level for inner in _inside(item) if isinstance(inner, dict | list)]
    return bool(level)


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _without_nul(body: bytes, values: dict[str, Any]) -> Fields | Unreadable:
    if b"\\u0000" in body and _holds_nul(values):
        return Unreadable(Reason.MALFORMED_BODY, "The body holds a NUL character")
    return Fields(values, as_text=False)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_holds_nul(item) for item in value)


def _form(encoded: bytes, what: str) -> Fields | Unreadable:
    try:
        pairs = parse_qsl(encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        return Unreadable(Reason.MALFORMED_BODY, f"{what} is not valid form encoding in UTF-8")
    values = dict(pairs)
    if len(values) != len(pairs):
        return Unreadable(Reason.MALFORMED_BODY, f"{what} names a field twice")
    if any("\0" in key or "\0" in value for key, value in pairs):
        return Unreadable(Reason.MALFORMED_BODY, f"{what} holds a NUL character")
    return Fields(dict(values), as_text=True)
