"""Tickets: when each is due, who gets it, and what follows from an answer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from loadtests import keys, plan, requesting, scenarios, schedule, target
from loadtests.law import SECOND
from loadtests.log import NEVER, Record, read, row_of, write
from loadtests.requesting import Callers, Reader, Requests, Source, Supplier
from loadtests.scenarios import Scenario
from loadtests.schedule import Follower, Queue, Ticket
from simulator.platforms import CONTRACTS

BOOK = scenarios.read()


def scenario(*streams: dict[str, object], **more: object) -> Scenario:
    return Scenario.model_validate({"title": "x", "streams": streams, **more})


def one(*phases: dict[str, float], **more: object) -> Scenario:
    return scenario({"endpoint": "lookup", "key": "a", "plan": phases, **more})


def dues(of: Scenario) -> list[float]:
    return [ticket.due / SECOND for ticket in schedule.tickets(of)]


def test_a_rate_spaces_its_requests_evenly() -> None:
    assert dues(one({"rate": 4, "seconds": 1})) == [0, 0.25, 0.5, 0.75]


def test_the_limits_that_are_judged_are_those_that_the_simulator_documents() -> None:
    documented = {
        operation.name: operation.limit for operation in CONTRACTS["leaddistro"].operations if operation.limit
    }
    judged = {name: (law.rate, law.burst, law.seconds) for name, law in BOOK.laws.items()}
    assert judged == {name: tuple(limit) for name, limit in documented.items() if limit}


def test_phases_follow_one_another_and_silence_takes_its_time() -> None:
    assert dues(one({"count": 2}, {"idle": 1.5}, {"rate": 2, "seconds": 1})) == [0, 0, 1.5, 2.0]


def test_a_rising_rate_sends_its_mean_and_ends_faster_than_it_began() -> None:
    found = dues(one({"rate": 10, "to": 30, "seconds": 10}))
    assert len(found) == 200
    assert sum(due < 1 for due in found) == pytest.approx(11, abs=1)
    assert sum(due >= 9 for due in found) == pytest.approx(29, abs=1)


def test_streams_run_at_the_same_time_and_tickets_are_numbered_by_due_time() -> None:
    both = scenario(
        {"endpoint": "ping", "key": "a", "plan": [{"rate": 2, "seconds": 1}]},
        {"endpoint": "lookup", "key": "b", "plan": [{"idle": 0.25}, {"count": 1}]},
    )
    found = [(ticket.number, ticket.endpoint) for ticket in schedule.tickets(both)]
    assert found == [(0, "ping"), (1, "lookup"), (2, "ping")]


def test_with_a_gap_streams_run_one_after_another() -> None:
    both = scenario(
        {"endpoint": "lookup", "key": "a", "plan": [{"rate": 1, "seconds": 2}]},
        {"endpoint": "lookup", "key": "b", "plan": [{"count": 1}]},
    )
    assert [ticket.due // SECOND for ticket in schedule.tickets(both, gap=6 * SECOND)] == [0, 1, 8]


def test_a_scaled_scenario_has_the_rate_and_the_length_asked_for() -> None:
    scaled = BOOK.scenario["steady"].scaled(rate=19, seconds=5.98)
    assert scaled.peak == pytest.approx(19)
    assert scaled.length == pytest.approx(5.98)
    assert len(schedule.tickets(scaled)) == pytest.approx(69.5, abs=2)


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_every_ticket_is_dealt_to_exactly_one_process(processes: int) -> None:
    planned = schedule.tickets(BOOK.scenario["lookup"])
    shares = [schedule.dealt(planned, index, processes) for index in range(processes)]
    assert Counter(ticket.number for share in shares for ticket in share) == Counter(range(len(planned)))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("name", BOOK.scenario)
def test_two_processes_offer_the_rate_of_one_at_every_moment(name: str) -> None:
    planned = schedule.tickets(BOOK.scenario[name])
    for share in (schedule.dealt(planned, 0, 2), schedule.dealt(planned, 1, 2)):
        for second in range(0, int(BOOK.scenario[name].length) + 1, 5):
            all_due = sum(ticket.due <= second * SECOND for ticket in planned)
            assert abs(2 * sum(ticket.due <= second * SECOND for ticket in share) - all_due) <= 1


def refused(ticket: Ticket, wait: str = "1") -> Record:
    return Record(ticket.number, ticket.key, ticket.endpoint, ticket.due, 10, 5 * SECOND, 429, retry_after=wait)


def test_an_honouring_client_waits_exactly_what_retry_after_says() -> None:
    polite = one({"count": 2}, retry="each", retries=1)
    first, other = schedule.tickets(polite)
    follower = Follower(polite, 2, seed=1)
    again = follower.after(first, refused(first, "2"))
    assert again is not None
    assert (again.due, again.attempt, again.number) == (7 * SECOND, 1, 2)
    assert follower.after(again, refused(again)) is None
    follows = follower.after(other, refused(other))
    assert follows is not None
    assert follows.number == 3


def test_an_ignoring_client_comes_back_at_once() -> None:
    stubborn = one({"count": 1}, retry="each", retries=1, honours=False)
    (first,) = schedule.tickets(stubborn)
    again = Follower(stubborn, 1, seed=1).after(first, refused(first, ""))
    assert again is not None
    assert again.due == 5 * SECOND


def test_of_a_burst_one_refused_request_is_sent_again() -> None:
    bursts = one({"count": 2}, {"idle": 2}, repeat=2, retry="burst", retries=1)
    planned = schedule.tickets(bursts)
    follower = Follower(bursts, 4, seed=1)
    assert [follower.after(ticket, refused(ticket)) is not None for ticket in planned] == [True, False, True, False]


@pytest.mark.parametrize("wait", ["", "30", "soon", "-1", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_nobody_waits_for_a_retry_after_that_is_absurd(wait: str) -> None:
    polite = one({"count": 1}, retry="each", retries=1)
    (first,) = schedule.tickets(polite)
    assert Follower(polite, 1, seed=1).after(first, refused(first, wait)) is None


FUNNEL = scenario(
    {
        "endpoint": "pingtree-ping",
        "key": "p",
        "plan": [{"count": 200}],
        "then": {"endpoint": "pingtree-post", "think": [1, 2], "share": 0.5},
    }
)


def test_about_the_wanted_share_of_accepted_pings_is_posted_after_some_thought() -> None:
    follower = Follower(FUNNEL, 200, seed=4)
    posts = []
    for ticket in schedule.tickets(FUNNEL):
        accepted = Record(ticket.number, "p", ticket.endpoint, 0, 0, 3 * SECOND, 201)
        posts += [post] if (post := follower.after(ticket, accepted, f"txn{ticket.number}")) else []
    assert 70 < len(posts) < 130
    assert all(4 * SECOND <= post.due <= 5 * SECOND and post.transaction for post in posts)
    assert {post.endpoint for post in posts} == {"pingtree-post"}


def test_a_ping_that_was_not_accepted_is_not_posted() -> None:
    first = schedule.tickets(FUNNEL)[0]
    answer = Record(0, "p", "pingtree-ping", 0, 0, 1, 201)
    assert Follower(FUNNEL, 200, seed=4).after(first, answer, "") is None


def test_what_follows_joins_the_queue_by_its_due_time() -> None:
    queue = Queue(schedule.tickets(one({"rate": 1, "seconds": 3})))
    queue.push(Ticket(9, SECOND // 2, 0, "lookup", "a", attempt=1))
    assert [queue.pop().number for _ in range(4)] == [0, 9, 1, 2]


# What is sent

CALLERS = Callers({"a": Supplier("key-a", "s1", "c1")}, {"p": Source("lnk", "ping-token", "post-token")})


def wires(of: Scenario, seed: int = 7) -> list[requesting.Wire]:
    planned = schedule.tickets(of)
    sending = Requests(of, CALLERS, len(planned), seed)
    return [sending.wire(ticket) for ticket in planned]


def test_every_request_of_a_run_carries_another_person() -> None:
    found = wires(scenario({"endpoint": "ingest", "key": "a", "plan": [{"count": 300}]}))
    assert len({wire.body for wire in found}) == 300
    assert {wire.headers["x-api-key"] for wire in found} == {"key-a"}
    assert '"flo_supplier_id": "s1"' in (found[0].body or "")


def test_another_seed_sends_other_people_and_the_same_seed_the_same() -> None:
    some = scenario({"endpoint": "ping", "key": "a", "plan": [{"count": 20}]})
    assert wires(some, 1) == wires(some, 1)
    assert not {wire.body for wire in wires(some, 1)} & {wire.body for wire in wires(some, 1000)}


def test_a_caller_without_a_key_sends_none_and_names_somebody_elses_supplier() -> None:
    (wire,) = wires(scenario({"endpoint": "ingest", "key": "", "names": "a", "plan": [{"count": 1}]}))
    assert "x-api-key" not in wire.headers
    assert '"flo_supplier_id": "s1"' in (wire.body or "")


def test_a_retry_sends_the_same_request_again() -> None:
    some = one({"count": 3})
    sending = Requests(some, CALLERS, 3, seed=7)
    planned = schedule.tickets(some)
    again = Ticket(planned[1].number + 3, 0, 0, "lookup", "a", attempt=1)
    assert sending.wire(again) == sending.wire(planned[1]) != sending.wire(planned[2])


def test_a_post_carries_the_lead_of_its_ping_and_its_transaction() -> None:
    sending = Requests(FUNNEL, CALLERS, 200, seed=7)
    ping = sending.wire(schedule.tickets(FUNNEL)[5])
    post = sending.wire(Ticket(205, 0, 0, "pingtree-post", "p", transaction="txn_1", attempt=1))
    assert (ping.headers["Authorization"], post.headers["Authorization"]) == ("Bearer ping-token", "Bearer post-token")
    assert (ping.path, post.path) == ("/api/lead/ping/lnk", "/api/lead/post/lnk")
    assert "email" not in (ping.body or "")
    assert '"transaction_id": "txn_1"' in (post.body or "")


@pytest.mark.parametrize("endpoint", ["ingest", "ping", "lookup", "pingtree-ping", "pingtree-post"])
def test_paths_are_those_of_the_contract(endpoint: str) -> None:
    documented = {operation.path for contract in CONTRACTS.values() for operation in contract.operations}
    assert requesting.path_of(endpoint) in documented | {requesting.LOOKUP_PATH}


# What comes back

LOOKUP_TICKET = Ticket(0, 0, 0, "lookup", "a")


def answered(status: int, body: str, headers: dict[str, str] | None = None) -> Record:
    return Reader().record(LOOKUP_TICKET, 1, 2, status, headers or {}, body.encode(), "")


def test_the_three_carriers_of_a_429_are_kept_as_they_came() -> None:
    body = '{"error": "rate_limited", "message": "slow down", "retry_after": 1}'
    found = answered(429, body, {"Retry-After": "1", "retry_after": "2"})
    assert (found.retry_after, found.retry_after_header, found.retry_after_body, found.fault) == ("1", "2", "1", "")


@pytest.mark.parametrize("body", ["", "[]", "{}", "<html>", '{"error": "rate_limited", "retry_after": 1}'])
def test_a_429_with_another_body_than_the_documented_one_is_noted(body: str) -> None:
    assert "not the documented one" in answered(429, body).fault


def test_no_answer_is_an_answer_that_never_comes() -> None:
    assert (answered(0, "").receive, answered(0, "").fault) == (NEVER, "no answer")


@pytest.mark.parametrize(
    ("body", "transaction"),
    [
        ('{"data": {"leadStatus": "ping_accept", "transaction_id": "t1"}}', "t1"),
        ('{"data": {"leadStatus": "ping_reject", "transaction_id": "t1"}}', ""),
        ("[]", ""),
        ("nothing", ""),
    ],
)
def test_only_an_accepted_ping_has_a_transaction_to_post(body: str, transaction: str) -> None:
    ticket = Ticket(0, 0, 0, "pingtree-ping", "p")
    assert requesting.accepted_transaction(ticket, 201, body.encode()) == transaction


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    log = [
        Record(1, "a", "ingest", 1, 5, 6, 429, 0, "1", "1", "1", 'a "fault", it is'),
        Record(0, "", "ping", 0, 2, NEVER, 0),
    ]
    write(tmp_path / "log.csv", log)
    assert read(tmp_path / "log.csv") == log[::-1]
    assert row_of(list(log[0])) == log[0]


def test_a_plan_comes_out_of_its_document_as_it_went_in() -> None:
    for name, item in BOOK.scenario.items():
        before = plan.Plan(name, item, CALLERS, seed=3, gap=5, url="http://127.0.0.1:1")
        assert plan.plan_of(before.document()) == before


# Keys


def ring(count: int) -> keys.KeyRing:
    suppliers = tuple(Supplier(f"k{n}") for n in range(count))
    return keys.KeyRing(target.Target("http://127.0.0.1", suppliers, ()), BOOK.laws)


def test_a_key_is_not_used_twice_while_another_is_fresh() -> None:
    some, waits = ring(8), list[float]()
    seen: list[str] = []
    for _ in range(2):
        callers, gap = some.take("lookup", BOOK.scenario["lookup"], waits.append)
        some.used(callers)
        seen += [supplier.key for supplier in callers.suppliers.values()]
        assert gap == 0
    assert (len(set(seen)), waits) == (8, [])


def test_a_used_key_rests_until_its_bucket_is_full() -> None:
    some, waits = ring(1), list[float]()
    for _ in range(2):
        callers, _ = some.take("steady", BOOK.scenario["steady"], waits.append)
        some.used(callers)
    assert [round(wait) for wait in waits] == [11]


def test_one_key_is_shared_by_parts_that_may_take_turns_and_by_no_others() -> None:
    _, gap = ring(1).take("lookup", BOOK.scenario["lookup"], lambda _: None)
    assert gap == 6 * SECOND
    with pytest.raises(keys.TooFewKeysError, match="isolate needs 2"):
        ring(1).take("isolate", BOOK.scenario["isolate"], lambda _: None)
    with pytest.raises(keys.TooFewKeysError, match="Pingtree source"):
        ring(9).take("fleet", BOOK.scenario["fleet"], lambda _: None)


def test_every_scenario_that_lacks_keys_is_named_at_once() -> None:
    wanted = {name: BOOK.scenario[name] for name in ("lookup", "isolate", "funnel", "steady", "body")}
    with pytest.raises(keys.TooFewKeysError) as caught:
        ring(1).check(wanted)
    assert str(caught.value).startswith(
        "isolate needs 2 supplier keys; funnel needs a Pingtree source; body needs 3 supplier keys. The target has 1"
    )
    ring(3).check({name: BOOK.scenario[name] for name in ("lookup", "isolate", "steady", "body")})
