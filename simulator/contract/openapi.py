"""Contract → OpenAPI 3.1: every operation and every row, the sandbox's own marked as such. Serving it is not here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from http import HTTPStatus
from typing import Any

from simulator.contract.account import Source
from simulator.contract.model import ANY_OPERATION, BodyType, Contract, Evidence, Operation, Row, in_force
from simulator.routing.values import value

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
_EVIDENCE = {
    Evidence.FULL: "a vendor page documents the status and prints the body",
    Evidence.ROW: "only the row, or the code, is documented; the rest is inferred",
    Evidence.OURS: "no vendor page has it; it is this sandbox's own",
}
_ABOUT = """\
What the sandbox takes and answers. Each answer is one row of the status codes: `x-row-id` names it, `x-evidence` says \
how well it is documented (full, row, ours), `x-reading` which reading of the documents it belongs to, and \
`x-in-force` whether that reading is in force. Rows of one HTTP status stand side by side in `anyOf`: several of \
them share a body, so an answer may be of more than one."""


@value(frozen=True, slots=True)
class Subject:
    """One platform as a document shows it: the readings in force, and whose posting specification it is.

    `requests` replaces the documented request schema of an operation, `arguments` fills in path arguments, `samples`
    shows what could stand there. `day` (`YYYY-MM-DD`) is when the examples are sent.
    """

    contract: Contract
    readings: Mapping[str, str]
    day: str
    requests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[str, str] = field(default_factory=dict)

    def request(self, operation: Operation) -> Mapping[str, Any]:
        return self.requests.get(operation.name) or self.contract.schemas[operation.name]["request"]

    def example(self, operation: Operation) -> Mapping[str, Any]:
        return self.examples.get(operation.name) or operation.example_on(self.day)


def document(subjects: Iterable[Subject], *, title: str, version: str, server: str) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document. `server` is the base URL, "/" for the one that serves the document."""
    known = tuple(subjects)
    return {
        "openapi": "3.1.1",
        "info": {"title": title, "version": version, "description": _ABOUT},
        "servers": [{"url": server}],
        "tags": [{"name": item.contract.platform, "description": item.contract.title} for item in known],
        "paths": {path: item for subject in known for path, item in _paths(subject)},
        "components": {
            "schemas": {row.id: _schema(subject, row) for subject in known for row in subject.contract.rows},
            "responses": {
                row.id: _response([row], subject)
                for subject in known
                for row in subject.contract.rows_of(ANY_OPERATION)
            },
            "securitySchemes": {name: scheme for subject in known for name, scheme in _schemes(subject)},
        },
    }


def _paths(subject: Subject) -> Iterator[tuple[str, dict[str, Any]]]:
    for operation in subject.contract.operations:
        served = {operation.path: "", **operation.aliases}
        for number, (path, reading) in enumerate(served.items()):
            if in_force(reading, subject.readings):
                methods = (name for name, wanted in operation.methods.items() if in_force(wanted, subject.readings))
                found = {name.lower(): _called(subject, operation, name, number, path) for name in methods}
                yield _filled(path, subject), {**_arguments(path, subject), **found}


def _filled(path: str, subject: Subject) -> str:
    return _ARGUMENT.sub(lambda found: subject.arguments.get(found[1], f"{{{found[1]}}}"), path)


