"""The movable clock and the seeded dice: where they stand, how they are written down, what they refuse."""

from __future__ import annotations

import multiprocessing
import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest

from simulator.clock import Clock, ClockState
from simulator.dice import Dice, new_id

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def machine() -> datetime:
    return datetime.now(UTC)


def is_running_from(clock: Clock, moment: datetime, since: datetime) -> bool:
    """Whether the clock is as far past `moment` as the machine is past `since`, give or take the time between."""
    return moment <= clock.now() <= moment + (machine() - since)


def test_a_new_clock_tells_the_machines_time_in_utc() -> None:
    before = machine()
    now = Clock().now()
    assert before <= now <= machine()
    assert now.tzinfo is UTC


def test_a_running_clock_that_is_set_runs_on_from_there() -> None:
    clock, since = Clock(), machine()
    assert clock.set(NOON) == NOON
    assert is_running_from(clock, NOON, since)
    assert not clock.is_frozen


def test_a_frozen_clock_stands_still_and_stays_frozen_when_it_is_moved() -> None:
    clock = Clock()
    assert clock.freeze(NOON) == NOON
    assert clock.now() == clock.now() == NOON
    assert clock.advance(HOUR) == clock.now() == NOON + HOUR
    assert clock.set(NOON) == clock.now() == NOON
    assert clock.is_frozen


def test_freezing_without_a_moment_stops_the_clock_where_it_is() -> None:
    clock, since = Clock(), machine()
    clock.set(NOON)
    stopped = clock.freeze()
    assert NOON <= stopped <= NOON + (machine() - since)
    assert clock.now() == stopped


def test_a_clock_that_is_unfrozen_runs_on_from_where_it_stood() -> None:
    clock = Clock()
    clock.freeze(NOON)
    since = machine()
    clock.unfreeze()
    assert is_running_from(clock, NOON, since)


def test_unfreezing_a_running_clock_changes_nothing() -> None:
    clock = Clock(HOUR)
    clock.unfreeze()
    assert clock.state() == ClockState(3_600_000_000)


def test_a_clock_that_is_reset_runs_with_the_machine() -> None:
    clock = Clock(HOUR)
    clock.freeze(NOON)
    before = machine()
    clock.reset()
    assert before <= clock.now() <= machine()


def test_a_clock_can_go_back() -> None:
    clock = Clock(frozen_at=NOON)
    assert clock.advance(-HOUR) == NOON - HOUR


def test_moments_of_any_zone_are_told_in_utc() -> None:
    clock = Clock()
    there = NOON.astimezone(timezone(-5 * HOUR))
    for told in (clock.set(there), clock.freeze(there), Clock(frozen_at=there).now()):
        assert told == NOON
        assert told.tzinfo is UTC


@pytest.mark.parametrize("at", [datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 12, 31, 23, 59, tzinfo=UTC)])
def test_the_first_and_the_last_moment_can_be_reached_frozen_and_running(at: datetime) -> None:
    clock = Clock()
    assert clock.set(at) == at
    assert clock.freeze(at) == at
    assert clock.now() == at


@pytest.mark.parametrize(
    "at",
    [
        datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(9001, 1, 1, tzinfo=UTC),
        datetime(9000, 12, 31, 23, tzinfo=timezone(-5 * HOUR)),
        datetime(2026, 1, 5, 12),  # noqa: DTZ001  that is what it is about
        datetime.max.replace(tzinfo=UTC),
    ],
)
def test_a_moment_out_of_bounds_or_without_a_zone_is_refused_and_nothing_moves(at: datetime) -> None:
    clock = Clock(frozen_at=NOON)
    for move in (clock.set, clock.freeze):
        with pytest.raises(ValueError):
            move(at)
    assert clock.now() == NOON


@pytest.mark.parametrize("by", [timedelta(days=365 * 8000), timedelta.max, timedelta.min, timedelta(days=-365 * 100)])
def test_a_leap_out_of_bounds_is_refused_and_nothing_moves(by: timedelta) -> None:
    for clock in (Clock(), Clock(frozen_at=NOON)):
        before = clock.state()
        with pytest.raises(ValueError):
            clock.advance(by)
        assert clock.state() == before


