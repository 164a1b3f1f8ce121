"""What each path means, and how a request becomes a buyer's call. No connection lives here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import orjson

from mock_buyers import answers, control
from mock_buyers.answers import Answer
from mock_buyers.buyer import Call
from mock_buyers.journal import Entry
from mock_buyers.messages import Request, pairs
from mock_buyers.personas import PersonaError
from mock_buyers.refusing import RefusedError
from mock_buyers.registry import MOST_BUYERS, PLATFORMS, Address, Registry, TooManyBuyersError

NOW_HEADER: Final = "X-Sandbox-Now"
"""The simulator's clock, RFC 3339; ours, no vendor sends it."""

_log = logging.getLogger(__name__)


def answering(registry: Registry, control_token: str = "") -> Callable[[Request], Answer]:
    """Return what answers requests; with a control token, `/__buyers` asks for it as a bearer token."""

    def answer(request: Request) -> Answer:
        try:
            segments = request.segments
            if len(segments) == 4 and segments[0] in PLATFORMS:
                return _called(registry, request, segments)
            return control.answer(registry, control_token, request, segments)
        except RefusedError as refused:
            return _refusal(refused)
        except PersonaError as bad:
            return answers.problem(422, "Not a persona", str(bad), errors=bad.reasons)
        except TooManyBuyersError:
            detail = f"There are {MOST_BUYERS} buyers already; delete some"
            return answers.problem(409, "Too many buyers", detail)
        except Exception:  # noqa: BLE001  a mistake of ours costs one answer, and not all that wait on the connection
            _log.exception("a request could not be answered")
            return answers.problem(500, "Internal Server Error", "A mistake of the mock buyers'; stderr says more")

    return answer


def _refusal(refused: RefusedError) -> Answer:
    return answers.problem(refused.status, HTTPStatus(refused.status).phrase, refused.why)._replace(allow=refused.allow)


def _called(registry: Registry, request: Request, segments: list[str]) -> Answer:
    """Answer one call of a vendor."""
    platform, tenant, name, kind = segments
    methods = PLATFORMS[platform].get(kind, ())
    if request.method not in methods:
        raise RefusedError.of_method(request.method, methods)
    buyer = registry.at(Address(platform, tenant, name))
    call = _call(request, kind, _now(request))
    answer = buyer.answer(call)
    raw = request.query_string.encode() if request.method == "GET" else request.body
    buyer.journal.add(Entry.of(kind, request.method, call.now, request.headers.fields, raw, answer))
    return answer


def _call(request: Request, kind: str, now: datetime) -> Call:
    try:
        values = request.query if request.method == "GET" else _values(request)
    except ValueError as bad:
        return Call(kind, None, request.body, request.headers, now, fault=str(bad))
    return Call(kind, values, request.body, request.headers, now)


def _values(request: Request) -> dict[str, Any]:
    """Return the fields of a body. Raises ValueError with a sentence."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/x-www-form-urlencoded":
        return dict(pairs(request.body.decode("utf-8")))
    try:
        values = orjson.loads(request.body)
    except orjson.JSONDecodeError as bad:
        raise ValueError(f"The body is not JSON: {bad}") from bad
    if not isinstance(values, dict):
        raise ValueError("The body is not a JSON object")  # noqa: TRY004  the caller sent it, no type is wrong here
    return values


def _now(request: Request) -> datetime:
    told = request.headers.get(NOW_HEADER)
    if told is None:
        return datetime.now(UTC)  # noqa: TID251  the edge: nobody told the time
    try:
        now = datetime.fromisoformat(told)
    except ValueError as bad:
        raise RefusedError(400, f"{NOW_HEADER} is not an RFC 3339 time") from bad
    if now.tzinfo is None or not 1970 <= now.year <= 9000:
        raise RefusedError(400, f"{NOW_HEADER} is not a time between 1970 and 9000 with an offset")
    return now