def _arguments(path: str, subject: Subject) -> dict[str, Any]:
    names = [name for name in _ARGUMENT.findall(path) if name not in subject.arguments]
    shown = {name: {"example": subject.samples[name]} for name in names if name in subject.samples}
    told = {"in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    found = [{"name": name, **told, **shown.get(name, {})} for name in names]
    return {"parameters": found} if found else {}


def _is_guarded(subject: Subject, operation: Operation) -> bool:
    return bool(operation.credential) and in_force(operation.credential_reading, subject.readings)


def _called(subject: Subject, operation: Operation, method: str, number: int, path: str) -> dict[str, Any]:
    name = "_".join([subject.contract.platform, operation.name, method.lower(), *([str(number)] if number else [])])
    return {
        "operationId": name,
        "summary": operation.summary,
        "description": f"Documented at {operation.source}.",
        "tags": [subject.contract.platform],
        "security": [{_scheme_name(subject, operation): []}] if _is_guarded(subject, operation) else [],
        **_sent(subject, operation, method, path),
        "responses": _responses(subject, operation),
    }


def _sent(subject: Subject, operation: Operation, method: str, path: str) -> dict[str, Any]:
    in_path = {name for argument, name in operation.arguments.items() if argument in _ARGUMENT.findall(path)}
    schema = _without(_plain(subject.request(operation)), in_path)
    if method == "GET":
        return {"parameters": list(_query(schema, subject.example(operation)))}
    kinds = [kind for kind, reading in operation.bodies.items() if in_force(reading, subject.readings)]
    example = {name: value for name, value in subject.example(operation).items() if name not in in_path}
    bodies = [kind for kind in kinds if kind not in {BodyType.QUERY, BodyType.URL}]
    content = {kind.value: {"schema": schema, "example": example} for kind in bodies}
    return {"requestBody": {"required": BodyType.URL not in kinds, "content": content}}


def _without(schema: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a request's schema without the fields that stand in the path."""
    if not names:
        return schema
    properties = {name: value for name, value in schema["properties"].items() if name not in names}
    return {**schema, "properties": properties, "required": [name for name in schema["required"] if name not in names]}


def _query(schema: Mapping[str, Any], example: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    required = set(schema.get("required", ()))
    for name, described in schema.get("properties", {}).items():
        shown = {"example": example[name]} if name in example else {}
        yield {"name": name, "in": "query", "required": name in required, "schema": described, **shown}


def _responses(subject: Subject, operation: Operation) -> dict[str, Any]:
    by_status: dict[str, list[Row]] = {}
    for row in subject.contract.rows_of(operation.name):
        by_status.setdefault(str(row.http), []).append(row)
    return {status: _response(by_status[status], subject) for status in sorted(by_status)}


def _response(rows: list[Row], subject: Subject) -> dict[str, Any]:
    """Several rows stand in `anyOf`, not `oneOf`: two rows with one body would make each other's answers invalid."""
    described = "; ".join(f"{row.id}: {row.meaning}" for row in rows)
    schemas = [{"$ref": f"#/components/schemas/{row.id}"} for row in rows]
    return {
        "description": described or HTTPStatus(rows[0].http).phrase,
        "x-rows": [_about(row, subject) for row in rows],
        "content": {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}},
    }


def _about(row: Row, subject: Subject) -> dict[str, Any]:
    return {
        "x-row-id": row.id,
        "x-code": row.code,
        "x-evidence": row.evidence.value,
        "x-source": list(row.source),
        **({"x-reading": row.reading} if row.reading else {}),
        "x-in-force": in_force(row.reading, subject.readings),
    }


def _schema(subject: Subject, row: Row) -> dict[str, Any]:
    schema = _plain(subject.contract.schema_for(row, subject.readings))
    said = f"{row.meaning}. Evidence: {_EVIDENCE[row.evidence]}."
    own = f"{said} {schema['description']}" if "description" in schema else said
    return {**schema, "title": row.id, "description": own, **_about(row, subject)}


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what only a document of its own has."""
    return {key: value for key, value in schema.items() if key not in {"$schema", "$comment"}}


def _scheme_name(subject: Subject, operation: Operation) -> str:
    return f"{subject.contract.platform}_{operation.credential}"


def _schemes(subject: Subject) -> Iterator[tuple[str, dict[str, Any]]]:
    for operation in filter(lambda item: _is_guarded(subject, item), subject.contract.operations):
        # What the header looks like, nobody knows but the vendor: it is asked to present a credential of nobody's.
        nobody = Source(id="", name="", owner="", credentials={operation.credential: "x"}, terms={})
        header, value = subject.contract.admission.header(nobody, operation) or ("", "")
        if value.startswith("Bearer "):
            scheme = {"type": "http", "scheme": "bearer"}
        else:
            scheme = {"type": "apiKey", "in": "header", "name": header}
        yield _scheme_name(subject, operation), {**scheme, "description": f"{operation.credential} credential"}
