"""Which bid wins, and why the others did not. Asking for bids is not done here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from simulator.routing.agreed import Buyer
from simulator.routing.decision import Asked, Bid

_MOST = Decimal(1_000_000)  # more is a buyer's mistake, and 1E+999999 would fill the journal with zeros


def ranked(bids: Iterable[Bid], buyers: Mapping[str, Buyer]) -> tuple[Bid, ...]:
    """Return the bids that count, highest first; a tie goes to the lower buyer id (the sandbox's own rule).

    Bids below the buyer's minimum price, of no buyer in `buyers`, negative, not finite or above a million
    dollars do not count.
    """
    return tuple(sorted((bid for bid in bids if _counts(bid, buyers)), key=_rank))


def _counts(bid: Bid, buyers: Mapping[str, Buyer]) -> bool:
    buyer = buyers.get(bid.buyer_id)
    return buyer is not None and _is_money(bid.amount) and bid.amount >= buyer.minimum_price


def _is_money(amount: Decimal) -> bool:
    return amount.is_finite() and 0 <= amount <= _MOST


def _rank(bid: Bid) -> tuple[Decimal, str, str]:
    return bid.amount.copy_negate(), bid.buyer_id, bid.ping_id  # unary minus would round


def losers(bids: Iterable[Bid], buyers: Mapping[str, Buyer]) -> tuple[Asked, ...]:
    """Say of every bid but the winner's why it lost: those that count, in rank, then those that do not."""
    given = tuple(bids)
    order = ranked(given, buyers)
    lost = [_lost(bid, order[0]) for bid in order[1:]]
    return (*lost, *(_not_counted(bid, buyers) for bid in given if not _counts(bid, buyers)))


def _lost(bid: Bid, winner: Bid) -> Asked:
    if bid.amount == winner.amount:
        why = f"tie with {winner.buyer_id} at {_money(bid.amount)}, lower id wins"
        return Asked(bid.buyer_id, "tied", why, bid.amount)
    why = f"outbid by {winner.buyer_id}: {_money(winner.amount)} > {_money(bid.amount)}"
    return Asked(bid.buyer_id, "outbid", why, bid.amount)


def _not_counted(bid: Bid, buyers: Mapping[str, Buyer]) -> Asked:
    buyer = buyers.get(bid.buyer_id)
    if buyer is None:
        return Asked(bid.buyer_id, "invalid", "no buyer of this campaign", bid.amount)
    if not _is_money(bid.amount):
        return Asked(bid.buyer_id, "invalid", f"{str(bid.amount)[:40]} is no price of a lead", bid.amount)
    why = f"below the minimum price: {_money(bid.amount)} < {_money(buyer.minimum_price)}"
    return Asked(bid.buyer_id, "low", why, bid.amount)


def _money(amount: Decimal) -> str:
    """Show two decimals, and more only where the amount has them: 45.00, 0.125."""
    text = f"{amount:.2f}"
    return text if Decimal(text) == amount else f"{amount:f}"
