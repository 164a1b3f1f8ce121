"""Rewrites requests: another credential, another lead, another method. Why a mutant does so is not known here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from conformance.mutants.model import Ask, Got, Mutant, Scene, Sent, Tampering
from conformance.mutants.recognising import accounts, operation_of, sender, values_of
from conformance.target import Account
from simulator.contract.model import Operation
from simulator.platforms import CONTRACTS

Repair = Callable[[Scene, Operation, Sent], Sent]
"""Makes a request one that the real server takes."""


def repaired(platform: str, operation: str, repair: Repair) -> Callable[[Scene], Tampering]:
    """Return the tampering that repairs every request for one operation."""

    def made(scene: Scene) -> Tampering:
        def tamper(sent: Sent, ask: Ask) -> Got:
            asked = operation_of(sent, platform)
            if asked is None or asked.name != operation:
                return ask(sent)
            return ask(repair(scene, asked, sent))

        return tamper

    return made


def mutant(
    name: str, kind: str, platform: str, operation: str, says: str, breaks: tuple[str, ...], repair: Repair
) -> Mutant:
    return Mutant(name, kind, platform, says, breaks, repaired(platform, operation, repair))


def with_values(sent: Sent, values: Mapping[str, Any]) -> Sent:
    """Return the request with another lead, encoded as the one before."""
    if sent.method == "GET":
        return replace(sent, path=f"{sent.path.partition('?')[0]}?{urlencode(values)}")
    if "form-urlencoded" in sent.header("Content-Type"):
        return replace(sent, body=urlencode(values).encode())
    return replace(sent, body=json.dumps(values).encode())


def changing(change: Callable[[Scene, Account, dict[str, Any]], Mapping[str, Any]]) -> Repair:
    """Make a repair of a change of the lead; None takes a field out, no change leaves the request as it is."""

    def repair(scene: Scene, operation: Operation, sent: Sent) -> Sent:
        values = values_of(sent)
        changes = change(scene, sender(scene, platform_of(operation), sent, operation), values)
        wanted = {name: value for name, value in {**values, **changes}.items() if value is not None}
        return sent if wanted == values else with_values(sent, wanted)

    return repair


def platform_of(operation: Operation) -> str:
    return next(name for name, contract in CONTRACTS.items() if operation in contract.operations)


def good_lead(scene: Scene, account: Account) -> dict[str, Any]:
    """Return a lead of somebody new that the account may send."""
    platforms = scene.world.grounds if scene.world else {}
    platform = next(name for name, ground in platforms.items() if account in ground.accounts.values())
    return scene.people.person(platform) | dict(account.lead)


def credential(account: Account, operation: Operation, kind: str = "") -> tuple[str, str]:
    """Return the header that presents an account's credential: the right one, or one of another kind."""
    admission = CONTRACTS[platform_of(operation)].admission
    presented = account.credentials[kind or operation.credential]
    found = admission.header(account.source({operation.credential: presented}), operation)
    assert found is not None  # mutants present credentials only where one is wanted
    return found


def presented(scene: Scene, operation: Operation, sent: Sent) -> str:
    """Return what a request's credential is: `none`, `own`, `kind`, `foreign` or `wrong`."""
    platform = platform_of(operation)
    own = sender(scene, platform, sent, operation)
    name, right = credential(own, operation)
    value = sent.header(name)
    if not value:
        return "none"
    if value == right:
        return "own"
    if any(value == credential(own, operation, kind)[1] for kind in own.credentials):
        return "kind"
    others = accounts(scene, platform).values()
    known = {credential(other, operation, kind)[1] for other in others for kind in other.credentials}
    return "foreign" if value in known else "wrong"
