"""Personas: what a mock buyer's character is made of. What it does with that lives in `buyer.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from mock_buyers.latency import Fixed, Latency
from mock_buyers.pricing import Dollars, FixedPrice, Price

BUILT_IN = Path(__file__).parent.parent / "fixtures" / "buyers" / "personas.yaml"
DEFAULT_PERSONA = "eager"

Rate = Annotated[float, Field(ge=0, le=1)]
State = Annotated[str, Field(pattern="^[A-Z]{2}$")]
ZipPrefix = Annotated[str, Field(pattern="^[0-9]{1,5}$")]
ClockTime = Annotated[str, Field(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Text = Annotated[str, Field(max_length=10_000)]
Error = Literal["http_500", "http_503", "reset", "truncated"]
Garbage = Literal["bad_json", "html", "wrong_type", "wrong_shape", "empty", "not_utf8"]


class PersonaError(ValueError):
    """A persona that cannot be: every reason, one line each."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class Hours(BaseModel):
    """When the buyer buys. Hours that close before they open run past midnight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(
        default=(1, 2, 3, 4, 5, 6, 7), description="ISO weekdays, 1 is Monday; the day on which it opens."
    )
    opens: ClockTime = Field(default="00:00", description="HH:MM.")
    closes: ClockTime = Field(default="24:00", description="HH:MM; the minute itself is closed.")


class Budget(BaseModel):
    """What the buyer spends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: Dollars = Field(description="US dollars.")
    period: Literal["day", "total"] = Field(default="day", description="Per day, or until reset.")


def _fixed_price(value: Any) -> Any:
    return {"kind": "fixed", "amount": value} if isinstance(value, int | float | str | Decimal) else value


def _fixed_latency(value: Any) -> Any:
    return {"kind": "fixed", "ms": value} if isinstance(value, int | float) else value


class Persona(BaseModel):
    """A buyer's character. Dice decide by `seed` and the number of the call alone, so that a run repeats."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: Text = Field(default="", description="One sentence for people.")
    mode: Literal["refuse", "stall", "break"] | None = Field(
        default=None,
        description="A switch over everything else: refuse all, never answer, or answer HTTP 500.",
    )
    seed: int | None = Field(default=None, description="Starts the dice; without it the buyer's id does.")
    price: Annotated[Price, BeforeValidator(_fixed_price)] = Field(
        default=FixedPrice(amount=Decimal(45)),
        description="What it pays: a number, or a `fixed`, `table` or `curve` price.",
    )
    latency: Annotated[Latency, BeforeValidator(_fixed_latency)] = Field(
        default=Fixed(),
        description="Time to an answer: milliseconds, or a distribution.",
    )
    webhook_latency: Annotated[Latency, BeforeValidator(_fixed_latency)] | None = Field(
        default=None, description="The same for webhooks; without it, `latency`."
    )
    webhook_status: int = Field(default=200, ge=200, le=599, description="HTTP status that answers a good webhook.")
    states: tuple[State, ...] = Field(default=(), max_length=60, description="Only these; empty is all.")
    zip_codes: tuple[ZipPrefix, ...] = Field(
        default=(),
        max_length=50_000,
        description="Only ZIP codes that begin with one of these; empty is all.",
    )
    required_fields: tuple[str, ...] = Field(
        default=(), max_length=200, description="A ping or post without one of these is refused."
    )
    required_post_fields: tuple[str, ...] = Field(
        default=(), max_length=200, description="A post without one of these is refused."
    )
    mapping: dict[str, str] = Field(
        default_factory=dict, max_length=500, description="Our field name to the one that this buyer reads."
    )
    answer_keys: dict[Literal["accepted", "bid", "ping_id", "reason", "url", "tcpa"], str] = Field(
        default_factory=dict, description="Where it puts each part of its answers; dotted paths."
    )
    error_rate: Rate = Field(default=0, description="Share of calls that fail.")
    errors: tuple[Error, ...] = Field(
        default=("http_500",), min_length=1, description="How they fail; the dice choose."
    )
    silence_rate: Rate = Field(default=0, description="Share of calls that are never answered.")
    garbage_rate: Rate = Field(default=0, description="Share of calls answered with garbage.")
    garbage: tuple[Garbage, ...] = Field(
        default=("bad_json", "html", "wrong_type"),
        min_length=1,
        description="Which garbage; the dice choose.",
    )
    post_reject_rate: Rate = Field(default=0, description="Share of posts refused after an accepted ping.")
    post_reject_reason: Text = Field(default="Rejected on review", description="What it says then.")
    max_accepts_per_day: int | None = Field(default=None, ge=0, description="Posts bought per day.")
    budget: Budget | None = Field(default=None, description="Dollars per day or in total.")
    hours: Hours | None = Field(default=None, description="When it buys; without it, always.")
    timezone: str = Field(default="America/New_York", description="Of its hours and its days.")
    tcpa: Text = Field(default="", description="Consent text that goes with a bid.")
    redirect_url: Text = Field(default="", description="Where an accepted post sends the consumer.")
    bypass_ping: bool = Field(default=False, description="Takes posts that no ping went before.")
    secret: str = Field(default="", max_length=500, description="Webhooks must be signed with it, if set.")
    replay_seconds: int = Field(
        default=0, ge=0, description="Oldest timestamp of a webhook signed with one (C8); 0 takes any."
    )

    @cached_property
    def is_certain(self) -> bool:
        """Whether nothing is left to chance, so that no dice need be thrown."""
        chances = (self.silence_rate, self.error_rate, self.garbage_rate, self.post_reject_rate, self.price.jitter)
        latencies = (self.latency, self.webhook_latency or self.latency)
        return not any(chances) and all(isinstance(latency, Fixed) for latency in latencies)

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @cached_property
    def our_names(self) -> Mapping[str, str]:
        """Our name of each field that the buyer calls otherwise; of two that it calls alike, the first."""
        return {theirs: ours for ours, theirs in reversed(self.mapping.items())}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, LookupError) as unknown:
            raise PydanticCustomError("timezone", "no such time zone") from unknown
        return name


def load(path: Path, known: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, dict[str, Any]]:
    """Return `known` and the personas of a YAML file by name, as documents that are complete and valid.

    Raises PersonaError with every fault of the file, each with its place.
    """
    personas = {name: dict(document) for name, document in (known or {}).items()}
    reasons: list[str] = []
    for name, document in _mapping_in(path).items():
        try:
            personas[plain(name)] = complete(document, personas)
            Persona.model_validate(personas[plain(name)])
        except ValidationError as bad:
            reasons += [f"{path}: {name}.{reason}" for reason in _reasons(bad)]
        except PersonaError as bad:
            reasons += [f"{path}: {name}: {reason}" for reason in bad.reasons]
    if reasons:
        raise PersonaError(reasons)
    return personas


def complete(document: Any, personas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document laid over the persona that it names, key by key; null takes the persona's own."""
    if not isinstance(document, dict):
        raise PersonaError(["a persona is an object of fields"])
    named = document.get("persona")
    if named is not None and (not isinstance(named, str) or plain(named) not in personas):
        raise PersonaError([_unknown(named, personas)])
    start = personas.get(plain(named), {}) if named else {}
    return {
        **start,
        **{key: value for key, value in document.items() if key != "persona" and value is not None},
    }


