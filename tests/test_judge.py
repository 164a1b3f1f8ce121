"""The interval judge: what it proves, what it must never say, and that it is quick enough for a long run."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests import judge, scenarios, schedule, verdict
from loadtests.law import SECOND, Limit, Reference, retry_after
from loadtests.log import NEVER, Record
from loadtests.rehearsal import lawful, rehearse
from loadtests.scenarios import Book, book_of
from loadtests.schedule import Ticket

LOOKUP = Limit(10, 20, 5)
MS = 1_000_000


def record(send: float, back: float, status: int = 200, key: str = "a", endpoint: str = "lookup") -> Record:
    """Return a record whose times are seconds; status 0 never came back."""
    sent, received = round(send * SECOND), NEVER if status == 0 else round(back * SECOND)
    return Record(0, key, endpoint, sent, sent, received, status)


def at_once(count: int, send: float, receive: float, status: int = 200) -> list[Record]:
    return [record(send, receive, status) for _ in range(count)]


def book(**limit: int) -> Book:
    streams = [{"endpoint": "lookup", "key": "a", "plan": [{"count": 1}]}]
    numbers = {"rate": 10, "burst": 20, "seconds": 5, **limit}
    return book_of({"limits": {"lookup": numbers}, "scenario": {"x": {"title": "x", "streams": streams}}})


def judged(log: list[Record]) -> verdict.Verdict:
    some = book()
    return verdict.judged("x", some.scenario["x"], some, log, len(log))


# The law


@pytest.mark.parametrize(
    ("limit", "capacity", "rest"),
    [(Limit(100, 200, 10), 1000, 10), (Limit(500, 1000, 10), 5000, 10), (LOOKUP, 50, 5)],
)
def test_the_documented_numbers_make_these_buckets(limit: Limit, capacity: int, rest: int) -> None:
    assert (limit.capacity, limit.rest) == (capacity, rest * SECOND)


@pytest.mark.parametrize(("seconds", "most"), [(0, 200), (0.5, 200), (1, 400), (10, 2000), (16, 2600), (60, 7000)])
def test_a_window_of_so_many_seconds_holds_at_most(seconds: float, most: int) -> None:
    assert Limit(100, 200, 10).most(round(seconds * SECOND)) == most


def test_a_full_bucket_lasts_the_documented_seconds_at_the_burst_and_then_the_rate_passes() -> None:
    reference = Reference(Limit(100, 200, 10))
    accepted = [n for n in range(3200) if not reference.wait(n * SECOND // 200)]
    assert accepted[:1999] == list(range(1999))  # ten seconds, less the one whose token comes as it is sent
    assert len(accepted) == 2599


def test_a_refused_request_costs_nothing_and_names_one_second() -> None:
    reference = Reference(LOOKUP)
    waits = [reference.wait(0) for _ in range(25)]
    assert (waits[:20], {retry_after(wait) for wait in waits[20:]}) == ([0] * 20, {1})
    assert reference.wait(SECOND) == 0


def test_the_law_takes_a_request_exactly_one_second_after_the_one_that_it_replaces() -> None:
    reference = Reference(LOOKUP)
    for _ in range(20):
        reference.wait(0)
    assert reference.wait(SECOND - 1) == 1
    assert reference.wait(SECOND) == 0


# Too lenient


def test_one_more_than_the_ceiling_inside_a_second_is_proof() -> None:
    window = judge.tightest_ceiling([*at_once(20, 0, 0.1), record(0.5, 0.999)], LOOKUP)
    assert window is not None
    assert (window.accepted, window.allowed, window.broken) == (21, 20, True)


def test_an_answer_a_second_after_the_first_send_proves_nothing() -> None:
    window = judge.tightest_ceiling([*at_once(20, 0, 0.1), record(0.5, 1.0)], LOOKUP)
    assert window is not None
    assert not window.broken


def test_a_longer_window_proves_what_slow_answers_hide_in_every_single_second() -> None:
    slow = [record(n / 22, n / 22 + 0.15) for n in range(110)]  # 22 a second for five seconds
    assert judge.tightest_ceiling(slow[:22], LOOKUP).broken is False  # type: ignore[union-attr]
    assert judge.tightest_ceiling(slow, LOOKUP).broken is True  # type: ignore[union-attr]


def test_one_more_than_bucket_and_refill_can_hold_is_proof() -> None:
    limit = Limit(10, 1000, 1)  # capacity 990
    lawful_run = at_once(990, 0, 0.0) + at_once(10, 1.0, 1.0)
    window = judge.tightest_bucket(lawful_run, limit)
    assert window is not None
    assert (window.gap, window.broken) == (0, False)
    broken = judge.tightest_bucket([*lawful_run, record(1.0, 1.0)], limit)
    assert broken is not None
    assert (broken.gap, broken.accepted, broken.allowed) == (-1, 1001, 1000)


def test_the_bucket_window_is_the_worst_one_wherever_it_lies() -> None:
    quiet = [record(n, n + 0.01) for n in range(20)]
    window = judge.tightest_bucket(quiet + at_once(60, 30, 30.1), LOOKUP)
    assert window is not None
    assert (window.start, window.end, window.accepted) == (30 * SECOND, round(30.1 * SECOND), 60)


def test_only_certain_acceptances_count_against_a_limiter() -> None:
    doubtful = [item for status in (301, 401, 403, 404, 429, 503) for item in at_once(30, 0, 0.1, status)]
    assert judge.tightest_ceiling(doubtful, LOOKUP) is None
    assert judge.tightest_bucket(doubtful, LOOKUP) is None


# Too strict


def test_a_refusal_of_a_fresh_key_is_wrongful() -> None:
    found = judge.wrongful_refusals([record(0, 0.1, 429)], LOOKUP)
    assert [(item.tokens, item.slots) for item in found] == [(50, 20)]


def test_a_refusal_is_rightful_while_the_last_slot_may_be_taken() -> None:
    refused = record(0.9, 0.95, 429)
    assert judge.wrongful_refusals([*at_once(19, 0, 0.1), refused], LOOKUP)
    assert not judge.wrongful_refusals([*at_once(20, 0, 0.1), refused], LOOKUP)


def test_a_request_under_way_may_have_taken_the_last_slot() -> None:
    refused = record(0.5, 0.9, 429)
    later = record(0.8, 2.0)  # sent while the refused one was under way, perhaps decided before it
    assert not judge.wrongful_refusals([*at_once(19, 0, 0.1), later, refused], LOOKUP)
    after = record(0.91, 2.0)
    assert judge.wrongful_refusals([*at_once(19, 0, 0.1), after, refused], LOOKUP)


def test_slots_are_free_again_when_every_acceptance_is_a_second_old() -> None:
    assert judge.wrongful_refusals([*at_once(20, 0, 0.1), record(1.1, 1.2, 429)], LOOKUP)
    assert not judge.wrongful_refusals([*at_once(20, 0, 0.1), record(1.09, 1.2, 429)], LOOKUP)


def test_a_refusal_from_an_empty_bucket_is_rightful_until_a_token_is_certain() -> None:
    limit = Limit(10, 1000, 1)
    empty = at_once(990, 0, 0.0)
    assert not judge.wrongful_refusals([*empty, record(0.099, 0.2, 429)], limit)
    assert judge.wrongful_refusals([*empty, record(0.1, 0.2, 429)], limit)


@pytest.mark.parametrize("status", [0, 301, 401, 403, 404, 503])
def test_whatever_may_have_been_charged_excuses_a_refusal(status: int) -> None:
    lost = [record(0, 0.1, status) for _ in range(20)]
    assert not judge.wrongful_refusals([*lost, record(0.5, 0.6, 429)], LOOKUP)


def test_an_answer_that_never_came_may_take_a_slot_at_any_later_time() -> None:
    lost = [record(0, 0.1, 0) for _ in range(20)]
    assert not judge.wrongful_refusals([*lost, record(60, 60.1, 429)], LOOKUP)


# The quick algorithms agree with the definitions


def _bucket_by_definition(log: list[Record], limit: Limit) -> float:
    accepted = [item for item in log if judge.was_accepted(item)]
    return min(
        limit.capacity
        + limit.rate * (b.receive - a.send) / SECOND
        - sum(r.send >= a.send and r.receive <= b.receive for r in accepted)
        for a in accepted
        for b in accepted
        if a.send <= b.receive
    )


def _wrongful_by_definition(log: list[Record], limit: Limit) -> list[Record]:
    charged = [item for item in log if judge.may_have_been(item)]

    def rightful(t: int) -> bool:
        starts = [a for a in {*(r.receive for r in charged), t} if a <= t]
        used = [sum(r.send <= t and r.receive >= a for r in charged) * SECOND - limit.rate * (t - a) for a in starts]
        slots = sum(r.send <= t and r.receive > t - SECOND for r in charged)
        return max(used) > (limit.capacity - 1) * SECOND or slots > limit.burst - 1

    def moments(refused: Record) -> list[int]:
        return [refused.send, *(r.send for r in charged if refused.send < r.send <= refused.receive)]

    return [r for r in log if r.refused and not any(rightful(t) for t in moments(r))]


def random_log(dice: random.Random) -> list[Record]:
    log = []
    for _ in range(dice.randrange(1, 60)):
        send = dice.randrange(0, 3000)
        receive = send + dice.choice([0, 1, 5, 50, 400])
        log.append(record(send / 1000, receive / 1000, dice.choice([200, 200, 200, 429, 503])))
    return log


@pytest.mark.parametrize("seed", range(40))
def test_the_quick_judge_agrees_with_the_definition(seed: int) -> None:
    dice = random.Random(seed)
    log, limit = random_log(dice), Limit(dice.choice([2, 5, 10]), dice.choice([12, 15]), dice.choice([1, 2]))
    window = judge.tightest_bucket(log, limit)
    if window is not None:
        assert window.gap == pytest.approx(_bucket_by_definition(log, limit), abs=1e-6)
    assert [item.record for item in judge.wrongful_refusals(log, limit)] == _wrongful_by_definition(log, limit)


# No false alarm


def delays(dice: random.Random) -> Callable[[], tuple[int, int]]:
    typical = dice.choice([0.1, 1, 10, 100]) * MS

    def both() -> tuple[int, int]:
        stall = dice.choice([0, 0, 0, 0, 0, 30]) if dice.random() < 0.02 else 0
        there, back = (dice.expovariate(1 / typical) * (1 + stall) for _ in range(2))
        return int(there), int(back)

    return both


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_lawful_limiter_is_never_accused_whatever_the_schedule_and_the_network(seed: int) -> None:
    dice = random.Random(seed)
    limit = Limit(rate := dice.randrange(1, 60), dice.randrange(rate + 1, 150), dice.randrange(1, 6))
    due, planned = 0.0, []
    for number in range(dice.randrange(50, 500)):
        due += dice.choice([0, 0, 1 / limit.burst, 0.5 / limit.burst, 1 / rate, dice.choice([0.01, 2])])
        planned.append(Ticket(number, round(due * SECOND), 0, "lookup", "a"))
    log = rehearse(planned, lawful({"lookup": limit}), connections=dice.choice([1, 8, 32, 500]), delays=delays(dice))
    some = book(rate=limit.rate, burst=limit.burst, seconds=limit.seconds)
    assert verdict.judged("x", some.scenario["x"], some, log, len(log)).findings == ()


@pytest.mark.parametrize("seed", range(54))
def test_no_scenario_accuses_a_lawful_limiter_over_any_network(seed: int) -> None:
    dice, ours = random.Random(seed), scenarios.read()
    name = sorted(set(ours.scenario) - {"ping", "soak"})[seed % (len(ours.scenario) - 2)]
    scenario = ours.scenario[name]
    planned = schedule.tickets(scenario)
    log = rehearse(
        planned,
        lawful(ours.laws),
        connections=scenario.connections,
        delays=delays(dice),
        follower=schedule.Follower(scenario, len(planned), seed),
    )
    assert verdict.judged(name, scenario, ours, log, len(planned)).verdict != verdict.VIOLATED


# Verdicts


def test_a_proof_counts_even_in_a_run_that_is_otherwise_invalid() -> None:
    found = judged([*at_once(21, 0, 0.1), record(0, 0, 0)])
    assert (found.verdict, found.figures["unanswered"]) == (verdict.VIOLATED, 1)


def test_lateness_unanswered_requests_and_odd_answers_make_a_run_invalid() -> None:
    late = [item._replace(due=item.send - SECOND) for item in at_once(5, 2, 2.1)]
    for log in (late, [record(0, 0, 0)], [record(0, 0.1, 500)], [record(0, 0.1, 401)], []):
        found = judged(log)
        assert (found.verdict, found.why) == (verdict.INCONCLUSIVE, verdict.GENERATOR_INVALID), log


@pytest.mark.parametrize("status", [301, 403, 404])
def test_a_server_that_answers_everything_with_an_odd_status_is_not_accused_and_the_status_is_named(
    status: int,
) -> None:
    found = judged(at_once(40, 0, 0.1, status))
    assert (found.verdict, found.why) == (verdict.INCONCLUSIVE, verdict.GENERATOR_INVALID)
    assert any(f"40 of status {status}" in reason for reason in found.reasons)


def test_a_401_is_the_answer_to_expect_without_a_key() -> None:
    assert judged([record(0, 0.1, 401, key="")]).figures["unexpected"] == 0


def test_tickets_that_were_never_sent_make_a_run_invalid() -> None:
    some = book()
    found = verdict.judged("x", some.scenario["x"], some, [record(0, 0.1)], planned=2)
    assert (found.why, found.figures["unsent"]) == (verdict.GENERATOR_INVALID, 1)


def test_a_429_to_a_caller_without_a_key_is_too_strict() -> None:
    found = judged([record(0, 0.1, 401, key=""), record(0, 0.1, 429, key="")])
    assert [finding.kind for finding in found.findings] == ["too strict"]


def test_a_429_where_no_limit_is_documented_is_too_strict() -> None:
    found = judged([record(0, 0.1, 429, endpoint="pingtree-ping", key="p")])
    assert [finding.kind for finding in found.findings] == ["too strict"]


def test_a_log_of_twenty_thousand_requests_is_judged_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    def counting(values: list[int], value: int) -> int:
        nonlocal steps
        steps += 1
        return bisect_right(values, value)

    monkeypatch.setattr(judge, "bisect_right", counting)
    log = [record(n / 500, n / 500 + 0.05, 429 if n % 3 else 200) for n in range(20_000)]
    judge.wrongful_refusals(log, LOOKUP)
    assert steps < 20 * len(log)  # all pairs would be thousands of times as many
