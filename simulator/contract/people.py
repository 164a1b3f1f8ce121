"""Lifts what every platform routes by out of a lead's fields. Which field holds it is the vendor's to say.

The normalisation is ours: neither vendor documents one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.routing.decision import Lead
from simulator.routing.fields import text_of, us_digits


def lifted(values: Mapping[str, Any], *, phone: str) -> Lead:
    """Return the lead with phone, e-mail, state and ZIP in one spelling; `phone` names the phone's field."""
    return Lead(
        values=values,
        phone=us_digits(_text(values, phone)),
        email=_text(values, "email").lower(),
        state=_text(values, "state").upper(),
        zip_code=_text(values, "zip_code")[:5],
    )


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return (value if isinstance(value, str) else text_of(value)).strip()