@pytest.mark.parametrize("clock", [Clock(), Clock(HOUR), Clock(-HOUR, NOON)])
def test_a_state_can_go_through_json_and_be_restored(clock: Clock) -> None:
    other = Clock()
    other.restore(orjson.loads(orjson.dumps(clock.state())))
    assert other.state() == clock.state()
    another = Clock()
    another.restore(clock.state())
    assert another.state() == clock.state()


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"offset_us": 0},
        {"offset_us": 0, "frozen_at": "soon"},
        {"offset_us": 0, "frozen_at": "2026-01-05T12:00:00"},
        {"offset_us": 10**30, "frozen_at": None},
        {"offset_us": 8000 * 365 * 86_400 * 10**6, "frozen_at": None},
        {"offset_us": 0, "frozen_at": "1969-01-01T00:00:00+00:00"},
        {"offset_us": "x", "frozen_at": None},
    ],
)
def test_what_is_no_state_is_refused_and_nothing_moves(state: dict[str, Any]) -> None:
    clock = Clock(HOUR)
    with pytest.raises((KeyError, TypeError, ValueError)):
        clock.restore(state)
    assert clock.state() == Clock(HOUR).state()


def test_a_state_says_what_a_clock_of_another_process_needs() -> None:
    assert Clock(HOUR, NOON).state() == ClockState(3_600_000_000, "2026-01-05T12:00:00+00:00")


def test_many_threads_that_advance_a_clock_move_it_by_the_sum() -> None:
    clock = Clock(frozen_at=NOON)

    def move() -> None:
        for _ in range(200):
            clock.advance(timedelta(seconds=1))

    threads = [threading.Thread(target=move) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now() == NOON + timedelta(seconds=1600)


# Dice


def rolls(dice: Dice, count: int = 20) -> list[float]:
    return [dice.roll() for _ in range(count)]


def test_dice_of_one_seed_roll_alike_and_of_another_do_not() -> None:
    assert rolls(Dice(7)) == rolls(Dice(7))
    assert rolls(Dice(7)) != rolls(Dice(8))
    assert all(0 <= roll < 1 for roll in rolls(Dice(7)))


def test_dice_without_a_seed_tell_the_one_they_took() -> None:
    dice = Dice()
    assert rolls(Dice(dice.seed)) == rolls(dice)


def test_dice_roll_on_from_a_state_that_went_through_json() -> None:
    dice = Dice(7)
    rolls(dice, 5)
    state = orjson.loads(orjson.dumps(dice.state()))
    expected = rolls(dice)
    other = Dice(99)
    other.restore(state)
    assert rolls(other) == expected
    assert other.seed == 7


def test_dice_that_are_reset_begin_anew() -> None:
    dice = Dice(7)
    first = rolls(dice)
    dice.reset()
    assert rolls(dice) == first


@pytest.mark.parametrize("change", [{"internal": [1, 2, 3]}, {"version": 1}, {"seed": "x"}, {"internal": None}])
def test_what_is_no_state_of_dice_is_refused_and_they_stay_as_they_were(change: dict[str, Any]) -> None:
    dice = Dice(7)
    with pytest.raises((KeyError, TypeError, ValueError)):
        dice.restore({**Dice(8).state(), **change})
    assert rolls(dice) == rolls(Dice(7))
    assert dice.seed == 7


def test_identifiers_are_uuids_of_version_7_that_no_two_processes_share() -> None:
    def child(sending: Any) -> None:
        sending.send([new_id() for _ in range(600)])

    receiving, sending = multiprocessing.Pipe(duplex=False)
    mine = [new_id() for _ in range(100)]  # so that a forked process finds half a portion of chance
    other = multiprocessing.get_context("fork").Process(target=child, args=(sending,))
    other.start()
    theirs = receiving.recv()
    other.join()
    mine += [new_id() for _ in range(600)]
    assert len({*mine, *theirs}) == len(mine) + len(theirs)
    assert {uuid.UUID(one).version for one in mine} == {7}
    assert {uuid.UUID(one).variant for one in mine} == {uuid.RFC_4122}
