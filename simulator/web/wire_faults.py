"""Puts a transport fault on a response: by itself, or by telling the relay. Whether one is due is decided elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from flask import Response

from simulator.wire.faults import HEADER, LONGEST_MS, Fault, Kind


def apply(response: Response, fault: Fault, *, relayed: bool) -> Response:
    """Return the response with the fault on it, which may be the same object.

    `relayed` says whether the relay stands in front, as it does except on PostgreSQL with `--direct`. Without it,
    `slow` and `hang` wait here, and a reset is a connection that is closed without a complete answer. Distributions are
    to be drawn before, with `faults.drawn`; raises ValueError for one that was not.
    """
    if fault.pause is not None and fault.fixed_ms is None:
        raise ValueError(f"{fault.word} has to be drawn first")
    if fault.kind in _ON_THE_RESPONSE:
        _ON_THE_RESPONSE[fault.kind](response)
    elif relayed:
        response.headers[HEADER] = fault.word
    else:
        _APPROXIMATELY[fault.kind](response, LONGEST_MS if fault.fixed_ms is None else fault.fixed_ms)
    return response


def _malform(response: Response) -> None:
    # Without its last byte no object or array is JSON; the framing stays right.
    body = response.get_data().rstrip()
    response.set_data(body[:-1] if body[-1:] in {b"}", b"]"} else b"{")


def _mislabel(response: Response) -> None:
    response.content_type = "text/html; charset=utf-8"


def _empty(response: Response) -> None:
    response.set_data(b"")


def _wait(_response: Response, milliseconds: int) -> None:
    time.sleep(milliseconds / 1000)


def _truncate(response: Response, _milliseconds: int) -> None:
    body = response.get_data()
    response.headers["Content-Length"] = str(max(len(body), 1))
    # The server sends a list as it is, and hangs up after it only when told to.
    response.headers["Connection"] = "close"
    response.response = [body[: len(body) // 2]]
    response.direct_passthrough = True


def _abandon(response: Response, _milliseconds: int) -> None:
    # A stream that ends before the length that was announced: the server closes, at times after the head has left.
    response.headers["Content-Length"] = str(max(len(response.get_data()), 1))
    response.response = _nothing()


def _hang(response: Response, milliseconds: int) -> None:
    _wait(response, milliseconds)
    _abandon(response, milliseconds)


def _nothing() -> Iterator[bytes]:
    yield from ()


_ON_THE_RESPONSE: Mapping[Kind, Callable[[Response], None]] = {
    Kind.MALFORMED_JSON: _malform,
    Kind.WRONG_CONTENT_TYPE: _mislabel,
    Kind.EMPTY_BODY: _empty,
}
_APPROXIMATELY: Mapping[Kind, Callable[[Response, int], None]] = {
    Kind.SLOW: _wait,
    Kind.HANG: _hang,
    Kind.RESET: _abandon,
    Kind.TRUNCATED_BODY: _truncate,
}
