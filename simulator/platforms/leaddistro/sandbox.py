"""Lead Distro AI's section of the sandbox file, in Lead Distro's words, and the account it becomes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from pydantic import Field

from simulator.contract.account import Account, Source, buyers_of
from simulator.contract.model import Operation, words
from simulator.contract.sandbox import (
    NOT_REPEATED,
    BuyerEntry,
    Caps,
    Condition,
    Dollars,
    Duplicates,
    FieldEntry,
    Hours,
    Limits,
    Name,
    PersonaWanted,
    PlatformSection,
    RateLimit,
    Section,
    Suppressed,
    Surroundings,
    group,
)
from simulator.platforms.leaddistro import INGEST, LOOKUP, PING
from simulator.platforms.leaddistro.readings import Readings
from simulator.platforms.leaddistro.severities import LeadDistroSeverities
from simulator.routing import agreed

PLATFORM = "leaddistro"
KEY = "api_key"
WEBHOOK_SECRET = "webhook_secret"  # noqa: S105  the kind under which a buyer's rotations are counted


class MappedField(FieldEntry):
    """A custom field of the campaign's field mapping."""

    required: bool = False

    def value(self) -> agreed.Field:
        required = frozenset({"ingest"}) if self.required else frozenset[str]()
        return agreed.Field(self.name, self.type, self.label, required, self.acceptable, self.transform)


class WebhookEntry(Section):
    """An integrator's own receiver in place of a mock one."""

    url: str = Field(pattern=r"^https?://.+")
    secret: str = Field(
        "", json_schema_extra=NOT_REPEATED, description="The signing secret. Default: one made for this buyer."
    )


class LeadDistroBuyer(BuyerEntry):
    price: Dollars = Decimal(0)
    priority: int = Field(1, ge=0, description="Waterfall: the lower, the earlier.")
    weight: int = Field(1, ge=0, le=1_000_000)
    webhook: WebhookEntry | None = None

    def secret(self, around: Surroundings) -> str:
        """Return the signing secret in force; a rotation makes a new one, also where the file names one."""
        generation, _ = around.generations.get((self.id, WEBHOOK_SECRET), (0, around.since))
        if generation == 0 and self.webhook is not None and self.webhook.secret:
            return self.webhook.secret
        made_for = f"webhook {self.id} {generation}" if generation else f"webhook {self.id}"
        return hmac.new(around.secret, made_for.encode(), hashlib.sha256).hexdigest()

    def value(self, around: Surroundings, unwanted: frozenset[str]) -> agreed.Buyer:
        """`unwanted` is the campaign's list where the reading makes it a silent skip (C2)."""
        terms = self.shared_terms(around)
        url = self.webhook.url if self.webhook else around.mock(PLATFORM, self.id, "webhook")
        return agreed.Buyer(
            **{**terms, "suppressed": terms["suppressed"] | unwanted},
            price=self.price,
            priority=self.priority,
            weight=self.weight,
            webhook=agreed.Webhook(url, self.secret(around)),
        )


class DuplicatePolicy(Duplicates):
    inside_window: Literal["reject", "route_to_original"] = "reject"

    def policy(self) -> agreed.DuplicateRule:
        return self.rule(route_to_original=self.inside_window == "route_to_original")


