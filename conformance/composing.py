"""From a step to the request that it describes: lead, credential, path, body. Nothing is sent here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from conformance.case import Step
from conformance.client import JSON, Request, encoded, query
from conformance.leads import People, content
from conformance.results import Why
from conformance.target import Account, Ground
from simulator.contract.model import ANY_OPERATION, Operation, in_force

TRIGGER_HEADER = "X-Sandbox-Trigger"
_PLACE = re.compile(r"\$\{([A-Za-z0-9_.]+)\}")
_WRONG = "wrong"
_NONE = "none"


class ImpossibleError(Exception):
    """The step can't be sent to this target: it lacks an account, a variant, a credential."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(detail)
        self.why = why


@dataclass
class Composer:
    """Composes the requests of one case. `bound` is what earlier answers gave, and what people sent."""

    ground: Ground
    people: People
    bound: dict[str, Any] = field(default_factory=dict)
    _leads: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def request(self, step: Step) -> Request:
        """Return what to send. Raises ImpossibleError."""
        platform = self.ground.contract.platform
        if step.operation == ANY_OPERATION:
            return Request(platform, ANY_OPERATION, step.method or "POST", step.path, {"Content-Type": JSON}, b"{}")
        operation = self.ground.operation(step.operation)
        account = self.account(step.account)
        method = step.method or next(iter(operation.methods))
        headers = self._credential(step, operation, account) | self._trigger(step)
        values = self.values(step, operation, account)
        path = str(self.filled(step.path)) or self._path(operation, account, values)
        if operation.arguments and not step.path:  # what stands in the path is not sent a second time
            in_path = {name for place, name in operation.arguments.items() if f"<{place}>" in operation.path}
            values = {name: value for name, value in values.items() if name not in in_path}
        if method == "GET":
            asked = step.raw if step.raw is not None else query(values)
            path += f"?{asked}" if asked else ""
            body = None
        else:
            body, kind = encoded(values, form=step.form)
            headers["Content-Type"] = kind
            body = self.filled(step.raw).encode() if step.raw is not None else body
        wanted = {name: self.filled(value) for name, value in step.headers.items()}
        return Request(platform, operation.name, method, path, headers | wanted, body)

    def _path(self, operation: Operation, account: Account, values: Mapping[str, Any]) -> str:
        """Return the path with what the step names in it, else with the account's own ids, else with its name."""

        def stands_there(place: re.Match[str]) -> str:
            named = values.get(operation.arguments.get(place[1], ""), account.arguments.get(place[1]))
            if named is None:
                raise ImpossibleError(Why.NO_LEVER, f"the target tells no {place[1]} of {account.role!r}")
            return quote(str(named), safe="")

        return re.sub(r"<([^>]+)>", stands_there, operation.path)

    def account(self, role: str) -> Account:
        """Return the sender of a role. Raises ImpossibleError."""
        try:
            return self.ground.accounts[role]
        except KeyError:
            raise ImpossibleError(Why.NO_LEVER, f"the target has no account {role!r}") from None

    def values(self, step: Step, operation: Operation, account: Account) -> dict[str, Any]:
        """Return the lead that the step sends. What it is, is bound as `<lead>.<field>`. Raises ImpossibleError."""
        changes: dict[str, Any] = {}
        dropped = set(step.drop)
        if step.variant:
            if step.variant not in account.variants:
                raise ImpossibleError(Why.NO_LEVER, f"the target tells no variant {step.variant!r} of {account.role!r}")
            variant = account.variants[step.variant]
            changes |= variant.set
            dropped |= set(variant.drop)
        person = dict(self._person(step.lead)) | dict(account.lead)
        values = (
            content(operation, person) | self._own(step, operation, account) | changes | self.filled(dict(step.patch))
        )
        self.bound |= {f"{step.lead}.{name}": value for name, value in (person | values).items()}
        return {name: value for name, value in values.items() if name not in dropped}

    def _own(self, step: Step, operation: Operation, account: Account) -> dict[str, str]:
        """Return the account's own ids that the operation wants in the body. Raises ImpossibleError."""
        for name, place in operation.fills.items():
            if place not in account.arguments and name not in step.patch and name not in step.drop:
                raise ImpossibleError(Why.NO_LEVER, f"the target tells no {place} of {account.role!r}")
        return {name: account.arguments[place] for name, place in operation.fills.items() if place in account.arguments}

    def _person(self, lead: str) -> Mapping[str, Any]:
        if lead not in self._leads:
            self._leads[lead] = self.people.person(self.ground.contract.platform)
            self.bound |= {f"{lead}.{name}": value for name, value in self._leads[lead].items()}
        return self._leads[lead]

    def _credential(self, step: Step, operation: Operation, account: Account) -> dict[str, str]:
        wanted = operation.credential and in_force(operation.credential_reading, self.ground.words)
        if step.credential == _NONE or not wanted:
            return {}
        role, colon, kind = step.credential.rpartition(":")
        owner = self.account(role) if colon else account
        kind = kind if kind not in {"", "own", _WRONG} else operation.credential
        presented = _WRONG + self.people.run if step.credential == _WRONG else owner.credentials.get(kind, "")
        if not presented:
            raise ImpossibleError(Why.NO_PERMISSION, f"the target gives {owner.role!r} no {kind} credential")
        header = self.ground.contract.admission.header(owner.source({operation.credential: presented}), operation)
        return dict([header] if header else [])

    def _trigger(self, step: Step) -> dict[str, str]:
        return {TRIGGER_HEADER: step.trigger} if step.trigger else {}

    def filled(self, value: Any) -> Any:
        """Put what is bound in the place of `${name}`; a value that is one place keeps its type."""
        if isinstance(value, Mapping):
            return {name: self.filled(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.filled(item) for item in value]
        if not isinstance(value, str):
            return value
        whole = _PLACE.fullmatch(value)
        return self._look_up(whole[1]) if whole else _PLACE.sub(self._as_text(), value)

    def _as_text(self) -> Callable[[re.Match[str]], str]:
        return lambda found: str(self._look_up(found[1]))

    def _look_up(self, name: str) -> Any:
        if name == "fresh":
            return self.people.fresh_id()
        lead = name.partition(".")[0]
        if name not in self.bound and "." in name:
            self._person(lead)
        try:
            return self.bound[name]
        except KeyError:
            raise ImpossibleError(Why.GENERATOR_INVALID, f"nothing is bound to ${{{name}}}") from None
