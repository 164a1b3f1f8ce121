"""How a value is made of which every request makes several. What the values are is not known here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> Any:
        """Make a dataclass that the type checker holds for frozen, and that nothing guards while it runs.

        A guarded one sets each of its fields by a call, which made up 5 % of an ingest.
        """
        return dataclass(slots=slots, unsafe_hash=frozen)


__all__ = ["value"]
