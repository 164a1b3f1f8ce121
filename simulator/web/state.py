"""`/__sandbox/leads`, `pings`, `deliveries`, `caps`: what the sandbox remembers, and replaying a webhook."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from simulator import masking
from simulator.store import DeliveryRecord, DeliveryStatus, LeadRecord, PingRecord, Store
from simulator.tenants import Tenants
from simulator.web.control import PREFIX
from simulator.web.problems import ProblemError, as_json, is_whole, only, problem, tenant_of, whole_number
from simulator.webhooks import Courier

MOST_ROWS = 2**63 - 1
FILTERS = ("platform", "source_id", "transaction_id", "status", "phone", "email")


def blueprint(tenants: Tenants, store: Store, courier: Courier) -> Blueprint:
    state = Blueprint("state", __name__)
    _add_leads(state, tenants, store)
    _add_deliveries(state, tenants, store, courier)
    return state


def _add_leads(state: Blueprint, tenants: Tenants, store: Store) -> None:
    @state.get(f"{PREFIX}/leads")
    def leads() -> Response:
        only(*FILTERS, "limit", "after")
        wanted = {name: request.args[name] for name in FILTERS if name in request.args}
        found = store.leads(
            tenant_of(tenants).id, limit=whole_number("limit", 100), after=request.args.get("after"), **wanted
        )
        return as_json({"leads": [_lead(item) for item in found]})

    @state.get(f"{PREFIX}/leads/<lead_id>")
    def lead(lead_id: str) -> Response:
        found = store.lead(tenant_of(tenants).id, lead_id)
        return as_json(_lead(found)) if found else problem(404, "Not found", f"No lead {lead_id[:100]!r}")

    @state.get(f"{PREFIX}/pings")
    def pings() -> Response:
        only("limit")
        found = store.pings(tenant_of(tenants).id, limit=whole_number("limit", 100))
        return as_json({"pings": [_ping(item) for item in found]})

    @state.get(f"{PREFIX}/caps")
    def caps() -> Response:
        only()
        used = store.all_usage(tenant_of(tenants).id)
        return as_json({"caps": [{"scope": scope, "period": period, "used": n} for (scope, period), n in used.items()]})


def _add_deliveries(state: Blueprint, tenants: Tenants, store: Store, courier: Courier) -> None:
    @state.get(f"{PREFIX}/deliveries")
    def deliveries() -> Response:
        only("status", "lead_id", "limit", "after")
        status = request.args.get("status")
        if status is not None and status not in set(DeliveryStatus):
            raise ProblemError(400, "Bad request", f"status must be one of {', '.join(DeliveryStatus)}")
        found = store.deliveries(
            tenant_of(tenants).id,
            lead_id=request.args.get("lead_id"),
            status=DeliveryStatus(status) if status else None,
            limit=whole_number("limit", 100),
            after=whole_number("after", 1, MOST_ROWS) if "after" in request.args else 0,
        )
        return as_json({"deliveries": [_delivery(item) for item in found]})

    @state.get(f"{PREFIX}/deliveries/<name>")
    def delivery(name: str) -> Response:
        tenant, number = tenant_of(tenants), _number(name)
        found = store.delivery(tenant.id, number)
        if found is None:
            raise _no_delivery(name)
        tried = [asdict(item) | {"at": item.at.isoformat()} for item in store.attempts(tenant.id, number)]
        return as_json(_delivery(found) | {"tries": tried})

    @state.post(f"{PREFIX}/deliveries/<name>/replay")
    def replay(name: str) -> Response:
        number = _number(name)
        if not courier.replay(tenant_of(tenants), number):
            raise _no_delivery(name)
        return as_json({"replayed": number}, 202)


def _number(name: str) -> int:
    """Return the number of a delivery. Raises ProblemError for what cannot be one."""
    if not is_whole(name, MOST_ROWS):
        raise _no_delivery(name)
    return int(name)


def _no_delivery(name: str) -> ProblemError:
    return ProblemError(404, "Not found", f"No delivery {name if is_whole(name, MOST_ROWS) else repr(name[:50])}")


def _lead(item: LeadRecord) -> dict[str, Any]:
    document = asdict(item) | {"at": item.at.isoformat(), "price": _dollars(item.price_cents)}
    return {name: value for name, value in document.items() if name not in {"tenant", "price_cents"}}


def _dollars(cents: int | None) -> str | None:
    return None if cents is None else f"{Decimal(cents) / 100:.2f}"


def _ping(item: PingRecord) -> dict[str, Any]:
    return {
        "transaction_id": item.transaction_id,
        "platform": item.platform,
        "source_id": item.source_id,
        "campaign_id": item.campaign_id,
        "at": item.at.isoformat(),
        "expires_at": item.expires_at.isoformat(),
        "accepted": item.accepted,
        "bids": [{"buyer_id": bid.buyer_id, "amount": f"{bid.amount:.2f}"} for bid in item.bids],
        "posted_at": _moment(item.claimed_at),
        "answer": item.answer,
        "values": item.lead.values,
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _delivery(item: DeliveryRecord) -> dict[str, Any]:
    return {
        "id": item.id,
        "event_id": item.event_id,
        "lead_id": item.lead_id,
        "buyer_id": item.buyer_id,
        "url": masking.url(item.url),
        "status": item.status.value,
        "attempts": item.attempts,
        "created_at": item.created_at.isoformat(),
        "due_at": item.due_at.isoformat(),
        "delivered_at": _moment(item.delivered_at),
        "body": item.body.decode(),
    }
