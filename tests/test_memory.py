"""What a mock buyer remembers: enough, not everything, and in no more room than before."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from itertools import count

import pytest

from mock_buyers.answers import Answer
from mock_buyers.buyer import REMEMBERED, Call, MockBuyer
from mock_buyers.memory import Memory
from mock_buyers.personas import Persona
from simulator.platforms.leaddistro.signing import EVENT_ID_HEADER

NOW = datetime(2025, 6, 2, tzinfo=UTC)
MUCH_LATER = REMEMBERED + 5_000  # ids


@pytest.fixture
def buyer() -> MockBuyer:
    return MockBuyer("b", {}, Persona())


def ping(buyer: MockBuyer) -> str:
    answer = buyer.answer(Call("ping", {"state": "CA"}, b"{}", {}, NOW))
    return str(json.loads(answer.body)["ping_id"])


def post(buyer: MockBuyer, ping_id: str) -> Answer:
    return buyer.answer(Call("post", {"ping_id": ping_id}, b"{}", {}, NOW))


def webhook(buyer: MockBuyer, event: str) -> Answer:
    return buyer.answer(Call("webhook", {}, b"{}", {EVENT_ID_HEADER: event}, NOW))


def test_a_buyer_keeps_its_last_30000_promises_and_forgets_older_ones(buyer: MockBuyer) -> None:
    kept, other = ping(buyer), ping(buyer)
    for _ in range(REMEMBERED - 2):
        ping(buyer)
    assert post(buyer, kept).outcome == "accepted"
    assert post(buyer, kept).why == "ping_id was posted before"
    for _ in range(MUCH_LATER - REMEMBERED):
        ping(buyer)
    assert post(buyer, other).why == "unknown ping_id"


def test_a_buyer_knows_its_last_30000_webhooks_again_and_not_older_ones(buyer: MockBuyer) -> None:
    for number in range(REMEMBERED):
        assert not webhook(buyer, f"evt_{number}").duplicate
    assert webhook(buyer, "evt_0").duplicate
    for number in range(REMEMBERED, MUCH_LATER):
        webhook(buyer, f"evt_{number}")
    assert not webhook(buyer, "evt_0").duplicate


def test_what_a_reset_forgets_is_new_again(buyer: MockBuyer) -> None:
    webhook(buyer, "evt")
    ping_id = ping(buyer)
    buyer.reset()
    assert not webhook(buyer, "evt").duplicate
    assert post(buyer, ping_id).why == "unknown ping_id"


def test_a_value_is_changed_only_where_there_is_one() -> None:
    memory = Memory[int](10)
    memory.add("a", 1)
    memory["a"] = 2
    assert memory["a"] == 2
    with pytest.raises(KeyError):
        memory["b"] = 1
    assert len(memory) == 1


def test_a_full_memory_takes_no_more_room_however_many_ids_come_and_go() -> None:
    memory, numbers = Memory[None](REMEMBERED), count()
    tracemalloc.start()
    try:
        rooms = []
        for _ in range(6):
            tracemalloc.reset_peak()
            for _ in range(REMEMBERED):
                memory.add(f"{next(numbers):032d}", None)
            rooms.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert max(rooms[2:]) < rooms[1] * 1.02
    assert len(memory) < MUCH_LATER
