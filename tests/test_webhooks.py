"""The courier and the moving of clocks: retries, order, signatures, receivers that are down or never answer."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from simulator import pacing, timekeeping, webhooks
from simulator.attempts import PAUSES, pause_after
from simulator.buyers import BuyerCalls
from simulator.clock import Clock
from simulator.configuration.loading import read
from simulator.configuration.model import Sandbox, findings
from simulator.dice import Dice
from simulator.platforms import CONTRACTS
from simulator.store import DeliveryRecord, DeliveryStatus, Store, outbox
from simulator.tenants import Tenant, Tenants
from simulator.timekeeping import Bounds, TooMuchDueError, advance, advance_to
from simulator.webhooks import Courier
from tests.outboxes import added
from tests.receivers import Receiver, listening

Loop = asyncio.AbstractEventLoop | None
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECRET = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
SETTLED = 0.2  # seconds in which what should not happen would have happened
FAREWELL = 1.0  # seconds that a test which is over gives what is on its way
PATIENCE = 60.0  # seconds after which a test gives up; never a measure of anything
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
DELIVERED, PENDING, GIVEN_UP = DeliveryStatus.DELIVERED, DeliveryStatus.PENDING, DeliveryStatus.GIVEN_UP
DOCS = Path(__file__).parent.parent / "docs" / "webhooks.md"


@dataclass
class World:
    """A tenant with two buyers, `first` and `second`, its outbox, and a courier that was not started."""

    store: Store
    tenants: Tenants
    tenant: Tenant
    courier: Courier
    events: list[dict[str, Any]]

    def deliver(self, lead: str = "lead_1", buyer: str = "first", due: timedelta = timedelta(0), url: str = "") -> int:
        """Put a webhook into the outbox; return its number."""
        with self.store.transaction() as tx:
            number = added(
                tx,
                DeliveryRecord(
                    tenant=self.tenant.id,
                    platform="leaddistro",
                    lead_id=lead,
                    buyer_id=buyer,
                    event_id=f"evt_{lead}",
                    url=url or "http://127.0.0.1:9/nobody",
                    body=json.dumps({"id": lead, "name": "Zoë", "spaced":  [1,  2]}).encode(),
                    created_at=NOON,
                    due_at=NOON + due,
                )
            )  # fmt: skip
        self.courier.announce()
        return number

    def delivery(self, number: int) -> DeliveryRecord:
        found = self.store.delivery(self.tenant.id, number)
        assert found is not None
        return found

    def attempted_at(self, number: int) -> list[datetime]:
        return [each.at for each in self.store.attempts(self.tenant.id, number)]

    def to(self, at: datetime) -> timekeeping.Fired:
        return advance_to(self.tenant, at, self.courier, self.store)


@contextlib.contextmanager
def world(
    *urls: str,
    readings: Mapping[str, str] | None = None,
    timeout: float = PATIENCE,
    loop: Loop = None,
) -> Iterator[World]:
    buyers = [
        {"id": name, "webhook": {"url": url, "secret": SECRET}}
        for name, url in zip(("first", "second"), urls, strict=False)
    ]
    document = {
        "leaddistro": {
            "readings": dict(readings or {}),
            "campaigns": [{"id": "campaign_1", "buyers": buyers}],
            "suppliers": [{"id": "supplier_1", "api_key": "key_1", "campaigns": ["campaign_1"]}],
        }
    }
    sandbox = read(json.dumps(document), name="test", model=Sandbox, checks=findings)
    with Store.open(":memory:") as store:

        def generations(tenant: str) -> dict[tuple[str, str], tuple[int, datetime]]:
            return {(each.owner, each.kind): (each.generation, each.issued_at) for each in store.credentials(tenant)}

        tenants = Tenants("", generations)
        tenant = Tenant("default", sandbox, NOON, Clock(frozen_at=NOON), Dice(1), lambda name: name)
        tenants.add(tenant)
        events: list[dict[str, Any]] = []
        courier = Courier(tenants, store, BuyerCalls(), CONTRACTS, events.append, timeout, loop)
        try:
            yield World(store, tenants, tenant, courier, events)
        finally:
            courier.stop(FAREWELL)


@pytest.fixture(params=["on threads", "in turns"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    """Where a courier that is started works: on threads of its own, or on this loop."""
    if request.param == "on threads":
        yield None
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening(Receiver()) as found:
        yield found


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"in vain waited until {what}"
        time.sleep(0.005)


# The curve


def test_the_pauses_double_from_30_seconds_up_to_6_hours_and_fill_three_days() -> None:
    doubling = [30 * SECOND * 2**n for n in range(10)]
    assert list(PAUSES[:10]) == doubling
    assert set(PAUSES[10:-1]) == {6 * HOUR}
    assert timedelta(0) < PAUSES[-1] <= 6 * HOUR
    assert sum(PAUSES, timedelta(0)) == 3 * DAY
    assert pause_after(len(PAUSES)) == PAUSES[-1]
    assert pause_after(len(PAUSES) + 1) is None


def test_the_documented_curve_is_the_one_in_force() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d\d?):(\d\d):(\d\d) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    documented = [(int(n), timedelta(hours=int(h), minutes=int(m), seconds=int(s))) for n, h, m, s in rows]
    starts = accumulate((timedelta(0), *PAUSES))
    assert documented == list(enumerate(starts, 1))


def test_a_receiver_that_fails_for_a_simulated_day_gets_everything_once_when_it_is_back(receiver: Receiver) -> None:
    with world(receiver.url) as here:
        receiver.answer = lambda _headers, _raw: 503 if here.tenant.clock.now() < NOON + DAY else 200
        numbers = [here.deliver(f"lead_{n}") for n in range(5)]
        fired = here.to(NOON + 2 * DAY)
        curve = [NOON + pause for pause in accumulate((timedelta(0), *PAUSES))]
        until_it_arrives = [at for at in curve if at < NOON + DAY]
        until_it_arrives.append(curve[len(until_it_arrives)])
        for number in numbers:
            assert here.attempted_at(number) == until_it_arrives
            delivery = here.delivery(number)
            assert (delivery.status, delivery.delivered_at) == (DELIVERED, until_it_arrives[-1])
        assert Counter(each.event_id for each in receiver.seen if each.answered == 200) == Counter(
            f"evt_lead_{n}" for n in range(5)
        )
        assert fired == timekeeping.Fired(NOON + 2 * DAY, 5 * len(until_it_arrives), delivered=5)
        assert here.to(NOON + 9 * DAY).attempts == 0


def test_each_attempt_keeps_status_latency_and_error(receiver: Receiver) -> None:
    answers = iter([500, 204])
    receiver.answer = lambda _headers, _raw: next(answers)
    with world(receiver.url) as here:
        number = here.deliver()
        here.to(NOON + HOUR)
        tries = here.store.attempts("default", number)
        assert [(each.n, each.http_status, each.error) for each in tries] == [(1, 500, ""), (2, 204, "")]
        assert all(each.latency_ms > 0 for each in tries)


def test_a_receiver_that_is_not_there_is_an_attempt_without_a_status() -> None:
    with listening(Receiver()) as gone:
        url = gone.url
    with world(url) as here:
        number = here.deliver()
        here.to(NOON + SECOND)
        [attempt] = here.store.attempts("default", number)
        assert attempt.http_status is None
        assert attempt.error.startswith("unreachable: ")
        assert here.delivery(number).due_at == NOON + PAUSES[0]


def test_after_three_days_a_delivery_is_given_up_and_a_replay_starts_the_curve_anew(receiver: Receiver) -> None:
    receiver.answer = lambda _headers, _raw: 500
    with world(receiver.url) as here:
        number = here.deliver()
        fired = here.to(NOON + 30 * DAY)
        assert (fired.attempts, fired.delivered, fired.given_up) == (len(PAUSES) + 1, 0, 1)
        assert here.delivery(number).status is GIVEN_UP
        assert here.attempted_at(number)[-1] == NOON + 3 * DAY
        assert here.courier.replay(here.tenant, number)
        here.to(NOON + 31 * DAY)
        again = here.attempted_at(number)[len(PAUSES) + 1 :]
        assert again[:3] == [NOON + 30 * DAY + pause for pause in (timedelta(0), 30 * SECOND, 90 * SECOND)]
        assert here.delivery(number).status is PENDING


def test_a_replay_sends_the_same_bytes_with_the_same_event_id_again(receiver: Receiver) -> None:
    with world(receiver.url) as here:
        number = here.deliver()
        here.to(NOON + SECOND)
        assert here.courier.replay(here.tenant, number)
        assert not here.courier.replay(here.tenant, number + 1)
        here.to(NOON + 2 * SECOND)
        first, second = receiver.seen
        assert (first.event_id, first.raw) == (second.event_id, second.raw)
        assert [each.n for each in here.store.attempts("default", number)] == [1, 1]


# Order


def test_a_younger_delivery_of_a_lead_waits_for_the_older_and_other_leads_do_not(receiver: Receiver) -> None:
    with world(receiver.url) as here:
        older = here.deliver("lead_1")
        younger = here.deliver("lead_1", due=SECOND)
        other = here.deliver("lead_2", due=SECOND)
        # The body names the lead; the first hour of lead_1 fails.
        receiver.answer = lambda _headers, raw: (
            500 if b"lead_1" in raw and here.tenant.clock.now() < NOON + HOUR else 200
        )
        here.to(NOON + DAY)
        assert here.attempted_at(other) == [NOON + SECOND]
        assert here.attempted_at(younger) == [here.attempted_at(older)[-1]]
        numbers = [each["delivery_id"] for each in here.events if each["status"] == "delivered"]
        assert numbers == [other, older, younger]


def test_what_falls_due_on_the_way_happens_in_order_and_at_its_time(receiver: Receiver) -> None:
    with world(receiver.url) as here:
        dues = {f"lead_{n}": timedelta(seconds=n * 37 % 101) for n in range(40)}
        for lead, due in dues.items():
            here.deliver(lead, due=due)
        assert here.to(NOON + 50 * SECOND).delivered == sum(due <= 50 * SECOND for due in dues.values())
        here.to(NOON + HOUR)
        assert [each.at for each in receiver.seen] == sorted(NOON + due for due in dues.values())
        assert all(each.at == NOON + dues[each.event_id.removeprefix("evt_")] for each in receiver.seen)


# Signatures


def by_the_recipe(headers: Mapping[str, str], raw: bytes) -> int:
    """Verify as the vendor's page shows (/docs/api-webhook-signing): HMAC-SHA256 of the raw body, hex."""
    expected = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    return 200 if hmac.compare_digest(expected, headers["x-leaddistro-signature"]) else 401


