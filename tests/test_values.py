"""Values are what `dataclass` would make of them, without being it in every method."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from simulator.routing.values import value


@value(frozen=True, slots=True)
class Point:
    x: int
    y: float = 0.0
    more: Mapping[str, int] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    x: int
    y: float = 0.0
    more: Mapping[str, int] | None = field(default=None, repr=False)


@value(frozen=True, slots=True)
class Other:
    x: int
    y: float = 0.0
    more: Mapping[str, int] | None = None


def test_values_are_equal_when_their_class_and_all_that_they_hold_are() -> None:
    nobody: Any = None
    assert Point(1, 2.0) == Point(1, 2.0)
    assert Point(1, 2.0) != Point(1, 3.0)
    assert Point(1, more={"a": 1}) != Point(1, more={"a": 2})
    assert Point(1) != Other(1)  # type: ignore[comparison-overlap]
    assert Point(1) != nobody


def test_equal_values_are_one_key_and_what_cannot_be_hashed_is_none() -> None:
    assert {Point(1): "a"} | {Point(1): "b"} == {Point(1): "b"}
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point(1, more={}))


def test_a_value_is_told_copied_and_carried_as_a_dataclass_is() -> None:
    assert repr(Point(1, 2.0, {"a": 1})) == repr(Told(1, 2.0, {"a": 1})).replace("Told", "Point")
    assert replace(Point(1), x=2) == Point(2)
    assert pickle.loads(pickle.dumps(Point(1, 2.0))) == Point(1, 2.0)
    assert not hasattr(Point(1), "__dict__")
