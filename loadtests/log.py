"""Our own log of a run: one record per request, on one monotonic clock. Locust's statistics are not used to judge."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

NEVER = 1 << 62
"""When an answer that did not come was received."""


class Record(NamedTuple):
    """What became of a ticket. Times are nanoseconds after the start of the run; status 0 is no answer at all.

    `send` is taken before the first byte leaves and `receive` after the last has come, so that the decision lies
    between the two. `key` is the letter of the scenario, never the key itself. The three that a 429 carries are kept
    as they came, "" when absent; `fault` says what is wrong with its body, or why there was no answer.
    """

    ticket: int
    key: str
    endpoint: str
    due: int
    send: int
    receive: int
    status: int
    attempt: int = 0
    retry_after: str = ""
    retry_after_header: str = ""
    retry_after_body: str = ""
    fault: str = ""

    @property
    def refused(self) -> bool:
        return self.status == 429

    @property
    def unanswered(self) -> bool:
        return self.status == 0

    @property
    def wait(self) -> int:
        """Seconds that the header Retry-After names; -1 when it names none."""
        return int(self.retry_after) if self.retry_after.isascii() and self.retry_after.isdigit() else -1


_NUMBERS = frozenset({"ticket", "due", "send", "receive", "status", "attempt"})


def row_of(values: Sequence[Any]) -> Record:
    """Return the record of a row as it came over a wire or out of a file."""
    named = zip(Record._fields, values, strict=True)
    return Record._make(int(value) if name in _NUMBERS else str(value) for name, value in named)


def write(path: Path, records: Iterable[Record]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Record._fields)
        writer.writerows(records)


def read(path: Path) -> list[Record]:
    """Return the records of a file, by the time they were sent."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        return sorted(map(row_of, rows), key=lambda record: record.send)
