"""The duties of a buyer's webhook receiver: D71, D72, D73. Only receivers of the integrator's own are looked at."""

from __future__ import annotations

from simulator.contract.ledger import Ledger
from simulator.contract.sent import Attempt
from simulator.contract.traffic import History

FAST = 500.0  # milliseconds; public:/blog/lead-distribution-webhook, which is no contract


def good_signatures(history: History, ledger: Ledger) -> None:
    """D71: whatever the sandbox sends is signed rightly, so that a receiver which answers 401 or 403 is wrong."""
    for attempt in history.attempts:
        if attempt.status is None:
            continue
        ledger.met("D71", attempt)
        if attempt.status in {401, 403}:
            ledger.broken("D71", f"a good signature was answered {attempt.status}", attempt)


def fast_answers(history: History, ledger: Ledger) -> None:
    """D72: the work comes after the answer."""
    for attempt in history.attempts:
        ledger.met("D72", attempt)
        if attempt.status is None:
            ledger.broken("D72", "no answer", attempt)
        elif attempt.latency_ms > FAST:
            ledger.broken("D72", f"answered after more than {FAST:.0f} ms", attempt)


def repeated_events(history: History, ledger: Ledger) -> None:
    """D73: an event that was taken is taken again."""
    taken: dict[str, Attempt] = {}
    for attempt in history.attempts:
        first = taken.get(attempt.event_id)
        if first is not None and attempt.status is not None:
            ledger.met("D73", attempt)
            if not attempt.was_taken:
                ledger.broken("D73", f"an event that was taken was answered {attempt.status} the next time", attempt)
        if attempt.was_taken:
            taken.setdefault(attempt.event_id, attempt)


CHECKS = (good_signatures, fast_answers, repeated_events)
