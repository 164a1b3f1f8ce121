"""Whose sandbox a request is in. The credential or link id is the namespace; nothing is decided here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.clock import Clock
from simulator.configuration.model import Sandbox
from simulator.contract.account import Account, Source
from simulator.contract.sandbox import PersonaWanted, PlatformSection, Surroundings
from simulator.dice import Dice
from simulator.presence import Presence
from simulator.triggers.arming import Faults

DEFAULT = "default"

Generations = Callable[[str], Mapping[tuple[str, str], tuple[int, datetime]]]


@dataclass
class Tenant:
    """One isolated sandbox: its file, its accounts by platform, its time, its chance."""

    id: str
    sandbox: Sandbox
    since: datetime
    clock: Clock
    dice: Dice
    read_file: Callable[[str], str]
    accounts: Mapping[str, Account] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    presence: Presence = field(default_factory=Presence)
    generations: Mapping[tuple[str, str], tuple[int, datetime]] = field(default_factory=dict)
    kept_clock: Mapping[str, Any] | None = None  # where it stood when it was last written down or read

    def surroundings(self, mock_buyers_url: str, generations: Generations) -> Surroundings:
        return Surroundings(
            tenant=self.id,
            timezone=self.sandbox.timezone,
            secret=f"{self.sandbox.secret} {self.id}".encode(),
            since=self.since,
            mock_buyers_url=mock_buyers_url,
            suffix="" if self.id == DEFAULT else f".{self.id}",  # no tenant's name has a dot
            generations=generations(self.id),
            read_file=self.read_file,
        )


class Tenants:
    """The tenants of one simulator.

    Looking a caller up takes the same time whether or not the name is close: names are compared by Python's own hash of
    them, which is seeded anew in each process, and letter by letter only when all 64 bits of it are equal.
    """

    def __init__(self, mock_buyers_url: str, generations: Generations) -> None:
        self._mock_buyers_url = mock_buyers_url
        self._generations = generations
        self._lock = threading.Lock()
        self._tenants: dict[str, Tenant] = {}
        self._callers: dict[tuple[str, str], tuple[Tenant, str]] = {}

    def add(self, tenant: Tenant) -> None:
        """Take in a tenant, or take in anew one whose file or credentials changed.

        Raises KeyError when another tenant has its name, or one of its callers' names, and for one that is no more.
        """
        around = tenant.surroundings(self._mock_buyers_url, self._generations)
        tenant.generations = around.generations
        tenant.accounts = _accounts(tenant, around)
        with self._lock:
            if tenant.presence.is_closed or self._tenants.get(tenant.id, tenant) is not tenant:
                raise KeyError(tenant.id)
            kept = {key: entry for key, entry in self._callers.items() if entry[0].id != tenant.id}
            for platform, account in tenant.accounts.items():
                names = (*account.sources, *account.doors)
                callers = {(platform, name): (tenant, name) for name in names}
                if taken := kept.keys() & callers.keys():
                    raise KeyError(callers[min(taken)][1])
                kept.update(callers)
            self._tenants[tenant.id] = tenant
            self._callers = kept  # swapped whole, so that a reader never sees half of it

    def refresh(self, tenant: Tenant) -> bool:
        """Take the tenant in anew if its credentials changed since; return whether they did."""
        if self._generations(tenant.id) == tenant.generations:
            return False
        self.add(tenant)
        return True

    def accounts(self, tenant: Tenant) -> dict[str, Account]:
        """Return what the tenant's file makes of it now."""
        return _accounts(tenant, tenant.surroundings(self._mock_buyers_url, self._generations))

    def remove(self, tenant_id: str) -> None:
        with self._lock:
            if found := self._tenants.get(tenant_id):
                found.presence.close()
            self._tenants.pop(tenant_id, None)
            self._callers = {key: entry for key, entry in self._callers.items() if entry[0].id != tenant_id}

    def find(self, platform: str, caller: str) -> tuple[Tenant, Source | None]:
        """Return the tenant that knows this caller, and the source; the default tenant when nobody does."""
        entry = self._callers.get((platform, caller))
        if entry is None:
            return self._tenants[DEFAULT], None
        tenant, name = entry
        account = tenant.accounts[platform]
        return tenant, account.sources.get(name) or account.doors.get(name)  # None: replaced a moment ago

    @property
    def default(self) -> Tenant:
        return self._tenants[DEFAULT]

    def get(self, tenant_id: str) -> Tenant | None:
        return self._tenants.get(tenant_id)

    def __iter__(self) -> Iterator[Tenant]:
        return iter(tuple(self._tenants.values()))

    def personas(self, tenant: Tenant) -> tuple[PersonaWanted, ...]:
        around = tenant.surroundings(self._mock_buyers_url, self._generations)
        return tuple(wanted for _, section in sections(tenant.sandbox) for wanted in section.personas(around))


def sections(sandbox: Sandbox) -> Iterator[tuple[str, PlatformSection]]:
    """Return each platform's section of a sandbox file with the platform's name."""
    for name in type(sandbox).model_fields:
        section = getattr(sandbox, name)
        if isinstance(section, PlatformSection):
            yield name, section


def _accounts(tenant: Tenant, around: Surroundings) -> dict[str, Account]:
    return {name: section.account(around) for name, section in sections(tenant.sandbox)}
