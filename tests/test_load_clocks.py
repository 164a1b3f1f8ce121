"""Clocks of other machines: what is known of them, and that not knowing them accuses nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import scenarios, schedule, verdict
from loadtests.clocks import MOST_DRIFT, ClockJumpError, OtherClock, Reading, on_our_clock
from loadtests.law import SECOND
from loadtests.log import NEVER, Record
from loadtests.rehearsal import lawful, rehearse

MS = SECOND // 1000
BOOK = scenarios.read()


class Drifting:
    """A clock whose rate changes from second to second, within what two clocks may run apart."""

    def __init__(self, offset: int, rates: list[int]) -> None:
        self._behind = [offset]
        for rate in rates:
            self._behind.append(self._behind[-1] + rate * SECOND // 1_000_000)

    def offset(self, there: int) -> float:
        """Return what is to be added to it at this moment of it."""
        second, part = divmod(there, SECOND)
        before, after = self._behind[second], self._behind[second + 1]
        return before + (after - before) * part / SECOND

    def reading(self, there: int, out: int, back: int) -> Reading:
        ours = there + round(self.offset(there))
        return Reading(ours - out, there, ours + back)


rates = st.lists(st.integers(-MOST_DRIFT, MOST_DRIFT), min_size=21, max_size=21)
delays = st.tuples(st.integers(1, 50 * MS), st.integers(1, 50 * MS))
moments = st.integers(0, 20 * SECOND)


@given(st.integers(-(10**12), 10**12), rates, st.lists(st.tuples(moments, delays), min_size=1, max_size=12), moments)
def test_the_true_offset_is_always_within_what_is_said_of_it(
    offset: int, drifts: list[int], asked: list[tuple[int, tuple[int, int]]], moment: int
) -> None:
    clock = Drifting(offset, drifts)
    known = OtherClock([clock.reading(there, *ways) for there, ways in asked])
    middle, error = known.offset(moment)
    assert abs(clock.offset(moment) - middle) <= error + 2


def test_one_quick_answer_makes_up_for_slow_ones_around_it() -> None:
    clock = Drifting(7 * SECOND, [0] * 21)
    known = OtherClock([clock.reading(n * SECOND, *((MS, MS) if n == 5 else (80 * MS, 30 * MS))) for n in range(10)])
    assert known.offset(5 * SECOND)[1] <= MS
    assert known.offset(6 * SECOND)[1] <= 2 * MS


def test_a_clock_that_jumped_is_noticed() -> None:
    with pytest.raises(ClockJumpError):
        OtherClock([Reading(0, 0, MS), Reading(SECOND, SECOND + 100 * MS, SECOND + MS)])


def test_the_clock_of_the_same_machine_is_known_exactly() -> None:
    same = OtherClock([Reading(0, 0, 0)], drift=0)
    record = Record(0, "a", "ping", 0, 100, 200, 200)
    assert on_our_clock(record, same, 10**12, 10**12) == (record, 0)


def test_a_record_is_widened_on_both_sides_by_what_the_clock_leaves_open() -> None:
    known = OtherClock([Reading(1000, 0, 1010)], drift=0)
    found, error = on_our_clock(Record(0, "a", "ping", 0, 100, 200, 200), known, 0, 1000)
    assert (found.send, found.receive, error) == (100, 210, 5)
    assert on_our_clock(Record(0, "a", "ping", 0, 100, NEVER, 0), known, 0, 1000)[0].receive == NEVER


@pytest.mark.parametrize("rate", [-400, 400])
def test_a_correct_server_is_not_accused_because_a_workers_clock_drifts(rate: int) -> None:
    """Two workers, one of them on a machine whose clock runs apart by 0.4 ms each second, over a drained bucket."""
    stream = {"endpoint": "lookup", "key": "a", "plan": [{"rate": 1000, "seconds": 60}]}
    limits = {"lookup": {"rate": 500, "burst": 600, "seconds": 5}}
    some = scenarios.book_of({"limits": limits, "scenario": {"x": {"title": "x", "streams": [stream]}}})
    scenario = some.scenario["x"]
    planned = schedule.tickets(scenario)
    true = rehearse(planned, lawful(some.laws), delays=lambda: (10_000, 10_000))
    clock = Drifting(0, [rate] * 70)
    there = [_on_their_clock(record, clock) if record.ticket % 2 else record for record in true]
    naive = verdict.judged("x", scenario, some, there, len(planned))
    known = OtherClock([clock.reading(n * 2 * SECOND, 2 * MS, 2 * MS) for n in range(31)])
    corrected = [on_our_clock(record, known, 0, 0)[0] if record.ticket % 2 else record for record in there]
    assert verdict.judged("x", scenario, some, corrected, len(planned)).findings == ()
    assert naive.verdict == verdict.VIOLATED


def _on_their_clock(record: Record, clock: Drifting) -> Record:
    return record._replace(
        send=record.send - round(clock.offset(record.send)),
        receive=record.receive - round(clock.offset(record.receive)),
    )


def test_a_run_whose_clocks_are_known_badly_shows_nothing() -> None:
    log = [Record(0, "a", "lookup", 0, 0, 1, 200)]
    around = verdict.Circumstances(clock_error=51 * MS)
    found = verdict.judged("lookup", BOOK.scenario["lookup"], BOOK, log, 1, around)
    assert (found.verdict, found.why) == (verdict.INCONCLUSIVE, verdict.GENERATOR_INVALID)
    assert "known to 51.0 ms only, allowed 50 ms" in found.reasons[0]
