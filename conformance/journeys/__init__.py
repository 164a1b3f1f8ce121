"""The journeys, by theme. `ALL` is every one of them, in the order in which they are run."""

from __future__ import annotations

from conformance.journey import Journey
from conformance.journeys import auctions, gates, readings_leaddistro, readings_pingtree, rules, tokens, webhooks

ALL: tuple[Journey, ...] = (
    *auctions.ALL,
    *gates.ALL,
    *rules.ALL,
    *tokens.ALL,
    *webhooks.ALL,
    *readings_pingtree.ALL,
    *readings_leaddistro.ALL,
)
