"""What another machine's monotonic clock reads when ours reads something else, and how well that is known. No I/O."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from loadtests.log import Record

MOST_DRIFT = 1_000
"""Millionths by which two clocks may run apart: 500 is the most that a kernel corrects by, and crystals differ, too."""


class ClockJumpError(Exception):
    """The readings contradict each other: a clock did not just drift, it jumped."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Asked at `asked` and heard at `heard` (our clock), the other clock read `there` in between. Nanoseconds."""

    asked: int
    there: int
    heard: int


class OtherClock:
    """Bounds, at any moment of another clock, of what to add to it to get ours.

    Each reading bounds the offset at its moment; away from it, the bounds widen by the drift. All readings count
    everywhere, so that one quick answer makes up for slow ones around it. Raises ClockJumpError.
    """

    def __init__(self, readings: list[Reading], drift: int = MOST_DRIFT) -> None:
        self._rate = drift
        ordered = sorted(readings, key=lambda reading: reading.there)
        self._moments = [reading.there for reading in ordered]
        self._low = [reading.asked - reading.there for reading in ordered]
        self._high = [reading.heard - reading.there for reading in ordered]
        forward = range(1, len(ordered))
        for here, before in [(n, n - 1) for n in forward] + [(n - 1, n) for n in reversed(forward)]:
            drift = self._drift(self._moments[here] - self._moments[before])
            self._low[here] = max(self._low[here], self._low[before] - drift)
            self._high[here] = min(self._high[here], self._high[before] + drift)
        if any(low > high for low, high in zip(self._low, self._high, strict=True)):
            raise ClockJumpError

    def offset(self, moment: int) -> tuple[int, int]:
        """Return (what to add to the other clock at this moment of it, by how much that may be wrong)."""
        after = bisect_right(self._moments, moment)
        near = [n for n in (after - 1, after) if 0 <= n < len(self._moments)]
        low = max(self._low[n] - self._drift(moment - self._moments[n]) for n in near)
        high = min(self._high[n] + self._drift(moment - self._moments[n]) for n in near)
        return (low + high) // 2, (high - low + 1) // 2

    def _drift(self, apart: int) -> int:
        """Return by how much the offset may change in so much time, rounded up."""
        return -(-abs(apart) * self._rate // 1_000_000)


def on_our_clock(record: Record, clock: OtherClock, began: int, start: int) -> tuple[Record, int]:
    """Return a record of a run that began at `began` there and `start` here, as wide as it must be, and half of that.

    What is added makes the interval of the decision longer at both ends, so that the judge counts only what is sure.
    """
    offset, error = clock.offset(began + record.send)
    send = began + record.send + offset - error - start
    if record.unanswered:
        return record._replace(send=send), error
    late, more = clock.offset(began + record.receive)
    return record._replace(send=send, receive=began + record.receive + late + more - start), max(error, more)
