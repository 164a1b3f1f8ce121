"""What Lead Distro AI sends to a buyer's webhook. Signing lives beside it; sending does not live here.

Documented: a JSON POST with the full lead, its custom fields and `is_test`, signed over the raw body
(/docs/buyer-delivery-methods, /docs/campaign-test-mode, /docs/api-webhook-signing).
Ours: the layout of the keys, which no readable page shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from simulator.contract.model import Delivered
from simulator.platforms.leaddistro.readings import Readings
from simulator.platforms.leaddistro.signing import (
    EVENT_ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    sign,
    timestamped,
)

SYSTEM_FIELDS = ("first_name", "last_name", "email", "phone", "state", "zip_code", "source")
"""The platform's own fields (/docs/campaign-field-mapping); every other field of a lead is a custom field."""
_SYSTEM = frozenset(SYSTEM_FIELDS)
_PREFIX = "flo_"  # ids and tokens of the supplier's call: no business of the buyer's


def webhook_payload(
    *,
    lead_id: str,
    campaign_id: str,
    supplier_id: str,
    buyer_id: str,
    price: Decimal | None,
    is_test: bool,
    created_at: datetime,
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the delivered lead, in our layout; only `is_test` is a documented key.

    `price` (US dollars) is delivered as text with two decimals, `created_at` in UTC to the millisecond.
    """
    return {
        "id": lead_id,
        "campaign_id": campaign_id,
        "supplier_id": supplier_id,
        "buyer_id": buyer_id,
        "price": None if price is None else f"{price:.2f}",
        "is_test": is_test,
        "created_at": _moment(created_at),
        **{name: values[name] for name in SYSTEM_FIELDS if name in values},
        "custom_fields": _custom_fields(values),
    }


def webhook_body(payload: dict[str, Any]) -> bytes:
    """Return the exact bytes that are signed and sent; what JSON has no word for becomes text."""
    return orjson.dumps(payload, default=str)


def webhook_headers(secret: str, body: bytes, event_id: str, *, timestamp: int | None) -> dict[str, str]:
    """Return the headers of one delivery.

    Without `timestamp` the signature covers the body, as documented. With one (Unix seconds) it covers
    `<timestamp>.<body>` and the timestamp travels in a header of ours (conflict C8, the blog's model).
    Without a secret there is nothing to sign with, and no signature.
    """
    headers = {"Content-Type": "application/json", EVENT_ID_HEADER: event_id}
    signed = body
    if timestamp is not None:
        headers[TIMESTAMP_HEADER] = str(timestamp)
        signed = timestamped(timestamp, body)
    if secret:
        headers[SIGNATURE_HEADER] = sign(secret, signed)
    return headers


def _custom_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _SYSTEM and not name.startswith(_PREFIX)}


def _moment(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def body(delivered: Delivered) -> bytes:
    """Return the bytes of the webhook that reports a sold lead."""
    return webhook_body(
        webhook_payload(
            lead_id=delivered.lead_id,
            campaign_id=delivered.campaign_id,
            supplier_id=delivered.source_id,
            buyer_id=delivered.buyer_id,
            price=delivered.price,
            is_test=delivered.is_test,
            created_at=delivered.at,
            values=delivered.values,
        )
    )


def headers(readings: Readings, secret: str, body: bytes, event_id: str, at: datetime) -> dict[str, str]:
    """Return the headers of one attempt, signed as the reading of C8 says."""
    timestamp = int(at.timestamp()) if readings.webhook_signature == "timestamped" else None
    return webhook_headers(secret, body, event_id, timestamp=timestamp)
