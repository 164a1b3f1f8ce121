"""The duties of Pingtree's sources after a sale: D40, D65, D66, D67, from event postbacks and click URLs.

They go by the documented paths and fields, so that they hold whether or not the sandbox serves these endpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from simulator.contract.ledger import Ledger
from simulator.contract.sent import Sent
from simulator.contract.traffic import History
from simulator.routing.decision import Reason

_EVENTS = "/api/event/"
_CLICKS = "/api/click/"
_CLICK_LIST = "/api/click/list/"
_CLICK_PARTS = 7  # /api/click/{clickListingId}/{cid}/{pid}/{transaction_id}
_NOT_SOLD = frozenset({Reason.UNSOLD, Reason.DUPLICATE})


def conversions(history: History, ledger: Ledger) -> None:
    """D40, D65: an event is for a lead that was sold, not for one that was answered 201 unsold, or an error."""
    answered: dict[str, Sent] = {}
    for sent in history.sent:
        if sent.is_submission and (link := history.link(sent)):
            answered[link] = sent
            if sent.http >= 400:
                ledger.met("D65", sent)
            elif sent.reason in _NOT_SOLD:
                ledger.met("D40", sent)
        elif sent.path.startswith(_EVENTS):
            _judge_event(ledger, answered.get(history.link(sent)), sent)


def _judge_event(ledger: Ledger, post: Sent | None, event: Sent) -> None:
    if post is not None and post.http >= 400:
        ledger.broken("D65", f"an event for a lead that was answered {post.http}", post, event)
    elif post is not None and post.reason in _NOT_SOLD:
        ledger.broken("D40", f"an event for a lead that was answered {post.http} {post.reason}", post, event)


def events(history: History, ledger: Ledger) -> None:
    """D66: an event names its event and its lead, and comes once. Which ids are configured is not known here."""
    seen: dict[tuple[str, str], Sent] = {}
    for event in _events(history):
        ledger.met("D66", event)
        names = ("event_id", history.dialect.link)
        if missing := [name for name in names if not event.text(name)]:
            ledger.broken("D66", f"an event without {' and '.join(missing)}", event)
            continue
        key = (event.text("event_id"), event.text(history.dialect.link))
        if (earlier := seen.get(key)) and earlier.http < 500:
            at_once = event.began < earlier.ended
            ledger.broken("D66", f"the same event {'at the same time' if at_once else 'again'}", earlier, event)
        seen[key] = event


def _events(history: History) -> Iterator[Sent]:
    posted = (item for item in history.sent if item.path.startswith(_EVENTS) and item.method == "POST")
    return (item for item in posted if item.values and not item.masked)


def click_urls(history: History, ledger: Ledger) -> None:
    """D67: a click URL is followed as it was returned."""
    returned: set[str] = set()
    for sent in history.sent:
        if not sent.path.startswith(_CLICKS):
            continue
        if sent.path.startswith(_CLICK_LIST):
            returned.update(urlsplit(url).path for url in _urls(sent))
        elif returned and len(sent.path.split("/")) == _CLICK_PARTS:
            ledger.met("D67", sent)
            if sent.path not in returned:
                ledger.broken("D67", "a click URL that was not returned like this", sent)


def _urls(sent: Sent) -> Iterator[str]:
    inner = sent.answer.get("data")
    offers = inner.get("offers") if isinstance(inner, dict) else None
    for offer in offers if isinstance(offers, list) else ():
        if isinstance(offer, dict) and isinstance(offer.get("clickUrl"), str):
            yield offer["clickUrl"]


CHECKS = (conversions, events, click_urls)
