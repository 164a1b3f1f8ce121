"""The posting specification of one source: the vendor's request schema plus what the sandbox file demands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from simulator.contract.model import Contract
from simulator.routing.agreed import Field, FieldType, Terms
from simulator.routing.decision import FieldError

REQUIRED = "required"
INVALID = "invalid_format"


def request_schema(contract: Contract, terms: Terms, operation: str) -> dict[str, Any]:
    """JSON Schema 2020-12 of what this source may send to this operation: exactly what is enforced."""
    documented = contract.schemas[operation]["request"]
    properties: dict[str, Any] = dict(documented.get("properties", {}))
    required = list(documented.get("required", ()))
    for item in terms.fields:
        properties[item.name] = field_schema(contract, item)
        if operation in item.required and item.name not in required:
            required.append(item.name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{contract.title}: {operation} for {terms.source_id} in {terms.campaign_id}",
        "type": "object",
        "properties": properties,
        "required": required,
    }


def field_schema(contract: Contract, item: Field) -> dict[str, Any]:
    """JSON Schema of one configured field; acceptable values replace the format."""
    schema = dict(contract.formats[item.type])
    if item.acceptable:
        schema = {"enum": list(item.acceptable)}
        if item.type in {FieldType.INTEGER, FieldType.NUMBER}:
            schema = {"enum": [float(value) for value in item.acceptable]}
        schema["description"] = "one of " + ", ".join(item.acceptable)
    if item.label:
        schema["title"] = item.label
    return schema


class Specification:
    """A compiled posting specification. Safe to share between threads."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self._validator = jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True)
        self._order = {name: place for place, name in enumerate((*schema["required"], *schema["properties"]))}

    def errors(self, values: Mapping[str, Any]) -> tuple[FieldError, ...]:
        """Return every fault: absent fields first, in the order of the specification."""
        if self._validator.is_valid(values):
            return ()
        found = {item.field: item for item in map(self._error, self._validator.iter_errors(values))}
        return tuple(sorted(found.values(), key=self._rank))

    def unaccepted(self, errors: tuple[FieldError, ...]) -> bool:
        """Whether every fault is a value outside the list of acceptable values."""
        return all(item.code == INVALID and "enum" in self._property(item.field) for item in errors)

    def _property(self, name: str) -> Mapping[str, Any]:
        found = self.schema["properties"].get(name, {})
        return found if isinstance(found, dict) else {}

    def _rank(self, error: FieldError) -> tuple[bool, int, str]:
        return error.code != REQUIRED, self._order.get(error.field, len(self._order)), error.field

    def _error(self, error: jsonschema_rs.ValidationError) -> FieldError:
        kind = error.kind.as_dict()
        if error.kind.name == "required" and not error.instance_path:
            name = str(kind["property"])
            return FieldError(name, REQUIRED, f"{name} is required")
        name = str(error.instance_path[0]) if error.instance_path else "body"
        wanted = self._property(name).get("description") or f"valid: {error.message[:200]}"
        return FieldError(name, INVALID, f"{name.replace('_', ' ').capitalize()} must be {wanted}")
