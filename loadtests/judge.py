"""What a log proves about a limiter, without tolerances. What it means for a scenario is `verdict.py`'s.

The server decided somewhere between a request's send and its receive. Only what holds wherever that was is counted,
so that a slow network makes the judge blinder and never unjust. All times are nanoseconds.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from loadtests.law import SECOND, Limit
from loadtests.log import NEVER, Record

_NONE = -(1 << 100)


@dataclass(frozen=True, slots=True)
class Window:
    """The window in which a run came nearest to a bound, or went furthest past it. `gap` < 0 is past it."""

    start: int
    end: int
    accepted: int
    allowed: int
    gap: float

    @property
    def broken(self) -> bool:
        return self.gap < 0


@dataclass(frozen=True, slots=True)
class Wrongful:
    """A 429 although, in the worst order that fits the log, this many tokens and free slots were left."""

    record: Record
    tokens: float
    slots: int


def was_accepted(record: Record) -> bool:
    """Whether the limiter certainly let it pass. Only 2xx says so: a 403 or 404 may come from before any limiter."""
    return 200 <= record.status < 300


def may_have_been(record: Record) -> bool:
    """Whether the limiter may have charged for it: whatever it did not refuse."""
    return record.status != 429


def tightest_bucket(records: Iterable[Record], limit: Limit) -> Window | None:
    """Return the window [a, b] in which accepted - rate * (b - a) is largest; None when nothing was accepted.

    Counts what was sent at or after a and answered at or before b: it was decided inside. The best a is a send, the
    best b a receive. Sends are added from the last to the first; a tree over the receives keeps the best b.
    """
    accepted = sorted((record.send, record.receive) for record in records if was_accepted(record))
    if not accepted:
        return None
    ends = sorted((receive, place) for place, (_, receive) in enumerate(accepted))
    leaf = {place: position for position, (_, place) in enumerate(ends)}
    tree = _BestEnd(len(accepted))
    most, start = _NONE, 0
    for place in range(len(accepted) - 1, -1, -1):
        send, receive = accepted[place]
        value = tree.add(leaf[place], SECOND - limit.rate * receive) + limit.rate * send
        if value > most:
            most, start = value, send
    return _bucket_window(accepted, limit, start, most)


def _bucket_window(accepted: Sequence[tuple[int, int]], limit: Limit, start: int, most: int) -> Window:
    inside = sorted(receive for send, receive in accepted if send >= start)
    count, end = max(
        ((n, end) for n, end in enumerate(inside, 1)), key=lambda item: item[0] * SECOND - limit.rate * item[1]
    )
    allowed = limit.capacity + limit.rate * (end - start) // SECOND
    return Window(start, end, count, allowed, (limit.capacity * SECOND - most) / SECOND)


class _BestEnd:
    """A tree over receives, in order: its root is the best of (how many up to here) - (rate times here)."""

    def __init__(self, size: int) -> None:
        self._width = 1 << max(0, size - 1).bit_length()
        self._count = [0] * (2 * self._width)
        self._best = [_NONE] * (2 * self._width)

    def add(self, position: int, alone: int) -> int:
        """Add one; `alone` is its own value were it the only one. Return the best of all."""
        count, best = self._count, self._best
        node = position + self._width
        count[node], best[node] = 1, alone
        node //= 2
        while node:
            left, right = 2 * node, 2 * node + 1
            count[node] = count[left] + count[right]
            best[node] = max(best[left], count[left] * SECOND + best[right])
            node //= 2
        return best[1]


def tightest_ceiling(records: Iterable[Record], limit: Limit) -> Window | None:
    """Return the window of 1, 2, 3 … whole seconds that came nearest to `burst` accepted in each of them.

    A window of k seconds holds at most k times what one may hold. The longer ones prove more when answers are slow:
    what is lost at the two edges is lost once.
    """
    accepted = sorted((record.send, record.receive) for record in records if was_accepted(record))
    if not accepted:
        return None
    seconds = range(1, 2 + min(30, (accepted[-1][0] - accepted[0][0]) // SECOND))
    return min((_fullest(accepted, limit, k) for k in seconds), key=lambda window: window.gap)


def _fullest(accepted: Sequence[tuple[int, int]], limit: Limit, seconds: int) -> Window:
    length, allowed = seconds * SECOND, seconds * limit.burst
    waiting: list[int] = []  # minus the receives of what was sent at or after a, the last on top
    most, start = 0, accepted[0][0]
    for send, receive in reversed(accepted):
        heapq.heappush(waiting, -receive)
        while waiting and -waiting[0] >= send + length:
            heapq.heappop(waiting)
        if len(waiting) > most:
            most, start = len(waiting), send
    return Window(start, start + length, most, allowed, allowed - most)


def wrongful_refusals(records: Iterable[Record], limit: Limit) -> list[Wrongful]:
    """Return every 429 for which a token and a slot were left wherever the decisions lay. The key began fresh."""
    everything = list(records)
    charged = _Charged([record for record in everything if may_have_been(record)], limit)
    found = (charged.excuse_missing(record) for record in everything if record.refused)
    return [item for item in found if item is not None]


class _Charged:
    """What may have been charged, and the worst that this can have left at any moment.

    At t, with everything that may have been decided in [a, t] decided there, used = sent(t) - answered(a) and the
    bucket lacks used - rate * (t - a), for the worst a. That falls between sends, so only sends need a look.
    """

    def __init__(self, records: Sequence[Record], limit: Limit) -> None:
        self._limit = limit
        self._sends = sorted(record.send for record in records)
        self._receives = sorted(NEVER if record.unanswered else record.receive for record in records)
        worst = (limit.rate * end - SECOND * bisect_left(self._receives, end) for end in self._receives)
        self._worst_start = list(accumulate(worst, max))
        self._lacking = _Highest([self._lack(moment) for moment in self._sends])
        self._taken = _Highest([self._slots(moment) for moment in self._sends])

    def _lack(self, moment: int) -> int:
        """Return the tokens that the bucket may lack, in billionths."""
        earlier = bisect_right(self._receives, moment)
        start = self._limit.rate * moment - SECOND * bisect_left(self._receives, moment)
        if earlier:
            start = max(start, self._worst_start[earlier - 1])
        return SECOND * bisect_right(self._sends, moment) - self._limit.rate * moment + start

    def _slots(self, moment: int) -> int:
        """Return how many may have been accepted in the second that ends here."""
        return bisect_right(self._sends, moment) - bisect_right(self._receives, moment - SECOND)

    def excuse_missing(self, refused: Record) -> Wrongful | None:
        """Return what was left for a refused request, when that was a token and a slot in every order."""
        first = bisect_right(self._sends, refused.send)
        last = bisect_right(self._sends, refused.receive)
        lacking = max(self._lack(refused.send), self._lacking.between(first, last))
        taken = max(self._slots(refused.send), self._taken.between(first, last))
        if lacking > (self._limit.capacity - 1) * SECOND or taken > self._limit.burst - 1:
            return None
        return Wrongful(refused, self._limit.capacity - lacking / SECOND, self._limit.burst - taken)


class _Highest:
    """The highest of any stretch of a list of numbers, each answer in two look-ups."""

    def __init__(self, values: list[int]) -> None:
        self._levels = [values]
        step = 1
        while 2 * step <= len(values):
            below = self._levels[-1]
            self._levels.append([max(below[n], below[n + step]) for n in range(len(below) - step)])
            step *= 2

    def between(self, first: int, last: int) -> int:
        if first >= last:
            return _NONE
        level = (last - first).bit_length() - 1
        row = self._levels[level]
        return max(row[first], row[last - (1 << level)])
