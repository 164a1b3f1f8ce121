"""What an unquoted word in a sandbox file means: the core schema of YAML 1.2, except for ZIP codes."""

from __future__ import annotations

import math
import re
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None

# A longer row of digits is an identifier, not an amount; int() would take quadratic time over it.
MAX_DIGITS = 40

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# The core schema reads 01234 as a number. Here it stays text, as the ZIP code that it nearly always is.
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_IN_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def is_not_finite(text: str) -> bool:
    """Whether YAML calls this word infinity or "not a number", neither of which a sandbox has."""
    return _NOT_FINITE.fullmatch(text) is not None


def resolved(text: str) -> Scalar:
    """Return the value of a plain scalar; whatever is no null, boolean or number is text (dates too)."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > MAX_DIGITS:
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    if _IN_BASE.fullmatch(text):
        return int(text, 0)
    return _fraction(text) if _NUMBER.fullmatch(text) else text


def _fraction(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text
