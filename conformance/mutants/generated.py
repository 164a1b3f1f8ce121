"""Mutants made from the table: each row's answer wrong in one way. What a server does wrong over time is not here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator

from conformance.catalogue import journeys
from conformance.mutants.model import Ask, Got, Mutant, Scene, Sent, Tampering
from conformance.mutants.recognising import has_twin, is_really, is_row
from conformance.mutants.schema_parts import Part, changed, dropped, parts, with_unknown
from simulator.contract.model import Contract, Row

Change = Callable[[Got], Got]

_RETYPED: tuple[Any, ...] = (12345, "text", True, {}, [])


def mutants(contract: Contract) -> Iterator[Mutant]:
    """Yield the mutants of every row of a contract."""
    for row in contract.rows:
        yield from _of_row(contract, row)


def _of_row(contract: Contract, row: Row) -> Iterator[Mutant]:
    """Yield what is wrong with a row's answer, and with its body under the other readings that a journey asks under."""
    schemas = contract.schemas[row.operation]
    usual = (*_status(contract, row), *_wire(contract, row), *_body(contract, row, schemas[row.id]))
    for change in usual:
        yield _mutant(contract, row, row.id, change)
    for key, schema in schemas.items():
        if key.partition("@")[0] == row.id and key != row.id and _is_asked(row, key.partition("@")[2]):
            for change in _body(contract, row, schema):
                yield _mutant(contract, row, key, change)


def _mutant(contract: Contract, row: Row, key: str, made: tuple[str, str, str, Change]) -> Mutant:
    kind, what, says, change = made
    name = f"{key}/{kind}" + (f"/{what}" if what else "")
    return Mutant(name, kind, contract.platform, f"{key}: {says}", (row.id,), _tampering(row, key, change))


def _is_asked(row: Row, reading: str) -> bool:
    """Whether a journey claims a row under a reading; the golden list alone keeps the other bodies."""
    name, _, value = reading.partition("=")
    return any(row.id in item.verifies and item.readings.get(name) == value for item in journeys())


def _tampering(row: Row, key: str, change: Change) -> Callable[[Scene], Tampering]:
    def tamper(sent: Sent, ask: Ask) -> Got:
        got = ask(sent)
        meant = is_row(row, sent, got, key) and (not has_twin(row) or is_really(row, got, ask))
        return change(got) if meant else got

    return lambda _scene: tamper


def _body(contract: Contract, row: Row, schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Change]]:
    """Yield (kind, what, sentence, change) of every way in which a row's body is made wrong."""
    for part in parts(schema):
        yield from _part(part)
    yield from _other_code(contract, row, schema)
    for place in with_unknown(schema):
        where = ".".join(map(str, place)) or "the body"
        yield "unknown", where, f"a key that no page names in {where}", _grown_at(place)


def _status(contract: Contract, row: Row) -> Iterator[tuple[str, str, str, Change]]:
    """Swap the status for a documented one of the same operation, and for one that nobody documents."""
    known = sorted({other.http for other in contract.rows_of(row.operation)} - {row.http})
    nearest = min(known, key=lambda http: abs(http - row.http), default=None)
    for other in dict.fromkeys((nearest, 299 if row.http < 400 else 499)):
        if other is not None:
            yield "status", str(other), f"HTTP {other} in place of {row.http}", _with_status(other)


def _with_status(http: int) -> Change:
    return lambda got: replace(got, status=http)


def _wire(contract: Contract, row: Row) -> Iterator[tuple[str, str, str, Change]]:
    yield "truncated", "", "JSON that ends in the middle", _halved
    yield "not-json", "", "an HTML page", _page
    for name in ("Content-Type", *_headers(contract, row)):
        yield "header", name, f"no header {name}", _without(name)


def _headers(contract: Contract, row: Row) -> tuple[str, ...]:
    """Return the headers that go with a status."""
    if row.http == 405:
        return ("Allow",)
    if row.http != 429:
        return ()
    both = "retry_after_underscore_header" in contract.readings.model_fields
    return ("Retry-After", "retry_after") if both else ("Retry-After",)


def _without(name: str) -> Change:
    return lambda got: got.without(name)


def _halved(got: Got) -> Got:
    return replace(got, body=got.body[: len(got.body) // 2])


def _page(got: Got) -> Got:
    return replace(got, body=b"<!doctype html><title>Error</title>").with_header("Content-Type", "text/html")


def _part(part: Part) -> Iterator[tuple[str, str, str, Change]]:
    """Yield what can go wrong with one key of a body, unless its schema would allow it."""
    checker = Draft202012Validator(part.schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    if part.required:
        yield "drop", part.name, f"no {part.name}", _at(lambda body: dropped(body, part.place))
    if not checker.is_valid(None):
        yield "null", part.name, f"{part.name} is null", _set(part, None)
    wrong = next((value for value in _RETYPED if not checker.is_valid(value) and _other_type(value, part.schema)), None)
    if wrong is not None:
        yield "retype", part.name, f"{part.name} is {wrong!r}", _set(part, wrong)
    if "const" in part.schema and isinstance(part.schema["const"], str):
        yield "value", part.name, f"{part.name} has another case", _set(part, _other_word(part.schema["const"]))
    if part.schema.get("pattern") or part.schema.get("format"):
        yield "format", part.name, f"{part.name} is in another format", _set(part, "1,5")
    if part.schema.get("minLength"):
        yield "empty", part.name, f"{part.name} is empty", _set(part, "")


def _set(part: Part, value: Any) -> Change:
    # A key that need not be there is put there: whatever it is, it may not be that.
    return _at(lambda body: changed(body, part.place, value, anew=not part.required))


def _other_type(value: Any, schema: Mapping[str, Any]) -> bool:
    if "const" in schema:
        return type(value) is not type(schema["const"])
    return True


def _other_word(word: str) -> str:
    """Return a word that differs in case, or a number that differs by one."""
    return str(int(word) + 1) if word.isdecimal() else word.swapcase()


def _other_code(contract: Contract, row: Row, schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Change]]:
    """Swap the lead status or error code for that of another row of the operation."""
    others = sorted({other.code for other in contract.rows_of(row.operation)} - {row.code})
    for part in parts(schema):
        if part.schema.get("const") == row.code:
            for other in others[:2]:
                yield "code", f"{part.name}={other}", f"{part.name} is {other}", _set(part, other)


def _grown_at(place: tuple[str | int, ...]) -> Change:
    return _at(lambda body: changed(body, (*place, "no_page_names_this"), "x", anew=True))


def _at(edit: Callable[[Any], Any]) -> Change:
    """Make a change of a JSON body a change of an answer; a body that is none stays as it is."""

    def change(got: Got) -> Got:
        body = got.parsed()
        edited = edit(body)
        return got if body is None or edited == body else got.with_json(edited)

    return change
