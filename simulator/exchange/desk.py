"""HTTP conversations with a campaign's buyers: one auction, one offer. Nothing is remembered or claimed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from simulator.buyers import BuyerCalls, Reply, encoded
from simulator.buyers import Call as BuyerCall
from simulator.contract.model import BuyerWire
from simulator.exchange.call import Call
from simulator.routing import auction
from simulator.routing.agreed import Buyer
from simulator.routing.decision import Asked, Bid
from simulator.routing.values import value


@value(frozen=True, slots=True)
class Auction:
    """The bids that count, highest first, and what became of every buyer that was considered."""

    bids: tuple[Bid, ...]
    asked: tuple[Asked, ...]


class BuyerDesk:
    """Speaks to a campaign's buyers in the platform's buyer wire."""

    def __init__(self, calls: BuyerCalls) -> None:
        self._calls = calls

    def _replies(self, call: Call, asked: Sequence[BuyerCall]) -> Sequence[Reply]:
        with call.tenant.presence.elsewhere():
            return self._calls.send(asked)

    def auction(self, call: Call, buyers: Sequence[Buyer], passed_over: tuple[Asked, ...]) -> Auction:
        """Ask every buyer at once. It takes as long as the slowest answer, or its timeout."""
        wire = _wire(call)
        asking = [buyer for buyer in buyers if _is_asked(buyer)]
        replies = self._replies(call, [_ping(wire, call, buyer) for buyer in asking])
        heard = [(buyer, reply, _bid(wire, buyer, reply)) for buyer, reply in zip(asking, replies, strict=True)]
        fixed = [Bid(buyer.id, buyer.price, tcpa=buyer.tcpa) for buyer in buyers if not _is_asked(buyer)]
        bids = [bid for _, _, bid in heard if isinstance(bid, Bid)] + fixed
        by_id = {buyer.id: buyer for buyer in buyers}
        ranked = auction.ranked(bids, by_id)
        latency = {buyer.id: reply.latency_ms for buyer, reply, _ in heard}
        lost = [replace(item, latency_ms=latency.get(item.buyer_id)) for item in auction.losers(bids, by_id)]
        silent = [_silent(buyer, reply, why) for buyer, reply, why in heard if isinstance(why, str)]
        won = [Asked(bid.buyer_id, "won", "highest bid", bid.amount, latency.get(bid.buyer_id)) for bid in ranked[:1]]
        return Auction(ranked, (*won, *lost, *silent, *passed_over))

    def offer(self, call: Call, buyer: Buyer, bid: Bid) -> tuple[bool, str, Asked]:
        """Offer the full lead to one bidder; return whether it bought, its redirect URL and the evidence."""
        wire = _wire(call)
        endpoint = buyer.endpoint
        assert endpoint is not None  # only buyers with an endpoint bid
        fields = wire.post_request(buyer, call.lead, bid.ping_id)
        [reply] = self._replies(call, [_call(call, buyer, endpoint.post_url, fields, endpoint.post_timeout, "POST")])
        if reply.failure:
            return (
                False,
                "",
                Asked(buyer.id, reply.failure, f"post: {reply.detail}", bid.amount, reply.latency_ms),
            )
        answer = wire.read_post(buyer, reply.status, reply.body)
        outcome = "bought" if answer.accepted else "refused the post"
        return (
            answer.accepted,
            answer.redirect_url,
            Asked(buyer.id, outcome, answer.why, bid.amount, reply.latency_ms),
        )


def _is_asked(buyer: Buyer) -> bool:
    return buyer.endpoint is not None and not buyer.endpoint.bypass_ping


def _wire(call: Call) -> BuyerWire:
    assert call.contract.buyer_wire is not None  # a contract with an auction has one
    return call.contract.buyer_wire


def _ping(wire: BuyerWire, call: Call, buyer: Buyer) -> BuyerCall:
    endpoint = buyer.endpoint
    assert endpoint is not None  # the caller looked
    fields = wire.ping_request(buyer, call.lead)
    return _call(call, buyer, endpoint.ping_url, fields, endpoint.ping_timeout, endpoint.method)


def _call(call: Call, buyer: Buyer, url: str, fields: Mapping[str, Any], timeout: float, method: str) -> BuyerCall:
    form = buyer.endpoint is not None and (buyer.endpoint.form_encoded or method == "GET")
    body, content_type = encoded(fields, form=form)
    headers = {"Content-Type": content_type, "X-Sandbox-Now": call.now.isoformat()}
    if method == "GET":
        return BuyerCall(f"{url}{'&' if '?' in url else '?'}{body.decode()}", b"", headers, timeout, "GET")
    return BuyerCall(url, body, headers, timeout)


def _bid(wire: BuyerWire, buyer: Buyer, reply: Reply) -> Bid | str:
    if reply.failure:
        return reply.detail or reply.failure
    return wire.read_ping(buyer, reply.status, reply.body)


def _silent(buyer: Buyer, reply: Reply, why: str) -> Asked:
    return Asked(buyer.id, reply.failure or "no bid", why, latency_ms=reply.latency_ms)
