"""By which values two leads are the same person. Remembering who came before is the store's."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from simulator.routing.agreed import DuplicateRule
from simulator.routing.decision import Lead
from simulator.routing.fields import text_of, us_digits

PHONE_FIELDS = frozenset({"phone", "mobile"})
"""What the vendors call the phone number; it is one person's under either name."""

_LONGEST_KEY = 200


def normalised(field: str, value: Any) -> str:
    """Return the form in which values are compared and hashed; "" for what is absent.

    Phones: digits without a leading US 1; others: trimmed, lower-case. Not documented by either vendor.
    """
    text = text_of(value)
    return us_digits(text) if field in PHONE_FIELDS else text.strip().lower()


def known_by(field: str, lead: Lead) -> str:
    """Return the lead's own value of a field, normalised; "" if it has none."""
    if field in PHONE_FIELDS:
        return us_digits(lead.phone)
    return normalised(field, lead.email if field == "email" else lead.values.get(field))


def keys(rule: DuplicateRule, lead: Lead) -> tuple[str, ...]:
    """Return one key for each field of the rule that the lead has: `phone:2125550123`, `case_no:a-17`.

    Any one key in common makes two leads duplicates (fields match independently: Lead Distro's blog).
    """
    found = [(_key_name(field), known_by(field, lead)) for field in rule.fields]
    return tuple(dict.fromkeys([f"{name}:{_short(value)}" for name, value in found if value]))


def _key_name(field: str) -> str:
    return "phone" if field in PHONE_FIELDS else field


def _short(value: str) -> str:
    """Keep a key fit for any database index: not too long, no control characters."""
    if len(value) <= _LONGEST_KEY and value.isprintable():
        return value
    return "sha256=" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def cutoff(rule: DuplicateRule, now: datetime) -> datetime:
    """Return the moment before which an earlier lead no longer counts."""
    try:
        return now - rule.window
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
