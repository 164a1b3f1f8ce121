"""Pingtree's tokens: HS256 JWTs, one per source and kind. No clock: a generation has a fixed `iat`.

That the enrichment token is of the type `update` and the API token of the type `api` is ours: no page names the types.
"""

from __future__ import annotations

import jwt

KINDS = ("form", "ping", "post", "update", "api")
CLICK = "click"  # wanted under one reading only, and by campaign (C21)
FIRST_ISSUED = 1_767_225_600  # 2026-01-01T00:00:00Z; a constant, so that a sandbox's tokens survive restarts


def token(secret: bytes, *, campaign_id: str, link_id: str, kind: str, generation: int) -> str:
    """Return the token of one kind and generation.

    The claims `offerCampaignId`, `_id`, `type`, `iat`, and no `exp`, are those seen in practice; that `type`
    tells the kind is a reading (public:gh3p).
    """
    claims = {"offerCampaignId": campaign_id, "_id": link_id, "type": kind, "iat": FIRST_ISSUED + generation}
    return jwt.encode(claims, secret, algorithm="HS256")
