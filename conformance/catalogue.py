"""Reads the case files and gathers the journeys: all that the suite can ask of a server. What a case is: `case.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from conformance.case import Case, Expect, Lever, Step
from conformance.journey import Journey
from simulator.contract.model import Contract
from simulator.platforms import CONTRACTS

_HERE = files("conformance")


class CaseFileError(ValueError):
    """A case file breaks the schema. One line: file, place, fault."""


@cache
def case_schema() -> Mapping[str, Any]:
    """Return the JSON Schema of a case file."""
    schema: Mapping[str, Any] = json.loads(_HERE.joinpath("case.schema.json").read_text("utf-8"))
    return schema


@cache
def cases() -> tuple[Case, ...]:
    """Return all cases in the order of the table's rows. Raises CaseFileError."""
    found = [case for platform in CONTRACTS for case in _cases_of(platform, _HERE.joinpath("cases", platform))]
    order = {row.id: place for contract in CONTRACTS.values() for place, row in enumerate(contract.rows)}
    platforms = list(CONTRACTS)
    return tuple(sorted(found, key=lambda case: (platforms.index(case.platform), order.get(case.id, len(order)))))


def gaps(contracts: Mapping[str, Contract], known: Iterable[Case]) -> tuple[str, ...]:
    """Return one line for each row without a case file of its name, and for each file without a row."""
    named = {(case.platform, case.id) for case in known}
    rows = {(platform, row.id) for platform, contract in contracts.items() for row in contract.rows}
    bare = [f"{platform}: row {row_id} has no case" for platform, row_id in sorted(rows - named)]
    stray = [f"{platform}: case {case_id} has no row" for platform, case_id in sorted(named - rows)]
    return (*bare, *stray)


@cache
def journeys() -> tuple[Journey, ...]:
    """Return all journeys: importing their modules registers them."""
    from conformance import journeys as package  # noqa: PLC0415  they import what this module offers

    return package.ALL


def _cases_of(platform: str, folder: Traversable) -> Iterator[Case]:
    for item in folder.iterdir():
        if item.name.endswith(".yaml"):
            yield read(platform, item.name.removesuffix(".yaml"), item.read_text("utf-8"))


def read(platform: str, name: str, text: str) -> Case:
    """Read the text of one case file. Raises CaseFileError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CaseFileError(f"{platform}/{name}.yaml: {error}") from error
    for fault in Draft202012Validator(case_schema()).iter_errors(document):
        raise CaseFileError(f"{platform}/{name}.yaml: {fault.json_path}: {fault.message[:200]}")
    steps = tuple(step for entry in document["steps"] for step in _steps(entry))
    return Case(
        id=name,
        platform=platform,
        title=document["title"],
        verifies=tuple(document["verifies"]),
        steps=steps,
        needs=frozenset(Lever(word) for word in document.get("needs", ())) | _implied(steps),
        readings=document.get("readings", {}),
    )


def _implied(steps: tuple[Step, ...]) -> frozenset[Lever]:
    """Return the levers that the steps themselves pull."""
    pulled = {Lever.TRIGGER for step in steps if step.trigger}
    pulled |= {Lever.CLOCK for step in steps if step.advance}
    pulled |= {Lever.FLOOD for step in steps if step.times > 1}
    return frozenset(pulled)


def _steps(entry: Mapping[str, Any]) -> Iterator[Step]:
    """Yield one step for each patch of `each`; each sends a person of its own."""
    for number, patch in enumerate(entry.get("each", ({},))):
        yield _step(entry, entry.get("patch", {}) | patch, f"_{number}" if number else "")


def _step(entry: Mapping[str, Any], patch: Mapping[str, Any], suffix: str) -> Step:
    plain = {name: entry[name] for name in _PLAIN if name in entry}
    lead = entry.get("lead", "lead") + suffix
    return Step(
        operation=entry.get("send", ""),
        lead=lead,
        patch={name: value for name, value in patch.items() if value is not None},
        drop=tuple(name for name, value in patch.items() if value is None),
        expect=_expect(entry["expect"]) if "expect" in entry else None,
        **plain,
    )


_PLAIN = ("account", "credential", "variant", "raw", "form", "method", "path", "headers", "trigger", "times", "advance")
_LISTS = ("present", "absent", "require", "forbid")


def _expect(entry: Mapping[str, Any]) -> Expect:
    lists = {name: tuple(entry.get(name, ())) for name in _LISTS}
    bind = entry.get("bind", {})
    lists["present"] += tuple(bind.values())  # what later steps want must be there
    return Expect(
        row=entry["row"],
        http=entry["http"],
        body=entry.get("body", {}),
        differs=entry.get("differs", {}),
        headers=entry.get("headers", {}),
        bind=bind,
        **lists,
    )
