"""How far a clock is to be moved, as people write it. No clock is moved here."""

from __future__ import annotations

import re
from datetime import timedelta

from simulator.clock import EARLIEST, END

_LONGEST = END - EARLIEST
_YEARS = f"as it stands between the years {EARLIEST.year} and {END.year - 1}"
_PAUSE = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)\s*(?P<unit>ms|s|min|h|d|[a-z]+)?", re.ASCII)
_UNITS: dict[str | None, timedelta] = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), timedelta(milliseconds=1)),
    **dict.fromkeys(("s", "second", "seconds", None), timedelta(seconds=1)),
    **dict.fromkeys(("min", "minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
}


def pause(text: str | float) -> timedelta:
    """Read `30 days`, `301 s`, `5min` or a number of seconds. Raises ValueError."""
    if isinstance(text, int | float):
        return _times(text, _UNITS[None])
    found = _PAUSE.fullmatch(text.strip().lower())
    if found is None or found["unit"] not in _UNITS:
        raise ValueError(f"advance must be like '30 days', '90 s' or a number of seconds, not {text[:50]!r}")
    return _times(float(found["number"]), _UNITS[found["unit"]])


def _times(number: float, unit: timedelta) -> timedelta:
    if not abs(number) <= _LONGEST / unit:  # also what is no number
        raise ValueError(f"a clock can't be moved so far: at most {_LONGEST.days} days, {_YEARS}")
    return number * unit
