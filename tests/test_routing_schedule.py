"""Opening hours by the wall clock, past midnight and through the change of summer time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.routing.agreed import Window
from simulator.routing.schedule import is_open, local

NEW_YORK = "America/New_York"
WEEKDAYS = frozenset({1, 2, 3, 4, 5})
OFFICE = (Window(WEEKDAYS, 9 * 60, 17 * 60),)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_without_windows_it_is_always_open() -> None:
    assert is_open((), at("2026-11-22T03:00:00+00:00"), NEW_YORK)


def test_hours_are_those_of_the_account_not_of_utc() -> None:
    assert is_open(OFFICE, at("2026-11-20T14:00:00+00:00"), NEW_YORK)  # Friday 09:00
    assert not is_open(OFFICE, at("2026-11-20T13:59:59+00:00"), NEW_YORK)
    assert not is_open(OFFICE, at("2026-11-20T22:00:00+00:00"), NEW_YORK)  # Friday 17:00 is closed
    assert not is_open(OFFICE, at("2026-11-21T15:00:00+00:00"), NEW_YORK)  # Saturday


def test_a_window_past_midnight_belongs_to_the_day_on_which_it_opens() -> None:
    night = (Window(frozenset({7}), 22 * 60, 2 * 60),)  # Sunday night
    assert is_open(night, at("2026-11-22T22:00:00-05:00"), NEW_YORK)
    assert is_open(night, at("2026-11-23T01:59:00-05:00"), NEW_YORK)
    assert not is_open(night, at("2026-11-23T02:00:00-05:00"), NEW_YORK)
    assert not is_open(night, at("2026-11-22T01:00:00-05:00"), NEW_YORK)


def test_a_window_that_closes_when_it_opens_is_a_whole_day() -> None:
    day = (Window(frozenset({5}), 8 * 60, 8 * 60),)
    assert is_open(day, at("2026-11-20T08:00:00-05:00"), NEW_YORK)
    assert is_open(day, at("2026-11-21T07:59:00-05:00"), NEW_YORK)
    assert not is_open(day, at("2026-11-21T08:00:00-05:00"), NEW_YORK)


def test_a_window_may_close_at_24_hours() -> None:
    evening = (Window(frozenset({5}), 18 * 60, 1440),)
    assert is_open(evening, at("2026-11-20T23:59:59-05:00"), NEW_YORK)
    assert not is_open(evening, at("2026-11-21T00:00:00-05:00"), NEW_YORK)


def test_the_same_wall_clock_opens_before_and_after_the_change_of_summer_time() -> None:
    sunday = (Window(frozenset({7}), 9 * 60, 10 * 60),)
    assert is_open(sunday, at("2026-10-25T13:30:00+00:00"), NEW_YORK)  # UTC-4
    assert is_open(sunday, at("2026-11-01T14:30:00+00:00"), NEW_YORK)  # UTC-5
    assert not is_open(sunday, at("2026-11-01T13:30:00+00:00"), NEW_YORK)


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    early = (Window(frozenset({7}), 60, 120),)
    assert is_open(early, at("2026-11-01T05:30:00+00:00"), NEW_YORK)
    assert is_open(early, at("2026-11-01T06:30:00+00:00"), NEW_YORK)
    assert not is_open(early, at("2026-11-01T07:00:00+00:00"), NEW_YORK)


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MINUTES = st.integers(0, 1439)


@settings(deadline=None)
@given(MOMENTS, st.frozensets(st.integers(1, 7)), MINUTES, MINUTES)
def test_a_window_and_its_complement_are_never_open_together(now: Any, weekdays: Any, opens: Any, closes: Any) -> None:
    window = Window(frozenset(range(1, 8)), opens, closes)
    other = Window(frozenset(range(1, 8)), closes, opens)
    both = [is_open((one,), now, NEW_YORK) for one in (window, other)]
    assert both == [True, True] if opens == closes else sum(both) == 1
    assert is_open((Window(weekdays, 0, 1440),), now, NEW_YORK) is (local(now, NEW_YORK).isoweekday() in weekdays)


@settings(deadline=None)
@given(MOMENTS)
def test_local_changes_the_clock_not_the_moment(now: Any) -> None:
    assert local(now, NEW_YORK) - now == timedelta(0)
