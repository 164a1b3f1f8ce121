"""What makes values cheap, to define at every start and to make for every request. What they are is not known here."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass, fields

    def value(*, frozen: bool, slots: bool) -> Any:
        """Make a dataclass that the type checker holds for frozen, and that nothing guards while it runs.

        A guarded one sets each of its fields by a call, which made up 5 % of an ingest. Of the methods that `dataclass`
        would compile for each class, a hundred times in every start, it is left the one that takes arguments.
        """
        assert frozen  # a value never changes

        def define(cls: type) -> type:
            made = dataclass(slots=slots, eq=False, repr=False)(cls)
            content = attrgetter(*(item.name for item in fields(made)))

            def equals(self: Any, other: object) -> bool:
                return content(self) == content(other) if other.__class__ is self.__class__ else NotImplemented

            made.__eq__ = equals
            made.__hash__ = lambda self: hash(content(self))
            made.__repr__ = _words
            return made

        return define

    def _words(self: Any) -> str:
        shown = (f"{item.name}={getattr(self, item.name)!r}" for item in fields(self) if item.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"


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
