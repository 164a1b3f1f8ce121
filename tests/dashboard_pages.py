"""The pages of the dashboard, by name: what tests go through and pictures are taken of. No test lives here."""

from __future__ import annotations

from simulator.testing import Tenant

HOME = "/__sandbox/"
UI = "/__sandbox/ui"
NAMES = ("traffic", "explanation", "sources", "buyers", "buyer", "steering", "charts", "duties", "conformance", "row")


def path_of(name: str, tenant: Tenant) -> str:
    """Return the path of a page; of an explanation, that of the request in which most buyers bid."""
    if name == "traffic":
        return HOME
    if name == "explanation":
        return f"{UI}/requests/{most_contested(tenant)}"
    if name == "buyer":
        return f"{UI}/buyers/leaddistro/late_watts"
    if name == "row":
        return f"{UI}/conformance/LD-ING-422-DUPLICATE"
    return f"{UI}/{name}"


def most_contested(tenant: Tenant) -> str:
    pings = [item for item in tenant.requests if item["row_id"] == "PT-PING-201-ACCEPT"][:40]
    bids = {item["id"]: _bids(tenant, item["id"]) for item in pings}
    return str(max(bids, key=lambda name: bids[name]))


def _bids(tenant: Tenant, name: str) -> int:
    return sum(buyer["amount"] is not None for buyer in tenant.requests.explain(name)["explanation"]["buyers"])
