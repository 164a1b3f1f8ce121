"""What a mock buyer answers, as values: words, refusals, failures, lies. Sending them does not live here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from simulator.platforms.pingtree.buyer_wire import DEFAULT_KEYS

JSON = "application/json"
TEXT = "text/plain"
PROBLEM = "application/problem+json"
REFUSED = "refused"
ACCEPTED = "accepted"


class Answer(NamedTuple):
    """One answer. `delay` is in seconds; `fault` is "", stall, reset or truncated; `allow` names methods."""

    outcome: str
    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    why: str = ""
    delay: float = 0.0
    fault: str = ""
    signature: str = "unchecked"
    duplicate: bool = False
    is_test: bool = False
    allow: str = ""


def worded(parts: Mapping[str, Any], keys: Mapping[Any, str]) -> bytes:
    """Return a JSON answer with each part where the buyer puts it; see `DEFAULT_KEYS` of the wire."""
    answer: dict[str, Any] = {}
    for part, value in parts.items():
        at, last = answer, keys.get(part, DEFAULT_KEYS[part])
        if "." in last:
            *path, last = last.split(".")
            for step in path:
                inner = at.setdefault(step, {})
                at = inner if isinstance(inner, dict) else at
        at[last] = value
    return orjson.dumps(answer)


def accepted(parts: Mapping[str, Any], keys: Mapping[Any, str]) -> Answer:
    said = {name: value for name, value in parts.items() if value != ""}
    return Answer(ACCEPTED, body=worded({"accepted": True, **said}, keys))


def refused(why: str, keys: Mapping[Any, str]) -> Answer:
    return Answer(REFUSED, body=worded({"accepted": False, "reason": why}, keys), why=why)


def received() -> Answer:
    return Answer(ACCEPTED, body=b'{"received":true}')


def webhook_refused(status: int, why: str) -> Answer:
    return Answer(REFUSED, status, orjson.dumps({"received": False, "reason": why}), why=why)


def invalid_signature(why: str) -> Answer:
    """Answer as the vendor's own sample receiver does (/docs/api-webhook-signing)."""
    return Answer("bad_signature", 401, b"Invalid signature", TEXT, why)


def told(document: Any, status: int = 200) -> Answer:
    """Return what the control API says."""
    return Answer("told", status, orjson.dumps(document, default=str))


def problem(status: int, title: str, detail: str, outcome: str = "bad_request", **more: Any) -> Answer:
    """Return problem details (RFC 9457); `more` are extension members."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Answer(outcome, status, orjson.dumps(document), PROBLEM, detail)


STALL = Answer("stalled", fault="stall", why="never answers")
BROKEN = Answer("error", 500, b"Internal Server Error", TEXT, "switched to break")

_WHOLE = b'{"accepted":true,"ping_id":"bp_lost","bid":"45.00","note":"the connection ends before this does"}'

ERRORS: Mapping[str, Answer] = {
    "http_500": Answer("error", 500, b"Internal Server Error", TEXT, "http_500"),
    "http_503": Answer("error", 503, b"Service Unavailable", TEXT, "http_503"),
    "reset": Answer("error", fault="reset", why="reset"),
    "truncated": Answer("error", body=_WHOLE, fault="truncated", why="truncated"),
}

GARBAGE: Mapping[str, Answer] = {
    "bad_json": Answer("garbage", body=b'{"accepted": true, "ping_id": "bp_1", "bid": "45.00', why="bad_json"),
    "html": Answer("garbage", 200, b"<!doctype html><title>It works!</title>", "text/html", "html"),
    "wrong_type": Answer(
        "garbage", body=b'{"accepted": true, "ping_id": {"id": 17}, "bid": ["45.00"]}', why="wrong_type"
    ),
    "wrong_shape": Answer("garbage", body=b'["accepted", "bp_1", 45]', why="wrong_shape"),
    "empty": Answer("garbage", why="empty"),
    "not_utf8": Answer("garbage", body=b'{"accepted": true, "bid": "\xff\xfe45"}', why="not_utf8"),
}
