"""Filters: tests and groups over a lead's fields. What follows from a failed filter is not decided here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Any, NamedTuple

from simulator.routing.agreed import Group, Test
from simulator.routing.decision import Check, Reason
from simulator.routing.fields import text_of
from simulator.routing.telling import describe, fields_of, is_empty, sent
from simulator.routing.values import once, value

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_NUMERIC = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].{1,40})?", re.IGNORECASE)
_DAYS_AGO = re.compile(r"([0-9]{1,6}) days? ago")


# --- how two values compare -------------------------------------------------------------------------------


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return Decimal(repr(value)) if isfinite(value) else None
    if isinstance(value, str):
        return Decimal(value.strip()) if _NUMERIC.fullmatch(value.strip()) else None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    return Decimal(value) if isinstance(value, int) else None


def _moment(value: Any, now: datetime) -> date | None:
    """Return a day, or a moment in the zone of `now`; a date-time without a zone is local."""
    if isinstance(value, str) and _ISO.fullmatch(value.strip()):
        text = value.strip().upper()
        try:
            value = datetime.fromisoformat(text) if len(text) > 10 else date.fromisoformat(text)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return value if isinstance(value, date) else None
    try:
        return value.astimezone(now.tzinfo) if value.tzinfo else value.replace(tzinfo=now.tzinfo)
    except (ValueError, OverflowError):
        return None


def _wanted_moment(value: Any, now: datetime) -> date | None:
    """Read a comparison value, which unlike a lead's may be `today` or `730 days ago`."""
    word = value.strip().lower() if isinstance(value, str) else ""
    if word == "today":
        return now.date()
    if found := _DAYS_AGO.fullmatch(word):
        try:
            return now.date() - timedelta(days=int(found[1]))
        except OverflowError:
            return None
    return _moment(value, now)


def _sign(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def _order_of_dates(actual: Any, wanted: Any, now: datetime) -> int | None:
    """Compare two moments, or two days if either side is a day only."""
    left = _moment(actual, now)
    right = None if left is None else _wanted_moment(wanted, now)
    if left is None or right is None:
        return None
    if isinstance(left, datetime) and isinstance(right, datetime):
        return _sign(left, right)
    return _sign(*(side.date() if isinstance(side, datetime) else side for side in (left, right)))


def _order(actual: Any, wanted: Any, now: datetime) -> int | None:
    """Return -1, 0 or 1, or None where the two have no order."""
    left, right = _number(actual), _number(wanted)
    if left is not None and right is not None:
        return _sign(left, right)
    return _order_of_dates(actual, wanted, now)


def _same(actual: Any, wanted: Any, now: datetime) -> bool:
    if isinstance(actual, list | dict) or isinstance(wanted, list | dict):
        return bool(actual == wanted)
    if text_of(actual).strip().casefold() == text_of(wanted).strip().casefold():
        return True
    if isinstance(actual, str) and isinstance(wanted, str):
        return _order_of_dates(actual, wanted, now) == 0  # "01234" and "1234" are two ZIP codes
    return _order(actual, wanted, now) == 0


def _among(actual: Any, wanted: Any, now: datetime) -> bool:
    if not isinstance(wanted, list | tuple):
        return False
    if isinstance(actual, str) and actual in wanted:  # as it is written, most of the time
        return True
    return any(_same(actual, one, now) for one in wanted)


def _contains(actual: Any, wanted: Any, now: datetime) -> bool:
    if isinstance(actual, list):
        return any(_same(one, wanted, now) for one in actual)
    part = text_of(wanted).strip().casefold()
    return bool(part) and part in text_of(actual).casefold()


@lru_cache(maxsize=512)
def _pattern(value: str) -> re.Pattern[str] | None:
    if value.strip().upper() == "E.164":
        return _E164
    try:
        return re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return None


def _matches(actual: Any, wanted: Any, _: datetime) -> bool:
    pattern = _pattern(wanted) if isinstance(wanted, str) else None
    text = text_of(actual)
    return bool(pattern and text and pattern.fullmatch(text))


# --- which comparison values make sense ---------------------------------------------------------------------

_Compare = Callable[[Any, Any, datetime], bool]
_Shape = Callable[[Any], str | None]


def _one_value(value: Any) -> str | None:
    return None if text_of(value).strip() else "takes one value that is not empty (for empty fields: IS EMPTY)"


def _list_of_values(value: Any) -> str | None:
    fits = isinstance(value, list | tuple) and value and all(text_of(one).strip() for one in value)
    return None if fits else "takes a list of at least one value"


def _no_value(value: Any) -> str | None:
    return None if value is None else "takes no value"


def _something_ordered(value: Any) -> str | None:
    now = datetime(2000, 1, 1, tzinfo=UTC)  # any moment shows whether a value is a date at all
    fits = _number(value) is not None or _wanted_moment(value, now) is not None
    return None if fits else 'takes a number, an ISO date, "today" or "730 days ago"'


def _pattern_text(value: Any) -> str | None:
    fits = isinstance(value, str) and value and _pattern(value)
    return None if fits else 'takes "E.164" or a regular expression'


@value(frozen=True, slots=True)
class Operator:
    """How a sent value compares, what an absent field answers, why a comparison value can't work."""

    compare: _Compare
    complaint: _Shape
    when_absent: bool = False


def _not(compare: _Compare) -> _Compare:
    return lambda actual, wanted, now: not compare(actual, wanted, now)


def _ordered(*signs: int) -> Operator:
    return Operator(lambda actual, wanted, now: _order(actual, wanted, now) in signs, _something_ordered)


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "IN": Operator(_among, _list_of_values),
        "NOT IN": Operator(_not(_among), _list_of_values, when_absent=True),
        "==": Operator(_same, _one_value),
        "!=": Operator(_not(_same), _one_value, when_absent=True),
        ">": _ordered(1),
        ">=": _ordered(0, 1),
        "<": _ordered(-1),
        "<=": _ordered(-1, 0),
        "IS EMPTY": Operator(lambda *_: False, _no_value, when_absent=True),
        "IS NOT EMPTY": Operator(lambda *_: True, _no_value),
        "CONTAINS": Operator(_contains, _one_value),
        "NOT CONTAINS": Operator(_not(_contains), _one_value, when_absent=True),
        "MATCHES": Operator(_matches, _pattern_text),
    }
)
"""Documented (Lead Distro, /docs/campaign-inbound-filters): IN, IS NOT EMPTY, >=, ==, MATCHES E.164,
NOT CONTAINS and `>= 730 days ago`. The others, how case and absent fields count, are the sandbox's own."""


