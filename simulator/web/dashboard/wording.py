"""How values read on a page: moments, money, verdicts. Jinja's filters; nothing is looked up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

# Marks that show nothing and change how the rest reads: controls, joiners, and those that turn the direction.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
MOST_SHOWN = 20_000  # characters of one body on a page
LONGEST_VALUE = 400  # characters of one string in it
DEEPEST = 60  # lists in lists that are still indented
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


def minute(moment: str) -> str:
    """Return `2026-11-20 14:02 UTC`."""
    return f"{moment[:10]} {moment[11:16]} UTC"


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
        found = None
    if isinstance(found, dict | list) and not _is_deep(found):
        text = json.dumps(_folded(found), indent=2, ensure_ascii=False)
    more = f"\n… and {len(text) - MOST_SHOWN:,} characters more" if len(text) > MOST_SHOWN else ""
    return visible(text[:MOST_SHOWN]) + more


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for item in level for inner in _inside(item)]
    return bool(level)


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _folded(value: Any) -> Any:
    """Return JSON with its long strings cut, so that one name does not push the others out of sight."""
    if isinstance(value, dict):
        return {_folded(name): _folded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_folded(item) for item in value]
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"{value[:LONGEST_VALUE]}… ({len(value):,} characters)"
    return value


def visible(text: str) -> str:
    """Spell out what cannot be seen, as JSON would: a name that turns the direction must not turn ours."""
    return UNSEEN.sub(lambda mark: f"\\u{ord(mark[0]):04x}", text)


def evidence(word: str) -> str:
    return _EVIDENCE.get(word, word)


def shorter(text: str, length: int = 160) -> str:
    return visible(text if len(text) <= length else f"{text[: length - 1]}…")


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def spaced(word: str) -> str:
    return word.replace("_", " ")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "clock_time": clock_time,
    "day_and_time": day_and_time,
    "minute": minute,
    "ms": milliseconds,
    "dollars": dollars,
    "cents": cents,
    "kind_of_status": kind_of_status,
    "pretty": pretty,
    "evidence": evidence,
    "shorter": shorter,
    "visible": visible,
    "spaced": spaced,
}
GLOBALS: Mapping[str, Callable[..., Any]] = {"plural": plural}
