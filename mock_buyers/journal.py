"""What one mock buyer received and answered: a bounded ring, put into words when it is read. Nobody is judged here."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple, Self

import orjson

from mock_buyers.answers import Answer
from mock_buyers.messages import Fields

MASK = "***"
_HEADERS_SHOWN = 50
_BODY_SHOWN = 8192
_ANSWER_SHOWN = 2048
_ROOM = 2048  # what an entry is charged for its own fields, whatever they take
_SECRET_PARTS = ("authorization", "cookie", "api-key", "token", "secret", "password")


class Entry(NamedTuple):
    """One call as it came, and its answer; most are never read, so nothing is made of them before.

    `cost` is what it is charged for, in bytes.
    """

    kind: str
    method: str
    time: datetime
    headers: Fields
    body: bytes
    body_bytes: int
    answer: Answer
    cost: int

    @classmethod
    def of(cls, kind: str, method: str, time: datetime, headers: Fields, raw: bytes, answer: Answer) -> Self:
        kept, body = headers[:_HEADERS_SHOWN], raw[:_BODY_SHOWN]
        cost = len(body) + sum(map(len, chain.from_iterable(kept))) + len(answer.body) + _ROOM
        return cls(kind, method, time, kept, body, len(raw), answer, cost)

    def shown(self, number: int) -> dict[str, Any]:
        answer = self.answer
        is_silent = answer.fault in ("stall", "reset")
        return {
            "number": number,
            "time": self.time.isoformat(),
            "kind": self.kind,
            "method": self.method,
            "headers": masked(self.headers),
            "body": _readable(self.body),
            "body_bytes": self.body_bytes,
            "signature": answer.signature,
            "duplicate": answer.duplicate,
            "is_test": answer.is_test,
            "outcome": answer.outcome,
            "why": answer.why,
            "delay_ms": round(answer.delay * 1000, 3),
            "answered": {
                "status": None if is_silent else answer.status,
                "body": _readable(answer.body[:_ANSWER_SHOWN]),
            },
        }


@dataclass(slots=True)
class Journal:
    """The last calls, at most `most` and about `most_bytes`; counters count the evicted ones too."""

    most: int = 200
    most_bytes: int = 1_048_576
    entries: deque[Entry] = field(default_factory=deque)
    counters: Counter[str] = field(default_factory=Counter)
    held_bytes: int = 0

    def add(self, entry: Entry) -> None:
        counters, answer = self.counters, entry.answer
        self.entries.append(entry)
        self.held_bytes += entry.cost
        for name in ("received", entry.kind, answer.outcome):
            counters[name] += 1
        counters["duplicate"] += answer.duplicate
        counters["test"] += answer.is_test
        if answer.signature != "unchecked":
            counters[f"signature_{answer.signature}"] += 1
        while len(self.entries) > self.most or self.held_bytes > self.most_bytes:
            self.held_bytes -= self.entries.popleft().cost
            counters["evicted"] += 1

    def shown(self) -> list[dict[str, Any]]:
        """Return every call that is still there, numbered from the first that was received."""
        return [entry.shown(number) for number, entry in enumerate(self.entries, self.counters["evicted"] + 1)]

    def empty(self) -> None:
        self.entries.clear()
        self.counters.clear()
        self.held_bytes = 0


def masked(headers: Fields) -> dict[str, str]:
    """Return headers without secrets, each value cut to what a person reads."""
    shown = {}
    for raw_name, value in headers:
        name = raw_name.decode("utf-8", "replace")
        is_secret = any(part in name.lower() for part in _SECRET_PARTS)
        shown[name] = MASK if is_secret else value.decode("utf-8", "replace")[:500]
    return shown


def _readable(raw: bytes) -> Any:
    text = raw.decode("utf-8", "replace")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
