"""Holds every answer of a run against the table: is its status documented, does its body keep a schema? No cases."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from conformance.target import Ground
from simulator.contract.model import Contract, Row, in_force

FORMATS = ("date", "date-time", "email", "uri")
"""The formats that the schemas name. Without jsonschema's format extra some would be taken on trust."""

_MOST = 5  # errors shown of one body


class FormatsMissingError(Exception):
    """jsonschema would not check a format that the schemas name."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`rows`: the rows that the answer keeps. `problems`: why it keeps none. `only_ours`: no vendor's row is."""

    rows: tuple[str, ...]
    problems: tuple[str, ...] = ()
    only_ours: bool = False


@dataclass
class Validator:
    """Knows the schemas of all rows; compiled once each."""

    _compiled: dict[int, tuple[Mapping[str, Any], Draft202012Validator]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [name for name in FORMATS if name not in Draft202012Validator.FORMAT_CHECKER.checkers]
        if missing:
            raise FormatsMissingError(f"jsonschema checks no format {', '.join(missing)}: install jsonschema[format]")

    def judge(self, ground: Ground, operation: str, status: int, headers: Mapping[str, str], raw: bytes) -> Judgement:
        """Find the rows in force that an answer of `operation` can be."""
        known = [row for row in ground.contract.rows_of(operation) if in_force(row.reading, ground.words)]
        with_status = [row for row in known if row.http == status]
        if not with_status:
            return Judgement((), (_undocumented(ground, operation, status, known),))
        problems = content_problems(headers, raw)
        if problems:
            return Judgement((), problems, _all_ours(with_status))
        body = json.loads(raw)
        faults = {row.id: self.faults(ground, row, body) for row in with_status}
        kept = tuple(row_id for row_id, found in faults.items() if not found)
        if kept:
            return Judgement(kept)
        said = set(_words(body))
        nearest = min(with_status, key=lambda row: (row.code not in said, len(faults[row.id]))).id
        return Judgement((), tuple(f"{nearest}: {fault}" for fault in faults[nearest]), _all_ours(with_status))

    def faults(self, ground: Ground, row: Row, body: Any) -> tuple[str, ...]:
        """Return what a body breaks of one row's schema."""
        validator = self._validator(ground.contract, row, ground.words)
        return tuple(_worded(error) for error in sorted(validator.iter_errors(body), key=_place))[:_MOST]

    def _validator(self, contract: Contract, row: Row, words: Mapping[str, str]) -> Draft202012Validator:
        schema = contract.schema_for(row, words)
        kept = self._compiled.get(id(schema))
        if kept is None:
            checker = Draft202012Validator.FORMAT_CHECKER
            kept = (
                schema,
                Draft202012Validator(schema, format_checker=checker),
            )  # the schema kept: its id stays its own
            self._compiled[id(schema)] = kept
        return kept[1]


def _undocumented(ground: Ground, operation: str, status: int, known: Iterable[Row]) -> str:
    documented = ", ".join(str(code) for code in sorted({row.http for row in known}))
    hints = [
        f"{row.id} is, under reading {row.reading}" for row in ground.contract.rows_of(operation) if row.http == status
    ]
    return "; ".join([f"HTTP {status} is not documented for {operation}: {documented} are", *hints])


def content_problems(headers: Mapping[str, str], raw: bytes) -> tuple[str, ...]:
    """Return why a body is no JSON document that calls itself one."""
    kind = headers.get("Content-Type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        return (f"Content-Type is {kind or 'not there'}, not application/json",)
    try:
        json.loads(raw)
    except ValueError as error:
        return (f"the body is no JSON: {error}",)
    return ()


def _words(body: Any) -> Iterator[str]:
    """Yield the texts of a body: the row whose code is among them is the one that was meant."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, Mapping):
        for value in body.values():
            yield from _words(value)


def _place(error: ValidationError) -> str:
    return error.json_path


def _worded(error: ValidationError) -> str:
    return f"{error.json_path}: {error.message[:300]}"


def _all_ours(rows: Iterable[Row]) -> bool:
    return all(row.evidence.value == "ours" for row in rows)
