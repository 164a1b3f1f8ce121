"""One view for every operation of every vendor, built by looping over the contracts. No rules here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, request
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wsgi import get_input_stream

from simulator.contract.account import Received
from simulator.contract.model import ANY_OPERATION, Contract, Operation
from simulator.exchange import Answer, Exchange
from simulator.messages import sent_headers
from simulator.platforms import CONTRACTS
from simulator.recording import Recorder
from simulator.routing.decision import Reason
from simulator.store import StoreUnavailableError
from simulator.web import wire_faults
from simulator.web.plain import Application, PlainView, Whole
from simulator.web.routes import Route
from simulator.wire import refusals
from simulator.wire.faults import drawn

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_PREFIXES = tuple({contract.path_prefix for contract in CONTRACTS.values()})
MAX_BODY = 1024 * 1024
REQUEST_ID = "X-Sandbox-Request-Id"  # ours: leads to the explanation of the answer
NO_ENDPOINT = "No such endpoint"
REFUSED = refusals.HEADER.lower()
MAX_DRAINED = 16 * MAX_BODY  # read and thrown away, so that the caller gets to see the answer

log = logging.getLogger(__name__)

Recorded = Callable[[Contract, str, Received, Answer, float], Response]
"""Turns an answer into a response and writes it down; the float is when work on it began (monotonic seconds)."""


def register(
    app: Application,
    contracts: Iterable[Contract],
    exchange: Exchange,
    recorder: Recorder,
    *,
    relayed: bool,
    strict: bool,
) -> None:
    """Add every documented path, and the vendors' own answer to every other one.

    `relayed` says whether the relay stands in front, which performs faults that only a socket can show. `strict`
    leaves our own header out.
    """
    known = tuple(contracts)

    def recorded(contract: Contract, operation: str, received: Received, answer: Answer, started: float) -> Response:
        body = orjson.dumps(answer.rendered.body)
        headers = [("Content-Type", "application/json"), *answer.rendered.headers]
        try:
            request_id = recorder.answered(contract, operation, received, answer, body, started)
        except Exception:
            # What was decided may be stored: the caller hears it, whatever becomes of our journal.
            log.exception("%s %s could not be written down", contract.platform, operation)
        else:
            headers += [] if strict else [(REQUEST_ID, request_id)]
        return _response(answer, body, headers, relayed=relayed)

    for contract in known:
        for operation in contract.operations:
            for path, reading in {operation.path: "", **operation.aliases}.items():
                view = _view(contract, operation, reading, exchange, recorded, relayed=relayed)
                app.add_plain_view(_route(app, path), view)
    unknown = _unknown_path(known, exchange, recorded, relayed=relayed)
    # No plain views: other routes may have the same paths, for some methods.
    app.view_functions[_route(app, "/")] = unknown
    app.view_functions[_route(app, "/<path:anything>")] = unknown
    app.register_error_handler(HTTPException, _refused_early(unknown))


def _response(answer: Answer, body: bytes, headers: list[tuple[str, str]], *, relayed: bool) -> Response:
    if answer.fault is None and not answer.rendered.headers:
        return Whole(body, answer.row.http, headers)
    response = Response(body, answer.row.http, headers)
    if answer.fault is None:
        return response
    return wire_faults.apply(response, drawn(answer.fault, answer.tenant.dice.roll), relayed=relayed)


def is_vendors(path: str) -> bool:
    """Whether a path is one of the vendors', served or not."""
    return path.startswith(_PREFIXES)


def _route(app: Application, path: str) -> str:
    """Add a route and return its endpoint. Any method: a wrong one is the vendor's row, in the vendor's envelope."""
    endpoint = f"vendor {path}"
    app.url_map.add(Route(path, endpoint=endpoint, strict_slashes=False, merge_slashes=False))
    return endpoint


