"""Lead Distro AI's signatures: the documented one of webhooks, and our signed `ping_id`. No keys live here.

Documented (/docs/api-webhook-signing): HMAC-SHA256 over the raw body, lower-case hex, in
`X-LeadDistro-Signature`.
Inferred from the vendor's recipe: the key is the secret's text, not the bytes that its hex stands for.
Ours: the event id and timestamp headers (the blog claims both, no page names them: conflict C8), and the
layout of `ping_id`, of which only the beginning of one example is documented.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

SIGNATURE_HEADER = "X-LeadDistro-Signature"
EVENT_ID_HEADER = "X-LeadDistro-Event-Id"
TIMESTAMP_HEADER = "X-LeadDistro-Timestamp"
MAX_TOKEN = 4096


@lru_cache(maxsize=256)
def _keyed(secret: bytes) -> hmac.HMAC:
    """Return an HMAC that knows the key and no message yet: preparing it costs twice what a message does."""
    return hmac.new(secret, digestmod="sha256")


def _digest(secret: bytes, message: bytes) -> bytes:
    found = _keyed(secret).copy()
    found.update(message)
    return found.digest()


def sign(secret: str, body: bytes) -> str:
    """Return the 64 lower-case hex digits that `X-LeadDistro-Signature` carries."""
    return _digest(secret.encode(), body).hex()


def verify(secret: str, body: bytes, signature: str) -> bool:
    """Whether `signature` is ours over exactly these bytes; takes the same time whatever it is."""
    return hmac.compare_digest(sign(secret, body).encode(), signature.encode("utf-8", "replace"))


def timestamped(timestamp: int, body: bytes) -> bytes:
    """Return what is signed in the blog's model with a timestamp (Unix seconds), laid out by us."""
    return f"{timestamp}.".encode() + body


def ping_token(secret: bytes, claims: Mapping[str, Any]) -> str:
    """Return a signed `ping_id`: base64url(JSON) + "." + base64url(HMAC-SHA256 of the first part).

    `claims` are JSON values and hold `cid`, which comes first, so that the token begins like the documented
    example (`eyJjaWQiOi`). Raises KeyError without `cid`.
    """
    ordered = {"cid": claims["cid"], **claims}
    payload = _encode(orjson.dumps(ordered))
    return f"{payload}.{_mac(secret, payload)}"


def read_ping_token(secret: bytes, token: object) -> Mapping[str, Any] | None:
    """Return the claims of a token that `ping_token` made with this secret; None for anything else."""
    if not isinstance(token, str) or len(token) > MAX_TOKEN or not token.isascii():
        return None
    payload, dot, mac = token.partition(".")
    if not dot or not hmac.compare_digest(_mac(secret, payload), mac):
        return None
    return _claims(payload)


def _claims(payload: str) -> Mapping[str, Any] | None:
    padded = payload + "=" * (-len(payload) % 4)
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


def _mac(secret: bytes, payload: str) -> str:
    return _encode(_digest(secret, payload.encode()))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
