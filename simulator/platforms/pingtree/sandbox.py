"""Pingtree's section of the sandbox file, in Pingtree's words, and the account it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from pydantic import Field

from simulator.contract.account import Account, Retired, Source, buyers_of
from simulator.contract.model import words
from simulator.contract.sandbox import (
    BuyerEntry,
    Caps,
    Condition,
    Dollars,
    Duplicates,
    FieldEntry,
    Hours,
    Limits,
    Name,
    PathName,
    PersonaWanted,
    PlatformSection,
    RateLimit,
    Seconds,
    Section,
    StateCode,
    Suppressed,
    Surroundings,
    ZipCode,
    group,
)
from simulator.platforms.pingtree import signing
from simulator.platforms.pingtree.readings import Readings
from simulator.routing import model

PLATFORM = "pingtree"


class SourceField(FieldEntry):
    """A field as Field Management shows it: Form, Ping and Post Required in any combination."""

    required: tuple[Literal["form", "ping", "post"], ...] = ()

    def value(self) -> model.Field:
        return model.Field(self.name, self.type, self.label, frozenset(self.required), self.acceptable, self.transform)


class Url(Section):
    """An integrator's own buyer in place of a mock one."""

    ping: str = Field("", pattern=r"^(https?://.+)?$")
    post: str = Field(pattern=r"^https?://.+")


class PingtreeBuyer(BuyerEntry):
    """A buyer endpoint (public:/documentation/campaign/… endpoint configuration)."""

    url: Url | None = None
    method: Literal["POST", "GET"] = "POST"
    format: Literal["json", "form"] = "json"
    mapping: dict[str, str] = Field(default_factory=dict, description="Our field name: the buyer's.")
    ping_fields: tuple[Name, ...] = Field((), description="What a ping carries. Empty: all but PII.")
    answer_keys: dict[Literal["accepted", "bid", "ping_id", "reason", "url", "tcpa"], str] = Field(
        default_factory=dict, description="Where in the buyer's answer each stands, as a dotted path."
    )
    ping_timeout: Seconds = 3.0
    post_timeout: Seconds = 5.0
    bypass_ping: bool = Field(default=False, description="Direct post only, at the fixed `price`.")
    price: Dollars = Decimal(0)
    minimum_price: Dollars = Decimal(0)
    tcpa: str = Field("", description="Consent text that a ping answer shows when this buyer wins.")

    def value(self, around: Surroundings) -> model.Buyer:
        ping_url = around.mock(PLATFORM, self.id, "ping") if self.url is None else self.url.ping
        post_url = around.mock(PLATFORM, self.id, "post") if self.url is None else self.url.post
        endpoint = model.Endpoint(
            ping_url=ping_url,
            post_url=post_url,
            method=self.method,
            form_encoded=self.format == "form",
            mapping=self.mapping,
            ping_fields=frozenset(self.ping_fields),
            answer_keys={str(part): path for part, path in self.answer_keys.items()},
            ping_timeout=self.ping_timeout,
            post_timeout=self.post_timeout,
            bypass_ping=self.bypass_ping or not ping_url,
        )
        return model.Buyer(
            **self.common(around),
            price=self.price,
            minimum_price=self.minimum_price,
            tcpa=self.tcpa,
            endpoint=endpoint,
        )


class SourceLimits(Limits):
    """Ours: Pingtree documents no rate limit, so there is none unless the file sets one."""

    ping: RateLimit | None = None
    post: RateLimit | None = None
    form: RateLimit | None = None


