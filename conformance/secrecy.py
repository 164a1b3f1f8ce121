"""Takes credentials out of a report, whatever is made of it. What a report holds is `report.py`'s."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CREDENTIAL_HEADERS = frozenset({"authorization", "x-api-key", "proxy-authorization", "cookie"})
MASK = "[masked]"
SHORTEST = 6
"""A shorter word is no credential, and masking it would blacken the report."""


def masked(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report without credentials: what a credential header carried is masked wherever it stands.

    A target file's credentials were replaced before, by the names of their environment variables.
    """
    text = json.dumps(document)
    for secret in sorted(_secrets(document), key=len, reverse=True):
        text = text.replace(json.dumps(secret)[1:-1], MASK)
    found: dict[str, Any] = json.loads(text)
    return found


def _secrets(document: Mapping[str, Any]) -> set[str]:
    sent = (item["request_headers"] for result in document["results"] for item in result["exchanges"])
    given = (value for headers in sent for name, value in headers.items() if name.lower() in CREDENTIAL_HEADERS)
    words = (value.rpartition(" ")[2] for value in given)
    return {word for word in words if len(word) >= SHORTEST and not word.startswith("$")}
