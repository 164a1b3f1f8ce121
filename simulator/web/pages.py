"""What every HTML page and file of the control API is answered with. No route lives here."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from flask import Response

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def guarded(text: str, media_type: str, policy: str) -> Response:
    """Answer with a text that may name credentials, or hold what callers sent: nobody keeps it, nothing in it runs."""
    response = Response(text, content_type=f"{media_type}; charset=utf-8")
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


def only_style(text: str) -> str:
    """Return the policy of a page that has one style of its own, and nothing else."""
    digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"{NOTHING}; style-src 'sha256-{digest}'"
