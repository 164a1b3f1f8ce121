"""What a target is: who sends, what may be done to it, how fast. Talking to it is `client.py`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.case import Lever
from simulator.contract.account import Source
from simulator.contract.model import Contract, Operation, words
from simulator.platforms import CONTRACTS


@dataclass(frozen=True, slots=True)
class Variant:
    """A change of a good lead that brings about what the server's configuration decides."""

    set: Mapping[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """One sender in one role. `name` stands in the path where a vendor wants it; `lead` is what a good lead has.

    `arguments` are its other ids, by the names that the contract's paths give them.
    """

    role: str
    id: str
    name: str
    credentials: Mapping[str, str]
    lead: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Variant] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)

    def source(self, credentials: Mapping[str, str] | None = None) -> Source:
        """Return it as the contract's admission knows it, to learn which header presents which credential."""
        return Source(self.id, self.name, self.name, credentials or self.credentials, terms={})


@dataclass(frozen=True, slots=True)
class Ground:
    """One platform at the target: its contract, the readings in force as words, the senders by role."""

    contract: Contract
    words: Mapping[str, str]
    accounts: Mapping[str, Account]

    def operation(self, name: str) -> Operation:
        """Return an operation by name. Raises LookupError."""
        for operation in self.contract.operations:
            if operation.name == name:
                return operation
        raise LookupError(f"{self.contract.platform} has no operation {name!r}")


@dataclass(frozen=True, slots=True)
class World:
    """Where a case runs: a tenant of a sandbox, or the one account of a plain server (`tenant` is "")."""

    name: str
    tenant: str
    grounds: Mapping[str, Ground]


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be sent: requests in all, requests a second; None is no bound."""

    requests: int | None = None
    per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A server that can be judged. `judges_ours`: rows that no vendor documents count too.

    `secrets` maps a credential to the name of the environment variable that it came from: reports show the name.
    """

    name: str
    base_url: str
    levers: frozenset[Lever]
    judges_ours: bool
    worlds: tuple[World, ...] = ()
    budget: Budget = Budget()
    baseline: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    control_token: str = ""
    is_sandbox: bool = False

    def redacted(self) -> dict[str, Any]:
        """Return what a report may show of it."""
        return {
            "name": self.name,
            "base_url": self.base_url,
            "sandbox": self.is_sandbox,
            "levers": sorted(lever.value for lever in self.levers),
            "judges_ours": self.judges_ours,
            "budget": {"requests": self.budget.requests, "per_second": self.budget.per_second},
            "accounts": {
                f"{world.name}/{platform}": sorted(ground.accounts)
                for world in self.worlds
                for platform, ground in world.grounds.items()
            },
        }


def words_under(contract: Contract, readings: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the readings in force as words: the defaults, changed by `readings`. Raises ValueError."""
    return words(contract.readings.model_validate(dict(readings)))


def contract_of(platform: str) -> Contract:
    """Return a contract by its platform's name. Raises LookupError, naming those there are."""
    try:
        return CONTRACTS[platform]
    except KeyError:
        raise LookupError(f"no platform is called {platform!r}; there are {', '.join(CONTRACTS)}") from None
