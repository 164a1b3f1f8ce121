"""The store: exact under threads, exact after a kill, and one clear line when it can't be opened."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy.dialects import postgresql

from simulator.routing.decision import Bid, CapClaim, Lead
from simulator.store import (
    AttemptRecord,
    DeliveryRecord,
    DeliveryStatus,
    LeadRecord,
    Original,
    PingRecord,
    PingStored,
    Scope,
    Store,
    StoreError,
    Transaction,
    claims,
    credentials,
    leads,
    outbox,
    pings,
    tenants,
)
from simulator.store.connection import Statement
from tests.outboxes import added
from tests.postgres import Postgres
from tests.running import wait_until

R = TypeVar("R")
NOW = datetime(2026, 1, 5, 12, 30, 15, 250001, tzinfo=UTC)
CUTOFF = NOW - timedelta(days=30)


@pytest.fixture(params=["memory", "file", pytest.param("postgresql", marks=pytest.mark.long)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store.open(_target(request, tmp_path)) as opened:
        yield opened


def _target(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres_server")
        return server.emptied()
    return ":memory:" if request.param == "memory" else str(folder / "store.db")


def a_lead(lead_id: str = "lead_1", tenant: str = "t1", **changes: object) -> LeadRecord:
    record = LeadRecord(
        tenant=tenant,
        id=lead_id,
        platform="leaddistro",
        source_id="supplier_1",
        campaign_id="campaign_1",
        at=NOW,
        status="ACCEPTED",
        values={"first_name": "Ann", "age": 41, "tags": ["a"], "price": None},
        buyer_id="buyer_1",
        price_cents=4550,
        phone="2125550123",
        email="ann@example.com",
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def a_ping(transaction_id: str = "txn_1", tenant: str = "t1", source_id: str = "src_1") -> PingRecord:
    return PingRecord(
        tenant=tenant,
        platform="pingtree",
        transaction_id=transaction_id,
        source_id=source_id,
        campaign_id="campaign_1",
        at=NOW,
        expires_at=NOW + timedelta(minutes=5),
        accepted=True,
        lead=Lead({"state": "ny"}, state="NY", zip_code="10001"),
        bids=(Bid("buyer_1", Decimal("45.50"), "bid_1"), Bid("buyer_2", Decimal(40), tcpa="By submitting")),
    )


def a_delivery(lead_id: str = "lead_1", tenant: str = "t1", due_at: datetime = NOW) -> DeliveryRecord:
    return DeliveryRecord(
        platform="leaddistro",
        tenant=tenant,
        lead_id=lead_id,
        buyer_id="buyer_1",
        event_id="evt_1",
        url="http://127.0.0.1/hook",
        body=b'{"a": 1}\x00\xff',
        created_at=NOW,
        due_at=due_at,
        headers={"X-Event": "lead.accepted"},
    )


def a_claim(scope: str = "buyer:1", limit: int = 5, amount: int = 1) -> CapClaim:
    return CapClaim(scope, "day:2026-01-05", limit, amount, f"{scope} daily cap")


def used(store: Store, claim: CapClaim, tenant: str = "t1") -> int:
    return store.usage(tenant, [(claim.scope, claim.period)])[claim.scope, claim.period]


def at_once(threads: int, work: Callable[[int], R]) -> list[R]:
    barrier = threading.Barrier(threads)
    results: list[R] = []

    def run(n: int) -> None:
        barrier.wait()
        results.append(work(n))

    running = [threading.Thread(target=run, args=(n,)) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(results) == threads, "a thread raised"
    return results


def claim(store: Store, lead_id: str, *keys: str, at: datetime = NOW, cutoff: datetime = CUTOFF) -> str | None:
    def work(tx: Transaction) -> Original | None:
        return tx.claim_persons("t1", "campaign_1", keys, lead_id=lead_id, at=at, cutoff=cutoff)

    original = store.transact(work)  # on a server two may take half of it each: one of them begins again
    return original.lead_id if original else None


# Exactness under threads


def test_of_64_threads_that_claim_one_person_exactly_one_wins(store: Store) -> None:
    results = at_once(64, lambda n: claim(store, f"lead_{n}", "phone:1", "email:1"))
    assert results.count(None) == 1
    assert len(set(results) - {None}) == 1


def test_crossed_keys_never_make_two_winners_nor_a_deadlock(store: Store) -> None:
    keys = ("phone:1", "email:1", "address:1")
    results = at_once(48, lambda n: claim(store, f"lead_{n}", keys[n % 3], keys[(n + 1) % 3]))
    assert results.count(None) == 1


def test_64_threads_of_8_sales_each_sell_exactly_a_cap_of_50(store: Store) -> None:
    def sell(thread: int) -> int:
        sold = 0
        for n in range(8):
            with store.transaction() as tx:
                if tx.take("t1", [a_claim(limit=50)]) is None:
                    tx.add_lead(a_lead(f"lead_{thread}_{n}"))
                    sold += 1
        return sold

    assert sum(at_once(64, sell)) == 50
    assert used(store, a_claim()) == 50
    assert store.count_leads("t1") == 50


def test_of_64_threads_that_post_one_transaction_id_exactly_one_claims_it(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_ping(a_ping())

    def post(_: int) -> bool:
        found = store.ping("t1", "pingtree", "txn_1")
        assert found is not None
        with store.transaction() as tx:
            return tx.claim_ping(found, NOW)

    assert sorted(at_once(64, post)) == [False] * 63 + [True]


def test_a_token_is_redeemed_once_and_each_turn_is_given_once(store: Store) -> None:
    def both(_: int) -> tuple[bool, int]:
        with store.transaction() as tx:
            return tx.redeem("t1", "token_1", NOW), tx.next_turn("t1", "campaign_1")

    results = at_once(32, both)
    assert [won for won, _ in results].count(True) == 1
    assert sorted(turn for _, turn in results) == list(range(32))


# Persons


def test_a_refused_claim_names_the_original_and_keeps_none_of_its_keys(store: Store) -> None:
    claim(store, "lead_1", "phone:1")
    with store.transaction() as tx:
        assert tx.set_person_buyer("t1", "lead_1", "buyer_9") == 1
        # "email:2" is claimed before "phone:1" is found taken, and must be undone; the lead itself is kept.
        refused = tx.claim_persons("t1", "campaign_1", ["phone:1", "email:2"], lead_id="lead_2", at=NOW, cutoff=CUTOFF)
        tx.add_lead(a_lead("lead_2", status="DUPLICATE"))
    assert refused is not None
    assert (refused.lead_id, refused.buyer_id, refused.at) == ("lead_1", "buyer_9", NOW)
    assert store.find_person("t1", "campaign_1", ["email:2"], CUTOFF) is None
    assert store.lead("t1", "lead_2") is not None


def test_a_claim_of_a_new_person_and_a_taken_one_keeps_neither_and_of_a_new_and_an_old_one_both(store: Store) -> None:
    claim(store, "lead_1", "phone:1")
    assert claim(store, "lead_2", "email:0", "phone:1", "zip:9") == "lead_1"
    for key in ("email:0", "zip:9"):
        assert store.find_person("t1", "campaign_1", [key], CUTOFF) is None
    later = NOW + timedelta(days=31)
    assert claim(store, "lead_3", "email:0", "phone:1", "zip:9", at=later, cutoff=NOW) is None
    for key in ("email:0", "phone:1", "zip:9"):
        found = store.find_person("t1", "campaign_1", [key], NOW)
        assert found == Original("lead_3", "", later)


def test_the_buyer_of_persons_is_corrected_by_their_keys_and_only_where_the_lead_has_them(store: Store) -> None:
    keys = ("email:1", "phone:1")
    with store.transaction() as tx:
        tx.claim_persons("t1", "campaign_1", keys, lead_id="lead_1", buyer_id="buyer_1", at=NOW, cutoff=CUTOFF)
        corrected = [
            tx.correct_person_buyer(tenant, scope, keys, lead_id=lead, buyer_id="buyer_2")
            for tenant, scope, lead in (
                ("t1", "campaign_1", "lead_1"),
                ("t1", "campaign_1", "lead_2"),
                ("t1", "campaign_2", "lead_1"),
                ("t2", "campaign_1", "lead_1"),
            )
        ]
    assert corrected == [2, 0, 0, 0]
    for key in keys:
        assert store.find_person("t1", "campaign_1", [key], CUTOFF) == Original("lead_1", "buyer_2", NOW)


def test_persons_that_were_bought_are_not_released(store: Store) -> None:
    claim(store, "lead_1", "phone:1", "email:1")
    with store.transaction() as tx:
        assert tx.set_person_buyer("t1", "lead_1", "buyer_1") == 2
        assert tx.set_person_buyer("t1", "lead_1", "buyer_2") == 0
        assert tx.release_persons("t1", "lead_1") == 0


def test_a_person_may_be_taken_over_at_the_cutoff_and_not_a_microsecond_before(store: Store) -> None:
    claim(store, "lead_1", "phone:1")
    with store.transaction() as tx:
        tx.set_person_buyer("t1", "lead_1", "buyer_9")
    assert claim(store, "lead_2", "phone:1", cutoff=NOW - timedelta(microseconds=1)) == "lead_1"
    later = NOW + timedelta(days=31)
    assert claim(store, "lead_3", "phone:1", at=later, cutoff=NOW) is None
    found = store.find_person("t1", "campaign_1", ["phone:1"], NOW)
    assert found is not None
    assert (found.lead_id, found.buyer_id, found.at) == ("lead_3", "", later)


def test_persons_of_another_scope_or_tenant_are_other_persons(store: Store) -> None:
    claim(store, "lead_1", "phone:1")
    with store.transaction() as tx:
        for tenant, scope in (("t1", "campaign_2"), ("t2", "campaign_1")):
            assert tx.claim_persons(tenant, scope, ["phone:1"], lead_id="x", at=NOW, cutoff=CUTOFF) is None


def test_released_persons_can_be_claimed_again(store: Store) -> None:
    claim(store, "lead_1", "phone:1", "email:1")
    with store.transaction() as tx:
        assert tx.release_persons("t1", "lead_1") == 2
    assert claim(store, "lead_2", "phone:1", "email:1") is None


# Caps


def test_caps_are_taken_all_or_none_and_the_full_one_is_named(store: Store) -> None:
    narrow, wide = a_claim("campaign:1", limit=1), a_claim("buyer:1", limit=9)
    with store.transaction() as tx:
        assert tx.take("t1", [narrow, wide]) is None
        assert tx.take("t1", [wide, narrow]) == narrow
    assert (used(store, narrow), used(store, wide)) == (1, 1)


@pytest.mark.parametrize(("limit", "amount"), [(0, 1), (5, 6)])
def test_a_first_claim_beyond_the_limit_is_refused(store: Store, limit: int, amount: int) -> None:
    too_much = a_claim(limit=limit, amount=amount)
    with store.transaction() as tx:
        assert tx.take("t1", [too_much]) == too_much
    assert used(store, too_much) == 0


def test_money_fills_a_cap_to_the_cent(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.take("t1", [a_claim(limit=10_000, amount=9_999)]) is None
        assert tx.take("t1", [a_claim(limit=10_000, amount=2)]) is not None
        assert tx.take("t1", [a_claim(limit=10_000, amount=1)]) is None


def test_a_claim_given_back_can_be_taken_again_and_never_makes_a_debt(store: Store) -> None:
    one = a_claim(limit=1)
    with store.transaction() as tx:
        tx.take("t1", [one])
        tx.give_back("t1", [one])
        tx.give_back("t1", [one])
        assert tx.take("t1", [one]) is None
        assert tx.take("t1", [one]) == one


# Pings


def test_a_ping_is_read_as_it_was_written(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.add_ping(a_ping()) is PingStored.NEW
    assert store.ping("t1", "pingtree", "txn_1") == a_ping()
    assert store.ping("t1", "pingtree", "txn_2") is None
    assert store.pings("t1") == [a_ping()]


def test_a_repeated_transaction_id_replaces_the_ping_that_was_not_posted(store: Store) -> None:
    newer = replace(a_ping(), at=NOW + timedelta(seconds=1), accepted=False, bids=())
    with store.transaction() as tx:
        tx.add_ping(a_ping())
        assert tx.add_ping(newer) is PingStored.REPLACED
        assert not tx.claim_ping(a_ping(), NOW), "the ping that was read is not the one that is there"
        found = tx.ping("t1", "pingtree", "txn_1")
        assert found == replace(newer, revision=2)
        assert tx.claim_ping(found, NOW)


def test_a_posted_ping_and_another_sources_ping_are_not_replaced(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_ping(a_ping())
        assert tx.add_ping(a_ping(source_id="src_2")) is PingStored.REFUSED
        tx.claim_ping(a_ping(), NOW)
        assert tx.add_ping(a_ping()) is PingStored.REFUSED
    found = store.ping("t1", "pingtree", "txn_1")
    assert found == replace(a_ping(), claimed_at=NOW)


def test_a_sale_is_settled_once_and_keeps_its_answer(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_ping(a_ping())
        assert not tx.settle_ping(a_ping(), {}), "nobody claimed it"
        tx.claim_ping(a_ping(), NOW)
        assert tx.hold(a_ping(), [a_claim()], "lead_1")
        assert tx.settle_ping(a_ping(), {"status": "201", "amount": Decimal("45.50")})
        assert not tx.settle_ping(a_ping(), {"status": "400"})
    found = store.ping("t1", "pingtree", "txn_1")
    assert found is not None
    assert (found.answer, found.holding) == ({"status": "201", "amount": "45.50"}, ())


def test_a_sale_that_was_never_settled_is_released_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        with store.transaction() as tx:
            for each in (a_ping("settled"), a_ping("cut_off"), a_ping("waiting")):
                tx.add_ping(each)
            tx.take("t1", [a_claim()])
            tx.claim_ping(a_ping("settled"), NOW)
            tx.hold(a_ping("settled"), [a_claim()])
            tx.settle_ping(a_ping("settled"), {"sold": True})
            tx.take("t1", [a_claim()])
            tx.claim_ping(a_ping("cut_off"), NOW)
            tx.hold(a_ping("cut_off"), [a_claim()], "lead_1")
        claim(store, "lead_1", "phone:1")
        assert used(store, a_claim()) == 2
    with Store.open(path) as store:
        assert used(store, a_claim()) == 1
        answers = [store.ping("t1", "pingtree", name) for name in ("settled", "cut_off", "waiting")]
        assert [each and each.answer for each in answers] == [{"sold": True}, {"abandoned": True}, None]
        assert claim(store, "lead_2", "phone:1") is None


# Leads


def test_a_lead_is_read_as_it_was_written(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_lead(a_lead(is_test=True, is_duplicate=True))
        tx.add_lead(a_lead("lead_2", price_cents=None))
    assert store.lead("t1", "lead_1") == a_lead(is_test=True, is_duplicate=True)
    assert store.lead("t1", "lead_2") == a_lead("lead_2", price_cents=None)


def test_leads_are_listed_newest_first_by_page_and_by_filter(store: Store) -> None:
    with store.transaction() as tx:
        for n in range(5):
            tx.add_lead(a_lead(f"lead_{n}", phone=f"212555010{n}", status="UNMATCHED" if n % 2 else "ACCEPTED"))
        tx.add_lead(a_lead("lead_9", tenant="t2"))
    names = [each.id for each in store.leads("t1", limit=2)]
    assert names == ["lead_4", "lead_3"]
    assert [each.id for each in store.leads("t1", limit=2, after=names[-1])] == ["lead_2", "lead_1"]
    assert [each.id for each in store.leads("t1", status="ACCEPTED", after="lead_4")] == ["lead_2", "lead_0"]
    assert [each.id for each in store.leads("t1", phone="2125550103", email="ann@example.com")] == ["lead_3"]
    assert store.leads("t1", platform="pingtree") == []
    assert store.count_leads("t1") == 5
    assert store.count_leads("t1", status="UNMATCHED") == 2


def test_a_leads_status_can_be_set_later(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_lead(a_lead(status="QUEUED", buyer_id="", price_cents=None))
        assert tx.set_lead_status("t1", "lead_1", "ACCEPTED", buyer_id="buyer_2", price_cents=100)
        assert not tx.set_lead_status("t1", "lead_2", "ACCEPTED")
    assert store.lead("t1", "lead_1") == a_lead(buyer_id="buyer_2", price_cents=100)


def test_a_second_lead_of_the_same_id_is_refused_with_all_its_transaction(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_lead(a_lead())

    def again() -> None:
        with store.transaction() as tx:
            tx.take("t1", [a_claim()])
            tx.add_lead(a_lead())

    with pytest.raises(StoreError, match="refused"):
        again()
    assert used(store, a_claim()) == 0


def test_a_naive_moment_is_a_type_error(store: Store) -> None:
    with pytest.raises(TypeError), store.transaction() as tx:
        tx.add_lead(a_lead(at=NOW.replace(tzinfo=None)))


# Outbox


def names_due(store: Store, now: datetime = NOW, limit: int = 100) -> list[tuple[str, int]]:
    return [(each.lead_id, each.id) for each in store.look(outbox.due_deliveries, "t1", now, limit)]


def test_a_delivery_is_read_as_it_was_written(store: Store) -> None:
    with store.transaction() as tx:
        number = added(tx, a_delivery())
    assert store.delivery("t1", number) == replace(a_delivery(), id=number)
    assert store.delivery("t2", number) is None


def test_only_the_oldest_pending_delivery_of_each_lead_is_due(store: Store) -> None:
    soon = NOW + timedelta(seconds=5)
    with store.transaction() as tx:
        first = added(tx, a_delivery("lead_1", due_at=soon))
        second = added(tx, a_delivery("lead_1"))
        other = added(tx, a_delivery("lead_2"))
        tx.add_delivery(a_delivery("lead_1", tenant="t2"))
    assert names_due(store) == [("lead_2", other)]
    assert names_due(store, soon) == [("lead_2", other), ("lead_1", first)]
    assert names_due(store, soon, limit=1) == [("lead_2", other)]
    done(store, other, DeliveryStatus.GIVEN_UP)
    assert store.next_due("t1") == soon, "the second waits for the first, however long it is due"
    done(store, first, DeliveryStatus.DELIVERED)
    assert names_due(store) == [("lead_1", second)]
    assert store.look(outbox.tenants_with_deliveries) == ["t1", "t2"]
    done(store, second, DeliveryStatus.DELIVERED)
    assert store.next_due("t1") is None
    assert store.look(outbox.tenants_with_deliveries) == ["t2"]


def done(store: Store, number: int, becomes: DeliveryStatus, due_at: datetime | None = None) -> None:
    delivery = store.delivery("t1", number)
    assert delivery is not None
    http_status = 200 if becomes is DeliveryStatus.DELIVERED else None
    error = "" if http_status else "timed out"
    with store.transaction() as tx:
        assert tx.record_attempt(delivery, AttemptRecord(NOW, http_status, 12.5, error), becomes, due_at)


def test_attempts_are_counted_kept_and_counted_anew_after_a_replay(store: Store) -> None:
    later = NOW + timedelta(minutes=1)
    with store.transaction() as tx:
        number = added(tx, a_delivery())
    done(store, number, DeliveryStatus.PENDING, later)
    waiting = replace(a_delivery(), id=number, attempts=1, due_at=later)
    assert store.deliveries("t1", status=DeliveryStatus.PENDING) == [waiting]
    done(store, number, DeliveryStatus.DELIVERED)
    arrived = replace(waiting, attempts=2, status=DeliveryStatus.DELIVERED, delivered_at=NOW)
    assert store.deliveries("t1", lead_id="lead_1") == [arrived]
    with store.transaction() as tx:
        assert tx.replay("t1", number, later)
        assert not tx.replay("t2", number, later)
    assert store.delivery("t1", number) == replace(waiting, attempts=0)
    done(store, number, DeliveryStatus.DELIVERED)
    assert store.attempts("t1", number) == [
        AttemptRecord(NOW, None, 12.5, "timed out", 1),
        AttemptRecord(NOW, 200, 12.5, "", 2),
        AttemptRecord(NOW, 200, 12.5, "", 1),
    ]


def test_an_attempt_at_a_delivery_that_was_reset_is_dropped(store: Store) -> None:
    with store.transaction() as tx:
        gone = replace(a_delivery(), id=added(tx, a_delivery()))
        tx.reset("t1", {Scope.DELIVERIES})
        assert not tx.record_attempt(gone, AttemptRecord(NOW, 200, 1.0), DeliveryStatus.DELIVERED)
        assert added(tx, a_delivery()) != gone.id


# Credentials


def test_a_credential_has_generation_0_until_it_is_regenerated(store: Store) -> None:
    assert store.generation("t1", "src_1", "post") == 0
    with store.transaction() as tx:
        assert [tx.regenerate("t1", "src_1", "post", NOW) for _ in range(2)] == [1, 2]
        tx.revoke("t1", "src_1", "ping", NOW)
    assert store.generation("t1", "src_1", "post") == 2
    assert store.generation("t2", "src_1", "post") == 0
    revoked = store.credential("t1", "src_1", "ping")
    assert revoked is not None
    assert (revoked.generation, revoked.revoked_at) == (0, NOW)
    with store.transaction() as tx:
        tx.regenerate("t1", "src_1", "ping", NOW)
    renewed = store.credential("t1", "src_1", "ping")
    assert renewed is not None
    assert (renewed.generation, renewed.revoked_at) == (1, None)


# Tenants and transactions


def fill(store: Store, tenant: str) -> None:
    with store.transaction() as tx:
        tx.add_ping(a_ping(tenant=tenant))
        tx.add_lead(a_lead(tenant=tenant))
        number = added(tx, a_delivery(tenant=tenant))
        delivery = replace(a_delivery(tenant=tenant), id=number)
        tx.record_attempt(delivery, AttemptRecord(NOW, 200, 1.0), DeliveryStatus.DELIVERED)
        tx.claim_persons(tenant, "campaign_1", ["phone:1"], lead_id="lead_1", at=NOW, cutoff=CUTOFF)
        tx.take(tenant, [a_claim()])
        tx.next_turn(tenant, "campaign_1")
        tx.redeem(tenant, "token_1", NOW)
        tx.claim_event(tenant, "pingtree", "txn_1", "evt_1", at=NOW, cutoff=CUTOFF, repeats=False)
        tx.regenerate(tenant, "src_1", "post", NOW)


def test_a_reset_empties_what_it_names_of_one_tenant(store: Store) -> None:
    fill(store, "t1")
    fill(store, "t2")
    before = store.row_counts("t2")
    assert set(before.values()) == {1}, "fill leaves a row in every table"
    with store.transaction() as tx:
        gone = tx.reset("t1", {Scope.LEADS, Scope.CAPS})
    assert gone == {"leads": 1, "persons": 1, "events": 1, "caps": 1, "turns": 1}
    assert {name for name, rows in store.row_counts("t1").items() if rows} == {
        "pings", "redeemed", "outbox", "attempts", "credentials"
    }  # fmt: skip
    with store.transaction() as tx:
        tx.forget_tenant("t1")
    assert set(store.row_counts("t1").values()) == {0}
    assert store.row_counts("t2") == before


def test_two_tenants_with_the_same_ids_never_meet(store: Store) -> None:
    fill(store, "t1")
    fill(store, "t2")
    with store.transaction() as tx:
        tx.set_lead_status("t2", "lead_1", "REJECTED")
        tx.claim_ping(a_ping(tenant="t2"), NOW)
        tx.set_person_buyer("t2", "lead_1", "buyer_2")
    assert store.lead("t1", "lead_1") == a_lead()
    assert store.ping("t1", "pingtree", "txn_1") == a_ping()
    person = store.find_person("t1", "campaign_1", ["phone:1"], CUTOFF)
    assert person is not None
    assert person.buyer_id == ""


def test_an_exception_leaves_nothing_of_its_transaction(store: Store) -> None:
    def half() -> None:
        with store.transaction() as tx:
            tx.add_lead(a_lead())
            tx.take("t1", [a_claim()])
            raise KeyError("half way")

    with pytest.raises(KeyError):
        half()
    assert set(store.row_counts("t1").values()) == {0}
    fill(store, "t1")
    assert store.count_leads("t1") == 1


def test_reads_of_other_threads_see_whole_transactions_only(store: Store) -> None:
    def work(n: int) -> bool:
        if n == 0:
            for each in range(40):
                with store.transaction() as tx:
                    tx.add_lead(a_lead(f"lead_{each}a"))
                    tx.add_lead(a_lead(f"lead_{each}b"))
        return all(store.count_leads("t1") % 2 == 0 for _ in range(60))

    assert all(at_once(6, work))
    assert store.count_leads("t1") == 80


def test_a_closed_store_says_so(store: Store) -> None:
    store.count_leads("t1")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.lead("t1", "lead_1")
    with pytest.raises(StoreError, match="closed"), store.transaction():
        pass


# Files


def test_a_file_opened_again_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "with space? and #.db"
    with Store.open(path) as store:
        fill(store, "t1")
        before = store.row_counts("t1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Store.open(path) as store:
        assert store.row_counts("t1") == before
        assert store.lead("t1", "lead_1") == a_lead()
        assert used(store, a_claim()) == 1


KILLED = """
import sys
from tests_store_records import a_lead, a_delivery, Store
store = Store.open(sys.argv[1])
n = 0
while True:
    with store.transaction() as tx:
        tx.add_lead(a_lead(f"{sys.argv[2]}_{n}"))
        tx.add_delivery(a_delivery(f"{sys.argv[2]}_{n}"))
    print(f"{sys.argv[2]}_{n}", flush=True)
    n += 1
