"""Who is on a list of people not wanted. What a match leads to is decided in rules.py."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from simulator.routing.agreed import Buyer, Suppression
from simulator.routing.decision import Lead
from simulator.routing.duplicates import PHONE_FIELDS, known_by, normalised

_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_COLUMNS = ("phone", "email")


def md5_of(field: str, value: Any) -> str:
    """Return the lower-case MD5 under which a value of this field is listed (see `duplicates.normalised`)."""
    return _md5(normalised(field, value))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def hit(suppression: Suppression, lead: Lead, now: datetime) -> bool:
    """Whether a lead is listed and the listing counts now. A lead without the field can't be listed.

    `days` = 90 means accepted again after 90 days, 0 means never (Pingtree, Database-Source-Suppression).
    """
    value = known_by(suppression.field, lead)
    listed = suppression.entries.get(_md5(value)) if value else None
    if listed is None or listed > now:
        return False
    return suppression.days == 0 or (now - listed) // timedelta(days=1) < suppression.days


def buyer_suppresses(buyer: Buyer, lead: Lead) -> bool:
    """Whether the phone or the email of a lead is on the buyer's own list."""
    if not buyer.suppressed:
        return False
    known = ((field, known_by(field, lead)) for field in _COLUMNS)
    return any(value and _md5(value) in buyer.suppressed for field, value in known)


def read_csv(text: str) -> frozenset[str]:
    """Read a buyer's list: header `phone` and/or `email`; values plain, or MD5 already (32 hex digits).

    Returns lower-case MD5s. Raises ValueError that names the line of the first mistake.
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=None), strict=True)
    try:
        columns = _header(next(rows, []))
        return frozenset(one for row in rows for one in _listed(columns, row, rows.line_num))
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}") from error


def _header(cells: list[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    if not columns or len(set(columns)) < len(columns) or not set(columns) <= set(_COLUMNS):
        raise ValueError(f"line 1: the header must be phone and/or email, not {','.join(cells)!r}")
    return columns


def _listed(columns: list[str], row: list[str], line: int) -> Iterator[str]:
    if len(row) > len(columns):
        raise ValueError(f"line {line}: {len(row)} values under {len(columns)} columns")
    for column, cell in zip(columns, row, strict=False):
        value = cell.strip()
        if _MD5.fullmatch(value):
            yield value.lower()
        elif value:
            yield md5_of(column, _plausible(column, value, line))


def _plausible(column: str, value: str, line: int) -> str:
    """Refuse what no lead could ever match, such as the values of a shifted column."""
    digits = 10 <= len(normalised(column, value)) <= 15
    if not (digits if column in PHONE_FIELDS else "@" in value):
        raise ValueError(f"line {line}: {value!r} is neither a {column} nor an MD5 (32 hex digits)")
    return value
