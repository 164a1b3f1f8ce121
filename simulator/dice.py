"""Randomness and identifiers, so that nothing else makes its own."""

from __future__ import annotations

import random
import threading
import uuid


class Dice:
    """Seeded randomness of one tenant. Identifiers are never seeded: a restart must not repeat them."""

    def __init__(self, seed: int | None = None) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311  chance for a simulation, no secret

    def roll(self) -> float:
        """Return a number in [0, 1)."""
        with self._lock:
            return self._random.random()


def new_id(prefix: str = "") -> str:
    """Return an identifier that no other process ever made."""
    return f"{prefix}{uuid.uuid4()}"  # noqa: TID251  the edge itself
