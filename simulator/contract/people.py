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
    found = [values.get(name) for name in (phone, "email", "state", "zip_code")]
    number, email, state, zip_code = [(value if isinstance(value, str) else text_of(value)).strip() for value in found]
    return Lead(values, us_digits(number), email.lower(), state.upper(), zip_code[:5])
