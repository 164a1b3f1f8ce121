"""The duties of Pingtree's sources between ping and post: D10 to D13, D19, D20, D24, D51, D60, D61."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from simulator.contract.ledger import Ledger
from simulator.contract.model import Journey
from simulator.contract.sent import TAKEN, Sent
from simulator.contract.spelling import TEST_TRIGGERS, meant
from simulator.contract.traffic import History
from simulator.routing.decision import Reason
from simulator.routing.fields import text_of

READING_TIME = 2.0  # seconds; ours: nobody reads a consent text in less
_NAMED = frozenset({"first_name", "last_name", "email", "mobile"})
_TELLING = 8  # characters; ours: a shorter id is the beginning of too many
_SAID = {
    Reason.PING_UNKNOWN: ("D11", "posted with a transaction_id that no ping of this source has"),
    Reason.PING_REJECTED: ("D10", "posted after ping_reject"),
    Reason.PING_EXPIRED: ("D13", "posted after the accepted ping had expired"),
}
_CONSENT = ("tcpa_consent", "tcpa_consent_date")


def is_misdirected(history: History, ping: Sent) -> bool:
    """Whether the full lead of an accepted ping came to the ping's path."""
    first = history.issued_ids.get(history.link(ping))
    return first is not None and first is not ping and first.ended <= ping.began and _is_full(ping)


def _is_full(sent: Sent) -> bool:
    return not _NAMED.isdisjoint(sent.values)


def linked_posts(history: History, ledger: Ledger) -> None:
    """D10 to D13: a post goes with an accepted ping, by the id as it was given, in time."""
    for rejected in history.pings:
        if rejected.is_rejected_ping:
            ledger.met("D10", rejected)
    issued = _Issued(history)
    used: set[str] = set()
    for post in history.submissions:
        if post.journey is not Journey.REDEEM or post.mislabelled:
            continue
        ledger.met("D11", post)
        ping = history.ping_of(post)
        if ping is None:
            _without_ping(history, ledger, post, issued)
        elif history.link(post) not in used:
            _with_ping(history, ledger, post, ping)
        if post.reason in TAKEN:
            used.add(history.link(post))


def _with_ping(history: History, ledger: Ledger, post: Sent, ping: Sent) -> None:
    ledger.met("D12", post)
    if ping.is_rejected_ping:
        ledger.broken("D10", "posted after ping_reject", ping, post)
        return
    ledger.met("D13", post)
    if post.at - ping.at > history.lifetime(ping):
        ledger.broken("D13", "posted after the accepted ping had expired", ping, post)


class _Issued:
    """The ids of accepted pings, found by what somebody made of them."""

    def __init__(self, history: History) -> None:
        self._pings = {_folded(name): ping for name, ping in history.issued_ids.items()}
        self._names = sorted(self._pings)
        self._waiting: dict[str, Sent] = {}
        for ping in history.issued_ids.values():
            if not history.was_posted(ping):
                self._waiting.setdefault(ping.source_id, ping)

    def like(self, link: str) -> Sent | None:
        """Return the ping whose id this is in other letters, or the beginning of."""
        name = _folded(link)
        place = bisect_left(self._names, name)
        near = self._names[place] if place < len(self._names) else ""
        return self._pings[near] if len(name) >= _TELLING and near.startswith(name) else None

    def waiting_for(self, post: Sent) -> Sent | None:
        """Return an accepted ping of the source that was answered before this post, and never posted."""
        ping = self._waiting.get(post.source_id)
        return ping if ping is not None and ping.ended <= post.began else None


def _folded(name: str) -> str:
    return name.strip().strip("\"'").casefold()


def _without_ping(history: History, ledger: Ledger, post: Sent, issued: _Issued) -> None:
    """Judge by what was issued; where the ping may have left the journal, the sandbox's own answer tells."""
    link = history.link(post).strip()
    if not link and not post.masked:
        _without_id(ledger, post, issued)
    elif ping := issued.like(link):
        ledger.broken("D12", "the transaction_id was changed", ping, post)
    elif post.refused_for(*_SAID):
        ledger.broken(*_SAID[post.reason], post)


