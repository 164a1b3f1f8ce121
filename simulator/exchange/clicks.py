"""The journeys of the consumer of a sold lead: what can be shown, and where a click leads. No lead is changed."""

from __future__ import annotations

from simulator.exchange.call import Call
from simulator.routing.agreed import Offer, Terms
from simulator.routing.decision import Decision, Reason
from simulator.store import LeadRecord, Store


class ClickJourneys:
    """The caller names a campaign, and a lead of it by its transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def clicks(self, call: Call) -> Decision:
        """List the campaign's offers for a lead that was sold; for any other there are none."""
        terms, record = _terms(call), self._lead(call)
        if record is None:
            return _unknown(call)
        offers = tuple(_for_device(terms, str(call.values.get("device", "")))) if record.buyer_id else ()
        return Decision(
            Reason.OFFERED if offers else Reason.NO_OFFER,
            f"{len(offers)} offers" if record.buyer_id else "The lead was not sold",
            lead_id=record.id,
            campaign_id=terms.campaign_id,
            source_id=str(call.values.get("pid") or record.source_id),
            transaction_id=record.transaction_id,
            offers=offers,
            origin=call.origin,
        )

    def click(self, call: Call) -> Decision:
        """Lead the consumer to the offer's own address."""
        terms, record = _terms(call), self._lead(call)
        if record is None:
            return _unknown(call)
        wanted = str(call.values.get("click_listing_id", ""))
        offer = next((item for item in terms.offers if item.id == wanted), None)
        if offer is None:
            return Decision(Reason.OFFER_UNKNOWN, f"The campaign has no click listing {wanted[:80]!r}")
        return Decision(
            Reason.REDIRECTED,
            f"To {offer.url}",
            lead_id=record.id,
            campaign_id=terms.campaign_id,
            transaction_id=record.transaction_id,
            redirect_url=offer.url,
        )

    def _lead(self, call: Call) -> LeadRecord | None:
        found = self._store.leads(
            call.tenant.id,
            platform=call.contract.platform,
            campaign_id=_terms(call).campaign_id,
            transaction_id=str(call.values["transaction_id"]),
            limit=1,
        )
        return found[0] if found else None


def _terms(call: Call) -> Terms:
    return next(iter(call.source.terms.values()))


def _for_device(terms: Terms, device: str) -> list[Offer]:
    return [offer for offer in terms.offers if not device or offer.device in {"", device}]


def _unknown(call: Call) -> Decision:
    named = str(call.values.get("transaction_id", ""))[:80]
    return Decision(Reason.LEAD_UNKNOWN, f"No lead of this campaign has the transaction_id {named!r}")
