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


class _Randomness:
    """Random bytes of the system, in portions: each call to it lets other threads in, which costs more than it does.

    Safe between threads; a forked process starts with none.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._portions: Iterator[bytes] = iter(())

    def portion(self) -> bytes:
        with self._lock:
            found = next(self._portions, None)
            if found is None:
                fresh = os.urandom(_SIZE * _POOL)
                self._portions = (fresh[at : at + _SIZE] for at in range(0, len(fresh), _SIZE))
                found = next(self._portions)
            return found


_randomness = _Randomness()
os.register_at_fork(after_in_child=_randomness.forget)


def new_id(prefix: str = "") -> str:
    """Return an identifier that no other process ever made: a UUID of version 7.

    It begins with the machine's time: what is made one after the other lies side by side in an index.
    """
    milliseconds = time.time_ns() // 1_000_000
    bits = bytearray(milliseconds.to_bytes(6, "big") + _randomness.portion())
    bits[6] = bits[6] & 0x0F | 0x70
    bits[8] = bits[8] & 0x3F | 0x80
    text = bits.hex()
    return f"{prefix}{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
