"""The HTTP surface of the mock buyers: reads a call, lets the buyer decide, sends what it decided."""

from __future__ import annotations

import asyncio
import socket
import struct
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from mock_buyers import answers
from mock_buyers.answers import Answer
from mock_buyers.buyer import Call
from mock_buyers.control import CONTROL_TOKEN, REGISTRY, Handler, buyer_at, refusal, routes
from mock_buyers.journal import Entry, masked, shortened
from mock_buyers.latency import LONGEST_MS
from mock_buyers.personas import PersonaError
from mock_buyers.registry import MOST_BUYERS, PLATFORMS, Registry, TooManyBuyersError

MAX_BODY: Final = 1_048_576
_MAX_FIELDS: Final = 2_000
_BODY_SECONDS: Final = 30
NOW_HEADER: Final = "X-Sandbox-Now"
"""The simulator's clock, RFC 3339; ours, no vendor sends it."""


def create_app(registry: Registry, control_token: str = "") -> web.Application:
    """Return the application; with a control token, `/__buyers` asks for it as a bearer token."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_problems])
    app[REGISTRY] = registry
    app[CONTROL_TOKEN] = control_token
    app.add_routes(routes())
    for platform, kinds in PLATFORMS.items():
        for kind, methods in kinds.items():
            for method in methods:
                app.router.add_route(method, f"/{{platform:{platform}}}/{{tenant}}/{{buyer}}/{kind}", _called)
    return app


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Word what went wrong as problem details (RFC 9457)."""
    try:
        if refused := refusal(request):
            status, why = refused
            return _sent(answers.problem(status, HTTPStatus(status).phrase, why))
        return await handler(request)
    except web.HTTPException as error:
        response = _sent(answers.problem(error.status, error.reason, error.text or error.reason))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except PersonaError as bad:
        return _sent(answers.problem(422, "Not a persona", str(bad), errors=bad.reasons))
    except TooManyBuyersError:
        detail = f"There are {MOST_BUYERS} buyers already; delete some"
        return _sent(answers.problem(409, "Too many buyers", detail))


async def _called(request: web.Request) -> web.StreamResponse:
    """Answer one call of a vendor."""
    _, buyer = buyer_at(request)
    now = _now(request)
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            raw = await request.read()
    except TimeoutError as slow:
        raise web.HTTPRequestTimeout(text="The body did not arrive") from slow
    kind = request.path.rpartition("/")[2]
    call = _call(request, kind, raw, now)
    entry = _entry(request, call, buyer.journal.counters["received"] + 1)
    buyer.journal.add(entry)
    answer = buyer.answer(call)
    entry.signature, entry.duplicate, entry.is_test = answer.signature, answer.duplicate, answer.is_test
    entry.delay_ms = round(answer.delay * 1000, 3)
    silent = answer.fault in ("stall", "reset")
    buyer.journal.settle(
        entry,
        outcome=answer.outcome,
        why=answer.why,
        status=None if silent else answer.status,
        answer=answer.body,
    )
    return await _deliver(request, answer)


def _call(request: web.Request, kind: str, raw: bytes, now: datetime) -> Call:
    try:
        values = dict(request.query) if request.method == "GET" else _values(request.content_type, raw)
    except ValueError as bad:
        return Call(kind, None, raw, request.headers, now, fault=str(bad))
    return Call(kind, values, raw, request.headers, now)


def _values(content_type: str, raw: bytes) -> dict[str, Any]:
    """Return the fields of a body. Raises ValueError with a sentence."""
    if content_type == "application/x-www-form-urlencoded":
        text = raw.decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError as bad:
        raise ValueError(f"The body is not JSON: {bad}") from bad
    if not isinstance(values, dict):
        raise ValueError("The body is not a JSON object")  # noqa: TRY004  the caller sent it, no type is wrong here
    return values


def _now(request: web.Request) -> datetime:
    told = request.headers.get(NOW_HEADER)
    if told is None:
        return datetime.now(UTC)  # noqa: TID251  the edge: nobody told the time
    try:
        now = datetime.fromisoformat(told)
    except ValueError as bad:
        raise web.HTTPBadRequest(text=f"{NOW_HEADER} is not an RFC 3339 time") from bad
    if now.tzinfo is None or not 1970 <= now.year <= 9000:
        raise web.HTTPBadRequest(text=f"{NOW_HEADER} is not a time between 1970 and 9000 with an offset")
    return now


def _entry(request: web.Request, call: Call, number: int) -> Entry:
    raw = request.query_string.encode() if request.method == "GET" else call.raw
    return Entry(
        number=number,
        time=call.now.isoformat(),
        kind=call.kind,
        method=request.method,
        headers=masked(request.headers),
        body=shortened(raw),
        body_bytes=len(raw),
    )


async def _deliver(request: web.Request, answer: Answer) -> web.StreamResponse:
    if answer.fault == "stall":
        await asyncio.sleep(LONGEST_MS / 1000)
        return _cut(request)
    if answer.delay:
        await asyncio.sleep(answer.delay)
    if answer.fault == "reset":
        return _cut(request)
    if answer.fault == "truncated":
        return await _half(request, answer)
    return _sent(answer)


def _sent(answer: Answer) -> web.Response:
    return web.Response(body=answer.body, status=answer.status, content_type=answer.content_type)


def _cut(request: web.Request) -> web.Response:
    """Reset the connection: the caller sees no answer and no orderly end."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def _half(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Promise the whole answer, send half of it, and hang up."""
    response = web.StreamResponse(status=answer.status)
    response.content_type = answer.content_type
    response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
