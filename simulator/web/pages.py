"""A page for people, with what keeps it to itself in a browser. What stands on it is written elsewhere."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from flask import Response

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def page(text: str, media_type: str, policy: str) -> Response:
    """Return a page that loads only what its Content-Security-Policy allows, in no frame, of no other type."""
    response = Response(text, content_type=f"{media_type}; charset=utf-8")
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"  # it may name credentials
    return response


def with_style(style: str) -> str:
    """Return the policy of a page whose only extra is this text in a `style` element."""
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"{NOTHING}; style-src 'sha256-{digest}'"
