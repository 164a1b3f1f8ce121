"""The suite's own world in a sandbox: tenants made anew for each run, and the target that they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from conformance.case import Lever
from conformance.control import Control, ControlError
from conformance.target import Account, Ground, Target, Variant, World, contract_of, words_under


@cache
def document() -> Mapping[str, Any]:
    """Return `sandbox.yaml`: `sandbox`, `worlds`, `accounts`."""
    found: Mapping[str, Any] = yaml.safe_load(files("conformance").joinpath("sandbox.yaml").read_text("utf-8"))
    return found


def sandbox_of(world: str) -> dict[str, Any]:
    """Return the sandbox file of one world: the suite's, under the world's readings."""
    readings = document()["worlds"][world]
    return {
        name: {**section, "readings": readings.get(name, {})} if isinstance(section, dict) else section
        for name, section in document()["sandbox"].items()
    }


@contextmanager
def opened(control: Control, name: str) -> Iterator[Target]:
    """Make the tenants, give the target that they are, delete them. Raises ControlError."""
    worlds: list[World] = []
    try:
        for world in document()["worlds"]:
            welcome = control.create_tenant(sandbox_of(world))
            control.mock_buyers = welcome.get("mock_buyers") or control.mock_buyers
            worlds.append(world_of(world, welcome))
        yield Target(
            name=name,
            base_url=control.base_url,
            levers=frozenset(Lever),
            judges_ours=True,
            worlds=tuple(worlds),
            control_token=control.token,
            is_sandbox=True,
        )
    finally:
        for made in worlds:
            _delete(control, made.tenant)


def _delete(control: Control, tenant: str) -> None:
    """Leave nothing behind; a server that is gone has nothing left."""
    try:
        control.delete_tenant(tenant)
    except ControlError:
        return


def world_of(name: str, welcome: Mapping[str, Any]) -> World:
    """Return the world that a tenant is, from its welcome: `name` says under which readings it was made."""
    readings = document()["worlds"][name]
    grounds = {}
    for platform, senders in document()["accounts"].items():
        contract = contract_of(platform)
        known = {item["id"]: item for item in welcome["platforms"][platform][contract.source_word]}
        accounts = {role: _account(role, wanted, known[wanted["source"]]) for role, wanted in senders.items()}
        grounds[platform] = Ground(contract, words_under(contract, readings.get(platform, {})), accounts)
    return World(name, welcome["tenant"], grounds)


def _account(role: str, wanted: Mapping[str, Any], known: Mapping[str, Any]) -> Account:
    variants = {
        name: Variant(item.get("set", {}), tuple(item.get("drop", ())))
        for name, item in wanted.get("variants", {}).items()
    }
    own = known.get("arguments", {})
    return Account(role, known["id"], known["name"], known["credentials"], wanted.get("lead", {}), variants, own)
