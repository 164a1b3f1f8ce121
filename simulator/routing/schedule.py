"""Opening hours by the account's wall clock. Calendars of caps are in caps.py."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from simulator.routing.agreed import Window


def local(now: datetime, timezone: str) -> datetime:
    """Return an aware moment on the account's wall clock."""
    return now.astimezone(ZoneInfo(timezone))


def is_open(windows: tuple[Window, ...], now: datetime, timezone: str) -> bool:
    """Whether any window is open; without windows always.

    A window that closes at or before it opens runs past midnight and belongs to the day on which it opened.
    """
    if not windows:
        return True
    here = local(now, timezone)
    minute = here.hour * 60 + here.minute
    return any(_covers(window, here.isoweekday(), minute) for window in windows)


def _covers(window: Window, weekday: int, minute: int) -> bool:
    today = weekday in window.weekdays
    if window.opens < window.closes:
        return today and window.opens <= minute < window.closes
    yesterday = (weekday + 5) % 7 + 1 in window.weekdays
    return (today and minute >= window.opens) or (yesterday and minute < window.closes)
