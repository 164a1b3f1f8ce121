"""HTTP to buyers: all at once, a deadline each, bounded answers. What the bytes mean is the vendor's buyer wire."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import orjson

from simulator.fibers import current
from simulator.reach import Reach
from simulator.transfers import MAX_ANSWER, Call, OfLoop, OfThread, Reply


class BuyerCalls:
    """Sends calls side by side; each thread keeps its own open connections, and all fibers share theirs.

    `reach` says whom it may connect to; None: anybody.
    """

    def __init__(self, reach: Reach | None = None) -> None:
        self.reach = reach
        self._local = threading.local()

    def send(self, calls: Sequence[Call]) -> list[Reply]:
        """Send all at once; return the replies in the order of the calls, after the slowest or its deadline."""
        mine = self._local.__dict__
        if (fiber := current()) is not None:
            if (of_loop := mine.get("of_loop")) is None:
                of_loop = self._local.of_loop = OfLoop(fiber.loop)
            replies: list[Reply] = of_loop.send(fiber, calls, self.reach)
            return replies
        if (of_thread := mine.get("of_thread")) is None:
            of_thread = self._local.of_thread = OfThread()
        return of_thread.send(calls, self.reach)


def encoded(fields: Mapping[str, object], *, form: bool) -> tuple[bytes, str]:
    """Return a body and its content type."""
    if not form:
        return orjson.dumps(fields), "application/json"
    words = {key: value if isinstance(value, str) else orjson.dumps(value).decode() for key, value in fields.items()}
    return urlencode(words).encode(), "application/x-www-form-urlencoded"


__all__ = ["MAX_ANSWER", "BuyerCalls", "Call", "Reply", "encoded"]
