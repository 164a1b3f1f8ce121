"""Snapshots and saved tenants: copies that hold everything, meet nobody, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, func, select
from sqlalchemy.dialects import postgresql

from simulator.clock import Clock
from simulator.dice import Dice
from simulator.routing.decision import Bid, CapClaim, Lead
from simulator.store import (
    AttemptRecord,
    DeliveryRecord,
    DeliveryStatus,
    LeadRecord,
    PingRecord,
    Scope,
    Snapshot,
    Store,
    TooManySnapshotsError,
    outbox,
    snapshots,
)
from simulator.store.connection import Statement
from simulator.store.tables import metadata
from tests.outboxes import added

NOW = datetime(2026, 1, 5, 12, 30, 15, 250001, tzinfo=UTC)
CUTOFF = NOW - timedelta(days=30)
DAILY = CapClaim("buyer:1", "day:2026-01-05", 5, 1, "5 leads a day")
DOCUMENT: Mapping[str, Any] = {"clock": {"offset_us": 1, "frozen_at": None}, "dice": [1, 2, 3]}


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store.open(":memory:" if request.param == "memory" else tmp_path / "store.db") as opened:
        yield opened


def a_ping(name: str, tenant: str) -> PingRecord:
    return PingRecord(
        tenant=tenant,
        platform="pingtree",
        transaction_id=name,
        source_id="src_1",
        campaign_id="campaign_1",
        at=NOW,
        expires_at=NOW + timedelta(minutes=5),
        accepted=True,
        lead=Lead({"state": "ny"}, state="NY"),
        bids=(Bid("buyer_1", Decimal("45.50"), "bid_1"),),
    )


def a_lead(name: str, tenant: str) -> LeadRecord:
    return LeadRecord(
        tenant=tenant,
        id=name,
        platform="leaddistro",
        source_id="supplier_1",
        campaign_id="campaign_1",
        at=NOW,
        status="ACCEPTED",
        values={"first_name": "Ann"},
        phone="2125550123",
    )


def a_delivery(lead: str, tenant: str) -> DeliveryRecord:
    return DeliveryRecord(
        tenant=tenant,
        platform="leaddistro",
        lead_id=lead,
        buyer_id="buyer_1",
        event_id=f"evt_{lead}",
        url="http://127.0.0.1:9/hook",
        body=b"\x00\xff{}",
        created_at=NOW,
        due_at=NOW,
    )


def fill(store: Store, tenant: str, prefix: str = "lead") -> None:
    """Leave something in every table; the first delivery has an attempt more than the second."""
    with store.transaction() as tx:
        tx.add_ping(a_ping(f"txn_{prefix}", tenant))
        for n in (1, 2):
            name = f"{prefix}_{n}"
            tx.add_lead(a_lead(name, tenant))
            made = replace(a_delivery(name, tenant), id=added(tx, a_delivery(name, tenant)))
            for _ in range(3 - n):
                tx.record_attempt(made, AttemptRecord(NOW, 500, 1.5, name), DeliveryStatus.PENDING, NOW)
        tx.claim_persons(tenant, "campaign_1", [f"phone:{prefix}"], lead_id=f"{prefix}_1", at=NOW, cutoff=CUTOFF)
        tx.take(tenant, [DAILY])
        tx.next_turn(tenant, "campaign_1")
        tx.redeem(tenant, f"token_{prefix}", NOW)
        tx.claim_event(tenant, "pingtree", "txn_1", "evt_1", at=NOW, cutoff=NOW, repeats=False)
        tx.regenerate(tenant, "src_1", "post", NOW)


def take(store: Store, name: str = "before", tenant: str = "t1", document: Mapping[str, Any] = DOCUMENT) -> None:
    with store.transaction() as tx:
        tx.take_snapshot(tenant, name, document)


def restore(store: Store, name: str = "before", tenant: str = "t1") -> Snapshot | None:
    with store.transaction() as tx:
        return tx.restore_snapshot(tenant, name)


def memory(store: Store, tenant: str) -> dict[str, Any]:
    """Return all that the store knows of a tenant, without the numbers of its deliveries."""
    sent = [(replace(each, id=0), store.attempts(tenant, each.id)) for each in store.deliveries(tenant, limit=1000)]
    return {
        "leads": store.leads(tenant, limit=1000),
        "pings": store.pings(tenant),
        "caps": store.all_usage(tenant),
        "credentials": store.credentials(tenant),
        "deliveries": sent,
        "counts": store.row_counts(tenant),
    }


def rows_of_everybody(store: Store) -> dict[str, int]:
    def count(table: Table) -> int:
        with store.reading() as connection:
            return int(connection.value(Statement(select(func.count()).select_from(table))))

    return {name: count(table) for name, table in metadata.tables.items() if name != "meta"}


def test_a_snapshot_brings_back_every_table_as_it_was(store: Store) -> None:
    fill(store, "t1")
    before = memory(store, "t1")
    assert all(before["counts"].values()), "fill leaves something in every table"
    take(store)
    fill(store, "t1", "later")
    with store.transaction() as tx:
        tx.set_lead_status("t1", "lead_1", "REJECTED")
        assert tx.take("t1", [DAILY, DAILY]) is None
    assert memory(store, "t1") != before
    assert restore(store) == Snapshot("before", DOCUMENT)
    assert memory(store, "t1") == before


def test_a_snapshot_can_be_restored_many_times_and_into_emptiness(store: Store) -> None:
    fill(store, "t1")
    before = memory(store, "t1")
    take(store)
    for _ in range(2):
        with store.transaction() as tx:
            tx.reset("t1", set(Scope))
        assert store.count_leads("t1") == 0
        restore(store)
        assert memory(store, "t1") == before


def test_what_was_claimed_before_a_snapshot_stays_claimed_and_what_came_after_is_free_again(store: Store) -> None:
    fill(store, "t1")
    take(store)
    fill(store, "t1", "later")
    restore(store)
    with store.transaction() as tx:
        for name, expected in (("lead", "lead_1"), ("later", None)):
            found = tx.find_person("t1", "campaign_1", [f"phone:{name}"], CUTOFF)
            assert (found and found.lead_id) == expected
        assert not tx.redeem("t1", "token_lead", NOW)
        assert tx.redeem("t1", "token_later", NOW)
        assert tx.next_turn("t1", "campaign_1") == 1
        assert tx.regenerate("t1", "src_1", "post", NOW) == 2


def test_attempts_stay_with_their_deliveries_which_have_new_numbers(store: Store) -> None:
    fill(store, "t1")
    old = {each.id for each in store.deliveries("t1")}
    take(store)
    restore(store)
    first, second = store.deliveries("t1")
    assert [each.error for each in store.attempts("t1", first.id)] == ["lead_1", "lead_1"]
    assert [each.error for each in store.attempts("t1", second.id)] == ["lead_2"]
    assert (first.lead_id, first.attempts, second.lead_id, second.attempts) == ("lead_1", 2, "lead_2", 1)
    assert not old & {first.id, second.id}, "a late answer must not be booked on another delivery"


def test_the_copy_keeps_the_order_of_leads_and_deliveries(store: Store) -> None:
    fill(store, "t1")
    take(store)
    # Taking and restoring each copy once: only the copy itself shows an order that is turned around twice.
    copied = store.deliveries("snapshot/t1/before")
    assert [each.lead_id for each in copied] == ["lead_1", "lead_2"]
    assert [len(store.attempts("snapshot/t1/before", each.id)) for each in copied] == [2, 1]
    assert [each.id for each in store.leads("snapshot/t1/before")] == ["lead_2", "lead_1"]


def test_a_snapshot_meets_no_other_tenant(store: Store) -> None:
    for tenant in ("t1", "t2"):
        fill(store, tenant)
    before = memory(store, "t2")
    take(store, "a")
    take(store, "a", tenant="t2", document={"of": "t2"})
    fill(store, "t1", "later")
    restore(store, "a")
    assert memory(store, "t2") == before
    assert store.snapshots("t2") == [Snapshot("a", {"of": "t2"})]
    assert restore(store, "a", "t3") is None


def test_what_waits_in_a_snapshot_is_delivered_by_nobody(store: Store) -> None:
    fill(store, "t1")
    take(store)
    assert store.look(outbox.tenants_with_deliveries) == ["t1"]
    with store.transaction() as tx:
        tx.reset("t1", {Scope.DELIVERIES})
    assert store.look(outbox.tenants_with_deliveries) == []


def test_a_snapshot_of_the_same_name_takes_the_place_of_the_older(store: Store) -> None:
    fill(store, "t1")
    take(store)
    fill(store, "t1", "later")
    before = memory(store, "t1")
    rows = rows_of_everybody(store)
    take(store, document={"newer": True})
    assert rows_of_everybody(store)["leads"] == rows["leads"] + 2
    with store.transaction() as tx:
        tx.reset("t1", set(Scope))
    assert restore(store) == Snapshot("before", {"newer": True})
    assert memory(store, "t1") == before


def test_a_snapshot_that_is_not_there_restores_nothing(store: Store) -> None:
    fill(store, "t1")
    before = memory(store, "t1")
    assert restore(store, "never") is None
    assert memory(store, "t1") == before
    with store.transaction() as tx:
        assert not tx.delete_snapshot("t1", "never")


def test_a_deleted_snapshot_leaves_nothing_behind(store: Store) -> None:
    fill(store, "t1")
    rows = rows_of_everybody(store)
    take(store, "a")
    take(store, "b")
    with store.transaction() as tx:
        assert tx.delete_snapshot("t1", "a")
    assert [each.name for each in store.snapshots("t1")] == ["b"]
    with store.transaction() as tx:
        assert tx.delete_snapshot("t1", "b")
    assert rows_of_everybody(store) == rows


def test_names_with_slashes_and_wildcards_are_names_like_any_other(store: Store) -> None:
    fill(store, "t1")
    for name in ("a", "a/b", "%", "a' --"):
        take(store, name, document={"name": name})
    assert [each.name for each in store.snapshots("t1")] == sorted(["a", "a/b", "%", "a' --"])
    with store.transaction() as tx:
        tx.delete_snapshot("t1", "%")
    assert restore(store, "a/b") == Snapshot("a/b", {"name": "a/b"})


def test_the_21st_snapshot_is_refused_and_a_second_of_one_name_is_not(store: Store) -> None:
    for n in range(20):
        take(store, f"n{n}")
    with pytest.raises(TooManySnapshotsError, match="at most 20 snapshots"):
        take(store, "one more")
    take(store, "n0", document={"again": True})
    take(store, "one more", tenant="t2")
    assert len(store.snapshots("t1")) == 20


@pytest.mark.parametrize("name", ["", "x" * 101])
def test_a_snapshot_without_a_name_or_with_an_endless_one_is_refused(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="1 to 100 characters"):
        take(store, name)


def test_a_sale_in_flight_is_given_back_in_the_snapshot_and_goes_on_outside(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_ping(a_ping("txn", "t1"))
        tx.claim_ping(a_ping("txn", "t1"), NOW)
        tx.claim_persons("t1", "campaign_1", ["phone:1"], lead_id="lead_1", at=NOW, cutoff=CUTOFF)
        tx.take("t1", [DAILY])
        tx.hold(a_ping("txn", "t1"), [DAILY], "lead_1")
    take(store)
    used = {(DAILY.scope, DAILY.period): 1}
    assert store.all_usage("t1") == used
    with store.transaction() as tx:
        assert tx.settle_ping(a_ping("txn", "t1"), {"sold": True})
    restore(store)
    assert set(store.all_usage("t1").values()) == {0}
    assert store.find_person("t1", "campaign_1", ["phone:1"], CUTOFF) is None
    ping = store.ping("t1", "pingtree", "txn")
    assert ping is not None
    assert ping.answer == {"abandoned": True}


def test_clock_and_dice_go_on_from_a_snapshots_document(store: Store) -> None:
    clock, dice = Clock(frozen_at=NOW), Dice(7)
    dice.roll()
    take(store, document={"clock": clock.state(), "dice": dice.state()})
    expected = [dice.roll() for _ in range(5)]
    clock.advance(timedelta(days=9))
    found = restore(store)
    assert found is not None
    clock.restore(found.document["clock"])
    dice.restore(found.document["dice"])
    assert clock.now() == NOW
    assert [dice.roll() for _ in range(5)] == expected


def test_snapshots_survive_a_restart(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.db") as store:
        fill(store, "t1")
        before = memory(store, "t1")
        take(store)
        with store.transaction() as tx:
            tx.reset("t1", set(Scope))
    with Store.open(tmp_path / "store.db") as store:
        restore(store)
        assert memory(store, "t1") == before


# Saved tenants


def test_a_saved_tenant_is_found_again_with_its_newest_document(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.db") as store, store.transaction() as tx:
        tx.save_tenant("t2", {"n": 1})
        tx.save_tenant("t1", {"since": NOW.isoformat(), "deep": {"a": [1, None]}})
        tx.save_tenant("t2", {"n": 2})
    with Store.open(tmp_path / "store.db") as store:
        assert store.saved_tenants() == [
            ("t1", {"since": NOW.isoformat(), "deep": {"a": [1, None]}}),
            ("t2", {"n": 2}),
        ]


@pytest.mark.parametrize("name", ["", "a/b", "snapshot/t1/before"])
def test_a_tenant_cannot_have_the_name_of_a_snapshots_rows(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="no slash"), store.transaction() as tx:
        tx.save_tenant(name, {})


def test_a_forgotten_tenant_leaves_nothing_behind(store: Store) -> None:
    fill(store, "t2")
    take(store, tenant="t2")
    with store.transaction() as tx:
        tx.save_tenant("t2", {"n": 2})
    others = rows_of_everybody(store)
    fill(store, "t1")
    take(store, "a")
    take(store, "b")
    with store.transaction() as tx:
        tx.save_tenant("t1", {"n": 1})
    with store.transaction() as tx:
        gone = tx.forget_tenant("t1")
    assert rows_of_everybody(store) == others
    assert (gone["leads"], gone["attempts"], gone["snapshots"], gone["tenants"]) == (2, 3, 2, 1)
    assert [name for name, _ in store.saved_tenants()] == ["t2"]
    assert len(store.snapshots("t2")) == 1


# PostgreSQL: that the same statements can be worded for it, not that they run there.


def test_every_statement_can_be_worded_for_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    known = [*vars(snapshots).values(), *snapshots._COPY, *snapshots._EMPTY]
    statements = [each for each in known if isinstance(each, Statement)]
    assert len(statements) == 7 + 9 + 10
    for statement in statements:
        assert "%(tenant)s" in statement.compiled(dialect).sql
