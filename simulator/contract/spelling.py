"""Which field somebody meant by a name that no specification has. Nothing is judged here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache

from simulator.contract.sent import Sent
from simulator.contract.traffic import History

CLOSE = 0.9  # of difflib's ratio; ours: `loan_amout` is close, `address2` and `sub6` are other fields
TEST_TRIGGERS = frozenset({"testMode", "testSold"})  # of the sandbox itself
_BETWEEN = re.compile(r"[^a-z0-9]")


def meant(history: History, sent: Sent) -> Mapping[str, str]:
    """Map each field that was probably meant, and was not sent, to the name that was sent for it."""
    known = history.known(sent)
    if known.issuperset(sent.values):
        return {}
    unknown = [name for name in sent.values if name not in known and name not in TEST_TRIGGERS]
    pairs = ((_nearest(name, known) or _alias(name, known, history), name) for name in unknown)
    return {field: name for field, name in pairs if field and field not in sent.values}


def _alias(name: str, known: frozenset[str], history: History) -> str:
    field = history.dialect.misspellings.get(_bare(name), "")
    return field if field in known else ""


@lru_cache(maxsize=4096)
def _nearest(name: str, known: frozenset[str]) -> str:
    bare, digits = _bare(name), _digits(name)
    same = next((item for item in known if _bare(item) == bare), "")
    if same:
        return same
    close = get_close_matches(name[:100], [item for item in known if _digits(item) == digits], n=1, cutoff=CLOSE)
    return close[0] if close else ""


def _bare(name: str) -> str:
    return _BETWEEN.sub("", name.lower())


def _digits(name: str) -> str:
    return "".join(mark for mark in name if mark.isdigit())
