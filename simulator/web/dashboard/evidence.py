"""What is looked up for the explanation of one request: how long buyers had, and which duties it broke."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from simulator.auditing import attempts_at_own_receivers, audit
from simulator.contract.model import Contract, Journey
from simulator.tenants import Tenant
from simulator.web.dashboard.parts import Parts

_PINGS = frozenset({Journey.AUCTION})
_MOST_CARDS = 16

_lock = threading.Lock()
_cards: dict[tuple[str, str], tuple[object, dict[str, Any]]] = {}


def timeouts(tenant: Tenant, contracts: Mapping[str, Contract], entry: Mapping[str, Any]) -> dict[str, float]:
    """Return the milliseconds that each buyer has, as it is configured now, for a request of this operation."""
    contract = contracts[entry["platform"]]
    journey = next((item.journey for item in contract.operations if item.name == entry["operation"]), None)
    buyers = tenant.accounts[entry["platform"]].buyers.values()
    return {
        buyer.id: 1000 * (buyer.endpoint.ping_timeout if journey in _PINGS else buyer.endpoint.post_timeout)
        for buyer in buyers
        if buyer.endpoint is not None
    }


def card(parts: Parts, tenant: Tenant) -> dict[str, Any]:
    """Return the scorecard of a tenant. Grading reads the whole journal, so it is kept until that changes."""
    journal = parts.journals.of(tenant.id)
    version = (journal.newest, journal.size()["entries"], id(tenant.accounts))
    with _lock:
        known = _cards.get((journal.name, tenant.id))
    if known is not None and known[0] == version:
        return known[1]
    attempts = attempts_at_own_receivers(parts.store, tenant, parts.mock_buyers.url)
    found = audit(tenant, journal, parts.contracts, {}, attempts)
    with _lock:
        while len(_cards) >= _MOST_CARDS:
            _cards.pop(next(iter(_cards)))
        _cards[journal.name, tenant.id] = (version, found)
    return found


def findings(parts: Parts, tenant: Tenant, request_id: str) -> list[dict[str, Any]]:
    """Return the duties that this request broke, alone or with others."""
    return [
        {**finding, "basis": duty["basis"], "platform": name}
        for name, platform in card(parts, tenant)["platforms"].items()
        for duty in platform["duties"]
        for finding in duty["findings"]
        if request_id in finding["requests"]
    ]
