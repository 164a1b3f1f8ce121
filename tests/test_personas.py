"""Personas, prices, latencies and hours as values: no program is started here."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mock_buyers.answers import Answer
from mock_buyers.buyer import Call, MockBuyer
from mock_buyers.journal import Entry, Journal
from mock_buyers.latency import LONGEST_MS, Latency, seconds
from mock_buyers.personas import BUILT_IN, Hours, Persona, PersonaError, fields_table, load, personas_table
from mock_buyers.pricing import Price, quote
from mock_buyers.registry import Address, Registry
from mock_buyers.spending import is_open

ZONE = "America/New_York"
MONDAY = datetime(2025, 6, 2, tzinfo=ZoneInfo(ZONE))
PRICE: TypeAdapter[Any] = TypeAdapter(Price)
LATENCY: TypeAdapter[Any] = TypeAdapter(Latency)
ASKED = {
    "eager", "picky", "cheap", "premium", "flaky", "slow", "silent", "garbled", "two_faced", "capped", "sleepy",
}  # fmt: skip


def ping(buyer: MockBuyer) -> Any:
    return buyer.answer(Call("ping", {"state": "CA"}, b"{}", {}, MONDAY))


def test_the_built_in_personas_are_those_that_were_asked_for() -> None:
    assert set(load(BUILT_IN)) == ASKED


def test_every_persona_says_who_it_is_and_every_field_what_it_means() -> None:
    assert all(document["description"] for document in load(BUILT_IN).values())
    assert all(field.description for field in Persona.model_fields.values())


def test_the_tables_have_a_row_for_each_persona_and_each_field() -> None:
    assert all(f"| `{name}` |" in personas_table() for name in ASKED)
    assert all(f"| `{name}` |" in fields_table() for name in Persona.model_fields)
    rows = (personas_table() + fields_table()).splitlines()
    assert {row.replace("\\|", "").count("|") for row in rows} == {4}


@pytest.mark.parametrize(
    ("loan", "dollars"), [(-5, "10"), (0, "10"), ("50", "20"), (100, "30"), (150, "35"), (999, "40")]
)
def test_a_curve_is_straight_between_its_points_and_level_beyond(loan: Any, dollars: str) -> None:
    price = PRICE.validate_python({"kind": "curve", "field": "loan", "points": [[0, 10], [100, 30], [200, 40]]})
    assert quote(price, {"loan": loan}, Random(1)) == Decimal(dollars)


@pytest.mark.parametrize("loan", [None, True, "much", "NaN", [1], "9" * 60])
def test_without_its_number_a_curve_has_its_default_or_no_price(loan: Any) -> None:
    curve = {"kind": "curve", "field": "loan", "points": [[0, 10]]}
    assert quote(PRICE.validate_python(curve), {"loan": loan}, Random(1)) is None
    assert quote(PRICE.validate_python({**curve, "default": 7}), {"loan": loan}, Random(1)) == 7


def test_a_table_is_by_state_or_by_zip_code() -> None:
    by_zip = {"kind": "table", "by": "zip_code", "amounts": {"90001": 9}, "default": 2}
    assert quote(PRICE.validate_python(by_zip), {"zip_code": "90001"}, Random(1)) == 9
    assert quote(PRICE.validate_python(by_zip), {"zip_code": "10001"}, Random(1)) == 2
    by_state = {"kind": "table", "amounts": {"CA": 60}}
    assert quote(PRICE.validate_python(by_state), {"state": " ca "}, Random(1)) == 60
    assert quote(PRICE.validate_python(by_state), {"state": "NY"}, Random(1)) is None


LATENCIES: list[dict[str, Any]] = [
    {"kind": "fixed", "ms": LONGEST_MS},
    {"kind": "uniform", "low_ms": 1, "high_ms": LONGEST_MS},
    {"kind": "normal", "mean_ms": 10, "deviation_ms": LONGEST_MS},
    {"kind": "lognormal", "median_ms": LONGEST_MS, "sigma": 4},
    {"kind": "exponential", "mean_ms": LONGEST_MS},
]


@pytest.mark.parametrize("latency", LATENCIES, ids=lambda latency: str(latency["kind"]))
@given(seed=st.integers())
def test_no_latency_is_negative_or_longer_than_two_minutes(latency: dict[str, Any], seed: int) -> None:
    assert 0 <= seconds(LATENCY.validate_python(latency), Random(seed)) <= 120


def test_latencies_centre_where_they_say() -> None:
    for latency in (
        {"kind": "normal", "mean_ms": 100, "deviation_ms": 10},
        {"kind": "lognormal", "median_ms": 100, "sigma": 0.5},
        {"kind": "uniform", "low_ms": 50, "high_ms": 150},
    ):
        dice = Random(7)
        drawn = sorted(seconds(LATENCY.validate_python(latency), dice) for _ in range(2001))
        assert 0.09 < drawn[1000] < 0.11


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [(0, "21:59", False), (0, "22:00", True), (1, "05:59", True), (1, "06:00", False), (1, "23:00", False)],
)
def test_hours_past_midnight_belong_to_the_day_on_which_they_open(day: int, clock: str, expected: bool) -> None:
    night = Hours(weekdays=(1,), opens="22:00", closes="06:00")
    hour, minute = map(int, clock.split(":"))
    assert is_open(night, ZONE, MONDAY + timedelta(days=day, hours=hour, minutes=minute)) is expected


def test_hours_until_midnight_are_open_to_the_last_minute() -> None:
    assert is_open(Hours(), ZONE, MONDAY + timedelta(hours=23, minutes=59))


def test_a_journal_is_bounded_by_bytes_too() -> None:
    journal = Journal(most=1000, most_bytes=50_000)
    for _ in range(100):
        journal.add(Entry.of("ping", "POST", MONDAY, [(b"a", b"b")], b"x" * 1000, Answer("accepted")))
    assert journal.held_bytes <= 50_000
    assert journal.held_bytes == sum(entry.cost for entry in journal.entries)
    assert journal.counters["evicted"] == 100 - len(journal.entries)


def test_without_a_seed_a_buyers_id_starts_its_dice() -> None:
    flaky = Persona(error_rate=0.5)
    runs = [
        [ping(buyer).outcome for _ in range(40)] for buyer in (MockBuyer(name, {}, flaky) for name in ("a", "a", "b"))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_switch_does_not_shift_the_dice_of_later_calls() -> None:
    straight, switched = (MockBuyer("b", {}, Persona(error_rate=0.5)) for _ in range(2))
    expected = [ping(straight).outcome for _ in range(30)]
    switched.become({}, Persona(mode="refuse"))
    for _ in range(10):
        ping(switched)
    switched.become({}, Persona(error_rate=0.5))
    assert [ping(switched).outcome for _ in range(20)] == expected[10:]


def test_a_patch_with_null_gives_a_field_back_to_the_persona() -> None:
    registry = Registry(load(BUILT_IN))
    buyer, is_new = registry.put(Address("pingtree", "t", "b"), {"persona": "capped", "price": 9})
    assert is_new
    registry.patch(buyer, {"max_accepts_per_day": 3})
    assert buyer.persona.max_accepts_per_day == 3
    assert quote(buyer.persona.price, {}, Random(1)) == 9
    registry.patch(buyer, {"max_accepts_per_day": None, "price": None})
    assert buyer.persona.max_accepts_per_day == 10
    assert quote(buyer.persona.price, {}, Random(1)) == 48


def test_a_document_that_is_no_object_is_refused() -> None:
    with pytest.raises(PersonaError):
        Registry(load(BUILT_IN)).put(Address("pingtree", "t", "b"), ["eager"])  # type: ignore[arg-type]
