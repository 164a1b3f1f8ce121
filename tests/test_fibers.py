"""Fibers: plain code that takes turns on one thread, and what they commit together."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simulator.fibers import MOST_IDLE, Fiber, Flag, Resume, Turns, current, parked, worked
from simulator.store import LeadRecord, Store, StoreError, Transaction, connection, grouping, leads
from simulator.store.connection import Connection

NOW = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)


def begun(work: Callable[[], object]) -> asyncio.Future[object]:
    """Begin to run work on a fiber; what comes is what it returns or raises."""
    loop = asyncio.get_running_loop()
    outcome = loop.create_future()

    def caught() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:  # noqa: BLE001  whatever it is, it is what became of it
            outcome.set_result(error)

    Fiber(caught, loop).switch()
    return outcome


def together(*works: Callable[[], object]) -> list[object]:
    """Run every piece of work on a fiber, all of them begun in one turn of the loop; return what they do or raise."""

    async def all_of_them() -> list[object]:
        return await asyncio.wait_for(asyncio.gather(*map(begun, works)), 30)

    return asyncio.run(all_of_them())


def rest() -> None:
    """Let others go on for a turn of the loop."""
    fiber = current()
    assert fiber is not None

    def begin(resume: Resume[None]) -> None:
        fiber.loop.call_soon(resume, None)

    parked(fiber, begin)


def test_who_rests_lets_the_others_go_on() -> None:
    said: list[str] = []

    def speaker(name: str) -> None:
        for turn in range(2):
            said.append(f"{name}{turn}")
            rest()

    together(lambda: speaker("a"), lambda: speaker("b"))
    assert said == ["a0", "b0", "a1", "b1"]


def test_code_on_a_thread_of_its_own_is_on_no_fiber() -> None:
    assert current() is None


def test_each_fiber_has_context_variables_of_its_own() -> None:
    """Flask keeps the request there."""
    whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose")

    def speaker(name: str) -> str:
        whose.set(name)
        rest()
        return whose.get()

    assert together(lambda: speaker("a"), lambda: speaker("b")) == ["a", "b"]


# --- flags, and work that is begun from anywhere --------------------------------------------------------------


def test_a_flag_wakes_every_fiber_and_every_thread_that_waits_for_it() -> None:
    flag = Flag()
    said: list[object] = []
    thread = threading.Thread(target=lambda: said.append(flag.wait(30)))
    thread.start()

    def waiter() -> object:
        return flag.wait(30)

    def setter() -> None:
        rest()
        threading.Thread(target=flag.set).start()

    assert together(waiter, waiter, setter) == [True, True, None]
    thread.join(30)
    assert said == [True]
    assert together(waiter) == [True], "it stays up"
    flag.clear()
    assert together(lambda: flag.wait(0.001)) == [False]


def test_who_waits_in_vain_is_not_woken_again() -> None:
    flag = Flag()

    def patient() -> list[bool]:
        found = [flag.wait(0.001)]
        flag.set()
        rest()
        return [*found, flag.wait(30)]

    assert together(patient) == [[False, True]]


def test_a_flag_that_is_set_while_a_fiber_begins_to_wait_is_not_missed() -> None:
    flag = Flag()

    def waiting_and_setting() -> int:
        met = 0
        for _ in range(300):
            flag.clear()
            thread = threading.Thread(target=flag.set)
            thread.start()
            met += flag.wait(30)
            thread.join()
        return met

    assert together(waiting_and_setting) == [300]


def test_turns_begin_work_on_fibers_of_the_loop_from_any_thread() -> None:
    whose: list[object] = []
    flag = Flag()

    def job() -> None:
        whose.append((current() is not None, threading.get_ident()))
        flag.set()

    def asking() -> int:
        fiber = current()
        assert fiber is not None
        threading.Thread(target=Turns(fiber.loop).do, args=(job,)).start()
        assert flag.wait(30)
        return threading.get_ident()

    assert together(asking) == [whose[0][1]]  # type: ignore[index]
    assert whose[0][0] is True  # type: ignore[index]


def test_fibers_work_again_and_keep_nothing_of_what_they_did() -> None:
    class Body:
        """Something that may be large."""

    def used() -> tuple[int, weakref.ref[Body]]:
        body = Body()
        seen = weakref.ref(body)

        def job() -> None:
            assert body is not None
            who.append(id(current()))

        turns.do_now(job)
        return len(who), seen

    who: list[int] = []
    loop = asyncio.new_event_loop()
    turns = Turns(loop)
    found = [used() for _ in range(3)]
    loop.close()
    assert len(set(who)) == 1, "the same fiber did it all"
    assert [(done, seen()) for done, seen in found] == [(1, None), (2, None), (3, None)]


def test_a_fiber_that_works_again_has_no_context_variables_of_before() -> None:
    whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose", default="nobody's")
    found: list[str] = []

    def job() -> None:
        found.append(whose.get())
        whose.set("somebody's")

    loop = asyncio.new_event_loop()
    turns = Turns(loop)
    for _ in range(3):
        turns.do_now(job)
    loop.close()
    assert found == ["nobody's"] * 3


def test_a_fiber_whose_work_failed_takes_nobody_with_it() -> None:
    loop = asyncio.new_event_loop()
    turns = Turns(loop)
    done: list[int] = []

    def failing() -> None:
        raise LookupError

    for number in range(3):
        with pytest.raises(LookupError):
            turns.do_now(failing)
        turns.do_now(partial(done.append, number))
    loop.close()
    assert done == [0, 1, 2]


def test_many_that_wait_at_once_have_a_fiber_each() -> None:
    flag = Flag()

    def asking() -> int:
        fiber = current()
        assert fiber is not None
        turns = Turns(fiber.loop)
        done: list[bool] = []
        for _ in range(3 * MOST_IDLE):
            turns.do(lambda: done.append(flag.wait(30)))
        rest()
        flag.set()
        while len(done) < 3 * MOST_IDLE:
            rest()
        return sum(done)

    assert together(asking) == [3 * MOST_IDLE]


def test_work_is_counted_in_its_own_turns_only() -> None:
    """What others do meanwhile is not."""

    def work(seconds: float) -> None:
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            pass

    def counting() -> float:
        began = worked()
        rest()
        work(0.01)
        rest()
        return worked() - began

    def another() -> None:
        rest()
        work(2.0)

    mine, _ = together(counting, another)
    assert isinstance(mine, float)
    assert 0.01 <= mine < 2.0


# --- what is committed together -------------------------------------------------------------------------------


@pytest.fixture(params=["file", ":memory:"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store.open(request.param if request.param == ":memory:" else tmp_path / "store.db") as opened:
        yield opened


def lead(name: str) -> LeadRecord:
    return LeadRecord(
        tenant="t", id=name, platform="p", source_id="s", campaign_id="c", transaction_id="", at=NOW, status="ACCEPTED",
        values={}, buyer_id="", price_cents=None, is_test=False, is_duplicate=False, phone="", email="",
    )  # fmt: skip


def adding(store: Store, name: str) -> Callable[[], object]:
    return lambda: store.transact(lambda tx: tx.add_lead(lead(name)))


def kept(store: Store) -> set[str]:
    return {one.id for one in store.leads("t")}


@pytest.fixture
def commits(store: Store) -> Sequence[str]:
    """Every statement that ends a transaction of the writer, as SQLite sees it."""
    seen: list[str] = []
    with store.transaction() as tx:
        tx.driver.set_trace_callback(lambda sql: seen.append(sql) if sql in {"COMMIT", "ROLLBACK"} else None)
    seen.clear()
    return seen


def test_transactions_that_are_ready_together_share_one_commit(store: Store, commits: Sequence[str]) -> None:
    together(*(adding(store, f"lead {number}") for number in range(20)))
    assert commits == ["COMMIT"]
    assert kept(store) == {f"lead {number}" for number in range(20)}


def test_nobody_goes_on_before_the_commit(tmp_path: Path) -> None:
    file = tmp_path / "store.db"

    def look() -> int:
        with sqlite3.connect(file) as other:
            return int(other.execute("SELECT count(*) FROM leads").fetchone()[0])

    with Store.open(file) as store:
        seen = together(*(lambda name=f"lead {n}": (adding(store, name)(), look())[1] for n in range(5)))
    assert seen == [5] * 5


def test_who_fails_takes_nothing_of_the_others_away(store: Store) -> None:
    """Its rows are gone with the whole group's: what the others did is done again, each in a transaction of its own."""

    def failing(tx: Transaction) -> None:
        tx.add_lead(lead("never"))
        raise LookupError

    outcomes = together(
        adding(store, "before"), lambda: store.transact(failing), adding(store, "after"), adding(store, "later")
    )
    assert [type(one) for one in outcomes] == [type(None), LookupError, type(None), type(None)]
    assert kept(store) == {"before", "after", "later"}


