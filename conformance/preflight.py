"""Is there a server, is it the one we think it is, does it know our credentials? Asked before any row is judged."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.case import Step
from conformance.client import Answer, BudgetError, Client, NoAnswerError
from conformance.composing import Composer, ImpossibleError
from conformance.control import Control, ControlError
from conformance.leads import People
from conformance.target import Ground, Target
from simulator.contract.model import Journey, Operation

PREFLIGHT = "preflight"


class UnreachableError(Exception):
    """There is no server, or another one, or it does not know us. One line."""


def boot_of(control: Control) -> str:
    """Return the nonce of the sandbox at the control's address. Raises UnreachableError."""
    try:
        boot = control.boot()
    except ControlError as error:
        raise UnreachableError(str(error)) from error
    if not boot:
        raise UnreachableError(
            f"what answers at {control.base_url} is no leadsandbox; describe another server by a target file"
        )
    return boot


def check(target: Target, client: Client) -> None:
    """Send each operation an empty lead with the main account's credentials. Raises UnreachableError.

    An empty lead is refused by every posting specification, so that nothing is sold.
    """
    for world in target.worlds[:1]:
        for ground in world.grounds.values():
            for operation, answer in _probes(ground, client):
                _is_the_platform(target, ground, operation, answer)


def _probes(ground: Ground, client: Client) -> Iterator[tuple[Operation, Answer]]:
    composer = Composer(ground, People())
    for operation in ground.contract.operations:
        raw = "" if operation.journey is Journey.LOOKUP else "{}"
        try:
            yield operation, client.send(composer.request(Step(operation=operation.name, raw=raw)), PREFLIGHT)
        except ImpossibleError:
            continue  # the account has no credential of this kind; its cases will say so
        except NoAnswerError as error:
            raise UnreachableError(f"nothing answers at {client.base_url}: {error}") from error
        except BudgetError as error:
            raise UnreachableError(f"{error} before the first row") from error


def _is_the_platform(target: Target, ground: Ground, operation: Operation, answer: Answer) -> None:
    contract = ground.contract
    if answer.status in {401, 403} and not _takes(ground, operation):
        kind = operation.credential
        name = target.secrets.get(ground.accounts["main"].credentials.get(kind, ""), kind)
        raise UnreachableError(
            f"{target.base_url} answers {answer.status} to the {kind} credential of {contract.platform}: check {name}"
        )
    documented = {row.http for row in contract.rows_of(operation.name)}
    if answer.status not in documented or not _is_object(answer):
        raise UnreachableError(
            f"what answers at {target.base_url} is no {contract.title}: {operation.name} got {answer.status} "
            f"{answer.headers.get('Content-Type', 'without a content type')}"
        )


def _takes(ground: Ground, operation: Operation) -> bool:
    """Whether there is nothing to present, so that a refusal says nothing about it."""
    return not ground.accounts["main"].credentials.get(operation.credential)


def _is_object(answer: Answer) -> bool:
    try:
        return isinstance(answer.parsed(), dict)
    except ValueError:
        return False
