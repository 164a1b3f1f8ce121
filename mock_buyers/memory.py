"""What a mock buyer remembers by id: the last ones. What the ids mean does not live here."""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

_PART: Final = 2_500
V = TypeVar("V")


class Memory(Generic[V]):
    """At least the last `most` ids and what belongs to each; older ones are forgotten 2,500 at a time.

    Parts, since one table that takes ids in and lets them go is built anew again and again, and the space for two of
    them is needed whenever that happens: memory would rise in steps, long after it is full.
    """

    def __init__(self, most: int) -> None:
        self._most_parts = -(-most // _PART) + 1
        self._parts: deque[dict[str, V]] = deque([{}])

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __contains__(self, key: str) -> bool:
        return any(key in part for part in reversed(self._parts))

    def __getitem__(self, key: str) -> V:
        return self._part_of(key)[key]

    def __setitem__(self, key: str, value: V) -> None:
        """Give an id that is remembered another value; it grows no younger. Raises KeyError."""
        self._part_of(key)[key] = value

    def add(self, key: str, value: V) -> None:
        """Remember an id that is not remembered."""
        youngest = self._parts[-1]
        if len(youngest) >= _PART:
            youngest = {}
            self._parts.append(youngest)
            if len(self._parts) > self._most_parts:
                self._parts.popleft()
        youngest[key] = value

    def clear(self) -> None:
        self._parts = deque([{}])

    def _part_of(self, key: str) -> dict[str, V]:
        for part in reversed(self._parts):  # mostly it is asked for what came last
            if key in part:
                return part
        raise KeyError(key)
