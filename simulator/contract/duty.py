"""What a duty of an integrator is, and what grading says of it. Not which duties there are, nor how one is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

import tomli

from simulator.routing.values import value

if TYPE_CHECKING:
    from simulator.contract.ledger import Ledger
    from simulator.contract.traffic import History


class Severity(StrEnum):
    """How bad a finding is. The letters stand in `duties.toml`; OFF is a user's setting only."""

    FAIL = "fail"  # F: against what the vendor documents
    WARN = "warn"  # W: risky
    INFO = "info"  # I: worth knowing
    OFF = "off"


class Basis(StrEnum):
    """What a duty rests on."""

    DOCUMENTED = "documented"  # a page of this vendor says it
    INFERRED = "inferred"  # it follows from what this vendor's pages say, which is our conclusion
    PRACTICE = "practice"  # other platforms and other people's integrations; this vendor is silent


class Outcome(StrEnum):
    """What grading says of one duty. A duty that nothing exercised is NOT_SEEN, never a pass."""

    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    WARN = "warn"
    INFO = "info"
    NOT_SEEN = "not seen"
    OFF = "off"


@value(frozen=True, slots=True)
class Duty:
    """One duty of a source towards one vendor.

    `rule` and `advice` are one sentence each. `exercised_by` says what traffic shows it; `unseen` says why no
    traffic can, and is "" otherwise. A duty that `needs_values` cannot be passed by requests whose bodies are masked.
    One that is judged `overall` is about many requests together: a later one may take its finding back.
    """

    id: str
    severity: Severity
    basis: Basis
    rule: str
    source: tuple[str, ...]
    advice: str
    exercised_by: str = ""
    unseen: str = ""
    needs_values: bool = False
    overall: bool = False


@value(frozen=True, slots=True)
class Finding:
    """One way in which a duty was not met. `requests` are ids, the first ones of `count`."""

    severity: Severity
    detail: str
    requests: tuple[str, ...]
    count: int


@value(frozen=True, slots=True)
class Verdict:
    """What traffic says of one duty. `exercised` is how often it was; `reason` says why it was not seen.

    `requests` are ids of the first occasions of a duty that passed.
    """

    duty: Duty
    outcome: Outcome
    exercised: int = 0
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    requests: tuple[str, ...] = ()


@value(frozen=True, slots=True)
class Dialect:
    """How one vendor spells what duties look at.

    `link` is the field that ties a post to a ping, `issued` the key of the ping's answer that it comes from.
    `campaign` is the field that names the campaign, "" where the path does. `header` and `scheme` present the
    credential. `misspellings` maps what people write to what is meant. `tracking` fields mean nothing to a bid.
    `consent_dates`, `certificates` and `lead_ids` are the fields that such values come in.
    """

    link: str
    issued: str
    phone: str
    campaign: str
    header: str
    scheme: str
    misspellings: Mapping[str, str]
    tracking: frozenset[str]
    consent_dates: tuple[str, ...]
    certificates: tuple[str, ...]
    lead_ids: tuple[str, ...]


Check = Callable[["History", "Ledger"], None]
"""Reads what was sent and writes down what was exercised and what was not met. Pure but for the ledger."""


@value(frozen=True, slots=False)
class Duties:
    """The duties of one vendor's integrators, and how they are checked."""

    dialect: Dialect
    catalogue: tuple[Duty, ...]
    checks: tuple[Check, ...] = field(repr=False)

    def __post_init__(self) -> None:
        ids = [duty.id for duty in self.catalogue]
        if len(set(ids)) != len(ids):
            raise ValueError(f"a duty stands twice: {ids}")


_LETTERS = {"F": Severity.FAIL, "W": Severity.WARN, "I": Severity.INFO}


def load_duties(path: Traversable) -> tuple[Duty, ...]:
    """Read `[[duty]]` tables. Raises ValueError, KeyError or TypeError for a column that is wrong."""
    return tuple(_duty(entry) for entry in tomli.loads(path.read_text("utf-8"))["duty"])


def _duty(entry: Mapping[str, Any]) -> Duty:
    told = {**entry, "severity": _LETTERS[entry["severity"]], "basis": Basis(entry["basis"])}
    duty = Duty(**{**told, "source": tuple(entry["source"])})
    if bool(duty.unseen) == bool(duty.exercised_by):
        raise ValueError(f"duty {duty.id}: give exercised_by, or unseen and why")
    return duty