def persona_from(document: Any, personas: Mapping[str, Mapping[str, Any]]) -> Persona:
    """Return the persona of a buyer's document, which starts from `eager` unless it names another.

    Raises PersonaError with every fault.
    """
    if isinstance(document, dict):
        document = {**document, "persona": document.get("persona") or DEFAULT_PERSONA}
    try:
        return Persona.model_validate(complete(document, personas))
    except ValidationError as bad:
        raise PersonaError(_reasons(bad)) from bad


def plain(name: str) -> str:
    """Return a persona's name as it is looked up: `Two-Faced` is `two_faced`."""
    return str(name).strip().lower().replace("-", "_")


def personas_table() -> str:
    """Return a Markdown table of the built-in personas: name, character, what it sets."""
    rows = ["| persona | character | sets |", "|---|---|---|"]
    for name, document in load(BUILT_IN).items():
        sets = {key: value for key, value in document.items() if key != "description"}
        cells = ", ".join(f"`{key}: {_short(value)}`" for key, value in sets.items())
        rows.append(f"| `{name}` | {_cell(document['description'])} | {_cell(cells)} |")
    return "\n".join(rows) + "\n"


def fields_table() -> str:
    """Return a Markdown table of a persona's fields: name, default, meaning."""
    rows = ["| field | default | meaning |", "|---|---|---|"]
    plain = Persona().model_dump(mode="json")
    for name, info in Persona.model_fields.items():
        rows.append(f"| `{name}` | `{_short(plain[name])}` | {_cell(info.description or '')} |")
    return "\n".join(rows) + "\n"


class _Loader(yaml.SafeLoader):
    """Knows the words of JSON only: YAML 1.1 would make a number of `10:30` and a boolean of `no`."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _words, _begin in (
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"-?(0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?", list("-0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_words})$"), _begin)


def _mapping_in(path: Path) -> dict[Any, Any]:
    try:
        found = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506  a SafeLoader with fewer words  # nosec B506
    except (OSError, UnicodeDecodeError) as unreadable:
        raise PersonaError([f"{path}: {unreadable}"]) from unreadable
    except yaml.YAMLError as bad:
        raise PersonaError([f"{path}: {' '.join(str(bad).split())}"]) from bad
    if not isinstance(found, dict):
        raise PersonaError([f"{path}: expected a mapping of persona names to fields"])
    return found


def _reasons(bad: ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in bad.errors(include_url=False)]


def _unknown(name: object, personas: Mapping[str, Mapping[str, Any]]) -> str:
    close = get_close_matches(plain(str(name)), personas, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(personas))}"
    return f"persona: no persona is called {str(name)[:60]!r}; {hint}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
