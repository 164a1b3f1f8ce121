"""One request on its way through a journey: who sent it, what it says, and when. No decisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.contract.account import Account, Source
from simulator.contract.model import Contract, Operation
from simulator.routing.agreed import Terms
from simulator.routing.decision import Lead
from simulator.routing.values import value
from simulator.tenants import Tenant


@value(frozen=True, slots=True)
class Call:
    """A request that was admitted and understood. `origin` is where the caller reached us, as a URL; "" if unknown."""

    tenant: Tenant
    contract: Contract
    account: Account
    operation: Operation
    source: Source
    terms: Terms
    lead: Lead
    now: datetime
    origin: str = ""

    @property
    def values(self) -> Mapping[str, Any]:
        return self.lead.values