def _operator(name: str) -> Operator | None:
    return OPERATORS.get(name) or OPERATORS.get(" ".join(name.upper().split()))


@once
def _operator_of(test: Test) -> Operator | None:
    return _operator(test.operator)


def validate(test: Test) -> str | None:
    """Say why a test can't work, or None."""
    operator = _operator(test.operator)
    if operator is None:
        return f"unknown operator {test.operator!r}: one of {', '.join(OPERATORS)}"
    if not test.field.strip():
        return "a test needs a field"
    complaint = operator.complaint(test.value)
    return complaint and f"{test.operator} {complaint}"


# --- do they hold? ------------------------------------------------------------------------------------------


def _holds(member: Test | Group, values: Mapping[str, Any], now: datetime) -> bool:
    if isinstance(member, Group):
        return holds(member, values, now)
    operator = _operator_of(member)
    if operator is None:
        return False
    actual = values.get(member.field)
    return operator.when_absent if is_empty(actual) else operator.compare(actual, member.value, now)


def holds(group: Group, values: Mapping[str, Any], now: datetime) -> bool:
    """Whether a group lets a lead through. An empty group asks nothing, also where any one member would do.

    `now` is aware and in the account's zone: `today` is its date. A comparison with a day is one of days, so
    `date >= "730 days ago"` holds for the whole of that day.
    """
    if group.any_of and group.members:
        return any(_holds(member, values, now) for member in group.members)
    return all(_holds(member, values, now) for member in group.members)


def checks(group: Group, values: Mapping[str, Any], now: datetime) -> tuple[Check, ...]:
    """Try every top-level member. A group of which any one member must hold is one rule, and one check."""
    return tuple([_check(one, values, now) for one in _trials(group)])


def failing(group: Group, values: Mapping[str, Any], now: datetime) -> tuple[Check, ...]:
    """Return the checks of `checks` that did not pass; none means that the group holds."""
    return tuple(check for check in checks(group, values, now) if not check.passed)


class _Trial(NamedTuple):
    """One check that is made of a group, and all of its words that do not depend on the lead."""

    member: Test | Group
    rule: str
    fields: tuple[str, ...]
    asks: str


@once
def _trials(group: Group) -> tuple[_Trial, ...]:
    tried = (group,) if group.any_of and group.members else group.members
    return tuple(
        _Trial(each, each.name or describe(each), tuple(dict.fromkeys(fields_of(each))), describe(each))
        for each in tried
    )


def _check(trial: _Trial, values: Mapping[str, Any], now: datetime) -> Check:
    passed = _holds(trial.member, values, now)
    said = " and ".join([sent(name, values) for name in trial.fields])
    detail = f"{said}; the filter asks for {trial.asks}."
    return Check(trial.rule, passed, detail, None if passed else Reason.FILTERED)
