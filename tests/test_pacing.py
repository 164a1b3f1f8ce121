"""Work in the background gives way to calls: so many times as long as it took, and no longer than there are calls."""

from __future__ import annotations

import pytest

from simulator.pacing import LONGEST, STEP, Pace


class World:
    """A clock that goes on when somebody waits, and calls that are under way until a moment."""

    def __init__(self, *, times: int = 10, busy_until: float = 1000.0, over_at: float = 1000.0) -> None:
        self.now = 0.0
        self.busy_until = busy_until
        self.over_at = over_at
        self.works: dict[int, float] = {}  # by the number of the step during which it happens
        self.pace = Pace(times, lambda: self.now < self.busy_until, self.wait, lambda: self.now)
        self.steps = 0

    def wait(self, seconds: float) -> bool:
        self.steps += 1
        self.now += seconds
        self.pace.spent(self.works.get(self.steps, 0.0))
        return self.now >= self.over_at

    def rest(self) -> float:
        """Return how long it gave way."""
        began = self.now
        self.pace.give_way()
        return self.now - began


def test_it_rests_so_many_times_as_long_as_it_worked_while_calls_are_under_way() -> None:
    world = World(times=10)
    world.pace.spent(0.01)
    world.pace.spent(0.02)
    assert world.rest() == pytest.approx(0.3, abs=STEP)


def test_it_owes_nothing_after_a_rest() -> None:
    world = World()
    world.pace.spent(0.03)
    world.rest()
    assert world.rest() == pytest.approx(STEP)


def test_it_goes_on_as_soon_as_no_call_is_under_way() -> None:
    world = World(busy_until=0.1)
    world.pace.spent(0.03)
    assert world.rest() == pytest.approx(0.1, abs=2 * STEP)
    world.busy_until = 1000.0
    assert world.rest() == pytest.approx(STEP), "what was not paid is forgiven"


def test_what_others_do_during_the_rest_makes_it_longer() -> None:
    world = World(times=10)
    world.pace.spent(0.01)
    world.works[5] = 0.02
    assert world.rest() == pytest.approx(0.3, abs=STEP)


def test_no_rest_is_longer_than_the_longest() -> None:
    world = World()
    world.pace.spent(60.0)
    assert world.rest() == pytest.approx(LONGEST, abs=2 * STEP)


def test_without_calls_it_waits_for_company_all_the_same() -> None:
    world = World(busy_until=0.0)
    world.pace.spent(0.03)
    assert world.rest() == pytest.approx(STEP)


def test_the_end_cuts_a_rest_short() -> None:
    world = World(over_at=0.05)
    world.pace.spent(0.03)
    assert world.rest() == pytest.approx(0.05, abs=STEP)
