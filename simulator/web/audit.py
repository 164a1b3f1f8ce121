"""`GET /__sandbox/audit`: the duties of a tenant's integrators, graded on their traffic. No rule lives here."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, request

from simulator.auditing import SeverityError, attempts_at_own_receivers, audit, severities
from simulator.contract.model import Contract
from simulator.journal import Readable
from simulator.store import Store
from simulator.tenants import Tenants
from simulator.web.control import PREFIX
from simulator.web.pages import guarded, only_style
from simulator.web.problems import ProblemError, as_json, tenant_of

_PARAMETERS = frozenset({"tenant", "format", "severity"})


def blueprint(
    tenants: Tenants, journals: Readable, store: Store, contracts: Mapping[str, Contract], mock_buyers_url: str
) -> Blueprint:
    auditing = Blueprint("audit", __name__)

    @auditing.get(f"{PREFIX}/audit")
    def scorecard() -> Response:
        if unknown := sorted(set(request.args) - _PARAMETERS):
            raise ProblemError(400, "Bad request", f"no such parameter: {', '.join(unknown)[:200]}")
        wanted = request.args.get("format", "json")
        if wanted not in {"json", "html"}:
            raise ProblemError(400, "Bad request", f"format must be json or html, not {wanted[:50]!r}")
        tenant = tenant_of(tenants)
        try:
            chosen = severities(request.args.getlist("severity"), contracts)
        except SeverityError as error:
            raise ProblemError(400, "Bad request", str(error)) from None
        attempts = attempts_at_own_receivers(store, tenant, mock_buyers_url)
        card = audit(tenant, journals.of(tenant.id), contracts, chosen, attempts)
        if wanted == "json":
            return as_json(card)
        from simulator.scorecard import STYLE, html  # noqa: PLC0415  no start should wait for a picture of it

        return guarded(html(card), "text/html", only_style(STYLE))

    return auditing
