"""The composition root: from settings to a Flask application that serves. Nothing is decided here."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask

from simulator.addresses import CannotStartError
from simulator.buyers import BuyerCalls
from simulator.clock import Clock
from simulator.configuration import sandboxes
from simulator.dice import Dice
from simulator.events import MOST_SUBSCRIBERS, Hub
from simulator.exchange import Exchange
from simulator.hearing import Hearing
from simulator.introducing import Introductions
from simulator.journal import Journals
from simulator.limits import Limiter, LimiterUnavailableError, open_limiter
from simulator.metrics import Metrics
from simulator.originals import restored
from simulator.platforms import CONTRACTS
from simulator.reach import reach
from simulator.recording import Recorder
from simulator.reloading import Reloader
from simulator.settings import Settings
from simulator.sharing import Sharing
from simulator.siblings import Siblings
from simulator.store import Store
from simulator.tenancy import ForbiddenHostError, Others, PersonaError, Tenancy, UnreachableBuyersError
from simulator.tenants import DEFAULT, Tenant, Tenants
from simulator.triggers.table import Words
from simulator.watching import Watch
from simulator.web import (
    audit,
    buyers,
    conformance,
    control,
    documents,
    entrance,
    faults,
    observation,
    state,
    streaming,
    vendor_api,
)
from simulator.web import tenancy as tenancy_routes
from simulator.web.plain import Application
from simulator.web.routes import Route
from simulator.webhooks import Courier
from simulator.welcome import Introduce, Welcome


def create(
    settings: Settings, loop: AbstractEventLoop | None = None, sandbox: sandboxes.Loaded | None = None
) -> Application:
    """Open the store, load the sandbox, introduce its mock buyers, start the courier; return the application.

    The courier takes turns on the `loop` with calls, if there is one. `sandbox` is what the sandbox file says, where it
    was read before. Raises ConfigurationError, StoreError or CannotStartError.
    """
    works = Works(settings, loop)
    works.take_in_tenants(sandbox or sandboxes.load(settings.config))
    app = Application("leadsandbox", works.hub.close, works.end)
    app.url_rule_class = Route
    _add_routes(app, works)
    works.start()
    return app


class Works:
    """All that answers requests, put together. What the routes are is not known here."""

    def __init__(self, settings: Settings, loop: AbstractEventLoop | None = None) -> None:
        own = settings.mock_buyers_url
        self.settings = settings
        self.store = Store.open(settings.database)
        self.calls = BuyerCalls(reach(settings.allow_hosts, [own]))
        self.tenants = Tenants(own, _generations(self.store))
        self.journals = Journals(settings.journal_entries, settings.journal_bytes)
        self.hub = Hub(_streams(settings))
        self.metrics = Metrics(self.journals, self.hub)
        self.recorder = Recorder(self.tenants, self.journals, self.hub, self.metrics, mask_bodies=settings.mask_bodies)
        folder = settings.folder if settings.workers > 1 else ""
        self.siblings = Siblings(folder, self.journals, self.metrics, self.hub)
        self.hearing = Hearing(self.hub, self.siblings.others, alone=self.siblings.alone)
        self.watch = Watch(self.tenants, self.journals, self.siblings, self.hub, self.store, CONTRACTS, own)
        own_calls = BuyerCalls(self.calls.reach)  # receivers that hang must not take the places of buyers
        self.courier = Courier(self.tenants, self.store, own_calls, CONTRACTS, self.recorder.delivered, loop=loop)
        announce = self.courier.announce
        self.exchange = Exchange(self.tenants, self.store, self.calls, _limiter(settings), announce, CONTRACTS.values())
        words = {name: Words(contract) for name, contract in CONTRACTS.items()}
        self.sharing = Sharing(self.store, words, self.recorder.forget) if self.store.is_shared else None
        forget, others = self.exchange.reception.forget, self.sharing or Others()
        self.tenancy = Tenancy(self.tenants, self.store, self.calls, own, forget, others)
        self.exchange.clear_away = self.tenancy.clear_away

    def take_in_tenants(self, sandbox: sandboxes.Loaded) -> None:
        """Take in the sandbox file's tenant and those that were made; as one of several simulators, if so."""
        if self.sharing is not None:
            self.sharing.join()
            self.exchange.be_sure = self.sharing.be_sure
        _take_in(self.tenancy, default := _default_tenant(sandbox, self.store))
        _check_hosts(self.tenancy, default)
        for name, document in self.store.saved_tenants():
            if name != DEFAULT:
                _take_in(self.tenancy, restored(name, document))

    def forget_requests(self, tenant: Tenant) -> int:
        """Empty a tenant's journals, those of the other workers too; return how many requests went."""
        return self.siblings.of(tenant.id).clear() + self.recorder.forget(tenant)

    def start(self) -> None:
        if self.sharing is not None:
            self.sharing.start(self.tenancy)
        self.siblings.start()
        self.courier.start()
        Introductions(self.tenancy).start()

    def end(self) -> None:
        """Send the last webhooks, then let nobody wait for this simulator any more."""
        self.courier.stop(self.settings.farewell)  # before others take over what it has taken
        if self.sharing is not None:
            self.sharing.leave()


