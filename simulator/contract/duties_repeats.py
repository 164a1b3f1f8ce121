"""Duties about one lead that comes twice, which are any vendor's: D18, D46, D47, D48, D50.

A repeated lead has one cause, the first that fits: side by side, after no answer, with a ping that is used up, or
simply the same person again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import timedelta

from simulator.contract.duty import Severity
from simulator.contract.ledger import Ledger
from simulator.contract.model import Journey
from simulator.contract.sent import TAKEN, Sent
from simulator.contract.traffic import History
from simulator.routing.decision import Reason

WINDOW = timedelta(days=30)  # Lead Distro's default; at a source without a duplicate rule it is ours
_NOT_SOLD = frozenset({Reason.UNSOLD, Reason.UNMATCHED})
_RULES = frozenset({Reason.CAP_REACHED, Reason.FILTERED, Reason.SUPPRESSED, Reason.OUTSIDE_HOURS, Reason.OUTSIDE_AREA})


class _Memory:
    """The last submission of each person and each ping, and the last that was taken."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._latest: dict[tuple[str, str], Sent] = {}
        self._taken: dict[tuple[str, str], Sent] = {}
        self._final: dict[str, Sent] = {}
        self._lookups = [item.began for item in history.sent if item.journey is Journey.LOOKUP]

    def looked_up(self, first: Sent, second: Sent) -> bool:
        """Whether the client asked what became of its lead, between two submissions."""
        place = bisect_left(self._lookups, first.began)
        return place < len(self._lookups) and self._lookups[place] < second.began

    def names(self, sent: Sent) -> Iterator[tuple[str, str]]:
        scope = self._history.scope(sent)
        yield from ((scope, name) for name in self._history.persons(sent))
        if link := self._history.link(sent):
            yield ("", link)

    def latest(self, sent: Sent) -> Sent | None:
        found = [item for name in self.names(sent) if (item := self._latest.get(name))]
        return max(found, key=lambda item: item.began, default=None)

    def taken(self, sent: Sent) -> Sent | None:
        return next((item for name in self.names(sent) if (item := self._taken.get(name))), None)

    def final(self, sent: Sent) -> Sent | None:
        """Return the submission that used up the ping which this one names."""
        return self._final.get(self._history.link(sent))

    def keep(self, sent: Sent) -> None:
        taken = sent.reason in TAKEN and not sent.unfinished
        for name in self.names(sent):
            self._latest[name] = sent
            if taken:
                self._taken[name] = sent
        link = self._history.link(sent)
        if link and (taken or sent.reason in _RULES) and link not in self._final:
            self._final[link] = sent


def repeated_leads(history: History, ledger: Ledger) -> None:
    """D18, D46, D47, D48, D50: each repeated lead under its one cause."""
    memory = _Memory(history)
    busy_until = 0.0
    for sent in history.submissions:
        _occasions(history, ledger, sent, busy_until)
        _cause(history, ledger, sent, memory)
        busy_until = max(busy_until, sent.ended)
        memory.keep(sent)


def _occasions(history: History, ledger: Ledger, sent: Sent, busy_until: float) -> None:
    if history.link(sent):
        ledger.met("D18", sent)
    if sent.unfinished or sent.is_slow:
        ledger.met("D46", sent)
    if sent.began < busy_until:
        ledger.met("D48", sent)
    if history.persons(sent):
        ledger.met("D47", sent)
    if (sent.reason in _NOT_SOLD or sent.reason in _RULES) and history.link(sent):
        ledger.met("D50", sent)


def _cause(history: History, ledger: Ledger, sent: Sent, memory: _Memory) -> None:
    latest, final, taken = memory.latest(sent), memory.final(sent), memory.taken(sent)
    if latest is not None and sent.began < latest.ended and not latest.is_slow:
        ledger.broken("D48", "two submissions of one lead at the same time", latest, sent)
    elif latest is not None and (latest.unfinished or sent.began < latest.ended):
        if not memory.looked_up(latest, sent):
            ledger.broken("D46", "sent again although nobody knows what became of it", latest, sent)
    elif final is not None:
        _used_up(ledger, final, sent)
    elif taken is not None and (sent.http < 300 or sent.reason is Reason.DUPLICATE):
        _same_person(history, ledger, taken, sent)


def _used_up(ledger: Ledger, final: Sent, sent: Sent) -> None:
    if final.reason in TAKEN - _NOT_SOLD:
        ledger.broken("D18", "the id of a ping that was posted already", final, sent)
    elif final.digest != sent.digest or final.http < 300:  # unchanged after a 4xx is D41
        ledger.broken("D50", "posted again after the post was refused", final, sent)


def _same_person(history: History, ledger: Ledger, taken: Sent, sent: Sent) -> None:
    terms = history.terms(sent)
    rule = terms.duplicates if terms else None
    if sent.at - taken.at > (rule.window if rule else WINDOW):
        return
    if rule:
        ledger.broken("D47", "the same person within the duplicate window", taken, sent)
    else:
        detail = f"the same person within {WINDOW.days} days, at a source without a duplicate rule"
        ledger.broken("D47", detail, taken, sent, severity=Severity.WARN)
