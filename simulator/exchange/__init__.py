"""The journeys: gather, decide, act. No Flask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from simulator.buyers import BuyerCalls
from simulator.contract.account import Received, Source
from simulator.contract.model import ANY_OPERATION, Contract, Journey, Operation, Rendered, Row, in_force
from simulator.exchange import scripted
from simulator.exchange.call import Call
from simulator.exchange.clicks import ClickJourneys
from simulator.exchange.desk import BuyerDesk
from simulator.exchange.fetching import FetchJourneys
from simulator.exchange.gates import Gates
from simulator.exchange.ingest import IngestJourneys
from simulator.exchange.lookup import LookupJourney
from simulator.exchange.ping_post import PingPostJourneys
from simulator.exchange.postbacks import EventJourney
from simulator.exchange.reception import Reception, allowances
from simulator.exchange.sale import Sales
from simulator.exchange.update import UpdateJourneys
from simulator.exchange.wishes import Wish, Wishes
from simulator.limits import Limiter
from simulator.routing.decision import Decision, FieldError, Reason
from simulator.routing.values import value
from simulator.store import Store
from simulator.tenants import Tenant, Tenants
from simulator.triggers.readings import under
from simulator.wire.faults import Fault


@value(frozen=True, slots=True)
class Answer:
    """A decision in the vendor's words, and whose it is.

    `source_id` is "" when no source was recognised. `asked_for` says which triggers the request met; `fault`
    is what is to be done to the answer on its way.
    """

    row: Row
    decision: Decision
    rendered: Rendered
    tenant: Tenant
    source_id: str
    at: datetime
    asked_for: tuple[str, ...] = ()
    fault: Fault | None = None


class Exchange:
    """Answers every operation of every contract.

    `clear_away` is called with a deleted tenant after the last request that was under way for it, `be_sure` before
    anything is looked up: other simulators may have changed it.
    """

    def __init__(
        self,
        tenants: Tenants,
        store: Store,
        calls: BuyerCalls,
        limiter: Limiter,
        on_delivery: Callable[[], None],
        contracts: Iterable[Contract],
    ) -> None:
        self.tenants = tenants
        self.clear_away: Callable[[Tenant], object] = lambda _: None
        self.be_sure: Callable[[], None] = lambda: None
        self.reception = Reception(limiter)
        self._on_delivery = on_delivery
        self._wishes = Wishes(contracts)
        self._scripted = scripted.ScriptedJourneys(store)
        self._journeys = _journeys(store, calls)

    def serves(self, contract: Contract, reading: str, received: Received) -> bool:
        """Whether the caller's account takes the reading that a path belongs to; "" is always served."""
        if not reading:
            return True
        tenant, _ = self.tenants.find(contract.platform, contract.admission.caller(received))
        return in_force(reading, tenant.accounts[contract.platform].words)

    def answer(self, contract: Contract, operation: Operation, received: Received) -> Answer:
        """Decide about one request and word the decision."""
        self.be_sure()
        tenant, source = self.tenants.find(contract.platform, contract.admission.caller(received))
        tenant.presence.enter()
        try:
            return self._answer(contract, operation, received, tenant, source)
        finally:
            if tenant.presence.leave():  # deleted meanwhile, and this was the last request
                self.clear_away(tenant)

    def _answer(
        self, contract: Contract, operation: Operation, received: Received, tenant: Tenant, source: Source | None
    ) -> Answer:
        now = tenant.clock.now()
        wish = self._wishes.of(contract, operation, received, tenant, source, now)
        if wish.script is not None and scripted.is_refusal(wish.script):
            allow = allowances(operation, tenant.accounts[contract.platform]).methods
            decision = scripted.refusal(wish.script, operation, allow)
        else:
            call = self.reception.receive(contract, operation, received, tenant, source, now)
            decision = call if isinstance(call, Decision) else self._decided(call, wish)
        if operation.journey is Journey.INGEST and decision.buyer_id:
            self._on_delivery()
        return _worded(contract, operation.name, decision, tenant, source.id if source else "", now, wish)

    def _decided(self, call: Call, wish: Wish) -> Decision:
        if wish.script is not None:
            return self._scripted.play(call, wish.script)
        return self._journeys[call.operation.journey](call)

    def unreadable(self, contract: Contract, operation: Operation, received: Received, detail: str) -> Answer:
        """Word that a request is none, whoever sent it: nothing of it can be relied on."""
        tenant, source = self.tenants.find(contract.platform, contract.admission.caller(received))
        decision = Decision(Reason.MALFORMED_BODY, detail, errors=(FieldError("request", "invalid_format", detail),))
        who = source.id if source else ""
        return _worded(contract, operation.name, decision, tenant, who, tenant.clock.now(), Wish())

    def refuse(self, contract: Contract, operation: str, reason: Reason, detail: str) -> Answer:
        """Word a decision that no journey made: an unknown path, a failure of our own."""
        tenant = self.tenants.default
        return _worded(contract, operation, Decision(reason, detail), tenant, "", tenant.clock.now(), Wish())


def _journeys(store: Store, calls: BuyerCalls) -> Mapping[Journey, Callable[[Call], Decision]]:
    gates = Gates(store)
    sales = Sales(store, gates, BuyerDesk(calls))
    ping_post = PingPostJourneys(store, gates, sales)
    ingest = IngestJourneys(store, gates)
    updates, fetching, clicks = UpdateJourneys(store, gates, sales), FetchJourneys(store), ClickJourneys(store)
    return {
        Journey.AUCTION: ping_post.ping,
        Journey.REDEEM: ping_post.post,
        Journey.OFFER: ping_post.form,
        Journey.PRECHECK: ingest.precheck,
        Journey.INGEST: ingest.ingest,
        Journey.LOOKUP: LookupJourney(store).lookup,
        Journey.FETCH: fetching.fetch,
        Journey.LIST: fetching.listing,
        Journey.UPDATE: updates.update,
        Journey.FEEDBACK: updates.feedback,
        Journey.EVENT: EventJourney(store).fire,
        Journey.CLICKS: clicks.clicks,
        Journey.CLICK: clicks.click,
    }


def _worded(
    contract: Contract,
    operation: str,
    decision: Decision,
    tenant: Tenant,
    source_id: str,
    at: datetime,
    wish: Wish,
) -> Answer:
    account = tenant.accounts[contract.platform]
    readings = account.readings
    named = wish.script.row if wish.script is not None else None
    if named is not None and decision.reason in named.answers:
        row, readings = named, under(named.reading, readings)
    else:
        row = contract.row_for(operation, decision.reason, account.words)
    rendered = contract.render(row, decision, readings)
    return Answer(row, decision, rendered, tenant, source_id, at, wish.said, wish.fault)


__all__ = ["ANY_OPERATION", "Answer", "Exchange"]
