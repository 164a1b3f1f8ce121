"""Scenarios as values, read from TOML. What a plan becomes is `schedule.py`'s, what a run shows `verdict.py`'s."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from loadtests.law import Limit

EndpointName = Literal["ingest", "ping", "lookup", "pingtree-ping", "pingtree-post"]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Rate = Annotated[float, Field(gt=0, le=100_000)]


class ScenarioError(Exception):
    """A scenario file that says nothing sensible; the text names the place."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Phase(_Section):
    """One stretch of a plan: a rate, a count at once, or silence. Rates are requests per second."""

    rate: Rate | None = None
    to: Rate | None = None
    seconds: Seconds | None = None
    count: PositiveInt | None = None
    idle: Seconds | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Phase:
        given = {name for name, value in self if value is not None}
        if given - {"to"} not in ({"rate", "seconds"}, {"count"}, {"idle"}) or ("to" in given and "rate" not in given):
            raise ValueError("a phase is {rate, seconds}, {rate, to, seconds}, {count} or {idle}")
        return self

    @property
    def length(self) -> float:
        """Seconds."""
        return self.seconds or self.idle or 0.0

    @property
    def peak(self) -> float:
        return max(self.rate or 0.0, self.to or 0.0)

    @property
    def requests(self) -> float:
        """How many it asks for, about."""
        return (self.count or 0) + ((self.rate or 0.0) + (self.to or self.rate or 0.0)) / 2 * (self.seconds or 0.0)


class Then(_Section):
    """What follows an accepted ping: after `think` (shortest, longest seconds) a post, in this `share` of cases."""

    endpoint: EndpointName
    think: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0, le=3600)]]
    share: Annotated[float, Field(ge=0, le=1)] = 1.0


class Pressed(_Section):
    """How near the bound a run must come. `bucket` and `ceiling` are requests short of it at most."""

    bucket: int | None = None
    ceiling: int | None = None
    refused: int | None = None
    retried: int | None = None


class Stream(_Section):
    """One key at one endpoint. `names` is the key whose supplier the body names when `key` is empty."""

    endpoint: EndpointName
    key: Annotated[str, Field(pattern=r"^[a-z]?$")]
    plan: Annotated[tuple[Phase, ...], Field(min_length=1)]
    names: str = ""
    repeat: PositiveInt = 1
    retry: Literal["", "burst", "each"] = ""
    retries: Annotated[int, Field(ge=0, le=20)] = 0
    honours: bool = True
    then: Then | None = None
    pressed: Pressed = Pressed()

    @property
    def length(self) -> float:
        """Seconds."""
        return self.repeat * sum(phase.length for phase in self.plan)

    @property
    def peak(self) -> float:
        return max(phase.peak for phase in self.plan)

    @property
    def supplier(self) -> str:
        """The key letter of the supplier that the body names."""
        return self.key or self.names


class Scenario(_Section):
    """What is sent and what a good answer is. `catches` names the broken limiters that it claims to find."""

    title: str
    streams: Annotated[tuple[Stream, ...], Field(min_length=1)]
    kind: Literal["law", "realistic"] = "law"
    catches: tuple[str, ...] = ()
    checks: tuple[Literal["retry-after", "carriers"], ...] = ()
    connections: Annotated[int, Field(ge=1, le=1000)] = 32
    independent: bool = False

    @property
    def letters(self) -> tuple[str, ...]:
        """The fresh keys that it needs."""
        return tuple(sorted({stream.supplier for stream in self.streams if stream.supplier}))

    @property
    def length(self) -> float:
        """Seconds."""
        return max(stream.length for stream in self.streams)

    @property
    def peak(self) -> float:
        """Requests per second of all streams together, at most."""
        return sum(stream.peak for stream in self.streams)

    @property
    def at_once(self) -> int:
        return max(phase.count or 0 for stream in self.streams for phase in stream.plan)

    def scaled(self, rate: float | None, seconds: float | None) -> Scenario:
        """Return the scenario with another peak rate and another length; counts at once stay as they are."""
        by_rate = rate / self.peak if rate and self.peak else 1.0
        by_length = seconds / self.length if seconds and self.length else 1.0
        streams = tuple(_scaled(stream, by_rate, by_length) for stream in self.streams)
        return self.model_copy(update={"streams": streams})


def _scaled(stream: Stream, by_rate: float, by_length: float) -> Stream:
    plan = tuple(
        phase.model_copy(
            update={
                "rate": phase.rate and phase.rate * by_rate,
                "to": phase.to and phase.to * by_rate,
                "seconds": phase.seconds and phase.seconds * by_length,
                "idle": phase.idle and phase.idle * by_length,
            }
        )
        for phase in stream.plan
    )
    return stream.model_copy(update={"plan": plan})


class LimitNumbers(_Section):
    rate: PositiveInt
    burst: PositiveInt
    seconds: PositiveInt

    @model_validator(mode="after")
    def _burst_is_more(self) -> Self:
        if self.burst <= self.rate:
            raise ValueError("burst is requests per second of a burst, so it must be more than rate")
        return self


class Valid(_Section):
    """When a run says something: the generator kept its schedule and every request was answered."""

    lateness_p99_ms: float = 250
    clock_error_ms: float = 50
    unanswered: int = 0
    unexpected: int = 0
    unsent: int = 0


class Safety(_Section):
    """What no option exceeds. Rates are requests per second of all streams together."""

    most_per_second: float = 2000
    most_per_second_elsewhere: float = 100
    most_at_once: int = 1000
    most_requests: int = 300_000
    longest_seconds: float = 3600


class Book(_Section):
    """A whole scenario file."""

    limits: dict[EndpointName, LimitNumbers] = Field(default_factory=dict)
    valid: Valid = Valid()
    safety: Safety = Safety()
    scenario: Annotated[dict[str, Scenario], Field(min_length=1)]

    @cached_property
    def laws(self) -> Mapping[str, Limit]:
        """Limits by endpoint; an endpoint that has none must never answer 429."""
        return {name: Limit(item.rate, item.burst, item.seconds) for name, item in self.limits.items()}


def read(path: Path | None = None) -> Book:
    """Return the scenarios of a file, or our own. Raises ScenarioError, OSError."""
    text = path.read_text("utf-8") if path else files(__package__).joinpath("scenarios.toml").read_text("utf-8")
    return parse(text, str(path or "scenarios.toml"))


def parse(text: str, name: str) -> Book:
    try:
        return book_of(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{name}: {error}") from error
    except ValidationError as error:
        places = (".".join(map(str, item["loc"])) + f": {item['msg']}" for item in error.errors())
        raise ScenarioError("\n".join(f"{name}: {place}" for place in places)) from error


def book_of(document: Mapping[str, Any]) -> Book:
    return Book.model_validate(document)
