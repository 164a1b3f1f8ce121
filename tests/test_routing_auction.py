"""Which bid wins and what the others are told."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.routing.agreed import Buyer
from simulator.routing.auction import losers, ranked
from simulator.routing.decision import Asked, Bid

BUYERS = {one: Buyer(one, minimum_price=Decimal(low)) for one, low in {"a": "0", "b": "0", "c": "30", "d": "0"}.items()}


def bid(buyer: str, amount: str, ping: str = "") -> Bid:
    return Bid(buyer, Decimal(amount), ping)


def test_the_highest_bid_comes_first() -> None:
    bids = [bid("a", "40"), bid("b", "45.01"), bid("c", "45")]
    assert [one.buyer_id for one in ranked(bids, BUYERS)] == ["b", "c", "a"]


def test_a_tie_goes_to_the_buyer_with_the_lower_id() -> None:
    bids = [bid("d", "45.0"), bid("b", "45.00"), bid("a", "44")]
    assert [one.buyer_id for one in ranked(bids, BUYERS)] == ["b", "d", "a"]


def test_a_bid_below_the_minimum_price_does_not_count_and_one_at_it_does() -> None:
    assert ranked([bid("c", "29.99")], BUYERS) == ()
    assert ranked([bid("c", "30.00")], BUYERS) == (bid("c", "30.00"),)


def test_bids_that_are_no_prices_do_not_count() -> None:
    bids = [bid("a", one) for one in ("-1", "NaN", "sNaN", "Infinity", "1E+999999")] + [bid("z", "5")]
    assert ranked(bids, BUYERS) == ()
    assert {one.outcome for one in losers(bids, BUYERS)} == {"invalid"}
    assert all(len(one.why) < 80 for one in losers(bids, BUYERS))


def test_every_loser_is_told_why() -> None:
    bids = [bid("c", "12"), bid("a", "40"), bid("d", "45"), bid("b", "45.00"), bid("a", "0.125")]
    assert losers(bids, BUYERS) == (
        Asked("d", "tied", "tie with b at 45.00, lower id wins", Decimal(45)),
        Asked("a", "outbid", "outbid by b: 45.00 > 40.00", Decimal(40)),
        Asked("a", "outbid", "outbid by b: 45.00 > 0.125", Decimal("0.125")),
        Asked("c", "low", "below the minimum price: 12.00 < 30.00", Decimal(12)),
    )


def test_nobody_loses_where_nobody_bids() -> None:
    assert losers([], BUYERS) == ()
    assert losers([bid("a", "1")], BUYERS) == ()


AMOUNTS = st.decimals(-5, 100, allow_nan=False, places=2) | st.just(Decimal("NaN")) | st.just(Decimal("Infinity"))
BIDS = st.lists(st.builds(Bid, st.sampled_from("abcdz"), AMOUNTS, st.sampled_from(["1", "2"])), max_size=8)


@settings(deadline=None)
@given(BIDS, st.randoms(use_true_random=False))
def test_the_rank_does_not_depend_on_who_answered_first(bids: Any, random: Any) -> None:
    shuffled = list(bids)
    random.shuffle(shuffled)
    order = ranked(bids, BUYERS)
    assert order == ranked(shuffled, BUYERS)
    assert all(one.amount >= other.amount for one, other in pairwise(order))


@settings(deadline=None)
@given(BIDS)
def test_each_bid_either_wins_or_loses(bids: Any) -> None:
    winners = ranked(bids, BUYERS)[:1]
    assert len(winners) + len(losers(bids, BUYERS)) == len(bids)
