"""Who may call Lead Distro AI's endpoints: the supplier's key, then campaign and supplier named in the body."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.contract.account import Account, Received, Source
from simulator.contract.model import Operation
from simulator.routing.agreed import Terms
from simulator.routing.decision import Decision, FieldError, Reason
from simulator.routing.fields import is_blank


def caller(received: Received) -> str:
    return received.headers.get("x-api-key", "")


def admit(received: Received, source: Source | None, operation: Operation, now: datetime) -> Decision | None:  # noqa: ARG001  the key was the look-up
    """Return the refusal, or None. The look-up by the key is the comparison; only `x-api-key` counts (C13)."""
    if source is not None:
        return None
    if not caller(received):
        return Decision(Reason.UNAUTHORIZED, "Send the supplier's key in the header 'x-api-key'")
    return Decision(Reason.UNAUTHORIZED, "No supplier has this API key")


def header(source: Source, operation: Operation) -> tuple[str, str]:
    return "x-api-key", source.credentials[operation.credential]


def terms_for(account: Account, source: Source, values: Mapping[str, Any]) -> Terms | Decision:
    """Find the campaign in the order of `contract.md` 4.2: ids present, campaign exists, supplier, link."""
    campaign_id, supplier_id = values.get("flo_campaign_id"), values.get("flo_supplier_id")
    linked = source.terms.get(campaign_id) if isinstance(campaign_id, str) else None
    if linked is not None and supplier_id == source.id:
        return linked
    if faults := tuple(_id_faults(values)):
        reason = Reason.MISSING_FIELD if faults[0].code == "required" else Reason.INVALID_FIELD
        return Decision(reason, faults[0].message, errors=faults)
    if campaign_id not in account.campaigns:
        return Decision(Reason.UNKNOWN_CAMPAIGN, f"Campaign {str(campaign_id)[:100]!r} does not exist")
    if supplier_id != source.id:
        return Decision(Reason.FOREIGN_SUPPLIER, "This API key belongs to another supplier than flo_supplier_id")
    return Decision(Reason.NOT_LINKED, "The supplier is not linked to this campaign")


def fixed(terms: Terms) -> Mapping[str, str]:
    return {"flo_campaign_id": terms.campaign_id, "flo_supplier_id": terms.source_id}


def _id_faults(values: Mapping[str, Any]) -> list[FieldError]:
    faults = []
    for name in ("flo_campaign_id", "flo_supplier_id"):
        if is_blank(values.get(name)):
            faults.append(FieldError(name, "required", f"{name} is required"))
        elif not isinstance(values[name], str):
            faults.append(FieldError(name, "invalid_format", f"{name} must be a string"))
    return faults
