"""What makes values cheap, to define at every start and to make for every request. What they are is not known here."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> Any:
        """Make a dataclass that the type checker holds for frozen, and that nothing guards while it runs.

        A guarded one sets each of its fields by a call, which made up 5 % of an ingest. It also takes twice as long to
        define: with so many of them, 4 % of a start.
        """
        return dataclass(slots=slots, unsafe_hash=frozen)


V = TypeVar("V")
R = TypeVar("R")


def once(work: Callable[[V], R]) -> Callable[[V], R]:
    """Keep what is worked out of a value that never changes with the value itself, for as long as it is in use.

    The value's class has no slots: the result lies among its attributes, and is no field of it.
    """
    name = f"once {work.__module__}.{work.__qualname__}"

    @wraps(work)
    def known(value: V) -> R:
        try:
            found: R = value.__dict__[name]
        except KeyError:
            found = value.__dict__[name] = work(value)
        return found

    return known


__all__ = ["once", "value"]
