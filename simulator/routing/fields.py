"""What one sent value means: text, type, transform. Whether it is acceptable is not decided here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from simulator.routing.agreed import Field, FieldType

# Longer numbers are no lead data, and turning them into integers costs quadratic time.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_NO_DIGIT = re.compile(r"[^0-9]")
_PHONE = re.compile(r"\+?[0-9 ().\-]{7,40}")
_US_DATE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].{1,40})?", re.IGNORECASE)
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True}
_BOOLEANS |= {"false": False, "no": False, "off": False, "0": False}


def text_of(value: Any) -> str:
    """Return a scalar as people would write it (`true`, `5`, `2.5`); lists, objects and null have no text."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int | Decimal):
        return str(Decimal(value))  # str() of an int refuses more than 4,300 digits
    return value.isoformat() if isinstance(value, date) else ""


def is_blank(value: Any) -> bool:
    """Whether a value counts as not sent: null, or nothing but white space."""
    return not value.strip() if isinstance(value, str) else value is None


def without_blanks(values: Mapping[str, Any]) -> dict[str, Any]:
    # `is_blank`, without a call for each value: most of them are texts.
    return {
        name: value
        for name, value in values.items()
        if (value.strip() if isinstance(value, str) else value is not None)
    }


def us_digits(text: str) -> str:
    """Return the digits of a phone number without a leading US 1: what `Lead.phone` holds.

    Neither vendor documents how it compares phone numbers: this normalisation is the sandbox's own.
    """
    if len(text) == 10 and text.isascii() and text.isdigit():  # what `Lead.phone` holds already, mostly
        return text
    digits = _digits(text)
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits


def _digits(text: str) -> str:
    bare = text.removeprefix("+")  # mostly there is nothing else to take away
    return bare if bare.isascii() and bare.isdigit() else _NO_DIGIT.sub("", text)


def iso_day(text: str) -> date | None:
    """Return the day of `YYYY-MM-DD`, of an ISO date-time as written, or of `MM/DD/YYYY`."""
    text = text.strip()
    if found := _US_DATE.fullmatch(text):
        month, day, year = map(int, found.groups())
        return _day(year, month, day)
    if not _ISO_DATE.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).date()
    except ValueError:
        return None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def coerce(field: Field, text: str) -> Any:
    """Read a form-encoded or query value as the field's type; what can't be read stays text.

    The text that stays is what validation then names, in the sender's own spelling.
    """
    word = text.strip()
    if field.type is FieldType.INTEGER:
        return int(word) if _INTEGER.fullmatch(word) else text
    if field.type is FieldType.NUMBER:
        return _number(word, text)
    if field.type is FieldType.BOOLEAN:
        return _BOOLEANS.get(word.lower(), text)
    return text


def _number(word: str, otherwise: Any) -> Any:
    if not _NUMBER.fullmatch(word):
        return otherwise
    return float(word) if "." in word else int(word)


def _phone_e164(value: Any) -> Any:
    text = text_of(value).strip()
    if not _PHONE.fullmatch(text):
        return value
    if text.startswith("+"):
        digits = _digits(text)
        return f"+{digits}" if 7 <= len(digits) <= 15 else value
    digits = us_digits(text)
    return f"+1{digits}" if len(digits) == 10 else value


def _phone_digits(value: Any) -> Any:
    text = text_of(value).strip()
    return us_digits(text) if _PHONE.fullmatch(text) else value


def _date_iso(value: Any) -> Any:
    day = iso_day(text_of(value))
    return value if day is None else day.isoformat()


def _as_number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _number(value.strip().removeprefix("$").replace(",", ""), value)


def _on_text(change: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, str) else value


TRANSFORMS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "phone_e164": _phone_e164,
        "phone_digits": _phone_digits,
        "date_iso": _date_iso,
        "lower": _on_text(str.lower),
        "upper": _on_text(str.upper),
        "trim": _on_text(str.strip),
        "title": _on_text(str.title),
        "number": _as_number,
    }
)
"""What a field mapping may do to a value on its way in. Documented by name are a phone and a date formatter
(Lead Distro, /docs/campaign-field-mapping); the set and the details are the sandbox's own."""


def transformed(field: Field, value: Any) -> Any:
    """Apply the field's transform; what can't be transformed stays as it is, for validation to name."""
    transform = TRANSFORMS.get(field.transform)
    return value if transform is None else transform(value)
