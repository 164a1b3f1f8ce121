"""What a campaign's section of the sandbox file says for the time after the sale: events and offers. No rules."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simulator.contract.sandbox import Name, Section
from simulator.routing import agreed


class EventEntry(Section):
    """An event that may be posted back for a lead (public:/api-explore/offer-campaign/event-postback)."""

    id: Name = Field(description="The `event_id`.")
    conversion: bool = Field(default=False, description="true: `revenue` is required.")
    is_duplicate: bool = Field(default=False, description="true: it may come again for the same transaction.")

    def value(self) -> agreed.EventType:
        return agreed.EventType(self.id, is_conversion=self.conversion, repeats=self.is_duplicate)


class OfferEntry(Section):
    """An entry of a click listing (public:/api-explore/offer-campaign/click-listing-api)."""

    id: Name = Field(description="The `clickListingId`.")
    title: str = ""
    description: str = ""
    logo_url: str = Field("", pattern=r"^(https?://.+)?$")
    call_to_action: str = Field("", description="The page is cut in the middle of this key.")
    device: Literal["both", "desktop", "mobile"] = "both"
    url: str = Field(pattern=r"^https?://.+", description="Where its click URL leads.")

    def value(self) -> agreed.Offer:
        device = "" if self.device == "both" else self.device
        words = (self.title, self.description, self.logo_url, self.call_to_action)
        return agreed.Offer(self.id, *words, device=device, url=self.url)
