"""Pingtree's section of the sandbox file, in Pingtree's words, and the account it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
from simulator.platforms.pingtree.admission import bearer_door, campaign_door, org_door
from simulator.platforms.pingtree.after_sale import EventEntry, OfferEntry
from simulator.platforms.pingtree.readings import Readings
from simulator.platforms.pingtree.severities import PingtreeSeverities
from simulator.routing import agreed

PLATFORM = "pingtree"
ORGANIC = "organic"  # the source of traffic that names none (public:/documentation/campaign/sources/custom-sources)


class SourceField(FieldEntry):
    """A field as Field Management shows it: Form, Ping and Post Required in any combination."""

    required: tuple[Literal["form", "ping", "post", "update"], ...] = ()

    def value(self) -> agreed.Field:
        return agreed.Field(self.name, self.type, self.label, frozenset(self.required), self.acceptable, self.transform)


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

    def value(self, around: Surroundings) -> agreed.Buyer:
        ping_url = around.mock(PLATFORM, self.id, "ping") if self.url is None else self.url.ping
        post_url = around.mock(PLATFORM, self.id, "post") if self.url is None else self.url.post
        endpoint = agreed.Endpoint(
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
        return agreed.Buyer(
            **self.shared_terms(around),
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
    caps: Caps = Caps.left_out()
    hours: tuple[Hours, ...] = ()
    states: tuple[StateCode, ...] = ()
    zip_codes: tuple[ZipCode, ...] = ()
    conditions: tuple[Condition, ...] = ()
    suppressions: tuple[Suppressed, ...] = ()
    ping_lifetime: float = Field(300, gt=0, le=86_400, description="Seconds an accepted ping may be posted.")
    duplicates: Duplicates | None = Field(None, description="What makes `isDeDupe` true. Default: nothing.")
    active: bool = Field(
        default=True,
        description="false: its event postbacks are answered 403. Its leads are taken, as no page says otherwise.",
    )
    limits: SourceLimits = SourceLimits.left_out()

    def terms(
        self,
        campaign: Campaign,
        around: Surroundings,
        buyers: tuple[agreed.Buyer, ...],
        readings: Readings,
    ) -> agreed.Terms:
        return agreed.Terms(
            platform=PLATFORM,
            source_id=self.id,
            campaign_id=around.named(campaign.id),
            timezone=around.timezone,
            fields=tuple(item.value() for item in self.fields),
            windows=tuple(item.value() for item in self.hours),
            states=frozenset(self.states),
            zip_codes=frozenset(self.zip_codes),
            filters=group(self.conditions),
            suppressions=tuple(one for item in self.suppressions for one in item.lists(around)),
            caps=self.caps.values(),
            duplicates=self.duplicates.rule() if self.duplicates else None,
            distribution=agreed.Distribution.AUCTION,
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
    events: tuple[EventEntry, ...] = Field((), description="What may happen to its leads later. Ids differ.")
    offers: tuple[OfferEntry, ...] = Field((), description="What consumers of its sold leads are shown. Ids differ.")

    def after_the_sale(self, around: Surroundings, readings: Readings) -> agreed.Terms:
        """Return what holds for requests about leads that were sold, whoever sent them."""
        return agreed.Terms(
            platform=PLATFORM,
            source_id=ORGANIC,
            campaign_id=around.named(self.id),
            timezone=around.timezone,
            events={item.id: item.value() for item in self.events},
            event_lock=timedelta(seconds=readings.event_lock_seconds),
            offers=tuple(item.value() for item in self.offers),
        )


class PingtreeSection(PlatformSection):
    """Campaigns with their buyers and sources, and the readings in force."""

    readings: Readings = Readings.model_construct()
    severities: PingtreeSeverities = Field(
        PingtreeSeverities.left_out(), description="Of duties, for the audit and live findings."
    )
    org_id: Name = Field("org_5f1a2b3c", description="The `{org-id}` in paths; a tenant's has its suffix.")
    campaigns: tuple[Campaign, ...] = ()

    def account(self, around: Surroundings) -> Account:
        found = [source for campaign in self.campaigns for source in self._sources(campaign, around)]
        return Account(
            platform=PLATFORM,
            timezone=around.timezone,
            readings=self.readings,
            words=words(self.readings),
            severities=self.severities.values(),
            secret=around.secret,
            sources={source.name: source for source in found},
            buyers=buyers_of(found),
            campaigns=frozenset(around.named(campaign.id) for campaign in self.campaigns),
            doors=self._doors(found, around),
        )

    def _doors(self, sources: Iterable[Source], around: Surroundings) -> dict[str, Source]:
        """Return whom a token, a campaign's id and the account's id stand for."""
        doors = {door: source for source in sources for door in _token_doors(source)}
        everything: dict[str, agreed.Terms] = {}
        for campaign in self.campaigns:
            name = around.named(campaign.id)
            everything[name] = campaign.after_the_sale(around, self.readings)
            tokens = {signing.CLICK: self._click_token(campaign, around)} if self.readings.click_token else {}
            doors[campaign_door(name)] = _organic(name, tokens, {name: everything[name]})
        org_id = around.named(self.org_id)
        return doors | {org_door(org_id): _organic(org_id, {}, everything)}

    def _click_token(self, campaign: Campaign, around: Surroundings) -> str:
        """Return the campaign's one token for click listings; renewing it for any source renews it for all."""
        links = [(around.named(entry.link_id), signing.CLICK) for entry in campaign.sources]
        generation = sum(around.generations.get(link, (0, around.since))[0] for link in links)
        return _token(around, campaign, ORGANIC, signing.CLICK, generation)

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
                credentials=self._credentials(campaign, name, around),
                terms={around.named(campaign.id): entry.terms(campaign, around, buyers, self.readings)},
                retired=tuple(self._retired(campaign, name, around)),
                limits=entry.limits.values(),
                active=entry.active,
                arguments=self._arguments(campaign, entry, around),
                siblings=frozenset(around.named(item.id) for item in self.campaigns),
            )

    def _credentials(self, campaign: Campaign, name: str, around: Surroundings) -> dict[str, str]:
        found = {kind: _token(around, campaign, name, kind) for kind in signing.KINDS}
        return found | ({signing.CLICK: self._click_token(campaign, around)} if self.readings.click_token else {})

    def _arguments(self, campaign: Campaign, entry: SourceEntry, around: Surroundings) -> dict[str, str]:
        campaign_id = around.named(campaign.id)
        return {
            "source_unique_id": around.named(entry.link_id),
            "offer_campaign_id": campaign_id,
            "campaign_id": campaign_id,
            "org_id": around.named(self.org_id),
            "source_id": entry.id,
        } | ({"click_listing_id": campaign.offers[0].id} if campaign.offers else {})

    def _retired(self, campaign: Campaign, name: str, around: Surroundings) -> Iterator[Retired]:
        for kind in signing.KINDS:
            generation, last = around.generations.get((name, kind), (0, around.since))
            for older in range(generation):
                grace = self.readings.token_grace_seconds if older == generation - 1 else 0
                credential = _token(around, campaign, name, kind, older)
                yield Retired(credential, kind, last + timedelta(seconds=grace))


def _token_doors(source: Source) -> Iterator[str]:
    """Name every token of the source, old ones too, so that a refusal can say what is wrong with it."""
    yield from (bearer_door(token) for kind, token in source.credentials.items() if kind != signing.CLICK)
    yield from (bearer_door(old.credential) for old in source.retired)


def _organic(name: str, tokens: dict[str, str], terms: dict[str, agreed.Terms]) -> Source:
    """Return the built-in source of whatever names no source."""
    return Source(ORGANIC, name, name, tokens, terms)


def _token(around: Surroundings, campaign: Campaign, link_id: str, kind: str, generation: int | None = None) -> str:
    if generation is None:
        generation, _ = around.generations.get((link_id, kind), (0, around.since))
    campaign_id = around.named(campaign.id)
    return signing.token(around.secret, campaign_id=campaign_id, link_id=link_id, kind=kind, generation=generation)
