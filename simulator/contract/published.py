"""What a posting specification tells a source: the fields as it must send them, and the other rules in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs

from simulator.contract.account import Account, Source
from simulator.contract.model import Contract, Journey, Operation
from simulator.contract.specification import request_schema
from simulator.routing.agreed import Cap, Group, Period, Terms, Test, Window
from simulator.routing.decision import Decision
from simulator.routing.values import value

BLANKS = "null, and a string of nothing but white space, count as not sent"

_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)  # what a lead without a ping token gets depends on no time
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# One that fits is taken for a field that no example of the vendor has.
_SAMPLES = ("example", "CA", "90001", "2125550123", "jane@example.com", "1980-01-31", "https://example.com/")


@value(frozen=True, slots=True)
class Published:
    """What one source may send to one operation for one campaign. `token_field` carries what its ping returned."""

    contract: Contract
    account: Account
    source: Source
    terms: Terms
    operation: Operation
    token_field: str = ""

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of what is sent: whatever obeys it passes validation.

        A field with `x-transform` may be spelled otherwise as well.
        """
        schema = request_schema(self.contract, self.terms, self.operation.name)
        fixed = self.contract.admission.fixed(self.terms)
        named = [*fixed, *([self.token_field] if self.token_field else [])]
        required = list(dict.fromkeys([*schema["required"], *named]))
        properties = {name: dict(described) for name, described in schema["properties"].items()}
        for name, only in fixed.items():
            properties[name] = {**properties.get(name, {}), "const": only}
        for item in self.terms.fields:
            if item.transform:
                properties[item.name]["x-transform"] = item.transform
        for name in required:
            properties[name] = _not_blank(properties.get(name, {"type": "string"}))
        return {**schema, "description": f"Ours: {BLANKS}.", "properties": properties, "required": required}

    def example_on(self, day: str) -> dict[str, Any]:
        """Return a lead that obeys the schema: the vendor's own example where that does, with what else is required.

        It is sent on that day (`YYYY-MM-DD`).
        """
        schema, printed = self.schema, {**self.operation.example_on(day), **self._promised(day)}
        wanted = [name for name in schema["properties"] if name in printed or name in schema["required"]]
        return {name: _sample(schema["properties"][name], printed.get(name)) for name in wanted}

    def _promised(self, day: str) -> dict[str, Any]:
        """Return the fields of the ping's example where a token binds to them: the vendor prints two leads."""
        pings = (item for item in self.contract.operations if item.journey is Journey.PRECHECK)
        return {name: value for item in pings for name, value in item.example_on(day).items() if self.token_field}

    @property
    def rules(self) -> tuple[str, ...]:
        """What else decides about a lead, one sentence each."""
        return tuple(_rules(self))


def publish(contract: Contract, account: Account) -> Iterator[Published]:
    """Return what each source of an account may send, source by source and campaign by campaign."""
    for source in account.sources.values():
        for terms in source.terms.values():
            for operation in filter(lambda item: item.takes_lead, contract.operations):
                token = _demanded_token(contract, account, terms, operation)
                yield Published(contract, account, source, terms, operation, token)


def _demanded_token(contract: Contract, account: Account, terms: Terms, operation: Operation) -> str:
    """Return the field for the ping's token that a lead must have, found by asking about a lead without one."""
    if contract.ping_tokens is None or operation.journey is not Journey.INGEST:
        return ""
    answer = contract.ping_tokens.redeem(account, terms, {}, _ANY_DAY)
    return answer.errors[0].field if isinstance(answer, Decision) and answer.errors else ""


def _not_blank(schema: Mapping[str, Any]) -> dict[str, Any]:
    bounded = {"pattern", "format", "enum", "const"} & schema.keys()
    return dict(schema) if bounded or schema.get("type") != "string" else {**schema, "pattern": r"\S"}


def _sample(schema: Mapping[str, Any], printed: Any) -> Any:
    choices = [schema["const"]] if "const" in schema else list(schema.get("enum", ()))
    validator = jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True)
    candidates = ([] if printed is None else [printed], choices, _SAMPLES, (1000, True))
    fitting = (value for group in candidates for value in group if validator.is_valid(value))
    return next(fitting, "example")


def _rules(item: Published) -> Iterator[str]:
    terms = item.terms
    if terms.states:
        yield f"The state is one of {', '.join(sorted(terms.states))}."
    if terms.zip_codes:
        yield f"The ZIP code is one of {', '.join(sorted(terms.zip_codes))}."
    if terms.windows:
        yield f"Leads are taken {_hours(terms.windows)} ({terms.timezone})."
    when = f" (applied {_hours(terms.filter_windows)}, {terms.timezone})" if terms.filter_windows else ""
    yield from (f"{_words(member)}{when}." for member in terms.filters.members)
    yield from (f"{one.field} is not on the list “{one.name}”." for one in terms.suppressions)
    yield from (_cap(cap) for cap in terms.caps)
    yield from _duplicates(terms)
    yield from _linked(item)
    if limit := item.source.limits.get(item.operation.name):
        yield f"At most {limit.rate} requests a second, in bursts {limit.burst} a second for {limit.seconds} s."


def _duplicates(terms: Terms) -> Iterator[str]:
    if rule := terms.duplicates:
        then = "goes to the buyer who has that lead" if rule.route_to_original else "is a duplicate"
        days = f"{rule.window.total_seconds() / 86_400:g}"
        yield f"A lead with the {' or '.join(rule.fields)} of one taken in the last {days} days {then}."


def _linked(item: Published) -> Iterator[str]:
    seconds = f"{item.terms.ping_lifetime.total_seconds():g}"
    if item.operation.journey is Journey.REDEEM:
        yield f"Only after an accepted ping, within {seconds} seconds of it, and once."
    elif item.token_field:
        yield f"{item.token_field} is what an accepted ping returned, at most {seconds} seconds ago, used once."


def _cap(cap: Cap) -> str:
    number = f"{cap.limit / 100:.2f} dollars" if cap.money else f"{cap.limit} leads"
    return f"At most {number} in total." if cap.period is Period.TOTAL else f"At most {number} a {cap.period.value}."


def _hours(windows: Iterable[Window]) -> str:
    return " and ".join(
        f"{', '.join(_DAYS[day - 1] for day in sorted(item.weekdays))} {_clock(item.opens)}-{_clock(item.closes)}"
        for item in windows
    )


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _words(member: Test | Group) -> str:
    if isinstance(member, Test):
        value = ", ".join(map(str, member.value)) if isinstance(member.value, list | tuple) else member.value
        said = f"{member.field} {member.operator}{'' if value is None else f' {value}'}"
    else:
        inner = [_words(one) if isinstance(one, Test) else f"({_words(one)})" for one in member.members]
        said = (" or " if member.any_of else " and ").join(inner)
    return f"{member.name}: {said}" if member.name else said
