"""Posting specifications of a sandbox file, without a running sandbox: who may send what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from simulator.clock import Clock
from simulator.configuration import sandboxes
from simulator.configuration.loading import ConfigurationError
from simulator.configuration.model import Sandbox
from simulator.configuration.problems import Problem
from simulator.contract.account import Account
from simulator.contract.published import Published, publish
from simulator.dice import Dice
from simulator.platforms import CONTRACTS
from simulator.tenants import DEFAULT, Tenant, Tenants


def checked(path: Path | None) -> list[Published]:
    """Read a sandbox file, or the built-in one, and every file that it names; return what its sources may send.

    Raises ConfigurationError with every fault.
    """
    return _checked(path, sandboxes.load(path))


def sound(path: Path | None) -> sandboxes.Loaded:
    """Read a sandbox file, or the built-in one, and check it as `checked` does; return it."""
    loaded = sandboxes.load(path)
    _checked(path, loaded)
    return loaded


def _checked(path: Path | None, loaded: sandboxes.Loaded) -> list[Published]:
    try:
        return specifications(*loaded)
    except ValueError as error:  # a file that it names is not there, or not what it should be
        said = str(error).removeprefix(f"{path}: ")
        raise ConfigurationError([Problem(str(path), 0, 0, "", said)]) from error


def specifications(sandbox: Sandbox, read_file: Callable[[str], str]) -> list[Published]:
    tenant = Tenant(DEFAULT, sandbox, datetime(2026, 1, 1, tzinfo=UTC), Clock(), Dice(0), read_file)
    Tenants("", lambda _: {}).add(tenant)
    return of(tenant.accounts)


def of(accounts: Mapping[str, Account]) -> list[Published]:
    """Return what the sources of a tenant's accounts may send, in the order of its sandbox file."""
    return [item for name, contract in CONTRACTS.items() for item in publish(contract, accounts[name])]


def named(items: Iterable[Published], name: str) -> list[Published]:
    """Return the part of one source or supplier, by its id or link id; a key is no name."""
    return [
        item
        for item in items
        if name == item.source.id or (name == item.source.name and name not in item.source.credentials.values())
    ]


def listing(items: Iterable[Published]) -> str:
    """Return one line per source, in the order of the sandbox file."""
    return "\n".join(
        dict.fromkeys(f"{item.contract.platform}  {item.source.id}  {item.terms.campaign_id}" for item in items)
    )
