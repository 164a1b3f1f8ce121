"""How long a mock buyer takes to answer: one value or a distribution. Waiting does not live here."""

from __future__ import annotations

import math
from random import Random
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LONGEST_MS = 120_000
"""No answer is held longer, whatever a persona says."""

Milliseconds = Annotated[float, Field(ge=0, le=LONGEST_MS, allow_inf_nan=False)]


class _Latency(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fixed(_Latency):
    """Always the same."""

    kind: Literal["fixed"] = "fixed"
    ms: Milliseconds = Field(default=0, description="Milliseconds.")


class Uniform(_Latency):
    """Anything between two values, all equally likely."""

    kind: Literal["uniform"]
    low_ms: Milliseconds = Field(description="Shortest, in milliseconds.")
    high_ms: Milliseconds = Field(description="Longest, in milliseconds.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low_ms > self.high_ms:
            raise ValueError("low_ms must not exceed high_ms")
        return self


class Normal(_Latency):
    """The bell curve, cut off at zero."""

    kind: Literal["normal"]
    mean_ms: Milliseconds = Field(description="Mean, in milliseconds.")
    deviation_ms: Milliseconds = Field(description="Standard deviation, in milliseconds.")


class Lognormal(_Latency):
    """Mostly quick, with a long tail: what real endpoints look like."""

    kind: Literal["lognormal"]
    median_ms: Annotated[Milliseconds, Field(gt=0)] = Field(description="Median, in milliseconds.")
    sigma: float = Field(gt=0, le=4, description="Width of the tail: 0.5 makes one answer in 40 take 2.7 medians.")


class Exponential(_Latency):
    """Memoryless: many quick answers, few slow ones."""

    kind: Literal["exponential"]
    mean_ms: Annotated[Milliseconds, Field(gt=0)] = Field(description="Mean, in milliseconds.")


AnyLatency = Fixed | Uniform | Normal | Lognormal | Exponential
Latency = Annotated[AnyLatency, Field(discriminator="kind")]


def seconds(latency: AnyLatency, dice: Random) -> float:
    """Return how long to wait, in seconds, between 0 and two minutes."""
    return min(max(_milliseconds(latency, dice), 0), LONGEST_MS) / 1000


def _milliseconds(latency: AnyLatency, dice: Random) -> float:
    match latency:
        case Fixed():
            return latency.ms
        case Uniform():
            return dice.uniform(latency.low_ms, latency.high_ms)
        case Normal():
            return dice.gauss(latency.mean_ms, latency.deviation_ms)
        case Lognormal():
            return dice.lognormvariate(math.log(latency.median_ms), latency.sigma)
        case Exponential():
            return dice.expovariate(1 / latency.mean_ms)
