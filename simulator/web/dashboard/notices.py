"""What became of an action, from the worker that did it to the one that renders the page after it: a cookie."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import orjson
from flask import Response, request
from pydantic import TypeAdapter, ValidationError

from simulator.dice import new_id
from simulator.web.control import PREFIX

COOKIE = "leadsandbox_notice"
PARAMETER = "notice"
SECONDS = 300  # that a page may be asked for again and still tells it
MOST_TEXT = 600  # characters
MOST_TYPED = 1500  # bytes; a cookie holds 4096


@dataclass(frozen=True, slots=True)
class Notice:
    """What became of an action; `typed` is what its form held, for one that failed."""

    good: bool
    text: str
    action: str = ""
    typed: Mapping[str, str] = field(default_factory=dict)
    name: str = field(default_factory=new_id)


_READER = TypeAdapter(Notice)


def give(response: Response, notice: Notice) -> None:
    """Send the notice along with an answer that leads to a page with `?notice=` and its name."""
    told = asdict(notice) | {"text": notice.text[:MOST_TEXT]}
    if len(orjson.dumps(notice.typed)) > MOST_TYPED:
        told["typed"] = {}
    value = base64.urlsafe_b64encode(orjson.dumps(told)).decode()
    response.set_cookie(COOKIE, value, path=PREFIX, max_age=SECONDS, httponly=True, samesite="Strict")


def given() -> Notice | None:
    """Return the notice that the request asks for, None where it brings no such one."""
    try:
        notice = _READER.validate_json(base64.urlsafe_b64decode(request.cookies.get(COOKIE, "")))
    except (ValueError, binascii.Error, ValidationError):
        return None
    return notice if notice.name == request.args.get(PARAMETER) else None
