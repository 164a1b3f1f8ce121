"""What a case is: steps and expectations as values. Reading files is `catalogue.py`'s, sending `stage.py`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Lever(StrEnum):
    """What a target must let the suite do, beyond plain requests."""

    CONTROL_API = "control-api"  # `/__sandbox`: tenants and all that the sandbox shows
    CLOCK = "clock"  # time can be moved
    TRIGGER = "trigger"  # an outcome can be asked for by its row id
    SECOND_ACCOUNT = "second-account"  # a second source or supplier with credentials of its own
    FLOOD = "flood"  # sending faster than the documented rate limit is allowed
    FAULT = "fault"  # faults can be armed
    DUPLICATE = "duplicate"  # sending the same person twice is allowed
    READINGS = "readings"  # a tenant can be made under another reading of the documents
    BUYERS = "buyers"  # what buyers received can be read


@dataclass(frozen=True, slots=True)
class Expect:
    """What the answer to a step must be. Exactly one status: a case that allows several can't be falsified.

    `body` maps JSON pointers to exact values, `differs` to values that it must not be; `present` and `absent` are
    pointers. `headers` maps names to exact values, `require` names headers that must be there, `forbid` those that
    must not. `bind` maps a name to a pointer whose value later steps write as `${name}`.
    """

    row: str
    http: int
    body: Mapping[str, Any] = field(default_factory=dict)
    differs: Mapping[str, Any] = field(default_factory=dict)
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    require: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    bind: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One request, or one move of the clock (`advance`, such as "301 s"), or both: the clock first.

    `account` is the role of the sender in the target; `credential` is `own`, `none`, `wrong`, a kind of the same
    account (`post`) or another account's (`second:ping`). The body is a valid lead of the operation, changed by the
    account's `variant` of that name and by `patch` (a value replaces, `drop` removes), or replaced by `raw`. `lead`
    names the lead: steps with the same name send the same person. `times` sends so often at most, until one answer is
    as expected.
    """

    operation: str = ""
    account: str = "main"
    credential: str = "own"
    lead: str = "lead"
    variant: str = ""
    patch: Mapping[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    raw: str | None = None
    form: bool = False
    method: str = ""
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    trigger: str = ""
    times: int = 1
    advance: str = ""
    expect: Expect | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `verifies` are the row ids that it claims; `readings` (`name=value`) must be in force for it."""

    id: str
    platform: str
    title: str
    verifies: tuple[str, ...]
    steps: tuple[Step, ...]
    needs: frozenset[Lever] = frozenset()
    readings: Mapping[str, str] = field(default_factory=dict)

    @property
    def accounts(self) -> frozenset[str]:
        """The roles of the senders that it needs."""
        named = {step.account for step in self.steps if step.operation}
        borrowed = {step.credential.partition(":")[0] for step in self.steps if ":" in step.credential}
        return frozenset(named | borrowed)