def test_what_the_database_refuses_is_told_to_who_asked_for_it(store: Store) -> None:
    outcomes = together(adding(store, "one"), adding(store, "one"), adding(store, "two"))
    assert [type(one) for one in outcomes if one is not None] == [StoreError]
    assert kept(store) == {"one", "two"}


def test_a_commit_that_fails_is_tried_again_for_each_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.transaction() as tx:
        writer: Any = tx
    whole, fails = writer.commit, iter([sqlite3.OperationalError("database or disk is full")])

    def commit() -> None:
        if error := next(fails, None):
            raise error
        whole()

    monkeypatch.setattr(writer, "commit", commit)
    assert together(adding(store, "one"), adding(store, "two")) == [None, None]
    assert kept(store) == {"one", "two"}


def test_a_commit_that_fails_again_is_a_store_error_for_everybody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.transaction() as tx:
        writer: Any = tx

    def commit() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as full:
        full.setattr(writer, "commit", commit)
        outcomes = together(adding(store, "one"), adding(store, "two"))
    assert [type(one) for one in outcomes] == [StoreError, StoreError]
    assert kept(store) == set()
    assert together(adding(store, "one")) == [None]


def test_a_transaction_of_its_own_ends_the_group_first(store: Store, commits: Sequence[str]) -> None:
    def alone() -> None:
        with store.transaction() as tx:
            tx.add_lead(lead("alone"))

    together(adding(store, "shared"), alone)
    assert commits == ["COMMIT", "COMMIT"]
    assert kept(store) == {"shared", "alone"}


