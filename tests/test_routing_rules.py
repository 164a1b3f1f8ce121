"""Gates of a source, eligible buyers, redeeming a ping, and the order in which buyers are offered a lead."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.routing.agreed import Buyer, Distribution, Group, Suppression, Terms, Window
from simulator.routing.agreed import Test as Comparison
from simulator.routing.decision import Lead, Reason
from simulator.routing.rules import eligible, order, redeemable, refusals, refused
from simulator.routing.suppression import md5_of

NOW = datetime(2026, 11, 20, 19, 5, tzinfo=UTC)  # Friday 14:05 in New York
LEAD = Lead({"age": 40, "state": "NY", "email": "a@example.com"}, "2125550123", "a@example.com", "NY", "10001-1234")
TERMS = Terms("any", "s1", "c1")
CLOSED = (Window(frozenset({1}), 0, 60),)
OPEN = (Window(frozenset({5}), 14 * 60, 15 * 60),)
ADULT = Group((Comparison("age", ">=", 18, name="adult"), Comparison("age", "<", 30)))
LIST = Suppression("do not contact", "email", {md5_of("email", LEAD.email): NOW})

# --- gates


def test_a_source_without_gates_refuses_nobody() -> None:
    assert refusals(TERMS, Lead({}), NOW) == ()
    assert refused(()) is None


def test_gates_are_tried_in_order_and_each_says_how_it_went() -> None:
    terms = replace(
        TERMS,
        windows=OPEN,
        states=frozenset({"CA", "NY"}),
        zip_codes=frozenset({"90210"}),
        filters=ADULT,
        suppressions=(LIST,),
    )
    checks = refusals(terms, LEAD, NOW)
    assert [(check.rule, check.passed, check.reason) for check in checks] == [
        ("opening hours", True, None),
        ("states", True, None),
        ("ZIP codes", False, Reason.OUTSIDE_AREA),
        ("adult", True, None),
        ("age < 30", False, Reason.FILTERED),
        ("do not contact", False, Reason.SUPPRESSED),
    ]
    assert checks[0].detail == "Friday 14:05 in America/New_York is inside the opening hours."
    assert checks[2].detail == "The ZIP code is 10001-1234; accepted are 90210."
    assert refused(checks) is checks[2]


def test_outside_the_opening_hours_the_reason_is_the_hours() -> None:
    found = refused(refusals(replace(TERMS, windows=CLOSED), LEAD, NOW))
    assert found is not None
    assert found.reason is Reason.OUTSIDE_HOURS


def test_a_zip_plus_four_lies_in_its_five_digit_area() -> None:
    assert refused(refusals(replace(TERMS, zip_codes=frozenset({"10001"})), LEAD, NOW)) is None


@pytest.mark.parametrize("gate", [{"states": frozenset({"NY"})}, {"zip_codes": frozenset({"10001"})}])
def test_a_lead_that_does_not_say_where_it_is_matches_no_area(gate: Any) -> None:
    found = refused(refusals(replace(TERMS, **gate), Lead({}), NOW))
    assert found is not None
    assert found.reason is Reason.OUTSIDE_AREA
    assert "was not sent" in found.detail


def test_filters_rest_outside_their_schedule() -> None:
    resting = replace(TERMS, filters=ADULT, filter_windows=CLOSED)
    assert refused(refusals(resting, LEAD, NOW)) is None
    assert [check.rule for check in refusals(resting, LEAD, NOW)] == ["filter schedule"]
    assert refused(refusals(replace(resting, filter_windows=OPEN), LEAD, NOW)) is not None


def test_filters_read_today_in_the_accounts_zone() -> None:
    late = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)  # still the 20th in New York
    terms = replace(TERMS, filters=Group((Comparison("day", "==", "today"),)))
    assert refused(refusals(terms, Lead({"day": "2026-11-20"}), late)) is None


# --- eligible buyers


def test_each_buyer_that_may_not_have_the_lead_is_told_why() -> None:
    listed = frozenset({md5_of("phone", LEAD.phone)})
    terms = replace(
        TERMS,
        buyers=(
            Buyer("ok", states=frozenset({"NY"}), zip_codes=frozenset({"10001"}), windows=OPEN),
            Buyer("state", states=frozenset({"CA"})),
            Buyer("zip", zip_codes=frozenset({"90210"})),
            Buyer("filter", filters=ADULT),
            Buyer("hours", windows=CLOSED),
            Buyer("list", suppressed=listed),
            Buyer("cap"),
            Buyer("list_elsewhere", suppressed=listed, states=frozenset({"CA"})),
        ),
    )
    may, asked = eligible(terms, LEAD, NOW, {"cap": "50 leads a day"})
    assert [buyer.id for buyer in may] == ["ok"]
    assert [(one.buyer_id, one.outcome, one.why) for one in asked] == [
        ("state", "passed over", "state NY: the buyer takes CA"),
        ("zip", "passed over", "ZIP code 10001-1234: the buyer takes 90210"),
        ("filter", "passed over", "filter age < 30: age is 40; the filter asks for age < 30."),
        (
            "hours",
            "passed over",
            "closed: Friday 14:05 in America/New_York is outside the buyer's schedule",
        ),
        ("list", "suppressed", "on the buyer's suppression list"),
        ("cap", "passed over", "cap full: 50 leads a day"),
        ("list_elsewhere", "passed over", "state NY: the buyer takes CA"),
    ]


def test_a_long_list_of_states_is_cut_in_the_reason() -> None:
    buyer = Buyer("b", states=frozenset(f"{n:02}" for n in range(50)))
    _, (asked,) = eligible(replace(TERMS, buyers=(buyer,)), Lead({}), NOW, {})
    assert asked.why.startswith("state not sent: the buyer takes 00, 01")
    assert asked.why.endswith("and 38 more")


# --- redeeming


@pytest.mark.parametrize(
    ("accepted", "claimed", "seconds_left", "reason"),
    [
        (True, False, 1, None),
        (True, False, 0, Reason.PING_EXPIRED),
        (True, True, 0, Reason.PING_USED),
        (True, True, 1, Reason.PING_USED),
        (False, True, 0, Reason.PING_REJECTED),
        (False, False, 1, Reason.PING_REJECTED),
    ],
)
def test_a_ping_is_redeemed_once_in_time_and_only_if_accepted(
    accepted: Any, claimed: Any, seconds_left: Any, reason: Any
) -> None:
    expires_at = NOW + timedelta(seconds=seconds_left)
    assert redeemable(accepted=accepted, expires_at=expires_at, claimed=claimed, now=NOW) is reason


# --- order


def ids(buyers: Iterable[Buyer]) -> list[str]:
    return [buyer.id for buyer in buyers]


def campaign(distribution: Distribution, *buyers: Buyer) -> Terms:
    return replace(TERMS, distribution=distribution, buyers=buyers)


def test_a_waterfall_goes_by_priority_then_id() -> None:
    terms = campaign(Distribution.WATERFALL, Buyer("c", priority=1), Buyer("a", priority=2), Buyer("b", priority=1))
    assert ids(order(terms, terms.buyers, turn=5, dice=0.9)) == ["b", "c", "a"]


def test_an_auction_goes_by_price_then_id() -> None:
    terms = campaign(
        Distribution.AUCTION,
        Buyer("b", price=Decimal(5)),
        Buyer("c", price=Decimal(9)),
        Buyer("a", price=Decimal(5)),
    )
    assert ids(order(terms, terms.buyers, turn=5, dice=0.9)) == ["c", "a", "b"]


def test_round_robin_takes_turns_in_the_order_of_ids() -> None:
    terms = campaign(Distribution.ROUND_ROBIN, Buyer("b"), Buyer("c"), Buyer("a"))
    assert [ids(order(terms, terms.buyers, turn=turn, dice=0.5)) for turn in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_the_turns_of_a_capped_buyer_are_shared_and_not_inherited() -> None:
    terms = campaign(Distribution.ROUND_ROBIN, Buyer("a"), Buyer("b"), Buyer("c"))
    left = (terms.buyers[0], terms.buyers[2])
    firsts = [order(terms, left, turn=turn, dice=0.5)[0].id for turn in range(6)]
    assert firsts == ["a", "c", "c", "a", "a", "c"]


PRESENT = st.integers(1, 6).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1)))


@settings(deadline=None)
@given(PRESENT, st.integers(0, 1000))
def test_round_robin_is_exactly_fair_among_those_present(who: Any, start: Any) -> None:
    count, present = who
    terms = campaign(Distribution.ROUND_ROBIN, *(Buyer(f"b{n}") for n in range(count)))
    eligible_buyers = [terms.buyers[n] for n in present]
    turns = range(start, start + count * len(present))
    firsts = Counter(order(terms, eligible_buyers, turn=turn, dice=0.5)[0].id for turn in turns)
    assert firsts == {buyer.id: count for buyer in eligible_buyers}


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(0, 1000), st.data())
def test_a_buyer_that_is_always_there_is_first_once_a_round_whoever_else_comes_and_goes(
    count: Any, start: Any, data: Any
) -> None:
    terms = campaign(Distribution.ROUND_ROBIN, *(Buyer(f"b{n}") for n in range(count)))
    others = st.sets(st.sampled_from(terms.buyers[1:]))
    rounds = [(turn, data.draw(others)) for turn in range(start, start + count)]
    firsts = [order(terms, [terms.buyers[0], *there], turn=turn, dice=0.5)[0].id for turn, there in rounds]
    assert "b0" in firsts


WEIGHTED = campaign(
    Distribution.WEIGHTED,
    Buyer("a", weight=10),
    Buyer("b", weight=60),
    Buyer("c", weight=30),
    Buyer("d", weight=0),
)


@pytest.mark.parametrize(
    ("dice", "expected"),
    [(0.0, "bcad"), (0.599, "bcad"), (0.6, "cbad"), (0.899, "cbad"), (0.9, "abcd"), (0.999999999, "abcd")],
)
def test_the_dice_pick_by_weight_and_the_rest_follow_by_weight(dice: Any, expected: Any) -> None:
    assert ids(order(WEIGHTED, WEIGHTED.buyers, turn=0, dice=dice)) == list(expected)


@settings(deadline=None)
@given(st.sets(st.sampled_from(WEIGHTED.buyers[:3]), min_size=1))
def test_weights_are_renormalised_among_those_present(present: Any) -> None:
    total = sum(buyer.weight for buyer in present)
    firsts = Counter(order(WEIGHTED, present, turn=0, dice=(n + 0.5) / total)[0] for n in range(total))
    assert firsts == {buyer: buyer.weight for buyer in present}


def test_without_any_weight_the_lower_id_comes_first() -> None:
    assert ids(order(WEIGHTED, [Buyer("y", weight=0), Buyer("x", weight=-3)], turn=0, dice=0.7)) == ["y", "x"]


BUYERS = st.lists(
    st.builds(
        Buyer,
        st.text("abc", min_size=1, max_size=3),
        priority=st.integers(-3, 3),
        weight=st.integers(-1, 10**12),
        price=st.decimals(0, 9, allow_nan=False, places=2),
    ),
    max_size=6,
    unique_by=lambda buyer: buyer.id,
)


@settings(deadline=None)
@given(BUYERS, st.sampled_from(Distribution), st.integers(0, 10**6), st.floats(0, 1, exclude_max=True), st.data())
def test_every_order_offers_the_lead_to_each_eligible_buyer_once(
    buyers: Any, distribution: Any, turn: Any, dice: Any, data: Any
) -> None:
    present = [buyer for buyer in buyers if data.draw(st.booleans())]
    found = order(campaign(distribution, *buyers), present, turn=turn, dice=dice)
    assert sorted(ids(found)) == sorted(ids(present))
    assert found == order(campaign(distribution, *buyers), present[::-1], turn=turn, dice=dice)
