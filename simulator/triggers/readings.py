"""A triggered row that belongs to another reading than the one in force is worded under its own."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError


def under(reading: str, readings: BaseModel) -> Any:
    """Return the readings with `name=value` in force; the value takes whichever type the reading has."""
    if not reading:
        return readings
    name, _, value = reading.partition("=")
    for candidate in (value, {"true": True, "false": False}.get(value), int(value) if value.isdecimal() else None):
        try:
            return type(readings).model_validate({**readings.model_dump(), name: candidate}, strict=True)
        except ValidationError:
            continue
    raise LookupError(f"no reading is called {reading!r}")
