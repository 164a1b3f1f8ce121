"""The control routes `/__buyers`: create, reconfigure, read, reset. Nothing here is any vendor's."""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from mock_buyers.buyer import MockBuyer
from mock_buyers.journal import MASK
from mock_buyers.personas import DEFAULT_PERSONA, plain
from mock_buyers.registry import PLATFORMS, Address, Registry

REGISTRY = web.AppKey("registry", Registry)
CONTROL_TOKEN = web.AppKey("control_token", str)
_ONE = "/__buyers/{platform}/{tenant}/{buyer}"
_LONGEST_NAME = 200
_OF_THIS_MACHINE = re.compile(
    r"(\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3}|([^:]*\.)?localhost\.?)(:[0-9]{1,5})?", re.IGNORECASE
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes() -> list[web.RouteDef]:
    return [
        web.get("/healthz", _health),
        web.get("/__buyers", _list),
        web.get("/__buyers/{platform}/{tenant}", _list),
        web.delete("/__buyers/{platform}/{tenant}", _delete_tenant),
        web.put(_ONE, _put),
        web.get(_ONE, _get),
        web.patch(_ONE, _patch),
        web.delete(_ONE, _delete),
        web.get(_ONE + "/received", _received),
        web.post(_ONE + "/reset", _reset),
    ]


def refusal(request: web.Request) -> tuple[int, str] | None:
    """Return why a control call is refused, None when it is not: by the control token, where there is one.

    Without one, what only a web page's call can have is refused: a name that a name server was asked for, or the
    origin of another site.
    """
    token = request.app[CONTROL_TOKEN]
    if not request.path.startswith("/__buyers"):
        return None
    if token:
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        is_known = hmac.compare_digest(given, f"Bearer {token}".encode())
        return None if is_known else (401, "The control token is missing or wrong")
    host, origin = request.headers.get("Host", ""), request.headers.get("Origin", "")
    if host and not _OF_THIS_MACHINE.fullmatch(host):
        return 403, f"The control API is not served under the name {host[:80]!r}: use an IP address or localhost"
    if origin and request.method not in {"GET", "HEAD"} and origin.partition("://")[2].lower() != host.lower():
        return 403, f"A page of {origin[:80]!r} may not change anything here"
    return None


def json_answer(document: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document, default=str), status=status, content_type="application/json")


def address_of(request: web.Request) -> Address:
    """Return the buyer's address in the path; 404 for a platform that there is not."""
    info = request.match_info
    address = Address(info["platform"], info["tenant"], info["buyer"])
    if address.platform not in PLATFORMS:
        raise web.HTTPNotFound(text=f"There is no platform {address.platform[:60]!r}")
    if max(len(address.tenant), len(address.buyer)) > _LONGEST_NAME:
        raise web.HTTPNotFound(text=f"Names are at most {_LONGEST_NAME} characters long")
    return address


def buyer_at(request: web.Request) -> tuple[Address, MockBuyer]:
    address = address_of(request)
    buyer = request.app[REGISTRY].buyers.get(address)
    if buyer is None:
        raise web.HTTPNotFound(text=f"There is no buyer {'/'.join(address)}")
    return address, buyer


async def _health(request: web.Request) -> web.Response:
    return json_answer({"status": "ok", "run": request.app[REGISTRY].run})


async def _list(request: web.Request) -> web.Response:
    registry = request.app[REGISTRY]
    platform = request.match_info.get("platform") or request.query.get("platform")
    tenant = request.match_info.get("tenant") or request.query.get("tenant")
    found = [_summary(address, buyer) for address, buyer in registry.matching(platform, tenant)]
    return json_answer({"buyers": found, "personas": sorted(registry.personas)})


async def _put(request: web.Request) -> web.Response:
    address = address_of(request)
    buyer, is_new = request.app[REGISTRY].put(address, await _document(request))
    return json_answer(_shown(request, address, buyer), 201 if is_new else 200)


async def _get(request: web.Request) -> web.Response:
    return json_answer(_shown(request, *buyer_at(request)))


async def _patch(request: web.Request) -> web.Response:
    changes = await _document(request)
    address, buyer = buyer_at(request)
    request.app[REGISTRY].patch(buyer, changes)
    return json_answer(_shown(request, address, buyer))


async def _delete(request: web.Request) -> web.Response:
    address, _ = buyer_at(request)
    del request.app[REGISTRY].buyers[address]
    return web.Response(status=204)


async def _delete_tenant(request: web.Request) -> web.Response:
    registry, info = request.app[REGISTRY], request.match_info
    gone = [address for address, _ in registry.matching(info["platform"], info["tenant"])]
    for address in gone:
        del registry.buyers[address]
    return json_answer({"deleted": len(gone)})


async def _received(request: web.Request) -> web.Response:
    _, buyer = buyer_at(request)
    journal = buyer.journal
    return json_answer({"counters": journal.counters, "received": [entry.shown() for entry in journal.entries]})


async def _reset(request: web.Request) -> web.Response:
    address, buyer = buyer_at(request)
    buyer.reset()
    return json_answer(_shown(request, address, buyer))


async def _document(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    try:
        document = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as bad:
        raise web.HTTPBadRequest(text=f"The body is not JSON: {bad}") from bad
    if not isinstance(document, dict):
        raise web.HTTPBadRequest(text="The body is not a JSON object")
    return document


def _summary(address: Address, buyer: MockBuyer) -> dict[str, Any]:
    return {
        **address._asdict(),
        "persona": plain(buyer.document.get("persona") or DEFAULT_PERSONA),
        "mode": buyer.persona.mode,
        "counters": buyer.journal.counters,
    }


def _shown(request: web.Request, address: Address, buyer: MockBuyer) -> dict[str, Any]:
    overrides = {name: value for name, value in buyer.document.items() if name != "persona"}
    base = f"{request.scheme}://{request.host}/{'/'.join(address)}"
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
