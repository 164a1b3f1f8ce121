"""Calendars of caps, what a lead takes from them, and when they are full. Counting belongs to the store."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.routing.agreed import Cap, Period
from simulator.routing.caps import claims, full, label, next_reset, period_key
from simulator.routing.decision import CapClaim

NEW_YORK = "America/New_York"
NOW = datetime(2026, 11, 20, 19, 5, tzinfo=UTC)  # Friday 14:05 in New York
ZONES = st.sampled_from(
    [
        NEW_YORK,
        "America/Los_Angeles",
        "Europe/Berlin",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "America/Havana",
        "UTC",
    ]
)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("period", "key", "reset"),
    [
        (Period.HOUR, "2026-11-20T14", "2026-11-20T15:00:00-05:00"),
        (Period.DAY, "2026-11-20", "2026-11-21T00:00:00-05:00"),
        (Period.WEEK, "2026-11-16", "2026-11-23T00:00:00-05:00"),
        (Period.MONTH, "2026-11", "2026-12-01T00:00:00-05:00"),
    ],
)
def test_periods_are_those_of_the_accounts_calendar(period: Any, key: Any, reset: Any) -> None:
    assert period_key(period, NOW, NEW_YORK) == key
    assert next_reset(period, NOW, NEW_YORK) == datetime.fromisoformat(reset)


def test_a_total_cap_has_one_period_and_is_never_reset_by_the_calendar() -> None:
    assert period_key(Period.TOTAL, NOW, NEW_YORK) == ""
    assert next_reset(Period.TOTAL, NOW, NEW_YORK) is None


def test_late_in_the_evening_it_is_still_the_accounts_day() -> None:
    assert period_key(Period.DAY, datetime(2026, 12, 1, 4, 59, tzinfo=UTC), NEW_YORK) == "2026-11-30"
    assert period_key(Period.MONTH, datetime(2026, 12, 1, 4, 59, tzinfo=UTC), NEW_YORK) == "2026-11"


def test_the_repeated_hour_at_the_end_of_summer_time_is_an_hour_of_its_own() -> None:
    hours = [datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (4, 5, 6, 7)]
    keys = [period_key(Period.HOUR, hour, NEW_YORK) for hour in hours]
    assert keys == ["2026-11-01T00", "2026-11-01T01", "2026-11-01T01b", "2026-11-01T02"]


@settings(deadline=None)
@given(st.sampled_from(Period), MOMENTS, MOMENTS, ZONES)
def test_keys_of_a_zone_never_go_back_in_time(period: Any, one: Any, other: Any, zone: Any) -> None:
    earlier, later = sorted((one, other))
    assert period_key(period, earlier, zone) <= period_key(period, later, zone)


@settings(deadline=None)
@given(st.sampled_from([Period.HOUR, Period.DAY, Period.WEEK, Period.MONTH]), MOMENTS, ZONES)
def test_the_key_changes_at_the_reset_and_not_before(period: Any, now: Any, zone: Any) -> None:
    reset = next_reset(period, now, zone)
    assert reset is not None
    assert reset > now
    key = period_key(period, now, zone)
    assert period_key(period, reset - timedelta(microseconds=1), zone) == key
    assert period_key(period, reset, zone) > key


CAPS = (Cap(Period.DAY, 50), Cap(Period.DAY, 200_000, money=True), Cap(Period.TOTAL, 1))


def test_a_lead_takes_one_of_a_lead_cap_and_its_cents_of_a_money_cap() -> None:
    assert claims("buyer:b1", CAPS, NOW, NEW_YORK, Decimal("42.505")) == (
        CapClaim("buyer:b1:day:leads", "2026-11-20", 50, 1, "50 leads a day"),
        CapClaim("buyer:b1:day:money", "2026-11-20", 200_000, 4251, "$2,000.00 a day"),
        CapClaim("buyer:b1:total:leads", "", 1, 1, "1 lead in total"),
    )


def test_of_two_caps_of_one_kind_and_period_the_tighter_counts_once() -> None:
    both = (Cap(Period.DAY, 9), Cap(Period.DAY, 3), Cap(Period.DAY, 5))
    assert [claim.limit for claim in claims("s", both, NOW, NEW_YORK, Decimal(0))] == [3]


def test_labels_can_be_read() -> None:
    assert label(Cap(Period.HOUR, 1_500)) == "1,500 leads an hour"
    assert label(Cap(Period.MONTH, 5, money=True)) == "$0.05 a month"


def test_lead_and_money_caps_run_independently_and_the_first_full_one_stops() -> None:
    wanted = claims("b", CAPS, NOW, NEW_YORK, Decimal(40))
    leads, money, total = ((claim.scope, claim.period) for claim in wanted)
    assert full(wanted, {}) is None
    assert full(wanted, {leads: 49, money: 196_000}) is None
    assert full(wanted, {leads: 50}) is wanted[0]
    assert full(wanted, {leads: 1, money: 196_001}) is wanted[1]
    assert full(wanted, {total: 1}) is wanted[2]


def test_usage_of_another_period_does_not_count() -> None:
    wanted = claims("b", CAPS[:1], NOW, NEW_YORK, Decimal(0))
    assert full(wanted, {("b:day:leads", "2026-11-19"): 50}) is None


def test_a_money_cap_that_is_used_up_is_full_for_a_lead_without_a_price() -> None:
    wanted = claims("b", CAPS[1:2], NOW, NEW_YORK, Decimal(0))
    assert full(wanted, {("b:day:money", "2026-11-20"): 199_999}) is None
    assert full(wanted, {("b:day:money", "2026-11-20"): 200_000}) is wanted[0]


def test_a_cap_of_none_is_always_full() -> None:
    assert full(claims("b", (Cap(Period.DAY, 0),), NOW, NEW_YORK, Decimal(0)), {}) is not None


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 30))
def test_exactly_as_many_leads_fit_as_the_limit_says(limit: Any, tries: Any) -> None:
    used = 0
    for _ in range(tries):
        wanted = claims("b", (Cap(Period.DAY, limit),), NOW, NEW_YORK, Decimal(5))
        used += full(wanted, {("b:day:leads", "2026-11-20"): used}) is None
    assert used == min(limit, tries)
