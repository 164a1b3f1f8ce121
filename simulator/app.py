"""The composition root: from settings to a Flask application that serves. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import version

import orjson
from flask import Flask

from simulator.buyers import BuyerCalls, Call
from simulator.clock import Clock
from simulator.configuration import sandboxes
from simulator.contract.sandbox import PersonaWanted
from simulator.dice import Dice
from simulator.exchange import Exchange
from simulator.platforms import CONTRACTS
from simulator.settings import Settings
from simulator.store import Store
from simulator.tenants import DEFAULT, Tenant, Tenants
from simulator.web import control, vendor_api
from simulator.webhooks import Courier
from simulator.welcome import Welcome

MOCK_BUYERS_START = 10.0  # seconds that they have to answer the introduction


class CannotStartError(Exception):
    """One line for the user: what is wrong and what to do."""


def create(settings: Settings) -> Flask:
    """Open the store, load the sandbox, introduce its mock buyers, start the courier; return the application.

    Raises ConfigurationError, StoreError or CannotStartError.
    """
    store = Store.open(settings.database)
    calls = BuyerCalls()
    tenants = Tenants(settings.mock_buyers_url, _generations(store))
    tenant = _default_tenant(settings, store)
    tenants.add(tenant)
    if settings.mock_buyers_url:
        introduce(settings.mock_buyers_url, tenants.personas(tenant), calls)
    courier = Courier(tenants, store, calls, CONTRACTS)
    exchange = Exchange(tenants, store, calls, courier.announce)
    app = Flask("leadsandbox", static_folder=None)
    app.register_blueprint(control.blueprint(_welcome(settings, store, tenant), settings.boot))
    vendor_api.register(app, CONTRACTS.values(), exchange)
    courier.start()
    return app


def _welcome(settings: Settings, store: Store, tenant: Tenant) -> Welcome:
    facts = {
        "mock_buyers": settings.mock_buyers_url,
        "database": store.place,
        "version": version("leadsandbox"),
    }
    return Welcome(settings.base_url, tenant, CONTRACTS, facts)


def _default_tenant(settings: Settings, store: Store) -> Tenant:
    sandbox, read_file = sandboxes.load(settings.config)
    clock = Clock()
    with store.transaction() as tx:
        since = datetime.fromisoformat(tx.remembered("since", clock.now().isoformat()))
    return Tenant(DEFAULT, sandbox, since, clock, Dice(), read_file)


def _generations(store: Store) -> Callable[[str], Mapping[tuple[str, str], tuple[int, datetime]]]:
    def read(tenant: str) -> Mapping[tuple[str, str], tuple[int, datetime]]:
        found = store.credentials(tenant)
        return {(item.owner, item.kind): (item.generation, item.issued_at) for item in found}

    return read


def introduce(url: str, personas: tuple[PersonaWanted, ...], calls: BuyerCalls) -> None:
    """Tell the mock buyers who they are. Raises CannotStartError with what they had to say against it."""
    wanted = [
        Call(
            f"{url}/__buyers/{item.platform}/{item.tenant}/{item.buyer_id}",
            orjson.dumps(dict(item.document)),
            {"Content-Type": "application/json"},
            MOCK_BUYERS_START,
            "PUT",
        )
        for item in personas
    ]
    for item, reply in zip(personas, calls.send(wanted), strict=True):
        if reply.failure:
            raise CannotStartError(f"the mock buyers at {url} do not answer: {reply.detail}")
        if reply.status >= 400:
            said = reply.body.decode("utf-8", "replace")[:500]
            raise CannotStartError(f"the persona of buyer {item.buyer_id} is not one: {said}")
