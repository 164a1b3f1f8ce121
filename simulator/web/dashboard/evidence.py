"""What is looked up for the explanation of one request: how long buyers had, and which duties it broke."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from simulator import explaining
from simulator.auditing import attempts_at_own_receivers, audit
from simulator.contract.ledger import grade
from simulator.contract.model import Contract, Journey
from simulator.contract.traffic import History
from simulator.tenants import Tenant
from simulator.web.dashboard.parts import Parts

_PINGS = frozenset({Journey.AUCTION})
_MOST_CARDS = 16
BEFORE, AFTER = 150, 50  # requests of the same source that a request is graded with

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


def findings(parts: Parts, tenant: Tenant, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the duties that this request broke, alone or with those of its source around it.

    Not the whole journal: to grade ten thousand requests takes seconds.
    """
    contract = parts.contracts[entry["platform"]]
    if contract.duties is None:
        return []
    account = tenant.accounts[contract.platform]
    near = parts.journals.of(tenant.id).around(entry["id"], BEFORE, AFTER)
    marked = (item | {"forced": bool(explaining.triggers(item))} for item in near)
    history = History(contract, contract.duties.dialect, account, marked, ())
    return [
        {"duty": verdict.duty, "severity": finding.severity.value, "detail": finding.detail}
        for verdict in grade(contract.duties, history, account.severities)
        for finding in verdict.findings
        if entry["id"] in finding.requests
    ]