def test_a_receiver_written_from_the_vendors_recipe_accepts_every_attempt(receiver: Receiver) -> None:
    verdicts: list[int] = []

    def verify(headers: Mapping[str, str], raw: bytes) -> int:
        verdicts.append(by_the_recipe(headers, raw))
        return 200 if len(verdicts) > 6 else 503

    receiver.answer = verify
    with world(receiver.url) as here:
        for n in range(3):
            here.deliver(f"lead_{n}")
        here.to(NOON + HOUR)
        assert verdicts == [200] * len(verdicts)
        assert len(verdicts) == 9
        assert all("x-leaddistro-timestamp" not in each.headers for each in receiver.seen)


def test_under_the_timestamped_reading_each_attempt_is_signed_at_its_own_time(receiver: Receiver) -> None:
    def verify(headers: Mapping[str, str], raw: bytes) -> int:
        stamp = headers["x-leaddistro-timestamp"]
        expected = hmac.new(SECRET.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(expected, headers["x-leaddistro-signature"])
        return 200 if len(receiver.seen) == 5 else 503

    receiver.answer = verify
    with world(receiver.url, readings={"webhook_signature": "timestamped"}) as here:
        number = here.deliver()
        here.to(NOON + DAY)
        stamps = [int(each.headers["x-leaddistro-timestamp"]) for each in receiver.seen]
        assert stamps == [int(at.timestamp()) for at in here.attempted_at(number)]
        assert len(set(stamps)) == 6


def test_a_rotated_secret_signs_what_is_sent_from_then_on(receiver: Receiver) -> None:
    with world(receiver.url, receiver.url) as here:
        here.deliver("lead_1")
        here.deliver("lead_2", due=HOUR)
        here.deliver("lead_3", buyer="second", due=HOUR)
        here.to(NOON + SECOND)
        with here.store.transaction() as tx:
            tx.regenerate("default", "first", "webhook_secret", NOON)
        here.tenants.add(here.tenant)
        here.to(NOON + DAY)
        webhook = here.tenant.accounts["leaddistro"].buyers["first"].webhook
        assert webhook is not None
        assert re.fullmatch("[0-9a-f]{64}", webhook.secret)
        assert webhook.secret != SECRET
        before, *after = receiver.seen
        assert by_the_recipe(before.headers, before.raw) == 200
        by_event = {each.event_id: each for each in after}
        rotated = by_event["evt_lead_2"]
        assert by_the_recipe(rotated.headers, rotated.raw) == 401
        expected = hmac.new(webhook.secret.encode(), rotated.raw, hashlib.sha256).hexdigest()
        assert rotated.headers["x-leaddistro-signature"] == expected
        other = by_event["evt_lead_3"]
        assert by_the_recipe(other.headers, other.raw) == 200, "another buyer keeps its secret"


def test_every_rotation_makes_another_secret() -> None:
    with world("http://127.0.0.1:9/") as here:
        secrets = []
        for _ in range(3):
            with here.store.transaction() as tx:
                tx.regenerate("default", "first", "webhook_secret", NOON)
            here.tenants.add(here.tenant)
            webhook = here.tenant.accounts["leaddistro"].buyers["first"].webhook
            assert webhook is not None
            secrets.append(webhook.secret)
        assert len({SECRET, *secrets}) == 4


# The background thread


def test_the_background_delivers_what_is_announced_and_tells_of_it(receiver: Receiver, loop: Loop) -> None:
    with world(receiver.url, loop=loop) as here:
        here.courier.start()
        number = here.deliver()
        eventually(lambda: here.events, "the attempt was told")
        [event] = here.events
        assert event.pop("latency_ms") > 0
        assert event == {
            "tenant": "default",
            "platform": "leaddistro",
            "delivery_id": number,
            "event_id": "evt_lead_1",
            "lead_id": "lead_1",
            "buyer_id": "first",
            "attempt": 1,
            "at": NOON.isoformat(),
            "http_status": 200,
            "error": "",
            "status": "delivered",
            "retry_at": None,
        }


@contextlib.contextmanager
def hanging() -> Iterator[tuple[Receiver, threading.Event]]:
    """Yield a receiver that answers nothing until the event is set."""
    released = threading.Event()

    def wait(_headers: Mapping[str, str], _raw: bytes) -> int:
        released.wait(PATIENCE)
        return 200

    with listening(Receiver(wait)) as receiver:
        try:
            yield receiver, released
        finally:
            released.set()


def test_a_receiver_that_hangs_holds_up_nobody_else(receiver: Receiver, loop: Loop) -> None:
    with hanging() as (stuck, released), world(stuck.url, receiver.url, loop=loop) as here:
        # More than a batch, and all due before the others.
        slow = [here.deliver(f"slow_{n}", "first", timedelta(days=-1)) for n in range(50)]
        quick = [here.deliver(f"quick_{n}", "second") for n in range(100)]
        here.courier.start()
        eventually(lambda: len(receiver.seen) == 100, "the other receiver has everything")
        eventually(lambda: len(here.events) == 100, "that was recorded")
        assert {here.delivery(number).status for number in quick} == {DELIVERED}
        assert {here.delivery(number).attempts for number in slow} == {0}, "nothing of it has come back"
        late = here.deliver("late", "second")
        eventually(lambda: here.delivery(late).status is DELIVERED, "a later one passes too")
        released.set()
        eventually(lambda: len(stuck.seen) == 50, "the one that hung has everything as well")
        eventually(lambda: {here.delivery(number).status for number in slow} == {DELIVERED}, "that was recorded")
        assert Counter(stuck.events()) == Counter(f"evt_slow_{n}" for n in range(50))


def test_a_receiver_that_never_answers_costs_its_timeout_and_an_attempt() -> None:
    with hanging() as (stuck, _), world(stuck.url, timeout=0.05) as here:
        number = here.deliver()
        here.to(NOON + SECOND)
        [attempt] = here.store.attempts("default", number)
        assert attempt.error.startswith("timeout: ")


def test_stopping_does_not_wait_for_a_receiver_that_hangs_and_loses_nothing(loop: Loop) -> None:
    with hanging() as (stuck, released), world(stuck.url, loop=loop) as here:
        number = here.deliver()
        arrived = threading.Event()
        answer = stuck.answer

        def tell(headers: Mapping[str, str], raw: bytes) -> int:
            arrived.set()
            return answer(headers, raw)

        stuck.answer = tell
        here.courier.start()
        assert arrived.wait(PATIENCE)
        here.courier.stop(patience=0)
        assert not released.is_set()
        assert (here.delivery(number).status, here.attempted_at(number)) == (PENDING, [])


def test_stopping_lets_what_is_on_its_way_arrive(loop: Loop) -> None:
    with hanging() as (stuck, released), world(stuck.url, loop=loop) as here:
        number = here.deliver()
        answer = stuck.answer

        def release_soon(headers: Mapping[str, str], raw: bytes) -> int:
            threading.Timer(0.05, released.set).start()
            return answer(headers, raw)

        stuck.answer = release_soon
        here.courier.start()
        eventually(lambda: here.courier._lanes.count or here.events, "it is on its way")
        here.courier.stop(patience=PATIENCE)
        assert here.delivery(number).status is DELIVERED


def test_stopping_sends_what_is_due_first(receiver: Receiver, loop: Loop) -> None:
    with world(receiver.url, loop=loop) as here:
        numbers = [here.deliver(f"lead_{n}") for n in range(100)]  # several batches
        here.courier.start()
        here.courier.stop(patience=2 * PATIENCE)
        assert {here.delivery(number).status for number in numbers} == {DELIVERED}


def test_webhooks_give_way_to_calls_that_are_worked_at_and_not_to_calls_that_wait_for_a_buyer(
    receiver: Receiver, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IN_TURNS", "ON_THREADS"):
        monkeypatch.setattr(webhooks, name, 10**9)
    monkeypatch.setattr(pacing, "LONGEST", 10 * PATIENCE)
    with world(receiver.url, loop=loop) as here:
        presence = here.tenant.presence
        presence.enter()
        here.deliver("first")
        here.courier.start()
        eventually(lambda: here.events, "nothing was owed for the first one")
        time.sleep(SETTLED)
        here.deliver("second")
        time.sleep(SETTLED)
        assert len(receiver.seen) == 1, "it rests for the first one"
        with presence.elsewhere():
            eventually(lambda: len(receiver.seen) == 2, "the second is sent while the call waits")
        presence.leave()


def test_while_somebody_is_the_sole_sender_the_background_begins_nothing(receiver: Receiver, loop: Loop) -> None:
    with world(receiver.url, loop=loop) as here:
        here.courier.start()
        with here.courier.sole_sender("default"), here.courier.sole_sender("default"):
            number = here.deliver()
            assert not here.courier._lanes.begin("default", ("leaddistro", "first"))
            assert here.courier._lanes.begin("other", ("leaddistro", "first")), "another tenant is not held up"
            here.courier._lanes.end("other", ("leaddistro", "first"))
            assert here.delivery(number).attempts == 0
        eventually(lambda: here.delivery(number).status is DELIVERED, "the background delivers afterwards")


def test_many_who_advance_at_once_beside_the_background_deliver_each_event_once(receiver: Receiver, loop: Loop) -> None:
    with world(receiver.url, loop=loop) as here:
        for n in range(60):
            here.deliver(f"lead_{n}", due=timedelta(minutes=n))
        here.courier.start()
        fired: list[timekeeping.Fired] = []

        def move() -> None:
            for _ in range(5):
                fired.append(advance(here.tenant, timedelta(minutes=2), here.courier, here.store))
                here.courier.announce()

        threads = [threading.Thread(target=move) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert here.tenant.clock.now() == NOON + timedelta(hours=1)
        eventually(lambda: len(here.events) == 60, "all are recorded")
        assert sorted(receiver.events()) == sorted(f"evt_lead_{n}" for n in range(60))


# Moving a clock


def test_a_running_clock_delivers_at_the_due_times_and_runs_on(receiver: Receiver) -> None:
    receiver.answer = lambda _headers, _raw: 500 if len(receiver.seen) < 3 else 200
    with world(receiver.url) as here:
        here.tenant.clock.unfreeze()
        number = here.deliver(due=HOUR)
        fired = here.to(NOON + DAY)
        expected = [NOON + HOUR + pause * SECOND for pause in (0, 30, 90, 210)]
        assert here.attempted_at(number) == expected
        assert fired == timekeeping.Fired(NOON + DAY, 4, 1)
        assert not here.tenant.clock.is_frozen
        assert here.tenant.clock.now() >= NOON + DAY


def test_going_back_delivers_nothing(receiver: Receiver) -> None:
    with world(receiver.url) as here:
        number = here.deliver(due=HOUR)
        assert here.to(NOON - DAY) == timekeeping.Fired(NOON - DAY)
        assert here.tenant.clock.now() == NOON - DAY
        assert advance(here.tenant, -HOUR, here.courier, here.store).attempts == 0
        assert here.to(NOON).attempts == 0
        assert here.attempted_at(number) == []


def test_freezing_at_a_later_moment_delivers_what_is_due_until_then(receiver: Receiver) -> None:
    with world(receiver.url) as here:
        here.tenant.clock.unfreeze()
        early, late = here.deliver("lead_1", due=HOUR), here.deliver("lead_2", due=DAY)
        fired = timekeeping.freeze(here.tenant, NOON + 2 * HOUR, here.courier, here.store)
        assert (fired.now, fired.delivered) == (NOON + 2 * HOUR, 1)
        assert here.tenant.clock.now() == here.tenant.clock.now() == NOON + 2 * HOUR
        assert [here.delivery(number).status for number in (early, late)] == [DELIVERED, PENDING]
        assert timekeeping.unfreeze(here.tenant, here.courier).now >= NOON + 2 * HOUR
        assert not here.tenant.clock.is_frozen


def test_freezing_without_a_moment_stops_the_clock_where_it_is() -> None:
    with world() as here:
        here.tenant.clock.unfreeze()
        at = timekeeping.freeze(here.tenant, None, here.courier, here.store).now
        assert here.tenant.clock.now() == at


def test_a_reset_clock_runs_with_the_machine_and_delivers_what_is_overdue(receiver: Receiver, loop: Loop) -> None:
    with world(receiver.url, loop=loop) as here:
        here.tenant.clock.freeze(NOON - DAY)
        number = here.deliver()
        here.courier.start()
        before = datetime.now(UTC)
        assert before <= timekeeping.reset(here.tenant, here.courier).now <= datetime.now(UTC)
        eventually(lambda: here.delivery(number).status is DELIVERED, "it is delivered")


def test_a_journey_that_has_too_much_to_deliver_stops_where_it_got_to_and_can_go_on(receiver: Receiver) -> None:
    with world(receiver.url) as here:
        for n in range(8):
            here.deliver(f"lead_{n}", due=timedelta(minutes=n))
        with pytest.raises(TooMuchDueError, match=r"got to .* on its way to .*: 5 webhook attempts") as caught:
            advance_to(here.tenant, NOON + DAY, here.courier, here.store, Bounds(attempts=5))
        assert caught.value.fired == timekeeping.Fired(NOON + timedelta(minutes=4), 5, 5)
        assert here.tenant.clock.now() == NOON + timedelta(minutes=4)
        with pytest.raises(TooMuchDueError):
            advance_to(here.tenant, NOON + DAY, here.courier, here.store, Bounds(seconds=-1))
        assert here.to(NOON + DAY) == timekeeping.Fired(NOON + DAY, 3, 3)


@pytest.mark.parametrize("target", [datetime(9001, 1, 1, tzinfo=UTC), datetime(1960, 1, 1, tzinfo=UTC)])
def test_a_target_out_of_bounds_is_refused_before_anything_is_delivered(target: datetime, receiver: Receiver) -> None:
    with world(receiver.url) as here:
        here.deliver(due=HOUR)
        with pytest.raises(ValueError):
            here.to(target)
        with pytest.raises(ValueError):
            advance(here.tenant, timedelta.max, here.courier, here.store)
        with pytest.raises(ValueError):
            here.to(NOON.replace(tzinfo=None))
        assert here.tenant.clock.now() == NOON
        assert receiver.seen == []


# The store's side of it


def test_receivers_are_listed_once_each_whether_or_not_anything_is_due() -> None:
    with world() as here:
        for lead, buyer in (("a", "second"), ("b", "first"), ("c", "first"), ("d", "third")):
            here.deliver(lead, buyer, DAY)
        assert here.store.look(outbox.receivers, "default") == [
            ("leaddistro", "first"),
            ("leaddistro", "second"),
            ("leaddistro", "third"),
        ]
        with here.store.transaction() as tx:
            tx.add_delivery(replace(here.delivery(1), platform="another", buyer_id="zeta"))
        assert here.store.look(outbox.receivers, "default")[:2] == [("another", "zeta"), ("leaddistro", "first")]
        assert here.store.look(outbox.receivers, "other") == []
        assert (
            here.store.look(outbox.due_deliveries, "default", NOON + DAY, receiver=("leaddistro", "third"))[0].lead_id
            == "d"
        )
        assert here.store.look(outbox.due_deliveries, "default", NOON, receiver=("leaddistro", "third")) == []
