"""Mutants that run a bad auction or keep bad accounts of it: prices, winners, bids, look-ups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from conformance.mutants.model import Ask, Got, Made, Mutant, Scene, Sent, Tampering
from conformance.mutants.recognising import accounts, is_row, operation_of, rows, values_of
from conformance.mutants.repairing import credential, mutant, with_values
from simulator.contract.model import Operation
from simulator.platforms import CONTRACTS

_ACCEPT, _BIDS, _LOOK = "PT-PING-201-ACCEPT", "LD-PING-200-BIDS", "LD-LOOK-200"
_BEST, _LOCKED, _KEPT = "INV-HIGHEST-BID", "INV-PING-PRICE", "INV-PRICE-KEPT"

_PLATFORMS = {"PT": "pingtree", "LD": "leaddistro"}

Edit = Callable[[dict[str, Any]], None]


def mutants() -> Iterator[Mutant]:
    for name, says, row_id, breaks, edit in (
        ("PT/price-raised", "the ping names more than the lead is sold at", _ACCEPT, (_KEPT, _BEST), _dearer("1.00")),
        ("PT/price-lowered", "the ping names less than the lead is sold at", _ACCEPT, (_KEPT, _BEST), _dearer("-0.01")),
        ("PT/lowest-bid", "the ping names the lowest bid", _ACCEPT, (_BEST,), _lowest),
        ("LD/price-raised", "the ping names more than the lead is sold at", _BIDS, (_LOCKED,), _bids_raised),
        ("LD/worst-first", "the ping lists the worst bid first", _BIDS, (_LOCKED,), _worst_first),
        ("LD/no-bids", "the ping lists no bids", _BIDS, (_BIDS,), lambda body: body.update(bids=[])),
        ("LD/bids-gone", "the ping has no array of bids", _BIDS, (_BIDS,), lambda body: body.pop("bids")),
        (
            "LD/one-bid",
            "the ping lists one bid of two",
            _BIDS,
            (_BIDS,),
            lambda body: body.update(bids=body["bids"][:1]),
        ),
        ("LD/nameless-bid", "a bid names no buyer", _BIDS, (_BIDS,), lambda body: body["bids"][0].pop("buyer_id")),
        (
            "LD/number-bid",
            "a bid's price is a number",
            _BIDS,
            (_BIDS,),
            lambda body: body["bids"][0].update(price=45.0),
        ),
        ("LD/look-empty", "the look-up finds nothing", _LOOK, (_LOOK,), lambda body: body["data"].update(leads=[])),
        ("LD/look-doubled", "the look-up finds each lead twice", _LOOK, (_LOOK,), _doubled),
        ("LD/look-test", "the look-up takes test leads for live ones", _LOOK, ("INV-TEST-MODE",), _live),
    ):
        yield Mutant(name, "auction", _PLATFORMS[name[:2]], says, breaks, _edited(row_id, edit))
    yield _pinging("PT/best-not-asked", "the best bidder is not asked", 15000)
    yield _pinging("PT/buyer-filter-ignored", "a buyer's filter is ignored", 60000)
    yield Mutant("PT/sold-twice", "auction", "pingtree", "a lead is sold to two buyers", (_BEST,), _sold_twice)
    yield Mutant("PT/no-second-auction", "auction", "pingtree", "a late post is rejected", ("INV-REEVALUATED",), _firm)
    says = "the look-up shows another supplier's leads"
    yield mutant("LD/look-foreign", "auction", "leaddistro", "lookup", says, (_LOOK,), _by_main)


def _edited(row_id: str, edit: Edit) -> Made:
    def tamper(sent: Sent, ask: Ask) -> Got:
        got = ask(sent)
        if not is_row(rows()[row_id], sent, got):
            return got
        body = got.parsed()
        edit(body)
        return got.with_json(body)

    return lambda _scene: tamper


def _dearer(by: str) -> Edit:
    def edit(body: dict[str, Any]) -> None:
        inner = body.get("data", body)
        inner["amount"] = f"{Decimal(inner['amount']) + Decimal(by):.2f}"

    return edit


def _lowest(body: dict[str, Any]) -> None:
    body.get("data", body)["amount"] = "5.00"


def _bids_raised(body: dict[str, Any]) -> None:
    for bid in body["bids"]:
        bid["price"] = f"{Decimal(bid['price']) + 1:.2f}"


def _worst_first(body: dict[str, Any]) -> None:
    body["bids"].reverse()


def _doubled(body: dict[str, Any]) -> None:
    body["data"]["leads"] *= 2


def _live(body: dict[str, Any]) -> None:
    for lead in body["data"]["leads"]:
        lead["is_test"] = False


def _pinging(name: str, says: str, loan: int) -> Mutant:
    """Return the mutant that pings with another loan, which decides whether the highest bidder bids."""

    def repair(_scene: Scene, _operation: Operation, sent: Sent) -> Sent:
        values = values_of(sent)
        return with_values(sent, {**values, "loan_amount": loan}) if "loan_amount" in values else sent

    return mutant(name, "auction", "pingtree", "ping", says, (_BEST,), repair)


def _sold_twice(scene: Scene) -> Tampering:
    """Sell every posted lead a second time, to the second-best bidder."""

    def tamper(sent: Sent, ask: Ask) -> Got:
        got, operation = ask(sent), operation_of(sent, "pingtree")
        if operation is None or operation.name != "post" or got.status != 201:
            return got
        main, ping = accounts(scene, "pingtree")["main"], _operation("ping")
        blank = Sent("POST", sent.path.replace("/post/", "/ping/"), (("Content-Type", "application/json"),))
        pinged = ask(with_values(blank.with_header(*credential(main, ping)), dict(main.lead))).parsed() or {}
        again = {"transaction_id": pinged.get("data", {}).get("transaction_id", "")}
        ask(with_values(sent, {**values_of(sent), **again}))
        return got

    return tamper


def _operation(name: str) -> Operation:
    return next(item for item in CONTRACTS["pingtree"].operations if item.name == name)


def _firm(scene: Scene) -> Tampering:
    """Reject every post where late ones are auctioned again."""

    def tamper(sent: Sent, ask: Ask) -> Got:
        got = ask(sent)
        words = scene.world.grounds["pingtree"].words if scene.world else {}
        late = words.get("expired_post") == "reevaluate" and is_row(rows()["PT-POST-201-ACCEPTED"], sent, got)
        return scene.samples["PT-POST-400-RULE"] if late else got

    return tamper


def _by_main(scene: Scene, operation: Operation, sent: Sent) -> Sent:
    return replace(sent).with_header(*credential(accounts(scene, "leaddistro")["main"], operation))
