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

    def check(self, scenarios: Mapping[str, Scenario]) -> None:
        """Raise TooFewKeysError, naming every scenario that the target has not enough keys for."""
        short = [lack for name, scenario in scenarios.items() if (lack := self._lacking(name, scenario))]
        if short:
            raise TooFewKeysError(f"{'; '.join(short)}. {self._shown()}")

    def _lacking(self, name: str, scenario: Scenario) -> str:
        letters = len(supplier_letters(scenario))
        if len(self._used) < (min(letters, 1) if scenario.independent else letters):
            return f"{name} needs {letters} supplier key{'s' if letters > 1 else ''}"
        return f"{name} needs a Pingtree source" if source_letters(scenario) and not self._sources else ""

    def _shown(self) -> str:
        sources = "a Pingtree source" if self._sources else "no Pingtree source"
        return f"The target has {len(self._used)} of them and {sources}: name keys with --key, or leave scenarios out"

    def take(self, name: str, scenario: Scenario, wait: Callable[[float], None]) -> tuple[Callers, int]:
        """Return who calls, and the gap between streams that have to share a key (0: they run at once).

        Calls `wait` with the seconds until the keys are fresh again. Raises TooFewKeysError.
        """
        self.check({name: scenario})
        letters = supplier_letters(scenario)
        chosen = sorted(self._used, key=lambda supplier: self._used[supplier])[: len(letters)]
        shared = len(chosen) < len(letters)
        rest, used = self._gap(scenario), max((self._used[supplier] for supplier in chosen), default=-math.inf)
        pause = used + rest / SECOND - time.monotonic()
        if pause > 0:
            wait(pause)
        suppliers = {letter: chosen[0 if shared else n] for n, letter in enumerate(letters)}
        return Callers(suppliers, self._sources_for(scenario)), rest if shared else 0

    def used(self, callers: Callers) -> None:
        """Remember that these keys were used until now."""
        self._used.update(dict.fromkeys(callers.suppliers.values(), time.monotonic()))

    def _sources_for(self, scenario: Scenario) -> dict[str, Source]:
        letters = source_letters(scenario)
        return dict.fromkeys(letters, self._sources[0]) if letters else {}

    def _gap(self, scenario: Scenario) -> int:
        """Return the nanoseconds after which a key is fresh again where this scenario sends."""
        return rest_between(self._limits[s.endpoint] for s in scenario.streams if s.endpoint in self._limits)