def _add_routes(app: Application, works: Works) -> None:
    settings, tenants, exchange = works.settings, works.tenants, works.exchange
    introduce = _introduce(settings, works.store, tenants)
    mock_buyers = buyers.MockBuyers(settings.mock_buyers_url, works.calls)
    reports = conformance.Reports(settings.conformance_report, _shared_report(settings))
    health = _health(settings, _reloader(settings, works.tenancy, works.hub), works.siblings)
    entrance.register(app, lambda: _pages(app, works, mock_buyers, reports, introduce, health))
    control.register(
        app,
        _control(works, introduce, mock_buyers, reports),
        introduce=introduce,
        health=health,
        token=settings.control_token,
        relayed=settings.relayed,
        be_sure=exchange.be_sure,
    )
    vendor_api.register(
        app, CONTRACTS.values(), exchange, works.recorder, relayed=settings.relayed, strict=settings.strict
    )
    app.view_functions["vendor /"] = entrance.front_door(app.view_functions["vendor /"])


def _pages(
    app: Application,
    works: Works,
    mock_buyers: buyers.MockBuyers,
    reports: conformance.Reports,
    introduce: Introduce,
    health: control.Health,
) -> Flask:
    from simulator.web import dashboard  # noqa: PLC0415  only browsers need it: no start should wait for it
    from simulator.web.dashboard.parts import Parts  # noqa: PLC0415  as above

    parts = Parts(
        works.tenancy, works.store, works.siblings, CONTRACTS, mock_buyers, reports, introduce, health,
        api=app.wsgi_app, token=works.settings.control_token, version=_version(),
    )  # fmt: skip
    return dashboard.application(parts)


def _control(
    works: Works, introduce: Introduce, mock_buyers: buyers.MockBuyers, reports: conformance.Reports
) -> list[Blueprint]:
    tenants, store, hub, siblings = works.tenants, works.store, works.hub, works.siblings
    return [
        faults.blueprint(tenants, CONTRACTS, hub),
        tenancy_routes.blueprint(works.tenancy, works.courier, introduce, works.forget_requests, hub),
        state.blueprint(tenants, store, works.courier),
        observation.blueprint(tenants, siblings, siblings.measured, CONTRACTS, hub),
        streaming.blueprint(tenants, hub, works.hearing, works.watch, CONTRACTS),
        audit.blueprint(tenants, siblings, store, CONTRACTS, works.settings.mock_buyers_url),
        documents.blueprint(tenants, CONTRACTS),
        buyers.blueprint(tenants, store, mock_buyers),
        conformance.blueprint(reports),
    ]


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


def _introduce(settings: Settings, store: Store, tenants: Tenants) -> Introduce:
    facts = {"mock_buyers": settings.mock_buyers_url, "database": store.place}

    def introduce(name: str) -> dict[str, Any]:
        tenant = tenants.get(name)
        assert tenant is not None  # the caller looked
        return Welcome(settings.base_url, tenant, CONTRACTS, facts | {"version": _version()}).document()

    return introduce


@cache
def _version() -> str:
    """Return this release's version: a search through all that is installed, which no start waits for."""
    return version("leadsandbox")


def _default_tenant(loaded: sandboxes.Loaded, store: Store) -> Tenant:
    sandbox, read_file = loaded
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
