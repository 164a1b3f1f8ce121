"""The composition root: from settings to a Flask application that serves. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import Flask

from simulator.addresses import CannotStartError
from simulator.buyers import BuyerCalls
from simulator.clock import Clock
from simulator.configuration import sandboxes
from simulator.dice import Dice
from simulator.events import MOST_SUBSCRIBERS, Hub, on_end_of_process
from simulator.exchange import Exchange
from simulator.hearing import Hearing
from simulator.introducing import Introductions
from simulator.journal import Journals
from simulator.limits import Limiter, LimiterUnavailableError, open_limiter
from simulator.metrics import Metrics
from simulator.platforms import CONTRACTS
from simulator.reach import reach
from simulator.recording import Recorder
from simulator.reloading import Reloader
from simulator.settings import Settings
from simulator.sharing import Sharing
from simulator.siblings import Siblings
from simulator.store import Store
from simulator.tenancy import ForbiddenHostError, Others, PersonaError, Tenancy, UnreachableBuyersError, restored
from simulator.tenants import DEFAULT, Tenant, Tenants
from simulator.triggers.table import Words
from simulator.watching import Watch
from simulator.web import (
    audit,
    buyers,
    conformance,
    control,
    dashboard,
    documents,
    faults,
    observation,
    state,
    streaming,
    vendor_api,
)
from simulator.web import tenancy as tenancy_routes
from simulator.web.dashboard.parts import Parts
from simulator.webhooks import Courier
from simulator.welcome import Welcome


def create(settings: Settings) -> Flask:
    """Open the store, load the sandbox, introduce its mock buyers, start the courier; return the application.

    Raises ConfigurationError, StoreError or CannotStartError.
    """
    store = Store.open(settings.database)
    calls = BuyerCalls(reach(settings.allow_hosts, [settings.mock_buyers_url]))
    tenants = Tenants(settings.mock_buyers_url, _generations(store))
    journals, hub = Journals(settings.journal_entries, settings.journal_bytes), Hub(_streams(settings))
    metrics = Metrics(journals, hub)
    recorder = Recorder(tenants, journals, hub, metrics, mask_bodies=settings.mask_bodies)
    siblings = Siblings(settings.folder if settings.workers > 1 else "", journals, metrics, hub)
    hearing = Hearing(hub, siblings.others, alone=siblings.alone)
    watch = Watch(tenants, journals, siblings, hub, store, CONTRACTS, settings.mock_buyers_url)
    courier = Courier(tenants, store, calls, CONTRACTS, recorder.delivered)
    exchange = Exchange(tenants, store, calls, _limiter(settings), courier.announce, CONTRACTS.values())
    words = {name: Words(contract) for name, contract in CONTRACTS.items()}
    sharing = Sharing(store, words, recorder.forget) if store.is_shared else None
    others = sharing or Others()
    tenancy = Tenancy(tenants, store, calls, settings.mock_buyers_url, exchange.reception.forget, others)
    exchange.clear_away = tenancy.clear_away
    if sharing is not None:
        sharing.join()
        exchange.be_sure = sharing.be_sure
    _take_in(tenancy, default := _default_tenant(settings, store))
    _check_hosts(tenancy, default)
    for name, document in store.saved_tenants():
        if name != DEFAULT:
            _take_in(tenancy, restored(name, document))
    app = Flask("leadsandbox", static_folder=None)
    introduce = _introduce(settings, store, tenants)
    mock_buyers = buyers.MockBuyers(settings.mock_buyers_url, calls)
    reports = conformance.Reports(settings.conformance_report, _shared_report(settings))
    parts = [
        faults.blueprint(tenants, CONTRACTS, hub),
        tenancy_routes.blueprint(tenancy, courier, introduce, partial(_forgotten, recorder, siblings), hub),
        state.blueprint(tenants, store, courier),
        observation.blueprint(tenants, siblings, siblings.measured, CONTRACTS),
        streaming.blueprint(tenants, hub, hearing, watch),
        audit.blueprint(tenants, siblings, store, CONTRACTS, settings.mock_buyers_url),
        documents.blueprint(tenants, CONTRACTS),
        buyers.blueprint(tenants, store, mock_buyers),
        conformance.blueprint(reports),
    ]
    reloader = _reloader(settings, tenancy, hub)
    health = _health(settings, reloader, siblings)
    pages = Parts(
        tenancy, store, siblings, CONTRACTS, mock_buyers, reports, introduce, health,
        token=settings.control_token, version=version("leadsandbox"),
    )  # fmt: skip
    dashboard.register(app, pages)
    control.register(
        app,
        parts,
        introduce=introduce,
        health=health,
        token=settings.control_token,
        relayed=settings.wire,
        be_sure=exchange.be_sure,
    )
    vendor_api.register(app, CONTRACTS.values(), exchange, recorder, relayed=settings.wire, strict=settings.strict)
    app.view_functions["vendor /"] = dashboard.front_door(app.view_functions["vendor /"])
    on_end_of_process(partial(_end, hub, sharing))
    if sharing is not None:
        sharing.start(tenancy)
    siblings.start()
    courier.start()
    Introductions(tenancy).start()
    return app


def _forgotten(recorder: Recorder, siblings: Siblings, tenant: Tenant) -> int:
    return siblings.of(tenant.id).clear() + recorder.forget(tenant)


def _end(hub: Hub, sharing: Sharing | None) -> None:
    hub.close()
    if sharing is not None:
        sharing.leave()


def _reloader(settings: Settings, tenancy: Tenancy, hub: Hub) -> Reloader | None:
    if settings.config is None:
        return None
    reloader = Reloader(settings.config, tenancy, lambda event: hub.publish("reload", DEFAULT, lambda: event))
    reloader.start()
    return reloader


def _health(settings: Settings, reloader: Reloader | None, siblings: Siblings) -> control.Health:
    return lambda: {
        "boot": settings.boot,
        "workers": siblings.count(),
        "sandbox_file": reloader.outcome if reloader else None,
    }


def _shared_report(settings: Settings) -> Path | None:
    return Path(settings.folder) / "conformance.json" if settings.workers > 1 else None


def _streams(settings: Settings) -> int:
    """Return how many event streams there may be: each holds a thread, and most are there to answer vendors' calls."""
    return min(MOST_SUBSCRIBERS, settings.threads // 2)


def _limiter(settings: Settings) -> Limiter:
    try:
        return open_limiter(settings.shared_limits)
    except LimiterUnavailableError as error:
        raise CannotStartError(f"{error}; see --limits-state and --redis") from error


def _take_in(tenancy: Tenancy, tenant: Tenant) -> None:
    tenancy.tenants.add(tenant)
    tenancy.others.adopt(tenant)
    try:
        tenancy.introduce(tenant)
    except (PersonaError, UnreachableBuyersError) as error:
        raise CannotStartError(str(error)) from None


def _check_hosts(tenancy: Tenancy, tenant: Tenant) -> None:
    try:
        tenancy.check_hosts(tenant.accounts)
    except ForbiddenHostError as error:
        raise CannotStartError(f"{error}; start it with --allow-host if the sandbox may speak to it") from None


def _introduce(settings: Settings, store: Store, tenants: Tenants) -> Callable[[str], dict[str, Any]]:
    facts = {
        "mock_buyers": settings.mock_buyers_url,
        "database": store.place,
        "version": version("leadsandbox"),
    }

    def introduce(name: str) -> dict[str, Any]:
        tenant = tenants.get(name)
        assert tenant is not None  # the caller looked
        return Welcome(settings.base_url, tenant, CONTRACTS, facts).document()

    return introduce


def _default_tenant(settings: Settings, store: Store) -> Tenant:
    sandbox, read_file = sandboxes.load(settings.config)
    clock = Clock()
    with store.transaction() as tx:
        since = datetime.fromisoformat(tx.remembered("since", clock.now().isoformat()))
    known = store.saved_tenant(DEFAULT)
    if known is not None:  # its clock was moved; a restart goes on from there
        clock.restore(known["clock"])
    kept = known["clock"] if known else None
    return Tenant(DEFAULT, sandbox, since, clock, Dice(), read_file, kept_clock=kept)


def _generations(store: Store) -> Callable[[str], Mapping[tuple[str, str], tuple[int, datetime]]]:
    def read(tenant: str) -> Mapping[tuple[str, str], tuple[int, datetime]]:
        found = store.credentials(tenant)
        return {(item.owner, item.kind): (item.generation, item.issued_at) for item in found}

    return read
