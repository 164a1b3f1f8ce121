"""How values read on a page: moments, money, verdicts. Jinja's filters; nothing is looked up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

MOST_SHOWN = 20_000  # characters of one body on a page
_EVIDENCE = {
    "full": "documented",
    "row": "documented status; the body is inferred",
    "ours": "the sandbox's own; no vendor documents it",
}


def clock_time(moment: str | datetime | None) -> str:
    """Return `14:02:07.123` of an ISO moment, which the journal writes in UTC."""
    text = moment.isoformat(timespec="microseconds") if isinstance(moment, datetime) else (moment or "")
    return text[11:23]


def day_and_time(moment: str | datetime | None) -> str:
    """Return `2026-11-20 14:02:07 UTC`."""
    text = moment.isoformat() if isinstance(moment, datetime) else (moment or "")
    return f"{text[:10]} {text[11:19]} UTC" if text else ""


def milliseconds(value: float | None) -> str:
    if value is None:
        return ""
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def dollars(value: Any) -> str:
    """Return `$1,234.50`; what is no amount comes back as it is."""
    if value is None or value == "":
        return ""
    try:
        return f"${Decimal(str(value)):,.2f}"
    except InvalidOperation:
        return str(value)


def cents(value: int) -> str:
    return dollars(Decimal(value) / 100)


def kind_of_status(http: int) -> str:
    """Return the style class of an HTTP status: `ok`, `odd` for refusals, `bad` for failures."""
    return "ok" if http < 400 else "bad" if http >= 500 else "odd"


def pretty(text: str) -> str:
    """Return JSON indented, anything else as it is; never more than a page can bear."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text[:MOST_SHOWN]
    if not isinstance(found, dict | list):
        return text[:MOST_SHOWN]
    return json.dumps(found, indent=2, ensure_ascii=False)[:MOST_SHOWN]


def evidence(word: str) -> str:
    return _EVIDENCE.get(word, word)


def shorter(text: str, length: int = 160) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def spaced(word: str) -> str:
    return word.replace("_", " ")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "clock_time": clock_time,
    "day_and_time": day_and_time,
    "ms": milliseconds,
    "dollars": dollars,
    "cents": cents,
    "kind_of_status": kind_of_status,
    "pretty": pretty,
    "evidence": evidence,
    "shorter": shorter,
    "spaced": spaced,
}
GLOBALS: Mapping[str, Callable[..., Any]] = {"plural": plural}