class Campaign(Section):
    id: Name
    name: str = ""
    routing: Literal["direct_post", "ping_post"] = "direct_post"
    distribution: Literal["waterfall", "round_robin", "weighted"] = "waterfall"
    field_mapping: tuple[MappedField, ...] = ()
    inbound_filters: tuple[Condition, ...] = ()
    filter_hours: tuple[Hours, ...] = Field((), description="When the filters apply. Empty: always.")
    suppression: tuple[Suppressed, ...] = ()
    duplicates: DuplicatePolicy = DuplicatePolicy.left_out()
    caps: Caps = Field(Caps.left_out(), description="Only under the reading campaign_caps (C11).")
    ping_lifetime: float = Field(1800, gt=0, le=86_400, description="Seconds a ping_id is valid.")
    buyers: tuple[LeadDistroBuyer, ...] = ()

    def terms(self, supplier: Supplier, around: Surroundings, readings: Readings) -> agreed.Terms:
        skips = readings.suppression_mode == "skip"
        unwanted = frozenset[str]().union(*(item.hashes(around) for item in self.suppression if skips))
        return agreed.Terms(
            platform=PLATFORM,
            source_id=supplier.id,
            campaign_id=self.id,
            timezone=around.timezone,
            fields=tuple(item.value() for item in self.field_mapping),
            filters=group(self.inbound_filters),
            filter_windows=tuple(item.value() for item in self.filter_hours),
            suppressions=() if skips else tuple(one for item in self.suppression for one in item.lists(around)),
            caps=self.caps.values() if readings.campaign_caps else (),
            duplicates=self.duplicates.policy(),
            distribution=agreed.Distribution(self.distribution),
            buyers=tuple(buyer.value(around, unwanted) for buyer in self.buyers),
            ping_required=self.routing == "ping_post",
            ping_lifetime=timedelta(seconds=self.ping_lifetime),
            is_test=supplier.test_mode,
            counts_caps=readings.test_mode_counts_caps or not supplier.test_mode,
            answers_before_distribution=readings.direct_post_async and self.routing == "direct_post",
            chosen_buyer_field=readings.chosen_buyer_field,
        )


def _documented(operation: Operation) -> RateLimit:
    assert operation.limit is not None  # the vendor documents one for each of its operations
    return RateLimit(**operation.limit._asdict())


class SupplierLimits(Limits):
    """Defaults are the documented limits; higher ones are given on request (public:/docs/api-response-codes)."""

    ingest: RateLimit | None = _documented(INGEST)
    ping: RateLimit | None = _documented(PING)
    lookup: RateLimit | None = _documented(LOOKUP)


class Supplier(Section):
    id: Name
    api_key: Name = Field(json_schema_extra=NOT_REPEATED)
    test_mode: bool = False
    campaigns: tuple[Name, ...] = Field((), description="The ids of the campaigns it is linked to.")
    limits: SupplierLimits = SupplierLimits.left_out()


class LeadDistroSection(PlatformSection):
    """Campaigns with their buyers, suppliers, and the readings in force."""

    readings: Readings = Readings.model_construct()
    severities: LeadDistroSeverities = Field(
        LeadDistroSeverities.left_out(), description="Of duties, for the audit and live findings."
    )
    campaigns: tuple[Campaign, ...] = ()
    suppliers: tuple[Supplier, ...] = ()

    def account(self, around: Surroundings) -> Account:
        found = [self._source(supplier, around) for supplier in self.suppliers]
        return Account(
            platform=PLATFORM,
            timezone=around.timezone,
            readings=self.readings,
            words=words(self.readings),
            severities=self.severities.values(),
            secret=around.secret,
            sources={source.name: source for source in found},
            buyers=buyers_of(found),
            campaigns=frozenset(campaign.id for campaign in self.campaigns),
        )

    def personas(self, around: Surroundings) -> Iterator[PersonaWanted]:
        for campaign in self.campaigns:
            for buyer in campaign.buyers:
                if buyer.webhook is None:
                    document = buyer.persona_document(secret=buyer.secret(around))
                    yield PersonaWanted(PLATFORM, around.tenant, buyer.id, document)

    def _source(self, supplier: Supplier, around: Surroundings) -> Source:
        key = _key(supplier, around)
        campaigns = (campaign for campaign in self.campaigns if campaign.id in supplier.campaigns)
        return Source(
            id=supplier.id,
            name=key,
            owner=supplier.id,
            credentials={KEY: key},
            terms={item.id: item.terms(supplier, around, self.readings) for item in campaigns},
            is_test=supplier.test_mode,
            limits=supplier.limits.values(),
        )


def _key(supplier: Supplier, around: Surroundings) -> str:
    generation, _ = around.generations.get((supplier.id, KEY), (0, around.since))
    if generation == 0:
        return around.named(supplier.api_key)
    made = hmac.new(around.secret, f"{supplier.id} {generation}".encode(), hashlib.sha256).hexdigest()
    return around.named(f"sk_supplier_{made[:24]}")
