"""Randomness and identifiers, so that nothing else makes its own."""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any


class Dice:
    """Seeded randomness of one tenant. Identifiers are never seeded: a restart must not repeat them."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = secrets.randbits(32) if seed is None else seed
        self._lock = threading.Lock()
        self._random = random.Random(self.seed)  # noqa: S311  chance for a simulation, no secret  # nosec B311

    def roll(self) -> float:
        """Return a number in [0, 1)."""
        with self._lock:
            return self._random.random()

    def reset(self) -> None:
        """Start the seed's rolls anew."""
        with self._lock:
            self._random.seed(self.seed)

    def state(self) -> dict[str, Any]:
        """Return JSON values (about 6 KB) from which `restore` rolls on as these dice would."""
        with self._lock:
            version, internal, gauss = self._random.getstate()
        return {"seed": self.seed, "version": version, "internal": list(internal), "gauss": gauss}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Roll on from a state. Raises KeyError, TypeError or ValueError for what is none, and stays as it was."""
        seed = int(state["seed"])
        with self._lock:
            self._random.setstate((state["version"], tuple(state["internal"]), state["gauss"]))
            self.seed = seed


_SIZE = 10  # bytes of chance in an identifier
_POOL = 256  # identifiers' worth of randomness taken from the system at once
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}  # the first digit of the fourth group


class _Randomness:
    """The random ends of identifiers, many at once: each call to the system lets other threads in, which costs more.

    Safe between threads without a lock, since taking from a list is one step; a forked process starts with none.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._ends: list[str] = []

    def end(self) -> str:
        try:
            return self._ends.pop()
        except IndexError:
            *others, one = map(_end, _cut(os.urandom(_SIZE * _POOL).hex()))
            self._ends += others
            return one


def _cut(digits: str) -> Iterator[str]:
    return (digits[at : at + 2 * _SIZE] for at in range(0, len(digits), 2 * _SIZE))


def _end(digits: str) -> str:
    """Return the last three groups of a UUID of version 7."""
    return f"7{digits[1:4]}-{_VARIANT[digits[4]]}{digits[5:8]}-{digits[8:]}"


_randomness = _Randomness()
os.register_at_fork(after_in_child=_randomness.forget)


def new_id(prefix: str = "") -> str:
    """Return an identifier that no other process ever made: a UUID of version 7.

    It begins with the machine's time: what is made one after the other lies side by side in an index.
    """
    time_of_it = f"{time.time_ns() // 1_000_000:012x}"
    return f"{prefix}{time_of_it[:8]}-{time_of_it[8:]}-{_randomness.end()}"