class SourceEntry(Section):
    """One source-campaign pairing: link id, tokens, posting specification, gates."""

    id: Name
    type: Literal["CS", "MC", "MP"] = Field("CS", description="Custom Source, Media Channel, Marketing Partner.")
    link_id: PathName
    fields: tuple[SourceField, ...] = ()
    caps: Caps = Caps()
    hours: tuple[Hours, ...] = ()
    states: tuple[StateCode, ...] = ()
    zip_codes: tuple[ZipCode, ...] = ()
    conditions: tuple[Condition, ...] = ()
    suppressions: tuple[Suppressed, ...] = ()
    ping_lifetime: float = Field(300, gt=0, le=86_400, description="Seconds an accepted ping may be posted.")
    duplicates: Duplicates | None = Field(None, description="What makes `isDeDupe` true. Default: nothing.")
    limits: SourceLimits = SourceLimits()

    def terms(
        self,
        campaign: Campaign,
        around: Surroundings,
        buyers: tuple[model.Buyer, ...],
        readings: Readings,
    ) -> model.Terms:
        return model.Terms(
            platform=PLATFORM,
            source_id=self.id,
            campaign_id=campaign.id,
            timezone=around.timezone,
            fields=tuple(item.value() for item in self.fields),
            windows=tuple(item.value() for item in self.hours),
            states=frozenset(self.states),
            zip_codes=frozenset(self.zip_codes),
            filters=group(self.conditions),
            suppressions=tuple(one for item in self.suppressions for one in item.lists(around)),
            caps=self.caps.values(),
            duplicates=self.duplicates.rule() if self.duplicates else None,
            distribution=model.Distribution.AUCTION,
            buyers=buyers,
            ping_lifetime=timedelta(seconds=self.ping_lifetime),
            reevaluates_expired_pings=readings.expired_post == "reevaluate",
            repeats_answer_to_repeated_post=readings.repeated_post == "replay",
            refuses_repeated_transaction_ids=readings.repeated_transaction_id == "reject",
        )


class Campaign(Section):
    id: Name
    name: str = ""
    buyers: tuple[PingtreeBuyer, ...] = ()
    sources: tuple[SourceEntry, ...] = ()


class PingtreeSection(PlatformSection):
    """Campaigns with their buyers and sources, and the readings in force."""

    readings: Readings = Readings()
    campaigns: tuple[Campaign, ...] = ()

    def account(self, around: Surroundings) -> Account:
        found = [source for campaign in self.campaigns for source in self._sources(campaign, around)]
        return Account(
            platform=PLATFORM,
            timezone=around.timezone,
            readings=self.readings,
            words=words(self.readings),
            secret=around.secret,
            sources={source.name: source for source in found},
            buyers=buyers_of(found),
            campaigns=frozenset(campaign.id for campaign in self.campaigns),
        )

    def personas(self, around: Surroundings) -> Iterator[PersonaWanted]:
        for campaign in self.campaigns:
            for buyer in campaign.buyers:
                if buyer.url is None:
                    document = buyer.persona_document(
                        tcpa=buyer.tcpa,
                        mapping=buyer.mapping,
                        answer_keys=dict(buyer.answer_keys),
                        bypass_ping=buyer.bypass_ping,
                    )
                    yield PersonaWanted(PLATFORM, around.tenant, buyer.id, document)

    def _sources(self, campaign: Campaign, around: Surroundings) -> Iterator[Source]:
        buyers = tuple(buyer.value(around) for buyer in campaign.buyers)
        for entry in campaign.sources:
            name = around.named(entry.link_id)
            yield Source(
                id=entry.id,
                name=name,
                owner=name,
                credentials={kind: _token(around, campaign, name, kind) for kind in signing.KINDS},
                terms={campaign.id: entry.terms(campaign, around, buyers, self.readings)},
                retired=tuple(self._retired(campaign, name, around)),
                limits=entry.limits.values(),
            )

    def _retired(self, campaign: Campaign, name: str, around: Surroundings) -> Iterator[Retired]:
        for kind in signing.KINDS:
            generation, last = around.generations.get((name, kind), (0, around.since))
            for older in range(generation):
                grace = self.readings.token_grace_seconds if older == generation - 1 else 0
                credential = _token(around, campaign, name, kind, older)
                yield Retired(credential, kind, last + timedelta(seconds=grace))


def _token(around: Surroundings, campaign: Campaign, link_id: str, kind: str, generation: int | None = None) -> str:
    if generation is None:
        generation, _ = around.generations.get((link_id, kind), (0, around.since))
    return signing.token(around.secret, campaign_id=campaign.id, link_id=link_id, kind=kind, generation=generation)
