"""The table of triggers: every row id of the contracts and every behaviour, as words that can be understood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from typing import Any

import tomli

from simulator.contract.model import ANY_OPERATION, Contract, Journey, Operation, Row
from simulator.routing.decision import Reason
from simulator.routing.values import value
from simulator.wire.faults import Fault, parse

MAX_BIDDERS = 20


@value(frozen=True, slots=True)
class Behaviour:
    """One row of `behaviours.toml`, which says what the columns mean."""

    name: str
    meaning: str
    value: str = ""
    example: str = ""
    answers: Mapping[Journey, Reason] = field(default_factory=dict)
    wire: bool = False


@value(frozen=True, slots=True)
class Alias:
    """A value of a field of the lead that stands for a trigger."""

    field: str
    equals: str
    trigger: str
    meaning: str


@value(frozen=True, slots=True)
class Script:
    """What an operation is to end with. `row` is set when one row was named; amounts are US dollars."""

    reason: Reason
    row: Row | None = None
    price: Decimal | None = None
    bidders: int = 1


@value(frozen=True, slots=True)
class Trigger:
    """A trigger word that was understood."""

    word: str
    behaviour: Behaviour | None = None
    row: Row | None = None
    price: Decimal | None = None
    bidders: int = 1
    fault: Fault | None = None

    def script_for(self, operation: Operation) -> Script | None:
        """Return what this operation makes of it, None when it is not meant."""
        if self.row is not None:
            meant = self.row.operation == operation.name
            return Script(self.row.answers[0], self.row) if meant else None
        reason = self.behaviour.answers.get(operation.journey) if self.behaviour else None
        return Script(reason, None, self.price, self.bidders) if reason else None


@cache
def _document() -> Mapping[str, Any]:
    return tomli.loads(files("simulator.triggers").joinpath("behaviours.toml").read_text("utf-8"))


@cache
def behaviours() -> Mapping[str, Behaviour]:
    found = {}
    for entry in _document()["behaviour"]:
        answers = {Journey(journey): Reason(reason) for journey, reason in entry.get("answers", {}).items()}
        found[entry["name"]] = Behaviour(**{**entry, "answers": answers})
    return found


@cache
def aliases() -> tuple[Alias, ...]:
    return tuple(Alias(**entry) for entry in _document()["alias"])


class Words:
    """Understands trigger words of one contract."""

    def __init__(self, contract: Contract) -> None:
        self._rows = {row.id.lower(): row for row in contract.rows if row.operation != ANY_OPERATION}

    def understand(self, word: str) -> Trigger | None:
        """Return the trigger, None for a word that is none. Case does not count, `-` and `_` are the same."""
        spelled = word.strip().lower()
        if row := self._rows.get(spelled):
            return Trigger(row.id, row=row)
        name, _, value = spelled.partition("=")
        behaviour = behaviours().get(name.replace("-", "_"))
        return _with_value(behaviour, value) if behaviour else None


def _with_value(behaviour: Behaviour, value: str) -> Trigger | None:
    word = f"{behaviour.name}={value}" if value else behaviour.name
    if behaviour.wire:
        fault = parse(word)
        return Trigger(word, behaviour, fault=fault) if fault else None
    if behaviour.value == "dollars":
        price = _dollars(value)
        return Trigger(word, behaviour, price=price) if price is not None else None
    if behaviour.value == "count":
        wanted = int(value) if re.fullmatch(r"[0-9]{1,2}", value) else 0
        return Trigger(word, behaviour, bidders=wanted) if 1 <= wanted <= MAX_BIDDERS else None
    return None if value else Trigger(word, behaviour)


def _dollars(text: str) -> Decimal | None:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    good = amount.is_finite() and 0 < amount <= 1_000_000 and amount == round(amount, 2)
    return amount if good else None


def words_of(contracts: Iterable[Contract]) -> list[str]:
    """Return every word there is, with an example value where one is needed: for documentation and tests."""
    rows = [row.id for contract in contracts for row in contract.rows if row.operation != ANY_OPERATION]
    return rows + [f"{item.name}={item.example}" if item.example else item.name for item in behaviours().values()]
