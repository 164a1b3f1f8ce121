"""What one mock buyer received and answered: a bounded ring. Nobody is judged here."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

MASK = "***"
_BODY_SHOWN = 8192
_ANSWER_SHOWN = 2048
_ROOM_FOR_ANSWER = 4096  # what an entry is charged for its answer and its own fields, whatever they take
_SECRET_PARTS = ("authorization", "cookie", "api-key", "token", "secret", "password")


@dataclass(slots=True)
class Entry:
    """One call. `signature` is good, bad, missing or, where nothing was signed for, unchecked."""

    number: int
    time: str
    kind: str
    method: str
    headers: dict[str, str]
    body: str
    body_bytes: int
    signature: str = "unchecked"
    duplicate: bool = False
    is_test: bool = False
    outcome: str = "open"
    why: str = ""
    delay_ms: float = 0.0
    status: int | None = None
    answer: str | None = None

    def shown(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "time": self.time,
            "kind": self.kind,
            "method": self.method,
            "headers": self.headers,
            "body": _readable(self.body),
            "body_bytes": self.body_bytes,
            "signature": self.signature,
            "duplicate": self.duplicate,
            "is_test": self.is_test,
            "outcome": self.outcome,
            "why": self.why,
            "delay_ms": self.delay_ms,
            "answered": {"status": self.status, "body": _readable(self.answer or "")},
        }

    def cost(self) -> int:
        headers = sum(len(name) + len(value) for name, value in self.headers.items())
        return len(self.body) + headers + _ROOM_FOR_ANSWER


@dataclass(slots=True)
class Journal:
    """The last calls, at most `most` and about `most_bytes`; counters count the evicted ones too."""

    most: int = 200
    most_bytes: int = 1_048_576
    entries: deque[Entry] = field(default_factory=deque)
    counters: Counter[str] = field(default_factory=Counter)
    held_bytes: int = 0

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.held_bytes += entry.cost()
        self.counters["received"] += 1
        self.counters[entry.kind] += 1
        while len(self.entries) > self.most or self.held_bytes > self.most_bytes:
            self.held_bytes -= self.entries.popleft().cost()
            self.counters["evicted"] += 1

    def settle(self, entry: Entry, *, outcome: str, why: str, status: int | None, answer: bytes) -> None:
        """Write down how a call ended; it need not be in the ring any more."""
        entry.outcome, entry.why, entry.status = outcome, why, status
        entry.answer = shortened(answer, _ANSWER_SHOWN)
        self.counters[outcome] += 1
        for mark, holds in (("duplicate", entry.duplicate), ("test", entry.is_test)):
            self.counters[mark] += holds
        if entry.signature != "unchecked":
            self.counters[f"signature_{entry.signature}"] += 1

    def empty(self) -> None:
        self.entries.clear()
        self.counters.clear()
        self.held_bytes = 0


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers without secrets, each cut to what a person reads."""
    return {
        str(name): MASK if any(part in name.lower() for part in _SECRET_PARTS) else value[:500]
        for name, value in list(headers.items())[:50]
    }


def shortened(raw: bytes, limit: int = _BODY_SHOWN) -> str:
    return raw[:limit].decode("utf-8", "replace")


def _readable(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
