"""Transport faults as words, `slow=normal:500:100`, and the dice they need. Nothing is performed here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from simulator.routing.values import value

HEADER = "X-Sandbox-Wire"
"""The simulator tells the relay by this response header, which no client ever sees."""

LONGEST_MS = 120_000
"""No answer is held longer, whatever a word says."""

MAX_SIGMA = 4.0

Roll = Callable[[], float]
"""Returns a number in [0, 1)."""


class Kind(StrEnum):
    """What goes wrong on the wire."""

    RESET = "reset"
    TRUNCATED_BODY = "truncated_body"
    MALFORMED_JSON = "malformed_json"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    EMPTY_BODY = "empty_body"
    HANG = "hang"
    SLOW = "slow"


@value(frozen=True, slots=True)
class Pause:
    """How long to wait.

    `fixed` ms; `uniform` low, high; `normal` mean, deviation; `lognormal` median, sigma; `exponential` mean.
    All in milliseconds but sigma, which is a number: the width of the tail on the logarithmic scale.
    """

    shape: str
    first: float
    second: float = 0.0

    def milliseconds(self, roll: Roll) -> int:
        """Return one draw, between 0 and LONGEST_MS."""
        return round(min(max(_DRAWS[self.shape](self.first, self.second, roll), 0.0), LONGEST_MS))


@value(frozen=True, slots=True)
class Fault:
    """One fault. `pause` is set for `slow` and `hang` only."""

    kind: Kind
    pause: Pause | None = None

    @property
    def word(self) -> str:
        """The word that `parse` reads back."""
        if self.pause is None:
            return self.kind.value
        numbers = [f"{self.pause.first:.15g}"]
        numbers += [f"{self.pause.second:.15g}"] if self.pause.shape in _PAIRS else []
        shape = [] if self.pause.shape == "fixed" else [self.pause.shape]
        return f"{self.kind.value}={':'.join(shape + numbers)}"

    @property
    def fixed_ms(self) -> int | None:
        """The pause in milliseconds, None while dice still decide about it or there is none."""
        if self.pause is None or self.pause.shape != "fixed":
            return None
        return round(self.pause.first)


def drawn(fault: Fault, roll: Roll) -> Fault:
    """Return the fault with its distribution replaced by one draw; the same fault when nothing is to be drawn."""
    if fault.pause is None or fault.pause.shape == "fixed":
        return fault
    return replace(fault, pause=Pause("fixed", fault.pause.milliseconds(roll)))


def parse(word: str) -> Fault | None:
    """Read `reset`, `hang`, `hang=500`, `slow=2500`, `slow=uniform:100:900`, …; None for anything else."""
    name, given, value = word.partition("=")
    if name not in _NAMES:
        return None
    kind = Kind(name)
    if kind is Kind.HANG and not given:
        return Fault(kind, Pause("fixed", LONGEST_MS))
    if kind not in {Kind.HANG, Kind.SLOW}:
        return None if given else Fault(kind)
    pause = _pause(value)
    return Fault(kind, pause) if pause else None


def _pause(text: str) -> Pause | None:
    shape, *numbers = text.split(":")
    if not numbers:
        shape, numbers = "fixed", [shape]
    if shape not in _DRAWS or len(numbers) != (2 if shape in _PAIRS else 1):
        return None
    values = [_number(item) for item in numbers]
    if any(value is None for value in values):
        return None
    pause = Pause(shape, *(value for value in values if value is not None))
    return pause if _sensible(pause) else None


def _number(text: str) -> float | None:
    # Stricter than float(): no sign, no exponent, no inf or nan, no `1_000`.
    if len(text) > 16 or not text.isascii() or not text.replace(".", "", 1).isdigit():
        return None
    return float(text)


def _sensible(pause: Pause) -> bool:
    match pause.shape:
        case "uniform":
            return pause.first <= pause.second <= LONGEST_MS
        case "lognormal":
            return 0 < pause.first <= LONGEST_MS and 0 < pause.second <= MAX_SIGMA
        case "exponential":
            return 0 < pause.first <= LONGEST_MS
    return max(pause.first, pause.second) <= LONGEST_MS


def _bell(roll: Roll) -> float:
    """Return a draw from the standard normal distribution (Box and Muller), of two rolls always."""
    radius = math.sqrt(-2 * math.log(1 - roll()))
    return radius * math.cos(math.tau * roll())


def _fixed(first: float, _second: float, _roll: Roll) -> float:
    return first


def _uniform(low: float, high: float, roll: Roll) -> float:
    return low + (high - low) * roll()


def _normal(mean: float, deviation: float, roll: Roll) -> float:
    return mean + deviation * _bell(roll)


def _lognormal(median: float, sigma: float, roll: Roll) -> float:
    return median * math.exp(sigma * _bell(roll))


def _exponential(mean: float, _second: float, roll: Roll) -> float:
    return -mean * math.log(1 - roll())


_NAMES = frozenset(kind.value for kind in Kind)
_PAIRS = frozenset({"uniform", "normal", "lognormal"})
_DRAWS: dict[str, Callable[[float, float, Roll], float]] = {
    "fixed": _fixed,
    "uniform": _uniform,
    "normal": _normal,
    "lognormal": _lognormal,
    "exponential": _exponential,
}
