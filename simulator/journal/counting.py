"""How many requests of each kind there were, for longer than the requests themselves are kept."""

from __future__ import annotations

from simulator.journal.filtering import Filter, Label

MOST_SOURCES = 500
OTHER = "(other)"

_Key = tuple[str, str, str, int, str]


class Counters:
    """Counts by platform, operation, row, HTTP status and source. Sources past a limit are counted as one.

    Not safe between threads by itself.
    """

    def __init__(self, most_sources: int = MOST_SOURCES) -> None:
        self._most_sources = most_sources
        self._sources: set[tuple[str, str]] = set()
        self._counts: dict[_Key, int] = {}
        self.folded = 0

    def add(self, label: Label) -> None:
        source = label.source
        if source and (label.platform, source) not in self._sources and not self._has_room(label.platform, source):
            self.folded += 1
            source = OTHER
        key = (label.platform, label.operation, label.row, label.http, source)
        self._counts[key] = self._counts.get(key, 0) + 1

    def _has_room(self, platform: str, source: str) -> bool:
        if len(self._sources) >= self._most_sources:
            return False
        self._sources.add((platform, source))
        return True

    def count(self, wanted: Filter) -> int | None:
        """Return how many match the counted part of the filter; None when the counters cannot tell."""
        if wanted.source and self.folded and not self._is_counted_alone(wanted):
            return None
        return sum(count for key, count in self._counts.items() if wanted.matches_counted(*key))

    def _is_counted_alone(self, wanted: Filter) -> bool:
        if wanted.platform is not None:
            return (wanted.platform, wanted.source) in self._sources
        return all((platform, wanted.source) in self._sources for platform in {key[0] for key in self._counts})

    def by_row(self, wanted: Filter) -> dict[str, int]:
        """Return how often each row answered what matches the counted part of the filter."""
        found: dict[str, int] = {}
        for key, count in self._counts.items():
            if wanted.matches_counted(*key):
                found[key[2]] = found.get(key[2], 0) + count
        return found
