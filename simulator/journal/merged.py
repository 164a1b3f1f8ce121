"""The journals that the workers of one sandbox keep of a tenant, read as one. Who keeps them is not known here."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice, takewhile
from typing import Any, Protocol

from simulator.journal.filtering import Filter
from simulator.journal.journal import EvictedError, EvidenceGoneError, Page, UnknownRequestError


class Requests(Protocol):
    """What can be asked of a journal, be it one or several."""

    @property
    def name(self) -> str: ...

    @property
    def newest(self) -> int:
        """How many requests were ever recorded; it changes with each."""
        ...

    def select(self, wanted: Filter, limit: int, after: str = "") -> Page: ...

    def newest_first(self, wanted: Filter | None = None) -> Iterator[dict[str, Any]]: ...

    def find(self, request_id: str) -> dict[str, Any]: ...

    def latest_of_each(self, most: int) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Return the newest requests of every platform and source, at most so many of each."""
        ...

    def around(self, request_id: str, before: int, after: int) -> list[dict[str, Any]]:
        """Return a request and those of the same source nearest to it, newest first; nothing when it is gone."""
        ...

    def count(self, wanted: Filter) -> int: ...

    def by_row(self, wanted: Filter) -> dict[str, int]: ...

    def size(self) -> dict[str, int]: ...

    def clear(self) -> int: ...


class Readable(Protocol):
    """The journals of all tenants, be they one or several of each."""

    def of(self, tenant_id: str, /) -> Requests: ...

    def keeping(self, request_id: str, /) -> str | None:
        """Return the tenant whose journal gave this id, whether or not the request is still there."""
        ...


_NEVER = float("inf")
_START = "_start"
_AT_ONCE = 500
_BOUNDS = frozenset({"max_entries", "max_bytes"})  # of each worker


class Merged:
    """Several as one: newest first, by when work on a request began, which one clock of the machine tells.

    Each keeps its own order. A page goes on after one place in each journal: their ids, with commas between them.
    """

    def __init__(self, parts: Sequence[Requests]) -> None:
        self._parts = parts

    def select(self, wanted: Filter, limit: int, after: str = "") -> Page:
        places = {_journal_of(each): each for each in after.split(",")} if after else {}
        if not places.keys() <= {part.name for part in self._parts}:
            raise UnknownRequestError(after)
        # A single id says nothing of the other journals but how young an entry can be that comes after it.
        youngest = self._began(places) if places.keys() < {part.name for part in self._parts} else _NEVER
        pages = [part.select(wanted, limit, _number(places.get(part.name, ""))) for part in self._parts]
        found = [
            [each for each in page.requests if part.name in places or _began(each) <= youngest]
            for part, page in zip(self._parts, pages, strict=True)
        ]
        shown = list(islice(merge(*found, key=_age), limit))
        reached = {part.name: f"req_{part.name}{_START}" for part in self._parts} | places
        reached |= {_journal_of(each["id"]): str(each["id"]) for each in shown}
        more = len(shown) < sum(map(len, found)) or any(page.next for page in pages)
        return Page(tuple(shown), ",".join(reached.values()) if more and shown else "")

    @property
    def name(self) -> str:
        return ",".join(part.name for part in self._parts)

    @property
    def newest(self) -> int:
        return sum(part.newest for part in self._parts)

    def newest_first(self, wanted: Filter | None = None) -> Iterator[dict[str, Any]]:
        """Return what matches, read in pages as it is asked for."""
        page = self.select(wanted or Filter(), _AT_ONCE)
        yield from page.requests
        while page.next:
            page = self.select(wanted or Filter(), _AT_ONCE, page.next)
            yield from page.requests

    def _began(self, places: Mapping[str, str]) -> float:
        """Return when the oldest of the requests at these places began."""
        shown = (each for each in places.values() if _number(each))
        known = [moment for each in shown if (moment := self._moment(each)) is not None]
        return min(known, default=_NEVER)

    def _moment(self, request_id: str) -> float | None:
        try:
            return _began(self.find(request_id))
        except EvictedError:
            return None

    def find(self, request_id: str) -> dict[str, Any]:
        for part in self._parts:
            if part.name == _journal_of(request_id):
                return part.find(request_id)
        raise UnknownRequestError(request_id)

    def latest_of_each(self, most: int) -> dict[tuple[str, str], list[dict[str, Any]]]:
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for part in self._parts:
            for key, own in part.latest_of_each(most).items():
                found.setdefault(key, []).extend(own)
        return {key: sorted(own, key=_age)[:most] for key, own in found.items()}

    def around(self, request_id: str, before: int, after: int) -> list[dict[str, Any]]:
        try:
            entry = self.find(request_id)
        except (EvictedError, UnknownRequestError):
            return []
        own = self.newest_first(Filter(platform=entry["platform"], source=entry["source_id"]))
        later = deque(takewhile(lambda each: each["id"] != request_id, own), maxlen=after)
        return [*later, entry, *islice(own, before)]

    def count(self, wanted: Filter) -> int:
        kept, evicted, gone = 0, 0, False
        for part in self._parts:
            try:
                kept += part.count(wanted)
            except EvidenceGoneError as error:
                kept, evicted, gone = kept + error.kept, evicted + error.evicted, True
        if gone:
            raise EvidenceGoneError(kept, evicted)
        return kept

    def by_row(self, wanted: Filter) -> dict[str, int]:
        return _summed(part.by_row(wanted) for part in self._parts)

    def size(self) -> dict[str, int]:
        sizes = [part.size() for part in self._parts]
        return _summed(sizes) | {name: sizes[0][name] for name in _BOUNDS}

    def clear(self) -> int:
        return sum(part.clear() for part in self._parts)


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            found[name] = found.get(name, 0) + count
    return found


def _journal_of(request_id: str) -> str:
    return request_id.removeprefix("req_").partition("_")[0]


def _number(place: str) -> str:
    """Return the id to go on after; "" for a journal of which nothing was shown yet."""
    return "" if place.endswith(_START) else place


def _age(entry: Mapping[str, Any]) -> float:
    return -_began(entry)


def _began(entry: Mapping[str, Any]) -> float:
    return float(entry["began"])
