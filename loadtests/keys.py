"""Which supplier stands behind which letter of a scenario, so that every key begins fresh. No HTTP here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from loadtests.law import SECOND, Limit
from loadtests.requesting import Callers, Source, Supplier
from loadtests.scenarios import Scenario
from loadtests.schedule import rest_between
from loadtests.target import Target


class TooFewKeysError(Exception):
    """A scenario needs more suppliers, or a Pingtree source, than the target has."""


def source_letters(scenario: Scenario) -> set[str]:
    return {stream.key for stream in scenario.streams if stream.endpoint.startswith("pingtree-")}


def supplier_letters(scenario: Scenario) -> list[str]:
    return sorted(set(scenario.letters) - source_letters(scenario))


class KeyRing:
    """Hands out suppliers, the longest rested first.

    Keys count as fresh at first when `fresh`. Else somebody may have used them just now, perhaps an earlier run.
    """

    def __init__(self, target: Target, limits: Mapping[str, Limit], *, fresh: bool = True) -> None:
        self._sources = target.sources
        self._limits = limits
        before = -math.inf if fresh else time.monotonic()
        self._used: dict[Supplier, float] = dict.fromkeys(target.suppliers, before)

    def take(self, name: str, scenario: Scenario, wait: Callable[[float], None]) -> tuple[Callers, int]:
        """Return who calls, and the gap between streams that have to share a key (0: they run at once).

        Calls `wait` with the seconds until the keys are fresh again. Raises TooFewKeysError.
        """
        letters = supplier_letters(scenario)
        chosen = sorted(self._used, key=lambda supplier: self._used[supplier])[: len(letters)]
        shared = len(chosen) < len(letters)
        if shared and not (scenario.independent and chosen):
            raise TooFewKeysError(f"{name} needs {len(letters)} supplier keys; the target has {len(chosen)} for it")
        rest, used = self._gap(scenario), max((self._used[supplier] for supplier in chosen), default=-math.inf)
        pause = used + rest / SECOND - time.monotonic()
        if pause > 0:
            wait(pause)
        suppliers = {letter: chosen[0 if shared else n] for n, letter in enumerate(letters)}
        return Callers(suppliers, self._sources_for(name, scenario)), rest if shared else 0

    def used(self, callers: Callers) -> None:
        """Remember that these keys were used until now."""
        self._used.update(dict.fromkeys(callers.suppliers.values(), time.monotonic()))

    def _sources_for(self, name: str, scenario: Scenario) -> dict[str, Source]:
        letters = source_letters(scenario)
        if letters and not self._sources:
            raise TooFewKeysError(f"{name} needs a Pingtree source; the target shows none")
        return dict.fromkeys(letters, self._sources[0]) if letters else {}

    def _gap(self, scenario: Scenario) -> int:
        """Return the nanoseconds after which a key is fresh again where this scenario sends."""
        return rest_between(self._limits[s.endpoint] for s in scenario.streams if s.endpoint in self._limits)
