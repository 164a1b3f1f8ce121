"""The control routes `/__buyers`: create, reconfigure, read, reset. Nothing here is any vendor's."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from mock_buyers.answers import Answer, told
from mock_buyers.buyer import MockBuyer
from mock_buyers.journal import MASK
from mock_buyers.messages import Request
from mock_buyers.personas import DEFAULT_PERSONA, plain
from mock_buyers.refusing import RefusedError
from mock_buyers.registry import PLATFORMS, Address, Registry

_LONGEST_NAME = 200
_OF_THIS_MACHINE = re.compile(
    r"(\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3}|([^:]*\.)?localhost\.?)(:[0-9]{1,5})?", re.IGNORECASE
)

Handler = Callable[[Registry, Request, list[str]], Answer]
"""Gets the request and the segments of its path after the first."""


def answer(registry: Registry, token: str, request: Request, segments: list[str]) -> Answer:
    """Answer a control call. Raises RefusedError, PersonaError and TooManyBuyersError."""
    if segments[0] == "__buyers":
        _admit(request, token)
    methods = {} if "" in segments else _methods(segments)
    handler = methods.get("GET" if request.method == "HEAD" else request.method)
    if handler is None:
        raise RefusedError.of_method(request.method, [*methods, "HEAD"] if "GET" in methods else methods)
    return handler(registry, request, segments[1:])


def _methods(segments: list[str]) -> Mapping[str, Handler]:
    """Return the methods of a path: `/__buyers` with platform and tenant, or with a buyer too, and what of it."""
    if segments[0] != "__buyers":
        return {"GET": _health} if segments == ["healthz"] else {}
    return _METHODS.get((len(segments), "/".join(segments[4:])), {})


def _admit(request: Request, token: str) -> None:
    """Refuse a control call without the control token, where there is one. Raises RefusedError.

    Without one, what only a web page's call can have is refused: a name that a name server was asked for, or the
    origin of another site.
    """
    if token:
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {token}".encode()):
            raise RefusedError(401, "The control token is missing or wrong")
        return
    host, origin = request.headers.get("Host", ""), request.headers.get("Origin", "")
    if host and not _OF_THIS_MACHINE.fullmatch(host):
        why = f"The control API is not served under the name {host[:80]!r}: use an IP address or localhost"
        raise RefusedError(403, why)
    if origin and request.method not in {"GET", "HEAD"} and origin.partition("://")[2].lower() != host.lower():
        raise RefusedError(403, f"A page of {origin[:80]!r} may not change anything here")


def _address(path: list[str]) -> Address:
    """Return the buyer's address in the path. Raises RefusedError for a platform that there is not."""
    address = Address(*path[:3])
    if address.platform not in PLATFORMS:
        raise RefusedError(404, f"There is no platform {address.platform[:60]!r}")
    if max(len(address.tenant), len(address.buyer)) > _LONGEST_NAME:
        raise RefusedError(404, f"Names are at most {_LONGEST_NAME} characters long")
    return address


def _health(registry: Registry, _request: Request, _path: list[str]) -> Answer:
    return told({"status": "ok", "run": registry.run})


def _list(registry: Registry, request: Request, path: list[str]) -> Answer:
    platform, tenant = path or map(_query(request).get, ("platform", "tenant"))
    found = [_summary(address, buyer) for address, buyer in registry.matching(platform or None, tenant or None)]
    return told({"buyers": found, "personas": sorted(registry.personas)})


def _query(request: Request) -> dict[str, str]:
    try:
        return request.query
    except ValueError as bad:
        raise RefusedError(400, str(bad)) from bad


def _put(registry: Registry, request: Request, path: list[str]) -> Answer:
    address = _address(path)
    buyer, is_new = registry.put(address, _document(request))
    return told(_shown(request, address, buyer), 201 if is_new else 200)


def _get(registry: Registry, request: Request, path: list[str]) -> Answer:
    address = _address(path)
    return told(_shown(request, address, registry.at(address)))


def _patch(registry: Registry, request: Request, path: list[str]) -> Answer:
    address, changes = _address(path), _document(request)
    buyer = registry.at(address)
    registry.patch(buyer, changes)
    return told(_shown(request, address, buyer))


def _delete(registry: Registry, _request: Request, path: list[str]) -> Answer:
    address = _address(path)
    registry.at(address)
    del registry.buyers[address]
    return Answer("told", 204)


def _delete_tenant(registry: Registry, _request: Request, path: list[str]) -> Answer:
    platform, tenant = path
    gone = [address for address, _ in registry.matching(platform, tenant)]
    for address in gone:
        del registry.buyers[address]
    return told({"deleted": len(gone)})


def _received(registry: Registry, _request: Request, path: list[str]) -> Answer:
    journal = registry.at(_address(path)).journal
    return told({"counters": journal.counters, "received": journal.shown()})


def _reset(registry: Registry, request: Request, path: list[str]) -> Answer:
    address = _address(path)
    buyer = registry.at(address)
    buyer.reset()
    return told(_shown(request, address, buyer))


def _document(request: Request) -> dict[str, Any]:
    try:
        document = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError as bad:
        raise RefusedError(400, f"The body is not JSON: {bad}") from bad
    if not isinstance(document, dict):
        raise RefusedError(400, "The body is not a JSON object")
    return document


def _summary(address: Address, buyer: MockBuyer) -> dict[str, Any]:
    return {
        **address._asdict(),
        "persona": plain(buyer.document.get("persona") or DEFAULT_PERSONA),
        "mode": buyer.persona.mode,
        "counters": buyer.journal.counters,
    }


def _shown(request: Request, address: Address, buyer: MockBuyer) -> dict[str, Any]:
    overrides = {name: value for name, value in buyer.document.items() if name != "persona"}
    base = f"http://{request.headers.get('Host', 'localhost')}/{'/'.join(address)}"
    spending = buyer.spending
    return {
        **_summary(address, buyer),
        "overrides": _without_secret(overrides),
        "resolved": _without_secret(buyer.persona.model_dump(mode="json")),
        "urls": {kind: f"{base}/{kind}" for kind in PLATFORMS[address.platform]},
        "bought": {"day": spending.day, "accepts": spending.accepts, "dollars": f"{spending.dollars:.2f}"},
    }


def _without_secret(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "secret": MASK} if document.get("secret") else document


_METHODS: Mapping[tuple[int, str], Mapping[str, Handler]] = {
    (1, ""): {"GET": _list},
    (3, ""): {"GET": _list, "DELETE": _delete_tenant},
    (4, ""): {"PUT": _put, "GET": _get, "PATCH": _patch, "DELETE": _delete},
    (5, "received"): {"GET": _received},
    (5, "reset"): {"POST": _reset},
}
