"""`/__sandbox/buyers`: the buyers of a tenant, what they may still take, and how their mock players behave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson
from flask import Blueprint, Response, request

from simulator import masking
from simulator.buyers import BuyerCalls, Call
from simulator.routing import caps
from simulator.routing.agreed import Buyer, Period
from simulator.routing.values import value
from simulator.store import Store
from simulator.tenants import Tenant, Tenants
from simulator.web.control import PREFIX
from simulator.web.problems import ProblemError, as_json, only, tenant_of

TIMEOUT = 3.0  # seconds that the mock buyers have


@value(frozen=True, slots=True)
class MockBuyers:
    """The control of the program that plays the buyers; `url` is "" where none runs."""

    url: str
    calls: BuyerCalls

    def plays(self, buyer: Buyer) -> bool:
        """Whether this buyer is a mock one: an integrator's own address in its place is not."""
        urls = (buyer.webhook.url if buyer.webhook else "", buyer.endpoint.post_url if buyer.endpoint else "")
        return bool(self.url) and any(url.startswith(f"{self.url}/") for url in urls)

    def counters(self, tenant: str) -> Mapping[tuple[str, str], Mapping[str, Any]]:
        """Return persona, mode and counters of every mock buyer of a tenant, by platform and id."""
        found = self.ask("GET", f"/__buyers?tenant={quote(tenant, safe='')}")
        return {(item["platform"], item["buyer"]): item for item in found["buyers"]}

    def ask(self, method: str, path: str, body: bytes = b"") -> Any:
        """Return what the mock buyers answer. Raises ProblemError with their own words, or 503."""
        if not self.url:
            raise ProblemError(503, "Service unavailable", "This simulator runs without mock buyers")
        headers = {"Content-Type": "application/json"}
        [reply] = self.calls.send([Call(f"{self.url}{path}", body, headers, TIMEOUT, method)])
        if reply.failure:
            raise ProblemError(503, "Service unavailable", f"The mock buyers do not answer: {reply.detail}")
        said = orjson.loads(reply.body or b"null")
        if reply.status >= 400:
            raise ProblemError(reply.status, said["title"], said["detail"])
        return said


def blueprint(tenants: Tenants, store: Store, mock_buyers: MockBuyers) -> Blueprint:
    buyers = Blueprint("buyers", __name__)

    @buyers.get(f"{PREFIX}/buyers")
    def listed() -> Response:
        only()
        return as_json({"buyers": standing(tenant_of(tenants), store, mock_buyers)})

    @buyers.get(f"{PREFIX}/buyers/<platform>/<buyer_id>")
    def one(platform: str, buyer_id: str) -> Response:
        only()
        tenant = tenant_of(tenants)
        buyer = named(tenant, platform, buyer_id)
        played = mock_buyers.ask("GET", path_of(tenant, platform, buyer_id)) if mock_buyers.plays(buyer) else None
        return as_json(
            _configured(platform, buyer) | {"caps": filled(tenant, store, platform, buyer), "played": played}
        )

    @buyers.get(f"{PREFIX}/buyers/<platform>/<buyer_id>/received")
    def received(platform: str, buyer_id: str) -> Response:
        only()
        return as_json(mock_buyers.ask("GET", f"{_played(platform, buyer_id)}/received"))

    @buyers.patch(f"{PREFIX}/buyers/<platform>/<buyer_id>")
    def change(platform: str, buyer_id: str) -> Response:
        only()
        return as_json(mock_buyers.ask("PATCH", _played(platform, buyer_id), request.get_data(cache=False)))

    def _played(platform: str, buyer_id: str) -> str:
        tenant = tenant_of(tenants)
        if not mock_buyers.plays(named(tenant, platform, buyer_id)):
            detail = f"{buyer_id[:100]} is at an address of your own: only mock buyers can be asked or changed"
            raise ProblemError(409, "Conflict", detail)
        return path_of(tenant, platform, buyer_id)

    return buyers


def path_of(tenant: Tenant, platform: str, buyer_id: str) -> str:
    return "/__buyers/" + "/".join(quote(part, safe="") for part in (platform, tenant.id, buyer_id))


def named(tenant: Tenant, platform: str, buyer_id: str) -> Buyer:
    """Return a buyer of the tenant. Raises ProblemError."""
    account = tenant.accounts.get(platform)
    buyer = account.buyers.get(buyer_id) if account else None
    if buyer is None:
        raise ProblemError(404, "Not found", f"No buyer is called {buyer_id[:100]!r} at {platform[:100]!r}")
    return buyer


def standing(tenant: Tenant, store: Store, mock_buyers: MockBuyers) -> list[dict[str, Any]]:
    """Return every buyer: as configured, its caps, and what its mock player says (`played`, None without one)."""
    played = mock_buyers.counters(tenant.id) if mock_buyers.url else {}
    return [
        _configured(platform, buyer)
        | {"caps": filled(tenant, store, platform, buyer), "played": played.get((platform, buyer.id))}
        for platform, account in tenant.accounts.items()
        for buyer in account.buyers.values()
    ]


def _configured(platform: str, buyer: Buyer) -> dict[str, Any]:
    return {
        "platform": platform,
        "id": buyer.id,
        "name": buyer.name,
        "price": f"{buyer.price:.2f}",
        "minimum_price": f"{buyer.minimum_price:.2f}",
        "states": sorted(buyer.states),
        "ping_timeout": buyer.endpoint.ping_timeout if buyer.endpoint else None,
        "post_timeout": buyer.endpoint.post_timeout if buyer.endpoint else None,
        "webhook_url": masking.url(buyer.webhook.url) if buyer.webhook else None,
    }


def filled(tenant: Tenant, store: Store, platform: str, buyer: Buyer) -> list[dict[str, Any]]:
    """Return the caps of a buyer in force now. A money cap counts US cents; `next_reset` is None for a total."""
    return list(_filled(tenant, store, platform, buyer))


def _filled(tenant: Tenant, store: Store, platform: str, buyer: Buyer) -> Iterator[dict[str, Any]]:
    now, zone = tenant.clock.now(), tenant.sandbox.timezone
    claims = caps.claims(f"{platform}:buyer:{buyer.id}", buyer.caps, now, zone, buyer.price)
    used = store.usage(tenant.id, [(claim.scope, claim.period) for claim in claims])
    for claim in claims:
        period, kind = claim.scope.rsplit(":", 2)[1:]
        resets = caps.next_reset(Period(period), now, zone)
        yield {
            "cap": claim.label,
            "unit": "cents" if kind == "money" else "leads",
            "limit": claim.limit,
            "used": used[claim.scope, claim.period],
            "next_reset": resets.isoformat() if resets else None,
        }
