"""What the pages are made from. Everything here exists without them, and none of it knows of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import request

from simulator.contract.model import Contract
from simulator.journal import Readable
from simulator.store import Store
from simulator.tenancy import Tenancy
from simulator.tenants import DEFAULT, Tenant, Tenants
from simulator.web.buyers import MockBuyers
from simulator.web.conformance import Reports
from simulator.web.problems import tenant_of
from simulator.welcome import Introduce

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass(frozen=True, slots=True)
class Parts:
    """`api` answers calls of the control API, whose token is `token`, "" without one.

    `health` tells how the last reload of the sandbox file went.
    """

    tenancy: Tenancy
    store: Store
    journals: Readable
    contracts: Mapping[str, Contract]
    mock_buyers: MockBuyers
    reports: Reports
    introduce: Introduce
    health: Callable[[], Mapping[str, object]]
    api: WSGIApplication
    token: str
    version: str

    @property
    def tenants(self) -> Tenants:
        return self.tenancy.tenants

    def tenant(self) -> Tenant:
        """Return the tenant that `?tenant=` names. Raises ProblemError."""
        return tenant_of(self.tenants)


def named_tenant() -> str:
    """Return what the request says of the tenant, "" for the default one, whether or not there is such a tenant."""
    name = request.args.get("tenant", DEFAULT)
    return "" if name == DEFAULT else name