def _view(
    contract: Contract, operation: Operation, reading: str, exchange: Exchange, recorded: Recorded, *, relayed: bool
) -> PlainView:
    def view(environ: WSGIEnvironment, arguments: Mapping[str, str]) -> Response:
        started = time.monotonic()
        received, name = None, operation.name
        try:
            received, why = _received(environ, arguments, relayed=relayed)
            if not exchange.serves(contract, reading, received):
                name, answer = ANY_OPERATION, _not_found(contract, exchange)
            elif why:
                answer = exchange.unreadable(contract, operation, received, why)
            else:
                answer = exchange.answer(contract, operation, received)
        except StoreUnavailableError as error:
            log.error("%s %s: %s", contract.platform, operation.name, error)  # noqa: TRY400  the line says all
            answer = exchange.refuse(contract, operation.name, Reason.MAINTENANCE, "The store is unavailable")
        except Exception:
            # The one broad except: whatever we did wrong, the caller sees the vendor's 500 and no trace of it.
            log.exception("%s %s failed", contract.platform, operation.name)
            answer = exchange.refuse(contract, operation.name, Reason.INTERNAL_ERROR, "Internal server error")
        return recorded(contract, name, received or _head(environ, arguments), answer, started)

    return view


def _received(environ: WSGIEnvironment, arguments: Mapping[str, str], *, relayed: bool) -> tuple[Received, str]:
    """Return the request, and a sentence why it is none; "" if it is one."""
    body, length = _body(environ)
    received = _head(environ, arguments, body, too_large=length > MAX_BODY)
    if relayed and (why := received.headers.get(REFUSED)):
        return received, refusals.sentence(why)
    announced = environ.get("CONTENT_LENGTH", "")
    is_whole = not announced.isdecimal() or length >= min(int(announced[:20]), MAX_DRAINED)
    return received, "" if is_whole else "The body is not complete"


def _head(
    environ: WSGIEnvironment, arguments: Mapping[str, str], body: bytes = b"", *, too_large: bool = False
) -> Received:
    path = environ["PATH_INFO"]
    if path[:1] != "/" or path[:2] == "//":
        path = f"/{path.lstrip('/')}"
    return Received(
        method=environ["REQUEST_METHOD"],  # as sent: `post` is no POST
        path=path if path.isascii() else path.encode("latin-1").decode(errors="replace"),
        arguments=arguments,
        headers=sent_headers(environ),
        query=environ.get("QUERY_STRING", "").encode("latin-1"),
        body=body,
        body_too_large=too_large,
    )


def _body(environ: WSGIEnvironment) -> tuple[bytes, int]:
    """Return the body, b"" if it is too large to be kept, and how many bytes of it came."""
    # A server that ends the stream itself says so; what it says is the end may also be that the caller went away.
    stream: Any = environ["wsgi.input"] if "wsgi.input_terminated" in environ else get_input_stream(environ)
    try:
        body: bytes = stream.read(MAX_BODY + 1)
        if (length := len(body)) <= MAX_BODY:
            return body, length
        while length < MAX_DRAINED and (part := stream.read(MAX_BODY)):
            length += len(part)
    except ClientDisconnected:
        return b"", 0
    return b"", length


def _not_found(contract: Contract, exchange: Exchange, detail: str = NO_ENDPOINT) -> Answer:
    return exchange.refuse(contract, ANY_OPERATION, Reason.UNKNOWN_PATH, detail)


def _unknown_path(
    contracts: tuple[Contract, ...], exchange: Exchange, recorded: Recorded, *, relayed: bool
) -> Callable[..., Response]:
    def view(anything: str = "") -> Response:
        started = time.monotonic()
        # Read to the end: whoever stops may take the answer away from a caller that still sends.
        received, why = _received(request.environ, {}, relayed=relayed)
        contract = nearest(contracts, f"/{anything}")
        answer = _not_found(contract, exchange, why or NO_ENDPOINT)
        return recorded(contract, ANY_OPERATION, received, answer, started)

    return view


def _refused_early(unknown: Callable[..., Response]) -> Callable[[HTTPException], Response | HTTPException]:
    """Word what Werkzeug refuses before it looks for a view, such as a Host that is none: never its HTML page."""

    def handle(error: HTTPException) -> Response | HTTPException:
        return error if request.blueprint else unknown(anything=request.path[1:])

    return handle


def nearest(contracts: tuple[Contract, ...], path: str) -> Contract:
    """Return the contract whose paths begin most like this one; the first when none does."""

    def shared(contract: Contract) -> int:
        pairs = zip(contract.path_prefix.split("/"), path.split("/"), strict=False)
        return next((n for n, (one, other) in enumerate(pairs) if one != other), 99)

    return max(contracts, key=shared)
