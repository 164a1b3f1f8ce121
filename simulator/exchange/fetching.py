"""The journeys that tell how leads ended: one by its transaction, or a campaign's page by page. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.exchange.call import Call
from simulator.exchange.records import kept_lead
from simulator.routing.decision import Decision, Listing, Reason
from simulator.routing.fields import text_of, us_digits
from simulator.store import LeadRecord, Store

MOST_SEARCHED = 10_000  # of the newest leads of a campaign; ours


class FetchJourneys:
    """Reads what post and form left in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fetch(self, call: Call) -> Decision:
        """Tell how the source's lead of one transaction ended."""
        transaction_id = str(call.values["transaction_id"])
        record = next(iter(self._leads(call, transaction_id)), None)
        if record is None:
            return Decision(
                Reason.LEAD_UNKNOWN, f"No lead of this source has the transaction_id {transaction_id[:80]!r}"
            )
        found = kept_lead(call.contract, record, self._redirect_url(call, transaction_id))
        return Decision(
            Reason.FOUND_DUPLICATE if record.is_duplicate else Reason.FOUND,
            f"The lead ended as {record.status}",
            lead_id=record.id,
            campaign_id=record.campaign_id,
            transaction_id=record.transaction_id,
            is_duplicate=record.is_duplicate,
            buyer_id=record.buyer_id,
            found=(found,),
            total=1,
        )

    def _leads(self, call: Call, transaction_id: str) -> list[LeadRecord]:
        return self._store.leads(
            call.tenant.id,
            platform=call.contract.platform,
            source_id=call.source.id,
            campaign_id=next(iter(call.source.terms)),
            transaction_id=transaction_id,
            limit=1,
        )

    def _redirect_url(self, call: Call, transaction_id: str) -> str:
        ping = self._store.ping(call.tenant.id, call.contract.platform, transaction_id)
        answer = ping.answer if ping else None
        return str(answer.get("redirect_url", "")) if answer else ""

    def listing(self, call: Call) -> Decision:
        """Return one page of the leads of the source's campaign, whichever source sent them."""
        assert call.contract.asking is not None  # a contract with a list has one
        wanted = call.contract.asking.listing(call.values, call.account.readings)
        if isinstance(wanted, Decision):
            return wanted
        records, total = self._searched(call, wanted) if wanted.search else self._page(call, wanted)
        found = tuple(kept_lead(call.contract, record) for record in records)
        detail = f"{len(found)} of {total} leads"
        return Decision(Reason.FOUND, detail, campaign_id=next(iter(call.source.terms)), found=found, total=total)

    def _scope(self, call: Call) -> tuple[str, str, str]:
        return call.tenant.id, call.contract.platform, next(iter(call.source.terms))

    def _page(self, call: Call, wanted: Listing) -> tuple[Iterable[LeadRecord], int]:
        scope = self._scope(call)
        offset = (wanted.page - 1) * wanted.limit
        page = self._store.listed_leads(*scope, wanted, limit=wanted.limit, offset=offset)
        return page, self._store.count_listed(*scope, wanted)

    def _searched(self, call: Call, wanted: Listing) -> tuple[Iterable[LeadRecord], int]:
        known = self._store.listed_leads(*self._scope(call), wanted, limit=MOST_SEARCHED, offset=0)
        found = [record for record in known if _holds(record, wanted)]
        start = (wanted.page - 1) * wanted.limit
        return found[start : start + wanted.limit], len(found)


def _holds(record: LeadRecord, wanted: Listing) -> bool:
    """Whether a searched field, or two of them with a space between, holds the text; of a phone the digits count."""
    values = [text_of(record.values.get(name)) for name in wanted.searched]
    digits = us_digits(wanted.search)
    is_number = digits and not any(sign.isalpha() for sign in wanted.search)
    return wanted.search.casefold() in " ".join(values).casefold() or bool(is_number and digits in record.phone)
