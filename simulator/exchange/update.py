"""The journeys that change a lead which was taken: more of its fields, or what became of it. How a sale goes is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simulator.exchange.call import Call
from simulator.exchange.gates import Gates
from simulator.exchange.lookup import asked_for, nothing_asked
from simulator.exchange.sale import UNSOLD, Sales
from simulator.routing.decision import Check, Decision, FieldError, Reason
from simulator.store import LeadRecord, Store

_NAMES = frozenset({"id", "phone", "email"})


class UpdateJourneys:
    """Writes only the keys that were sent; what a lead says else stays as it was."""

    def __init__(self, store: Store, gates: Gates, sales: Sales) -> None:
        self._store = store
        self._gates = gates
        self._sales = sales

    def update(self, call: Call) -> Decision:
        """Enrich a lead of this source. One that nobody bought goes to the buyers once more."""
        transaction_id = str(call.values["transaction_id"])
        record = self._lead(call, transaction_id)
        if record is None:
            return _unknown(f"No lead of this source has the transaction_id {transaction_id[:80]!r}")
        sent = call.values
        call = _with(call, {**record.values, **sent})
        passed = self._gates.pass_rules(call)
        if isinstance(passed, Decision):
            return passed
        self._write(call, record, sent)
        sold = self._sales.resell(call, record, passed) if record.status == UNSOLD else None
        return _worded(record, sold, passed)

    def feedback(self, call: Call) -> Decision:
        """Write down what became of the newest lead that is meant."""
        if missing := nothing_asked(call):
            return missing
        known = call.contract.schemas[call.operation.name]["request"]["properties"].keys() - _NAMES
        told = {name: value for name, value in call.values.items() if name in known}
        if not told:
            detail = "one field that says what became of the lead is required"
            return Decision(Reason.MISSING_FIELD, detail, errors=(FieldError("outcome", "required", detail),))
        records = asked_for(self._store, call, 1)
        if not records:
            return _unknown("No lead of this source is meant by id, phone and e-mail")
        [record] = records
        self._write(call, record, told)
        return _worded(replace(record, status=""), None, ())

    def _lead(self, call: Call, transaction_id: str) -> LeadRecord | None:
        found = self._store.leads(
            call.tenant.id,
            platform=call.contract.platform,
            source_id=call.source.id,
            campaign_id=call.terms.campaign_id,
            transaction_id=transaction_id,
            limit=1,
        )
        return found[0] if found else None

    def _write(self, call: Call, record: LeadRecord, sent: Mapping[str, Any]) -> None:
        """Merge inside the transaction, or of two updates at once one would take the other's fields away."""
        with self._store.transaction() as tx:
            kept = tx.lead_to_change(call.tenant.id, record.id)
            if kept is None:  # a reset came between
                return
            values = {**kept.values, **sent}
            lead = call.contract.normalise(values)
            tx.set_lead_values(call.tenant.id, record.id, values, phone=lead.phone, email=lead.email)


def _with(call: Call, values: Mapping[str, Any]) -> Call:
    return replace(call, lead=call.contract.normalise(values))


def _unknown(detail: str) -> Decision:
    return Decision(Reason.LEAD_UNKNOWN, detail)


def _worded(record: LeadRecord, sold: Decision | None, checks: tuple[Check, ...]) -> Decision:
    buyer_id = sold.buyer_id if sold else record.buyer_id
    is_unsold = record.status != "" and not buyer_id
    return Decision(
        Reason.UPDATED_UNSOLD if is_unsold else Reason.UPDATED,
        "The lead was updated, and nobody has bought it" if is_unsold else "The lead was updated",
        lead_id=record.id,
        campaign_id=record.campaign_id,
        transaction_id=record.transaction_id,
        is_duplicate=record.is_duplicate,
        buyer_id=buyer_id,
        buyer_name=sold.buyer_name if sold else "",
        price=sold.price if sold else None,
        redirect_url=sold.redirect_url if sold else "",
        checks=checks,
        asked=sold.asked if sold else (),
    )