def test_a_person_is_claimed_once_in_a_group(store: Store) -> None:
    def claiming(name: str) -> Callable[[], object]:
        return lambda: store.transact(
            lambda tx: tx.claim_persons("t", "c", ["phone:1"], lead_id=name, at=NOW, cutoff=NOW - timedelta(days=30))
        )

    outcomes = together(*(claiming(f"lead {number}") for number in range(10)))
    assert outcomes[0] is None
    assert {getattr(one, "lead_id", None) for one in outcomes[1:]} == {"lead 0"}


def test_threads_wait_for_a_group_and_a_group_for_threads(store: Store) -> None:
    async def both() -> None:
        loop = asyncio.get_running_loop()
        threads = [loop.run_in_executor(None, adding(store, f"thread {number}")) for number in range(20)]
        fibers = []
        for number in range(20):
            fibers.append(begun(adding(store, f"fiber {number}")))
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*threads, *fibers), 30)

    asyncio.run(both())
    assert kept(store) == {f"{kind} {number}" for kind in ("thread", "fiber") for number in range(20)}


# --- what is read ---------------------------------------------------------------------------------------------


def test_a_look_sees_what_is_kept_and_what_others_began_is_kept_first(store: Store, commits: Sequence[str]) -> None:
    """What it says may be acted on at once: a webhook of a lead that is undone must not leave."""

    def count(connection: Connection) -> int:
        return leads.count_leads(connection, "t")

    def look() -> int:
        return store.look(count)

    assert together(adding(store, "first"), adding(store, "second"), look) == [None, None, 2]
    assert commits == ["COMMIT"]
    assert store.look(count) == 2, "on a thread as well"


def test_a_look_waits_for_nobody_who_has_the_writer(tmp_path: Path) -> None:
    """A snapshot that is restored, for one. In memory there is only one connection."""
    with Store.open(tmp_path / "store.db") as store:
        has_it, may_end = threading.Event(), threading.Event()

        def hold() -> None:
            with store.transaction() as tx:
                tx.add_lead(lead("late"))
                has_it.set()
                assert may_end.wait(30)

        holder = threading.Thread(target=hold)
        holder.start()
        assert has_it.wait(30)
        try:
            assert together(lambda: store.look(leads.count_leads, "t")) == [0]
        finally:
            may_end.set()
            holder.join()
        assert together(lambda: store.look(leads.count_leads, "t")) == [1]


def test_while_another_program_writes_to_the_file_who_writes_waits_and_who_reads_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with Store.open(file) as store, contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def read() -> int:
            seen = store.look(leads.count_leads, "t")
            other.execute("ROLLBACK")  # the other program ends after it: had the thread waited, it never would
            return seen

        assert together(adding(store, "late"), read) == [None, 0]
        assert kept(store) == {"late"}


def test_another_program_that_writes_for_too_long_is_told_to_who_wanted_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "store.db"
    monkeypatch.setattr(grouping, "PATIENCE", 0.05)
    monkeypatch.setattr(connection, "PATIENCE", 0.05)
    with Store.open(file) as store, contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        [refused] = together(adding(store, "never"))
        assert isinstance(refused, StoreError)
        assert "database is locked" in str(refused)
        with pytest.raises(StoreError, match="database is locked"):
            adding(store, "never")()
        other.execute("ROLLBACK")
        assert together(adding(store, "then")) == [None]
        assert kept(store) == {"then"}
