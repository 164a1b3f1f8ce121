"""Which requests a query means, and what is wrong with one that can't be read. Nothing is counted here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any, NamedTuple

from simulator.routing.values import value

HTTP = re.compile(r"([1-5])xx|([1-5][0-9]{2})", re.IGNORECASE)
_LOST_PLUS = re.compile(r" (?=[0-9]{2}:?[0-9]{2}$)")  # a "+" in a query string is read as a space


class Label(NamedTuple):
    """What a request is filtered by. `at` is sandbox time, `source` is "" when nobody was recognised.

    A tuple, because one is made at every request.
    """

    at: datetime
    platform: str
    operation: str
    row: str
    http: int
    source: str
    method: str


@value(frozen=True, slots=True)
class Filter:
    """Requests that match all that is set. `since` is inclusive, `until` exclusive."""

    platform: str | None = None
    operation: str | None = None
    source: str | None = None
    row: str | None = None
    http: range | None = None
    method: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def counted(self) -> Filter:
        """The part of the filter that the counters know of."""
        return replace(self, method=None, since=None, until=None)

    def matches(self, label: Label) -> bool:
        return self.matches_counted(
            label.platform, label.operation, label.row, label.http, label.source
        ) and self._matches_evidence(label)

    def matches_counted(self, platform: str, operation: str, row: str, http: int, source: str) -> bool:
        return (
            (self.platform is None or self.platform == platform)
            and (self.operation is None or self.operation == operation)
            and (self.row is None or self.row == row)
            and (self.source is None or self.source == source)
            and (self.http is None or http in self.http)
        )

    def _matches_evidence(self, label: Label) -> bool:
        return (
            (self.method is None or self.method == label.method)
            and (self.since is None or label.at >= self.since)
            and (self.until is None or label.at < self.until)
        )


class FilterError(Exception):
    """A filter that can't be read. `problems` maps each parameter to what is wrong with it."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in problems.items()))
        self.problems = dict(problems)


@value(frozen=True, slots=True)
class Vocabulary:
    """The words that a filter may use. A row that no table has would match nothing, and a test would not notice."""

    platforms: frozenset[str]
    operations: frozenset[str]
    rows: frozenset[str]


def parsed(parameters: Mapping[str, Any], words: Vocabulary) -> Filter:
    """Read a filter from query parameters or JSON. Raises FilterError naming every parameter that is wrong."""
    readers: Mapping[str, Callable[[str], Any]] = {
        "platform": lambda text: _known(text, words.platforms),
        "operation": lambda text: _known(text, words.operations),
        "source": str,
        "row": lambda text: _known(text, words.rows),
        "http": _http,
        "method": str.upper,
        "since": _moment,
        "until": _moment,
    }
    found: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, given in parameters.items():
        if name not in readers:
            problems[name] = f"is no filter{_meant(name, readers)}; filters are {', '.join(readers)}"
            continue
        try:
            found[name] = readers[name](_text(given))
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise FilterError(problems)
    return Filter(**found)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("must be a string")  # noqa: TRY004  the caller collects one kind of error
    return str(value)


def _known(text: str, known: frozenset[str]) -> str:
    if text in known:
        return text
    raise ValueError(f"{text[:80]!r} is not one of the contracts'{_meant(text, known)}")


def _meant(text: str, known: Iterable[str]) -> str:
    close = get_close_matches(text, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _http(text: str) -> range:
    found = HTTP.fullmatch(text)
    if found is None:
        raise ValueError("must be an HTTP status such as 400, or a class such as 4xx")
    first = int(found[1]) * 100 if found[1] else int(found[2])
    return range(first, first + (100 if found[1] else 1))


def _moment(text: str) -> datetime:
    wanted = "must be an ISO 8601 moment with a zone, such as 2026-03-08T09:30:00Z"
    try:
        moment = datetime.fromisoformat(_LOST_PLUS.sub("+", text))
    except ValueError:
        raise ValueError(wanted) from None
    if moment.tzinfo is None:
        raise ValueError(wanted)
    return moment
