"""`/__sandbox/tenants`, `credentials`, `clock`, `reset`, `snapshots`: isolation and time, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from flask import Blueprint, Response
from pydantic import Field, model_validator

from simulator import timekeeping
from simulator.configuration.loading import ConfigurationError
from simulator.contract.account import Account, Source
from simulator.events import Hub
from simulator.store import Scope, Store
from simulator.tenancy import ForbiddenHostError, PersonaError, Tenancy, TooManyTenantsError, UnreachableBuyersError
from simulator.tenants import DEFAULT, Tenant
from simulator.web.control import PREFIX
from simulator.web.pauses import pause
from simulator.web.problems import Body, ProblemError, as_json, body_of, tenant_of
from simulator.webhooks import Courier
from simulator.welcome import Introduce

_SCOPES = frozenset({*(scope.value for scope in Scope), "journal", "faults", "clock"})

Forgetting = Callable[[Tenant], int]
"""Empties the journal of a tenant; returns how many entries went."""


class NewTenant(Body):
    """A tenant to make, of a document or `like` another. Without either it is the built-in one; a name is made."""

    name: str = Field("", pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$|^$")
    sandbox: dict[str, Any] | None = None
    like: str | None = None
    seed: int | None = None

    @model_validator(mode="after")
    def _one(self) -> NewTenant:
        if self.sandbox is not None and self.like is not None:
            raise ValueError("give sandbox or like, not both")
        return self


class Credential(Body):
    """Whose credential to make anew: a source's (its id or link id) or a supplier's, and which kind."""

    platform: str
    owner: str
    kind: str = ""


class Move(Body):
    """One move of the clock: `advance` ("30 days", "301 s" or seconds), `set`, `freeze`, `unfreeze` or `reset`."""

    advance: str | float | None = None
    set: datetime | None = None
    freeze: Literal[True] | datetime | None = None
    unfreeze: Literal[True] | None = None
    reset: Literal[True] | None = None


class Reset(Body):
    """What to empty: leads, pings, caps, deliveries, journal, faults, clock, or all."""

    scopes: tuple[Literal["leads", "pings", "caps", "deliveries", "journal", "faults", "clock", "all"], ...] = ("all",)


class Named(Body):
    name: str = Field("default", pattern=r"^[A-Za-z0-9_.-]{1,60}$")


def blueprint(
    tenancy: Tenancy, courier: Courier, introduce: Introduce, forget_journal: Forgetting, hub: Hub
) -> Blueprint:
    control = Blueprint("tenancy", __name__)
    _add_tenants(control, tenancy, introduce, forget_journal, hub)
    _add_credentials(control, tenancy)
    _add_clock(control, tenancy, courier, hub)
    _add_reset(control, tenancy, courier, forget_journal, hub)
    _add_snapshots(control, tenancy, courier, hub)
    return control


def _add_tenants(
    control: Blueprint, tenancy: Tenancy, introduce: Introduce, forget_journal: Forgetting, hub: Hub
) -> None:
    def tell(**what: str) -> None:
        for listened in hub.tenants:
            hub.publish("state", listened, lambda: what)

    @control.get(f"{PREFIX}/tenants")
    def list_tenants() -> Response:
        found = [{"tenant": item.id, "now": item.clock.now().isoformat()} for item in tenancy.tenants]
        return as_json({"tenants": found})

    @control.post(f"{PREFIX}/tenants")
    def create_tenant() -> Response:
        made = _made(tenancy, body_of(NewTenant)).id
        tell(made=made)
        return as_json(introduce(made), 201)

    @control.get(f"{PREFIX}/tenants/<name>")
    def show_tenant(name: str) -> Response:
        return as_json(introduce(_named(tenancy, name).id))

    @control.delete(f"{PREFIX}/tenants/<name>")
    def delete_tenant(name: str) -> Response:
        tenant = _named(tenancy, name)
        if tenant.id == DEFAULT:
            raise ProblemError(409, "Conflict", f"The default tenant stays; POST {PREFIX}/reset empties it")
        gone = dict(tenancy.delete(tenant))
        gone["journal"] = forget_journal(tenant)
        tell(deleted=tenant.id)
        return as_json({"deleted": tenant.id, "rows": gone})


def _made(tenancy: Tenancy, wanted: NewTenant) -> Tenant:
    like = None if wanted.like is None else _named(tenancy, wanted.like)
    try:
        return tenancy.create(wanted.name, wanted.sandbox, wanted.seed, like)
    except ConfigurationError as error:
        faults = [str(item) for item in error.problems]
        raise ProblemError(400, "Bad request", "The sandbox has faults", errors=faults) from None
    except ForbiddenHostError as error:
        detail = f"{error}; the sandbox speaks to it only when it was started with --allow-host"
        raise ProblemError(400, "Bad request", detail) from None
    except PersonaError as error:
        raise ProblemError(400, "Bad request", str(error)) from None
    except KeyError as error:
        taken = str(error.args[0])
        raise ProblemError(
            409, "Conflict", f"The name {taken!r} is taken, as a tenant or by one of its callers"
        ) from None
    except TooManyTenantsError as error:
        raise ProblemError(409, "Conflict", str(error)) from None
    except UnreachableBuyersError as error:
        raise ProblemError(503, "Service unavailable", str(error)) from None
    except ValueError as error:
        raise ProblemError(400, "Bad request", str(error)) from None


def _named(tenancy: Tenancy, name: str) -> Tenant:
    tenant = tenancy.tenants.get(name)
    if tenant is None:
        raise ProblemError(404, "Not found", f"There is no tenant {name[:100]!r}")
    return tenant


def _add_credentials(control: Blueprint, tenancy: Tenancy) -> None:
    @control.post(f"{PREFIX}/credentials/regenerate")
    def regenerate() -> Response:
        tenant, wanted = tenant_of(tenancy.tenants), body_of(Credential)
        account = tenant.accounts.get(wanted.platform)
        if account is None:
            raise ProblemError(400, "Bad request", f"platform must be one of {', '.join(tenant.accounts)}")
        if wanted.kind == "webhook_secret":
            return _rotated_secret(tenancy, tenant, account, wanted.owner)
        source = _source(account, wanted.owner)
        kind = wanted.kind or next(iter(source.credentials))
        if kind not in source.credentials:
            raise ProblemError(400, "Bad request", f"kind must be one of {', '.join(source.credentials)}")
        tenancy.regenerate(tenant, source.owner, kind)
        renewed = _source(tenant.accounts[wanted.platform], source.id)
        return as_json(
            {"owner": renewed.id, "name": renewed.name, "kind": kind, "credential": renewed.credentials[kind]}
        )


def _source(account: Account, owner: str) -> Source:
    for source in account.sources.values():
        if owner in {source.id, source.name}:
            return source
    raise ProblemError(404, "Not found", f"Nobody is called {owner[:100]!r} at {account.platform}")


def _rotated_secret(tenancy: Tenancy, tenant: Tenant, account: Account, owner: str) -> Response:
    buyer = account.buyers.get(owner)
    if buyer is None or buyer.webhook is None:
        raise ProblemError(404, "Not found", f"No buyer {owner[:100]!r} has a webhook at {account.platform}")
    tenancy.regenerate(tenant, buyer.id, "webhook_secret")
    renewed = tenant.accounts[account.platform].buyers[owner].webhook
    assert renewed is not None  # the same buyer of the same file
    tenancy.tell_secret(tenant, account.platform, owner, renewed.secret)
    return as_json({"owner": owner, "kind": "webhook_secret", "credential": renewed.secret})


def _add_clock(control: Blueprint, tenancy: Tenancy, courier: Courier, hub: Hub) -> None:
    @control.get(f"{PREFIX}/clock")
    def show_clock() -> Response:
        return as_json(_clock(tenant_of(tenancy.tenants)))

    @control.post(f"{PREFIX}/clock")
    def move_clock() -> Response:
        tenant, wanted = tenant_of(tenancy.tenants), body_of(Move)
        # One mover at a time, which starts from where the one before left the clock, in whichever simulator.
        with courier.sole_sender(tenant.id):
            tenancy.others.catch_up()
            try:
                fired = _moved(tenant, wanted, courier, tenancy.store)
            except (ValueError, OverflowError) as error:
                raise ProblemError(400, "Bad request", str(error)) from None
            except timekeeping.TooMuchDueError as error:
                raise ProblemError(409, "Conflict", str(error), now=error.fired.now.isoformat()) from None
            finally:
                tenancy.save(tenant)
                hub.publish("clock", tenant.id, lambda: _clock(tenant))
        done = {name: n for name, n in asdict(fired).items() if name != "now"}
        return as_json(_clock(tenant) | {"webhooks": done})


def _moved(tenant: Tenant, wanted: Move, courier: Courier, store: Store) -> timekeeping.Fired:
    moves = wanted.model_dump(exclude_none=True)
    if len(moves) != 1:
        raise ValueError("give exactly one of advance, set, freeze, unfreeze, reset")
    if wanted.advance is not None:
        return timekeeping.advance(tenant, pause(wanted.advance), courier, store)
    if wanted.set is not None:
        return timekeeping.advance_to(tenant, _aware(wanted.set), courier, store)
    if wanted.freeze:
        at = None if wanted.freeze is True else _aware(wanted.freeze)
        return timekeeping.freeze(tenant, at, courier, store)
    return timekeeping.reset(tenant, courier) if wanted.reset else timekeeping.unfreeze(tenant, courier)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _clock(tenant: Tenant) -> dict[str, Any]:
    return {"tenant": tenant.id, "now": tenant.clock.now().isoformat(), "frozen": tenant.clock.is_frozen}


def _add_reset(control: Blueprint, tenancy: Tenancy, courier: Courier, forget_journal: Forgetting, hub: Hub) -> None:
    @control.post(f"{PREFIX}/reset")
    def reset() -> Response:
        tenant, wanted = tenant_of(tenancy.tenants), set[str](body_of(Reset).scopes)
        if "all" in wanted:
            wanted = set(_SCOPES)
        # No webhook is on its way while the rows that it is about are taken away.
        with courier.sole_sender(tenant.id), tenancy.store.transaction() as tx:
            emptied: dict[str, int] = tx.reset(tenant.id, {scope for scope in Scope if scope in wanted})
        if "journal" in wanted:
            emptied["journal"] = forget_journal(tenant)
        if "faults" in wanted:
            emptied["faults"] = tenant.faults.disarm()
        if "clock" in wanted:
            with courier.sole_sender(tenant.id):
                timekeeping.reset(tenant, courier)
                tenancy.save(tenant)
            hub.publish("clock", tenant.id, lambda: _clock(tenant))
        hub.publish("state", tenant.id, lambda: {"reset": sorted(wanted)})
        kept = sorted({*(_SCOPES - wanted), "credentials", "sandbox"})
        return as_json({"tenant": tenant.id, "emptied": emptied, "kept": kept})


def _add_snapshots(control: Blueprint, tenancy: Tenancy, courier: Courier, hub: Hub) -> None:
    @control.get(f"{PREFIX}/snapshots")
    def snapshots() -> Response:
        return as_json({"snapshots": tenancy.snapshots(tenant_of(tenancy.tenants))})

    @control.post(f"{PREFIX}/snapshots")
    def take_snapshot() -> Response:
        tenant, wanted = tenant_of(tenancy.tenants), body_of(Named)
        try:
            tenancy.take_snapshot(tenant, wanted.name)
        except ValueError as error:
            raise ProblemError(409, "Conflict", str(error)) from None
        hub.publish("state", tenant.id, lambda: {"kept": wanted.name})
        return as_json({"tenant": tenant.id, "snapshot": wanted.name}, 201)

    @control.post(f"{PREFIX}/snapshots/<name>/restore")
    def restore_snapshot(name: str) -> Response:
        tenant = tenant_of(tenancy.tenants)
        with courier.sole_sender(tenant.id):
            found = tenancy.restore_snapshot(tenant, name)
        courier.announce()
        if not found:
            raise ProblemError(404, "Not found", f"Tenant {tenant.id} has no snapshot {name[:100]!r}")
        hub.publish("clock", tenant.id, lambda: _clock(tenant))
        hub.publish("state", tenant.id, lambda: {"restored": name})
        return as_json({"tenant": tenant.id, "restored": name, "now": tenant.clock.now().isoformat()})

    @control.delete(f"{PREFIX}/snapshots/<name>")
    def forget_snapshot(name: str) -> Response:
        tenant = tenant_of(tenancy.tenants)
        if not tenancy.delete_snapshot(tenant, name):
            raise ProblemError(404, "Not found", f"Tenant {tenant.id} has no snapshot {name[:100]!r}")
        hub.publish("state", tenant.id, lambda: {"forgotten": name})
        return as_json({"deleted": name})
