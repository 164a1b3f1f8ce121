"""The journeys: gather, decide, act. No Flask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.buyers import BuyerCalls
from simulator.contract.account import Received
from simulator.contract.model import ANY_OPERATION, Contract, Journey, Operation, Rendered, Row
from simulator.exchange.call import Call
from simulator.exchange.desk import BuyerDesk
from simulator.exchange.gates import Gates
from simulator.exchange.ingest import IngestJourneys
from simulator.exchange.ping_post import PingPostJourneys
from simulator.exchange.reception import Reception
from simulator.routing.model import Decision, Reason
from simulator.store import Store
from simulator.tenants import Tenants


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision in the vendor's words."""

    row: Row
    decision: Decision
    rendered: Rendered


class Exchange:
    """Answers every operation of every contract."""

    def __init__(
        self, tenants: Tenants, store: Store, calls: BuyerCalls, on_delivery: Callable[[], None]
    ) -> None:
        self.tenants = tenants
        self.reception = Reception()
        self._on_delivery = on_delivery
        gates = Gates(store)
        ping_post = PingPostJourneys(store, gates, BuyerDesk(calls))
        ingest = IngestJourneys(store, gates)
        self._journeys: Mapping[Journey, Callable[[Call], Decision]] = {
            Journey.AUCTION: ping_post.ping,
            Journey.REDEEM: ping_post.post,
            Journey.OFFER: ping_post.form,
            Journey.PRECHECK: ingest.precheck,
            Journey.INGEST: ingest.ingest,
        }

    def answer(self, contract: Contract, operation: Operation, received: Received) -> Answer:
        """Decide about one request and word the decision."""
        tenant, source = self.tenants.find(contract.platform, contract.admission.caller(received))
        call = self.reception.receive(contract, operation, received, tenant, source, tenant.clock.now())
        decision = call if isinstance(call, Decision) else self._journeys[operation.journey](call)
        if operation.journey is Journey.INGEST and decision.buyer_id:
            self._on_delivery()
        return self.worded(contract, operation.name, decision, tenant.id)

    def refuse(self, contract: Contract, operation: str, reason: Reason, detail: str) -> Answer:
        """Word a decision that no journey made: an unknown path, a failure of our own."""
        return self.worded(contract, operation, Decision(reason, detail), "")

    def worded(self, contract: Contract, operation: str, decision: Decision, tenant_id: str) -> Answer:
        tenant = self.tenants.get(tenant_id) or self.tenants.default
        account = tenant.accounts[contract.platform]
        row = contract.row_for(operation, decision.reason, account.words)
        return Answer(row, decision, contract.render(row, decision, account.readings))


__all__ = ["ANY_OPERATION", "Answer", "Exchange"]
