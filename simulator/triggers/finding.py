"""Where a request may ask for an outcome: in the lead itself (gateways strip headers), or in a header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from simulator.contract import body
from simulator.contract.account import Received
from simulator.contract.model import BodyType, Contract
from simulator.routing.values import value
from simulator.triggers.table import Trigger, Words, aliases

HEADER = "x-sandbox-trigger"
DOMAIN = "@sandbox.test"
PREFIX = "sandbox:"

# One look that most requests fail: only a body in which one of these stands is read for triggers.
_PROMISING = (b"sandbox", b"99999", b"00001", b"00002", b"testmode", b"testsold")
_PHONE = re.compile(rb"500\D{0,3}555\D{0,3}01")
_EVERY_TYPE = frozenset({BodyType.JSON, BodyType.FORM})
_PHONES = frozenset({"phone", "mobile"})
_ZIPS = frozenset({"zip_code", "zip"})


@value(frozen=True, slots=True)
class Asked:
    """What a request asked for. `origin` is `lead` or `header`; `trigger` is None for a word that is none."""

    origin: str
    word: str
    trigger: Trigger | None


class Finder:
    """Finds the triggers of requests to one platform."""

    def __init__(self, contract: Contract) -> None:
        self._words = Words(contract)

    def find(self, received: Received) -> tuple[Asked, ...]:
        """Return what was asked for, the lead's wishes before the header's."""
        found: list[Asked] = []
        if _is_promising(received.body) or (received.query and _is_promising(received.query)):
            found += [Asked("lead", word, self._words.understand(word)) for word in _in_lead(received)]
        if word := received.headers.get(HEADER):
            found.append(Asked("header", word[:100], self._words.understand(word)))
        return tuple(found)


def _is_promising(text: bytes) -> bool:
    lower = text.lower()
    for word in _PROMISING:  # many times as fast as one expression for all of it
        if word in lower:
            return True
    return b"500" in text and _PHONE.search(text) is not None


def _in_lead(received: Received) -> Iterator[str]:
    read = body.fields_of(received, _EVERY_TYPE)
    if isinstance(read, body.Fields):
        yield from _spelled_out(read.values)
        yield from _meant_by_values(read.values)


def _spelled_out(values: Mapping[str, Any]) -> Iterator[str]:
    for sent in values.values():
        if isinstance(sent, str):
            if sent[: len(PREFIX)].lower() == PREFIX:
                yield sent[len(PREFIX) :][:100]
            elif sent.lower().endswith(DOMAIN):
                yield sent[: -len(DOMAIN)][:100]


def _meant_by_values(values: Mapping[str, Any]) -> Iterator[str]:
    """Later aliases of the table win over earlier ones, so that `testSold=1` refines `testMode=1`."""
    meant = [alias.trigger for alias in aliases() if alias.equals in set(_candidates(alias.field, values))]
    yield from meant[-1:]


def _candidates(field: str, values: Mapping[str, Any]) -> Iterator[str]:
    names = _PHONES if field == "phone" else _ZIPS if field == "zip_code" else frozenset({field})
    for name in names:
        value = values.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            yield re.sub(r"\D", "", str(value))[-10:] if field == "phone" else str(value).strip()
