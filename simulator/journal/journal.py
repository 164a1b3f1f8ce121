"""What a tenant was asked and what it answered, for as long as there is room. Not what it means."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from simulator.dice import new_id
from simulator.journal.counting import Counters
from simulator.journal.filtering import Filter, Label
from simulator.journal.ring import Kept, Retold, Ring
from simulator.routing.values import value

MAX_ENTRIES = 10_000
MAX_BYTES = 32 * 1024 * 1024
TOGETHER = 8  # times the bytes of one that all journals of a process may have


class EvictedError(Exception):
    """The request was in this journal and no longer is."""


class UnknownRequestError(Exception):
    """The request was never in this journal."""


class EvidenceGoneError(Exception):
    """A question whose answer needs requests that were evicted. `kept` of those that match are still there."""

    def __init__(self, kept: int, evicted: int) -> None:
        super().__init__(f"{evicted} requests were evicted from the journal, and some of them may match")
        self.kept = kept
        self.evicted = evicted


@value(frozen=True, slots=True)
class Page:
    """Requests, newest first, and the id to go on after; "" when there are no more."""

    requests: tuple[dict[str, Any], ...]
    next: str


class Journal:
    """The requests of one tenant. Safe between threads; nothing is parsed or serialised under the lock."""

    def __init__(
        self,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        on_kept: Callable[[int], object] = lambda _bytes: None,
    ) -> None:
        self.name = new_id()[-10:]  # tells its ids from those of other journals and other starts
        self._on_kept = on_kept
        self._lock = threading.Lock()
        self._ring = Ring(max_entries, max_bytes)
        self._counters = Counters()
        self.clearings = 0  # how often it was cleared

    def record(self, label: Label, blob: bytes, retold: Retold = orjson.loads) -> str:
        """Keep one request. `retold` makes its document, an object without the id, of `blob`. Returns the id."""
        # A copy of the exact size: orjson's buffers are twice as large before they are cut, and keeping what was
        # cut leaves holes that nothing fits into (250 MiB resident instead of 55, and growing).
        exact = bytes(memoryview(blob))
        with self._lock:
            self._counters.add(label)
            number = self._ring.add(label, exact, retold)
        self._on_kept(len(exact))
        return self.id_of(number)

    def id_of(self, number: int) -> str:
        return f"req_{self.name}_{number}"

    @property
    def newest(self) -> int:
        """How many requests were ever recorded; it changes with each."""
        return self._ring.next

    def find(self, request_id: str) -> dict[str, Any]:
        """Return a request's document. Raises EvictedError or UnknownRequestError."""
        number = self._number(request_id)
        with self._lock:
            kept = self._ring.find(number)
            known = 0 <= number < self._ring.next
        if kept is not None:
            return self._document(kept)
        raise EvictedError(request_id) if known else UnknownRequestError(request_id)

    def _number(self, request_id: str) -> int:
        name, _, number = request_id.removeprefix("req_").rpartition("_")
        fits = name == self.name and number.isascii() and number.isdigit() and len(number) < 16
        return int(number) if fits and self.id_of(int(number)) == request_id else -1

    def _document(self, kept: Kept) -> dict[str, Any]:
        return {"id": self.id_of(kept.number), **kept.retold(kept.blob)}

    def select(self, wanted: Filter, limit: int, after: str = "") -> Page:
        """Return what matches and is still there. Raises UnknownRequestError for an `after` that never was."""
        before = self._number(after) if after else None
        kept, next_number = self._snapshot()
        if before is not None and not 0 <= before < next_number:
            raise UnknownRequestError(after)
        matching = (
            item for item in reversed(kept) if (before is None or item.number < before) and wanted.matches(item.label)
        )
        found = [item for item, _ in zip(matching, range(limit + 1), strict=False)]
        more = len(found) > limit
        shown = found[:limit]
        return Page(tuple(map(self._document, shown)), self.id_of(shown[-1].number) if more else "")

    def newest_first(self, wanted: Filter | None = None) -> Iterator[dict[str, Any]]:
        """Return what matches as it is kept now; each document is read when it is asked for."""
        kept, _ = self._snapshot()
        return (self._document(item) for item in reversed(kept) if wanted is None or wanted.matches(item.label))

    def latest_of_each(self, most: int) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Return the newest requests of every platform and source, at most so many of each, in one pass."""
        kept, _ = self._snapshot()
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for item in reversed(kept):
            own = found.setdefault((item.label.platform, item.label.source), [])
            if len(own) < most:
                own.append(self._document(item))
        return found

    def around(self, request_id: str, before: int, after: int) -> list[dict[str, Any]]:
        """Return a request and those of the same source nearest to it, newest first; nothing when it is gone."""
        number = self._number(request_id)
        kept, _ = self._snapshot()
        label = next((item.label for item in kept if item.number == number), None)
        if label is None:
            return []
        own = [item for item in kept if item.label.platform == label.platform and item.label.source == label.source]
        place = next(n for n, item in enumerate(own) if item.number == number)
        near = own[max(0, place - before) : place + after + 1]
        return [self._document(item) for item in reversed(near)]

    def _snapshot(self) -> tuple[list[Kept], int]:
        with self._lock:
            return list(self._ring.entries), self._ring.next

    def count(self, wanted: Filter) -> int:
        """Return how many requests matched since the start or the last clearing, evicted ones included.

        Raises EvidenceGoneError when only evicted requests could tell.
        """
        with self._lock:
            total = self._counters.count(wanted)
            if total is not None and wanted == wanted.counted:
                return total
            kept = list(self._ring.entries)
            evicted = self._ring.evicted
            complete = evicted == 0 or self._ring.lost_nothing_between(wanted)
        found = sum(wanted.matches(item.label) for item in kept)
        if complete or (total is not None and self._all_kept(wanted.counted, kept, total)):
            return found
        raise EvidenceGoneError(found, evicted)

    def _all_kept(self, counted: Filter, kept: list[Kept], total: int) -> bool:
        return sum(counted.matches(item.label) for item in kept) == total

    def by_row(self, wanted: Filter) -> dict[str, int]:
        """Return how often each row answered what matches the counted part of the filter."""
        with self._lock:
            return self._counters.by_row(wanted)

    def clear(self) -> int:
        """Forget every request and count; return how many went. Their ids stay those of requests that are gone."""
        with self._lock:
            gone = len(self._ring.entries)
            self._ring.clear()
            self._counters = Counters()
            self.clearings += 1
        return gone

    def shrink(self, most_bytes: int) -> None:
        """Forget the oldest requests until no more than so many bytes are left."""
        with self._lock:
            self._ring.shrink(most_bytes)

    @property
    def held_bytes(self) -> int:
        return self._ring.bytes

    def size(self) -> dict[str, int]:
        with self._lock:
            ring = self._ring
            return {
                "entries": len(ring.entries),
                "bytes": ring.bytes,
                "evicted": ring.evicted,
                "max_entries": ring.max_entries,
                "max_bytes": ring.max_bytes,
            }


class Journals:
    """One journal per tenant, made when the first request comes in.

    Each has at most `max_bytes`, and all together eight times as much: then the largest give up their oldest requests.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._bounds = (max_entries, max_bytes)
        self._lock = threading.Lock()
        self._journals: dict[str, Journal] = {}
        self._most = TOGETHER * max_bytes
        self._often = self._most // 64  # bytes after which somebody looks whether they are too many
        self._unseen = 0

    def of(self, tenant_id: str) -> Journal:
        journal = self._journals.get(tenant_id)
        if journal is None:
            with self._lock:
                journal = self._journals.setdefault(tenant_id, Journal(*self._bounds, self._note))
        return journal

    def _note(self, more: int) -> None:
        self._unseen += more  # between threads some may be lost: then the look comes a little later
        if self._unseen > self._often:
            self._unseen = 0
            self._make_room()

    def _make_room(self) -> None:
        journals = list(self._journals.values())
        most = _fair_share([journal.held_bytes for journal in journals], self._most - self._often)
        for journal in journals:
            journal.shrink(most)

    def known(self, tenant_id: str) -> Journal | None:
        """Return a tenant's journal if it was made."""
        return self._journals.get(tenant_id)

    def keeping(self, request_id: str) -> str | None:
        """Return the tenant whose journal gave this id, whether or not the request is still there."""
        name = request_id.removeprefix("req_").partition("_")[0]
        return next((tenant for tenant, journal in list(self._journals.items()) if journal.name == name), None)

    def forget(self, tenant_id: str) -> None:
        """Drop a tenant's journal with all that is in it."""
        with self._lock:
            self._journals.pop(tenant_id, None)

    def sizes(self) -> Iterator[Mapping[str, int]]:
        return (journal.size() for journal in list(self._journals.values()))


def _fair_share(sizes: Iterable[int], room: int) -> int:
    """Return the size to which the largest have to shrink so that all fit into the room together."""
    ascending = sorted(sizes)
    for place, size in enumerate(ascending):
        share = room // (len(ascending) - place)
        if size > share:
            return share
        room -= size
    return max(ascending, default=0)