"""


def test_a_killed_process_loses_no_acknowledged_lead_and_no_webhook(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    here = Path(__file__)
    script = KILLED.replace("tests_store_records", here.stem)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here.parent.parent)])}
    acknowledged: set[str] = set()
    for round_ in range(3):
        command = [sys.executable, "-c", script, str(path), f"round{round_}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            acknowledged |= {process.stdout.readline().strip() for _ in range(200)}
            process.send_signal(signal.SIGKILL)
            acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
        with Store.open(path) as store:
            kept = {each.id for each in store.leads("t1", limit=10**6)}
            waiting = {each.lead_id for each in store.look(outbox.due_deliveries, "t1", NOW, limit=10**6)}
    assert len(acknowledged) >= 600
    assert acknowledged <= kept
    assert kept == waiting


def refusal(target: str | Path) -> str:
    with pytest.raises(StoreError) as caught:
        Store.open(target)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_path_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    for path in (tmp_path / "missing" / "s.db", tmp_path / "plain" / "s.db", tmp_path):
        message = refusal(path)
        assert str(path) in message
        assert "name a file in a folder that exists and that you may write to" in message


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look at" * 40)
    before = path.read_bytes()
    assert "it is no database" in refusal(path)
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    other.close()
    assert "database of something else" in refusal(path)


@pytest.mark.parametrize(("change", "named"), [("UPDATE meta SET value = '99'", "99"), ("DELETE FROM meta", "unknown")])
def test_a_store_of_another_version_is_refused(tmp_path: Path, change: str, named: str) -> None:
    path = tmp_path / "store.db"
    Store.open(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute(change)
    newer.close()
    assert f"schema version {named}" in refusal(path)


@pytest.mark.parametrize(
    "url",
    [
        *("mysql://u:secret@127.0.0.1/x", "nonsense://", "://", "postgresql+nosuchdriver://u:secret@127.0.0.1/x"),
        *("postgresql://u:my@secret@127.0.0.1:1/x", "host=127.0.0.1 user=u password=secret", "password = secret"),
        *("sslmode=require password=secret", "connect_timeout=3 host=x"),
    ],
)
def test_a_url_that_is_no_place_for_a_store_is_refused_without_its_password(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "secret" not in refusal(url)
    assert list(tmp_path.iterdir()) == []


# PostgreSQL: that the same statements can be worded for it, not that they run there.


@pytest.mark.parametrize("module", [claims, credentials, leads, outbox, pings, tenants])
def test_every_statement_can_be_worded_for_postgresql(module: object) -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    found = [value for value in vars(module).values() if isinstance(value, Statement)]
    found += [value for each in vars(module).values() if isinstance(each, dict) for value in each.values()]
    statements = [each for each in found if isinstance(each, Statement)]
    assert statements
    for statement in statements:
        compiled = statement.compiled(dialect)
        assert re.search(r"\?|:[a-z]", compiled.sql.replace("::", "")) is None, "a parameter style of SQLite's"
        assert "tenant" in compiled.sql


def test_what_was_written_soon_stands_in_the_file_itself_while_the_store_is_open(tmp_path: Path) -> None:
    """Its log alone would have it until four thousand pages are full, and the writer stops for them."""
    file, copy = tmp_path / "store.db", tmp_path / "copy.db"
    with Store.open(file) as store:
        for turn in range(2):
            with store.transaction() as tx:
                tx.add_lead(a_lead(f"lead_{turn}"))
            wait_until(partial(has_leads, file, copy, turn + 1), "the lead stands in the file")
    assert not file.with_name("store.db-wal").exists(), "closing leaves nothing behind"


def has_leads(file: Path, copy: Path, wanted: int) -> bool:
    """Whether a copy of the file, without its log, has so many leads. It may be half of something."""
    copy.write_bytes(file.read_bytes())
    with contextlib.closing(sqlite3.connect(f"{copy.as_uri()}?immutable=1", uri=True)) as connection:
        try:
            return bool(connection.execute("SELECT count(*) FROM leads").fetchone()[0] == wanted)
        except sqlite3.DatabaseError:
            return False


@pytest.mark.parametrize("statement", [claims._SET_BUYER, claims._RELEASE])
def test_the_persons_of_a_sale_are_found_by_its_lead_and_not_among_all_of_the_tenant(
    statement: Statement, tmp_path: Path
) -> None:
    with Store.open(tmp_path / "store.db") as store, store.transaction() as tx:
        sql, arguments = statement.compiled(tx.core.dialect)
        given = arguments({"tenant": "t1", "of_lead": "lead_1", "bought_by": "buyer_1"})
        plan = tx.driver.execute(f"EXPLAIN QUERY PLAN {sql}", given).fetchall()
    assert any("persons_unsold (tenant=? AND lead_id=?" in row[3] for row in plan), plan


def test_memory_that_is_named_by_a_uri_has_no_file_to_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = threading.active_count()
    with Store.open("sqlite:///file:named?mode=memory&cache=shared&uri=true"):
        assert threading.active_count() == before
    assert not (tmp_path / "named").exists()


def test_a_store_that_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.db") as store, store.transaction() as tx:
        tx.add_ping(a_ping())
        assert tx.claim_ping(a_ping(), NOW)
        tx.driver.execute("UPDATE pings SET bids_json = 'no JSON'")
    before = threading.active_count()
    with pytest.raises(ValueError, match="invalid literal"):
        Store.open(tmp_path / "store.db")
    assert threading.active_count() == before
