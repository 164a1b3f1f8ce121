"""Puts together what the lead, the header and the armed faults ask for. Precedence in that order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from simulator.contract.account import Received, Source
from simulator.contract.model import Contract, Operation
from simulator.routing.values import value
from simulator.tenants import Tenant
from simulator.triggers.finding import Asked, Finder
from simulator.triggers.table import Script, Trigger
from simulator.wire.faults import Fault


@value(frozen=True, slots=True)
class Wish:
    """What is to happen to one request. `said` tells the journal what was asked for, and by whom."""

    said: tuple[str, ...] = ()
    script: Script | None = None
    fault: Fault | None = None


NO_WISH = Wish()


class Wishes:
    """Listens for triggers in the requests to every platform."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        self._finders = {contract.platform: Finder(contract) for contract in contracts}

    def of(
        self,
        contract: Contract,
        operation: Operation,
        received: Received,
        tenant: Tenant,
        source: Source | None,
        now: datetime,
    ) -> Wish:
        asked = self._finders[contract.platform].find(received)
        wish = _together(asked, operation) if asked else NO_WISH
        return self._with_armed(wish, contract, operation, tenant, source, now) if tenant.faults else wish

    def _with_armed(
        self,
        wish: Wish,
        contract: Contract,
        operation: Operation,
        tenant: Tenant,
        source: Source | None,
        now: datetime,
    ) -> Wish:
        """Add what an armed fault asks for, where the request itself asked for nothing of the kind."""

        def fits(trigger: Trigger) -> bool:
            adds_script = wish.script is None and trigger.script_for(operation) is not None
            return adds_script or (wish.fault is None and trigger.fault is not None)

        fault = tenant.faults.fire(contract.platform, operation.name, source.id if source else "", now, fits)
        if fault is None:
            return wish
        said = (*wish.said, f"{fault.id}: {fault.trigger.word}")
        return Wish(said, wish.script or fault.trigger.script_for(operation), wish.fault or fault.trigger.fault)


def _together(asked: Iterable[Asked], operation: Operation) -> Wish:
    said: list[str] = []
    script: Script | None = None
    fault: Fault | None = None
    for item in asked:
        if item.trigger is None:
            said.append(f"{item.origin}: {item.word} (no such trigger)")
            continue
        meant = item.trigger.script_for(operation)
        if meant is None and item.trigger.fault is None:
            said.append(f"{item.origin}: {item.trigger.word} (means nothing to {operation.name})")
            continue
        said.append(f"{item.origin}: {item.trigger.word}")
        script, fault = script or meant, fault or item.trigger.fault
    return Wish(tuple(said), script, fault)