def _without_id(ledger: Ledger, post: Sent, issued: _Issued) -> None:
    if not post.values:  # a body that nobody could read
        return
    if ping := issued.waiting_for(post):
        ledger.broken("D12", "posted without the transaction_id of the ping before it", ping, post)
    else:
        ledger.broken("D11", "posted without transaction_id, and without a ping before it", post)


def own_ids(history: History, ledger: Ledger) -> None:
    """D19, D51: a source's own transaction_id is one lead's; after a reject something else is tried."""
    seen: dict[str, Sent] = {}
    for ping in history.pings:
        if ping.is_rejected_ping:
            ledger.met("D51", ping)
        link = history.link(ping)
        if not link or ping.masked or is_misdirected(history, ping):
            continue
        ledger.met("D19", ping)
        earlier = seen.get(link)
        if earlier is not None and _attributes(history, earlier) != _attributes(history, ping):
            ledger.broken("D19", "the transaction_id of another lead", earlier, ping)
        elif earlier is not None and earlier.is_rejected_ping and earlier.source_id == ping.source_id:
            ledger.broken("D51", "the same ping again after ping_reject", earlier, ping)
        seen[link] = ping


def _attributes(history: History, ping: Sent) -> dict[str, str]:
    ignored = history.dialect.tracking
    return {name: text_of(value) for name, value in ping.values.items() if name not in ignored}


def custom_fields(history: History, ledger: Ledger) -> None:
    """D20: what the ping had beyond the documented fields, the post has too."""
    documented = history.documented("ping") | history.documented("post") | TEST_TRIGGERS
    for post in history.submissions:
        ping = history.ping_of(post)
        if ping is None or post.mislabelled:
            continue
        custom = {name for name, value in ping.values.items() if name not in documented and not _is_trigger(value)}
        custom -= set(meant(history, ping).values())
        if custom:
            ledger.met("D20", post)
        if dropped := sorted(custom - set(post.values)):
            ledger.broken("D20", f"in the ping and not in the post: {', '.join(dropped)[:200]}", ping, post)


def _is_trigger(value: Any) -> bool:
    return isinstance(value, str) and (value.startswith("sandbox:") or value.lower().endswith("@sandbox.test"))


def endpoints(history: History, ledger: Ledger) -> None:
    """D24: the ping's lead goes to the post's path, with the post's token."""
    for sent in history.leads:
        ping = history.issued_ids.get(history.link(sent))
        if ping is None or ping is sent or sent.began < ping.ended:
            continue
        if sent.journey is Journey.REDEEM:
            ledger.met("D24", sent)
        elif sent.journey is Journey.OFFER:
            ledger.broken("D24", "the full lead of an accepted ping at the form's path", ping, sent)
        elif is_misdirected(history, sent):
            ledger.broken("D24", "the full lead of an accepted ping at the ping's path", ping, sent)


def consent(history: History, ledger: Ledger) -> None:
    """D60, D61: the consent text of the ping's answer was shown, read and agreed to."""
    for post in history.submissions:
        ping = history.ping_of(post)
        if ping is None or post.mislabelled or not _shows_text(ping) or post.began < ping.ended:
            continue
        ledger.met("D60", post)
        ledger.met("D61", post)
        if missing := [name for name in _CONSENT if not post.text(name) and not (post.masked and name in post.values)]:
            ledger.broken("D60", f"buyerTcpa was returned, and the post lacks {' and '.join(missing)}", ping, post)
        if post.gap_after(ping) < READING_TIME:
            ledger.broken("D61", f"posted less than {READING_TIME:.0f} s after buyerTcpa was returned", ping, post)


def _shows_text(ping: Sent) -> bool:
    inner = ping.answer.get("data")
    return bool(ping.answer.get("buyerTcpa") or (isinstance(inner, dict) and inner.get("buyerTcpa")))


CHECKS = (linked_posts, own_ids, custom_fields, endpoints, consent)
