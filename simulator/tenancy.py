"""What can be done to tenants: made, deleted, reloaded, given new credentials. Answering requests is the exchange's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, field
from typing import Any

import orjson

from simulator.buyers import BuyerCalls, Call
from simulator.clock import Clock
from simulator.configuration import sandboxes
from simulator.configuration.model import Sandbox
from simulator.contract.account import Account
from simulator.contract.sandbox import PersonaWanted
from simulator.dice import Dice, new_id
from simulator.originals import built_in, copied, posted, restored
from simulator.reach import host_of
from simulator.routing.agreed import Buyer
from simulator.routing.values import value
from simulator.store import Store
from simulator.tenants import DEFAULT, Tenant, Tenants

MOST_TENANTS = 2000
_MAKING = "making a tenant"
MOCK_BUYERS_START = 10.0  # seconds that they have to answer the introduction

log = logging.getLogger(__name__)


class PersonaError(ValueError):
    """The mock buyers will not play a buyer of the sandbox file."""


class ForbiddenHostError(ValueError):
    """A buyer or a receiver of webhooks is where the sandbox may not connect to."""


class UnreachableBuyersError(Exception):
    """The mock buyers do not answer."""


class TooManyTenantsError(ValueError):
    """There are so many tenants that somebody forgets to delete them."""


class Others:
    """The other simulators of the sandbox, as a sandbox sees them that has none. `sharing.py` has those of the rest."""

    def catch_up(self) -> None:
        """Take in what the others changed."""

    def tell(self, version: int) -> None:
        """Return when every other one has taken in the change with this number."""

    def adopt(self, tenant: Tenant) -> None:
        """Take a tenant in that is new here."""

    def gone(self, tenant: Tenant) -> None:
        """Forget what belongs to a tenant that another one deleted."""


@value(frozen=True, slots=True)
class Tenancy:
    """Makes and unmakes tenants, in the store, among the mock buyers and in memory together."""

    tenants: Tenants
    store: Store
    calls: BuyerCalls
    mock_buyers_url: str
    changed: Callable[[], None]
    others: Others = field(default_factory=Others)

    def create(
        self, name: str, document: Mapping[str, Any] | None, seed: int | None, like: Tenant | None = None
    ) -> Tenant:
        """Make a tenant from a sandbox document, from another's, or from the built-in one; its state starts empty.

        Raises ConfigurationError, PersonaError, ForbiddenHostError, TooManyTenantsError; KeyError for a taken name;
        ValueError when a file that the other's names cannot be copied.
        """
        # One simulator at a time, and knowing all tenants: or two could take the same name.
        with self.store.alone(_MAKING):
            self.others.catch_up()
            return self._created(name, document, seed, like)

    def _created(self, name: str, document: Mapping[str, Any] | None, seed: int | None, like: Tenant | None) -> Tenant:
        if len(list(self.tenants)) >= MOST_TENANTS:
            raise TooManyTenantsError(f"there are {MOST_TENANTS} tenants; delete some")
        name = name or f"t{new_id()[-8:]}"
        sandbox = copied(like) if like else built_in() if document is None else posted(document)
        clock = Clock()
        tenant = Tenant(name, sandbox, clock.now(), clock, Dice(seed), sandboxes.no_files)
        self.tenants.add(tenant)
        try:
            self.check_hosts(tenant.accounts)
            self.introduce(tenant)
        except Exception:
            self.tenants.remove(name)
            self._forget_personas(tenant)
            raise
        self.others.adopt(tenant)
        self.save(tenant, new=True)
        return tenant

    def save(self, tenant: Tenant, *, new: bool = False) -> None:
        """Write down what a restart and other simulators need to find the tenant as it is, and tell the others.

        Nothing for one that is no more.
        """
        clock = asdict(tenant.clock.state())
        document = {
            "sandbox": tenant.sandbox.model_dump(mode="json", by_alias=True),
            "since": tenant.since.isoformat(),
            "clock": clock,
            "dice": tenant.dice.state(),
            "mock_buyers": self.mock_buyers_url,
        }
        tenant.kept_clock = clock
        with self.store.transaction() as tx:
            if tenant.presence.is_closed:
                return
            if new or tenant.id == DEFAULT:
                tx.save_tenant(tenant.id, document)
            elif not tx.keep_tenant(tenant.id, document):
                return
            version = tx.changed(tenant.id)
        self.others.tell(version)

    def delete(self, tenant: Tenant) -> Mapping[str, int]:
        """Delete a tenant and everything of it; return how many rows went."""
        with self.store.transaction() as tx:
            tx.unsave_tenant(tenant.id)
            version = tx.changed(tenant.id)
        self.tenants.remove(tenant.id)
        self.others.tell(version)  # before its rows go: nobody may write more of them
        self._forget_personas(tenant)
        gone = self.clear_away(tenant)
        self.changed()
        return gone

    def clear_away(self, tenant: Tenant) -> Mapping[str, int]:
        """Delete what is left of a tenant that is no more, unless a new one has its name already."""
        if self.tenants.get(tenant.id) is not None:
            return {}
        with self.store.transaction() as tx:
            return tx.forget_tenant(tenant.id)

    def regenerate(self, tenant: Tenant, owner: str, kind: str) -> None:
        """Make the next generation of a credential; the one before is refused from now on (C24)."""
        with self.store.transaction() as tx:
            tx.regenerate(tenant.id, owner, kind, tenant.clock.now())
            version = tx.changed(tenant.id)
        self.tenants.add(tenant)
        self.changed()
        self.others.tell(version)

    def reload(self, tenant: Tenant, sandbox: Sandbox, read_file: Callable[[str], str]) -> None:
        """Put another sandbox file in force, whole or not at all. Raises PersonaError, ValueError."""
        before = (tenant.sandbox, tenant.read_file)
        tenant.sandbox, tenant.read_file = sandbox, read_file
        try:
            self.check_hosts(self.tenants.accounts(tenant))
            self.introduce(tenant)
            self.tenants.add(tenant)
        except Exception:
            tenant.sandbox, tenant.read_file = before
            self.introduce(tenant)  # some of its buyers may have been told already
            raise
        self.changed()

    def check_hosts(self, accounts: Mapping[str, Account]) -> None:
        """Raise ForbiddenHostError for an address that no connection would be opened to, whatever it resolves to."""
        for account in accounts.values():
            for buyer in account.buyers.values():
                for url in _urls(buyer):
                    host = host_of(url)
                    # Without one it is a path of mock buyers that are not there: nothing is ever opened to it.
                    if host and self.calls.reach is not None and not self.calls.reach.may_allow(host):
                        raise ForbiddenHostError(f"buyer {buyer.id} is at {host!r}, which is not this machine")

    def snapshots(self, tenant: Tenant) -> list[str]:
        return [item.name for item in self.store.snapshots(tenant.id)]

    def take_snapshot(self, tenant: Tenant, name: str) -> None:
        """Keep the tenant's state, clock and dice under a name. Raises ValueError when there are too many."""
        document = {"clock": asdict(tenant.clock.state()), "dice": tenant.dice.state()}
        with self.store.transaction() as tx:
            tx.take_snapshot(tenant.id, name, document)

    def restore_snapshot(self, tenant: Tenant, name: str) -> bool:
        """Go back to a snapshot; return False when there is none of that name."""
        with self.store.transaction() as tx:
            found = tx.restore_snapshot(tenant.id, name)
        if found is None:
            return False
        tenant.clock.restore(found.document["clock"])
        tenant.dice.restore(found.document["dice"])
        self.tenants.add(tenant)
        self.changed()
        self.save(tenant)
        return True

    def delete_snapshot(self, tenant: Tenant, name: str) -> bool:
        with self.store.transaction() as tx:
            return bool(tx.delete_snapshot(tenant.id, name))

    def take_in(self, name: str) -> None:
        """Bring one tenant to where the store has it, after another simulator changed it."""
        document, tenant = self.store.saved_tenant(name), self.tenants.get(name)
        if tenant is not None and _is_another(tenant, document):
            self.tenants.remove(name)
            self.others.gone(tenant)
            self.changed()
            tenant = None
        if tenant is None:
            if document is not None:
                self._taken_in(name, document)
            return
        if document is not None and document["clock"] != tenant.kept_clock:
            tenant.clock.restore(document["clock"])
            tenant.kept_clock = document["clock"]
        if self.tenants.refresh(tenant):
            self.changed()

    def _taken_in(self, name: str, document: Mapping[str, Any]) -> None:
        tenant = restored(name, document)
        self.tenants.add(tenant)
        self.others.adopt(tenant)
        if document.get("mock_buyers") != self.mock_buyers_url:  # else they were told by who made the tenant
            self.introduce(tenant)

    def introduce(self, tenant: Tenant) -> None:
        """Tell the mock buyers who they are. Raises PersonaError, UnreachableBuyersError."""
        if not self.mock_buyers_url:
            return
        personas = self.tenants.personas(tenant)
        wanted = [self._call(item) for item in personas]
        for item, reply in zip(personas, self.calls.send(wanted), strict=True):
            if reply.failure:
                raise UnreachableBuyersError(f"the mock buyers at {self.mock_buyers_url} do not answer: {reply.detail}")
            if reply.status == 409:
                raise TooManyTenantsError("the mock buyers play as many buyers as they can; delete some tenants")
            if reply.status >= 400:
                said = reply.body.decode("utf-8", "replace")[:500]
                raise PersonaError(f"the persona of buyer {item.buyer_id} is not one: {said}")

    def tell_secret(self, tenant: Tenant, platform: str, buyer_id: str, secret: str) -> None:
        """Give one mock buyer its new webhook secret; whatever else was changed in it stays."""
        if self.mock_buyers_url:
            url = f"{self.mock_buyers_url}/__buyers/{platform}/{tenant.id}/{buyer_id}"
            headers = {"Content-Type": "application/json"}
            self.calls.send([Call(url, orjson.dumps({"secret": secret}), headers, MOCK_BUYERS_START, "PATCH")])

    def _call(self, item: PersonaWanted) -> Call:
        url = f"{self.mock_buyers_url}/__buyers/{item.platform}/{item.tenant}/{item.buyer_id}"
        body = orjson.dumps(dict(item.document))
        return Call(url, body, {"Content-Type": "application/json"}, MOCK_BUYERS_START, "PUT")

    def _forget_personas(self, tenant: Tenant) -> None:
        if self.mock_buyers_url:
            urls = [f"{self.mock_buyers_url}/__buyers/{name}/{tenant.id}" for name in tenant.accounts]
            self.calls.send([Call(url, b"", {}, MOCK_BUYERS_START, "DELETE") for url in urls])


def _is_another(tenant: Tenant, document: Mapping[str, Any] | None) -> bool:
    """Whether the tenant was deleted, and perhaps made anew under its name. The default one is not."""
    return tenant.id != DEFAULT and (document is None or document["since"] != tenant.since.isoformat())


def _urls(buyer: Buyer) -> Iterator[str]:
    if buyer.endpoint is not None:
        yield from (buyer.endpoint.ping_url, buyer.endpoint.post_url)
    if buyer.webhook is not None:
        yield buyer.webhook.url
