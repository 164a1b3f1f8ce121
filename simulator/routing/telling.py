"""Filters and what a lead has for them, in words. Whether they hold is `conditions.py`'s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simulator.routing.agreed import Group, Test
from simulator.routing.fields import text_of

_LONGEST_SHOWN = 80


def is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or value in ([], {})


def describe(member: Test | Group) -> str:
    """Render a test as `state IN [CA, TX]`, a group as `(a AND b)`."""
    if isinstance(member, Group):
        joint = " OR " if member.any_of else " AND "
        return f"({joint.join(describe(one) for one in member.members)})"
    shown = "" if member.value is None else f" {_shown(member.value)}"
    return f"{member.field} {' '.join(member.operator.upper().split())}{shown}"


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        text = f"[{', '.join(text_of(one) for one in value)}]"
    else:
        text = "an object" if isinstance(value, dict) else text_of(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def sent(name: str, values: Mapping[str, Any]) -> str:
    value = values.get(name)
    return f"{name} was not sent" if is_empty(value) else f"{name} is {_shown(value)}"


def fields_of(member: Test | Group) -> Iterator[str]:
    if isinstance(member, Test):
        yield member.field
        return
    for one in member.members:
        yield from fields_of(one)
