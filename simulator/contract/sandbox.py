"""The pieces of a sandbox file that every vendor's section is built from, and how they become routing values."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from simulator.contract.account import Account, Limit
from simulator.contract.duty import Duties, Severity
from simulator.routing import agreed, conditions, fields, suppression
from simulator.routing.duplicates import PHONE_FIELDS
from simulator.routing.values import value

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
PathName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_~:@-][A-Za-z0-9._~:@-]*$")]
"""A name that stands in a URL's path as it is."""
Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=2)]
Seconds = Annotated[float, Field(gt=0, le=120)]
Count = Annotated[int, Field(ge=0, le=10**12)]
StateCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
ZipCode = Annotated[str, Field(pattern=r"^[0-9]{5}$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

NOT_REPEATED: Any = {"writeOnly": True}
"""Marks a secret in the file's schema: no message about the file repeats its value."""

WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@value(frozen=True, slots=True)
class Surroundings:
    """What a section needs to know of the tenant it becomes an account of.

    `suffix` keeps the callers' names of two tenants apart ("" for the first). `generations` counts how often
    a credential was regenerated, and when last. `read_file` resolves a path named in the file.
    """

    tenant: str
    timezone: str
    secret: bytes
    since: datetime
    mock_buyers_url: str = ""
    suffix: str = ""
    generations: Mapping[tuple[str, str], tuple[int, datetime]] = field(default_factory=dict)
    read_file: Callable[[str], str] = str

    def named(self, name: str) -> str:
        return f"{name}{self.suffix}"

    def mock(self, platform: str, buyer_id: str, kind: str) -> str:
        return f"{self.mock_buyers_url}/{platform}/{self.tenant}/{buyer_id}/{kind}"


class Section(BaseModel):
    """A part of the sandbox file. Unknown keys are refused, so that a typing error is never silent."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    @classmethod
    def left_out(cls) -> Self:
        """Return what a section is that the file leaves out. To validate it, pydantic would compile each by itself."""
        return cast("Self", cls.model_construct())


class Severities(Section):
    """How bad it is to break each duty of this platform's integrators. What is left out keeps its own severity."""

    def values(self) -> dict[str, Severity]:
        return {name: getattr(self, name) for name in type(self).model_fields}


def severities_of(name: str, duties: Duties) -> type[Severities]:
    """Make the model with a key for each duty."""
    fields: dict[str, Any] = {
        duty.id: (Severity, Field(duty.severity, description=duty.rule)) for duty in duties.catalogue
    }
    made: type[Severities] = create_model(name, __base__=Severities, __doc__=Severities.__doc__, **fields)
    return made


class PlatformSection(Section):
    """One vendor's part of the sandbox file: it knows how to become an account with mock buyers."""

    @abstractmethod
    def account(self, around: Surroundings) -> Account: ...

    @abstractmethod
    def personas(self, around: Surroundings) -> Iterator[PersonaWanted]: ...


class RateLimit(Section):
    """So many requests a second for ever, and a burst: more a second, for some seconds."""

    rate: int = Field(ge=1, description="Requests a second, sustained.")
    burst: int = Field(ge=2, le=4096, description="Requests a second at most; above `rate`.")
    seconds: int = Field(ge=1, le=3600, description="How long a burst lasts after a rest.")

    @model_validator(mode="after")
    def _bursts(self) -> Self:
        if self.burst <= self.rate:
            raise ValueError(f"burst must be above rate, which is {self.rate}")
        return self

    def value(self) -> Limit:
        return Limit(self.rate, self.burst, self.seconds)


class Limits(Section):
    """Rate limits of one source, one key for each of its operations; null switches a limit off."""

    def values(self) -> dict[str, Limit]:
        limits = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: limit.value() for name, limit in limits if limit is not None}


class Caps(Section):
    """At most so many leads per period, in the account's time zone."""

    hour: Count | None = None
    day: Count | None = None
    week: Count | None = Field(None, description="From Monday 00:00.")
    month: Count | None = Field(None, description="From the 1st, 00:00.")
    total: Count | None = Field(None, description="Emptied by a reset only.")
    dollars: DollarCaps | None = Field(None, description="The same in US dollars; whichever fills first stops.")

    def values(self) -> tuple[agreed.Cap, ...]:
        leads = [agreed.Cap(p, limit) for p in agreed.Period if (limit := getattr(self, p.value)) is not None]
        return (*leads, *(self.dollars.values() if self.dollars else ()))


class DollarCaps(Section):
    day: Dollars | None = None
    week: Dollars | None = None
    month: Dollars | None = None
    total: Dollars | None = None

    def values(self) -> tuple[agreed.Cap, ...]:
        found = ((p, getattr(self, p.value, None)) for p in agreed.Period)
        return tuple(agreed.Cap(p, int(limit * 100), money=True) for p, limit in found if limit is not None)


class Hours(Section):
    """Opening hours. `to` at or before `from` runs past midnight; 24:00 is the end of the day."""

    days: tuple[Weekday, ...] = WEEKDAYS
    opens: str = Field("00:00", alias="from", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    closes: str = Field("24:00", alias="to", pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")

    def value(self) -> agreed.Window:
        weekdays = frozenset(WEEKDAYS.index(day) + 1 for day in self.days)
        return agreed.Window(weekdays, _minutes(self.opens), _minutes(self.closes))


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


class Condition(Section):
    """One test of one field, or a group: `any` or `all` of more conditions."""

    field: str = ""
    operator: str = Field("", description="One of " + ", ".join(conditions.OPERATORS))
    value: Any = None
    name: str = Field("", description="What a refusal calls it.")
    any: tuple[Condition, ...] = ()
    all: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> Condition:
        kinds = [kind for kind in ("field", "any", "all") if getattr(self, kind)]
        if len(kinds) != 1:
            raise ValueError("give exactly one of field, any, all")
        if self.field and (why := conditions.validate(self.member())):  # type: ignore[arg-type]  # a Test here
            raise ValueError(why)
        return self

    def member(self) -> agreed.Test | agreed.Group:
        if self.field:
            return agreed.Test(self.field, self.operator, self.value, self.name)
        inner = tuple(item.member() for item in (*self.any, *self.all))
        return agreed.Group(inner, any_of=bool(self.any), name=self.name)


def group(items: Iterable[Condition]) -> agreed.Group:
    return agreed.Group(tuple(item.member() for item in items))


class FieldEntry(Section):
    """One field of a posting specification or field mapping."""

    name: Name
    type: agreed.FieldType = agreed.FieldType.STRING
    label: str = ""
    acceptable: tuple[str, ...] = Field((), description="The only values that are taken. Empty: all.")
    transform: str = Field("", description="One of " + ", ".join(fields.TRANSFORMS))

    @field_validator("transform")
    @classmethod
    def _known(cls, value: str) -> str:
        if value and value not in fields.TRANSFORMS:
            raise ValueError("must be one of " + ", ".join(fields.TRANSFORMS))
        return value


class Suppressed(Section):
    """People who are not wanted: plain values, MD5 hashes, or a CSV with the header `phone` and/or `email`."""

    name: str = "suppression list"
    field: Name = "phone"
    values: tuple[str, ...] = ()
    csv: str = Field("", description="The text of a CSV file.")
    csv_file: str = Field("", description="The path of a CSV file, from the sandbox file's folder.")
    days: int = Field(0, ge=0, le=36_500, description="How long an entry counts; 0 is for ever.")
    listed: date | None = Field(None, description="Since when. Default: when the sandbox was made.")

    def lists(self, around: Surroundings) -> tuple[agreed.Suppression, ...]:
        """Return one list for each field that it matches by: its own, and with a CSV phone and email as well."""
        since = datetime.combine(self.listed, time(), UTC) if self.listed else around.since
        entries = dict.fromkeys(self.hashes(around), since)
        fields = [self.field]
        if self.csv or self.csv_file:
            fields += [column for column in ("phone", "email") if column not in _same_field(self.field)]
        return tuple(agreed.Suppression(self.name, field, entries, self.days) for field in fields)

    def hashes(self, around: Surroundings) -> frozenset[str]:
        plain = frozenset(suppression.md5_of(self.field, value) for value in self.values)
        listed = _csv("csv", self.csv) | _csv(self.csv_file, self.csv_file and around.read_file(self.csv_file))
        return plain | listed


def _csv(name: str, text: str) -> frozenset[str]:
    try:
        return suppression.read_csv(text) if text else frozenset()
    except ValueError as error:
        raise ValueError(f"suppression list {name}: {error}") from None


def _same_field(name: str) -> frozenset[str]:
    return PHONE_FIELDS if name in PHONE_FIELDS else frozenset({name})


class Duplicates(Section):
    """When two leads are one person. Each field counts on its own."""

    fields: tuple[Name, ...] = Field(("phone", "email"), min_length=1)
    days: float = Field(30, gt=0, le=36_500)

    def rule(self, *, route_to_original: bool = False) -> agreed.DuplicateRule:
        return agreed.DuplicateRule(self.fields, timedelta(days=self.days), route_to_original)


class BuyerEntry(Section):
    """What every platform's buyers have in common."""

    id: PathName
    name: str = ""
    persona: str | dict[str, Any] = Field(
        "eager", description="How its mock buyer behaves: a persona's name, or one with overrides."
    )
    states: tuple[StateCode, ...] = Field((), description="Empty: all.")
    zip_codes: tuple[ZipCode, ...] = Field((), description="Empty: all.")
    filters: tuple[Condition, ...] = ()
    hours: tuple[Hours, ...] = Field((), description="Empty: always.")
    caps: Caps = Caps.left_out()
    suppressed: tuple[Suppressed, ...] = ()

    def shared_terms(self, around: Surroundings) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name or self.id,
            "states": frozenset(self.states),
            "zip_codes": frozenset(self.zip_codes),
            "filters": group(self.filters),
            "windows": tuple(item.value() for item in self.hours),
            "caps": self.caps.values(),
            "suppressed": frozenset[str]().union(*(item.hashes(around) for item in self.suppressed)),
        }

    def persona_document(self, **more: Any) -> dict[str, Any]:
        """Build the document that the mock buyers' control takes; what the file says wins over `more`."""
        own = {"persona": self.persona} if isinstance(self.persona, str) else self.persona
        return {**{key: value for key, value in more.items() if value}, **own}


@value(frozen=True, slots=True)
class PersonaWanted:
    """A mock buyer that this sandbox needs."""

    platform: str
    tenant: str
    buyer_id: str
    document: Mapping[str, Any]


Caps.model_rebuild()
