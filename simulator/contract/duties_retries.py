"""Duties about time, limits and sending again, which are any vendor's: D41 to D45."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise

from simulator.contract.ledger import Ledger
from simulator.contract.sent import Sent
from simulator.contract.traffic import History
from simulator.routing.decision import Reason

FINAL = frozenset({400, 401, 403, 404, 405, 422})  # retrying is advised for 429, 500 and 503 only
ALIKE_FOR = 600.0  # seconds; ours: later, something else may have changed
AT_ONCE = 0.2  # seconds; ours
MOST_ATTEMPTS = 6  # ours
GROWTH = 1.25  # ours: pauses whose longest is less than this times the shortest do not grow


def unchanged_retries(history: History, ledger: Ledger) -> None:
    """D41: what was refused for good is not sent again byte for byte, with the same credential."""
    refused: dict[str, Sent] = {}
    for sent in _digested(history.sent):
        earlier = refused.get(sent.digest)
        if earlier is not None and sent.began >= earlier.ended and sent.gap_after(earlier) <= ALIKE_FOR:
            ledger.broken("D41", f"the same {sent.operation} again after {earlier.http}", earlier, sent)
        if sent.http in FINAL and not sent.unfinished:
            ledger.met("D41", sent)
            refused[sent.digest] = sent


def retry_after(history: History, ledger: Ledger) -> None:
    """D42: after a 429, nothing of that key and operation comes before Retry-After is over. Real time."""
    waiting: dict[tuple[str, str], deque[Sent]] = {}
    for sent in history.sent:
        queue = waiting.setdefault((sent.source_id, sent.operation), deque())
        while queue and queue[0].ended + queue[0].retry_after <= sent.began:
            queue.popleft()
        told = next((item for item in queue if item.ended <= sent.began < item.ended + item.retry_after), None)
        if told is not None:
            ledger.broken("D42", f"{sent.operation} before Retry-After was over", told, sent)
        if sent.reason is Reason.RATE_LIMITED and sent.retry_after:
            ledger.met("D42", sent)
            queue.append(sent)


def rate_limits(history: History, ledger: Ledger) -> None:
    """D43: the documented rates are kept; whatever the limiter refused was over them."""
    for sent in history.sent:
        if sent.journey is None or not sent.source_id:
            continue
        ledger.met("D43", sent)
        if sent.refused_for(Reason.RATE_LIMITED):
            ledger.broken("D43", f"{sent.operation} above its documented rate", sent)


def backing_off(history: History, ledger: Ledger) -> None:
    """D44: after 500 and 503, pauses that grow, and an end."""
    chains: dict[str, list[Sent]] = {}
    for sent in _digested(history.sent):
        chain = chains.get(sent.digest)
        if chain:
            chain.append(sent)
        if sent.http in {500, 503}:
            ledger.met("D44", sent)
            if not chain:
                chains[sent.digest] = [sent]
        elif chain:
            _judge(chains.pop(sent.digest), ledger)
    for chain in chains.values():
        _judge(chain, ledger)


def _judge(attempts: Sequence[Sent], ledger: Ledger) -> None:
    gaps = [later.gap_after(earlier) for earlier, later in pairwise(attempts)]
    if any(gap < AT_ONCE for gap in gaps):
        ledger.broken("D44", "sent again at once after an error of the platform", *attempts)
    elif len(gaps) > 1 and max(gaps) < GROWTH * min(gaps):
        ledger.broken("D44", "sent again at a fixed interval", *attempts)
    elif len(attempts) > MOST_ATTEMPTS:
        ledger.broken("D44", f"more than {MOST_ATTEMPTS} attempts", *attempts)


def patience(history: History, ledger: Ledger) -> None:
    """D45: the client waits longer than an auction may take. One that sends again before the answer did not.

    Who posts the id of a slow ping's answer did wait. Nothing tells of a client that hung up and sent nothing more.
    """
    slow: dict[str, Sent] = {}
    for sent in _digested(history.leads):
        earlier = slow.get(sent.digest)
        if earlier is not None and sent.began < earlier.ended:
            ledger.broken("D45", f"the same {sent.operation} again before the first was answered", earlier, sent)
        if sent.is_slow:
            slow[sent.digest] = sent
            if sent.is_ping and history.was_posted(sent):
                ledger.met("D45", sent)


def _digested(sent: Iterable[Sent]) -> Iterable[Sent]:
    return (item for item in sent if item.digest)
