"""Randomness and identifiers, so that nothing else makes its own."""

from __future__ import annotations

import random
import secrets
import threading
import uuid
from collections.abc import Mapping
from typing import Any


class Dice:
    """Seeded randomness of one tenant. Identifiers are never seeded: a restart must not repeat them."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = secrets.randbits(32) if seed is None else seed
        self._lock = threading.Lock()
        self._random = random.Random(self.seed)  # noqa: S311  chance for a simulation, no secret

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


def new_id(prefix: str = "") -> str:
    """Return an identifier that no other process ever made."""
    return f"{prefix}{uuid.uuid4()}"  # noqa: TID251  the edge itself
