"""Duties about a ping and its post, which are any vendor's: D21, D22, D23, D49."""

from __future__ import annotations

from collections import Counter

from simulator.contract.ledger import Ledger
from simulator.contract.sent import Sent
from simulator.contract.traffic import History
from simulator.routing.fields import text_of, us_digits

ENOUGH_PINGS = 10  # ours: fewer say nothing about a ratio
FEW = 0.2  # ours: of accepted pings that are posted
ENOUGH_ALIKE = 3  # ours: accepted answers of one shape


def same_values(history: History, ledger: Ledger) -> None:
    """D21: what the price was quoted on is not changed in the post."""
    for post in history.submissions:
        ping = history.ping_of(post)
        if ping is None or post.masked or ping.masked:
            continue
        ledger.met("D21", post)
        faulty = {error["field"] for error in post.errors}  # which is D63's
        if changed := sorted(name for name in ping.values.keys() - faulty if _differs(history, name, ping, post)):
            ledger.broken("D21", f"changed between ping and post: {', '.join(changed)}", ping, post)


def _differs(history: History, name: str, ping: Sent, post: Sent) -> bool:
    dialect = history.dialect
    if name not in post.values or name in dialect.tracking | {dialect.link, dialect.issued, dialect.campaign}:
        return False
    one, other = (text_of(item.values[name]).strip().casefold() for item in (ping, post))
    if "sandbox:" in one or "sandbox:" in other:  # a trigger, which asks for something of its own at each step
        return False
    return us_digits(one) != us_digits(other) if name == dialect.phone else one != other


def after_the_answer(history: History, ledger: Ledger) -> None:
    """D22: the post waits for the ping's answer, by the ping's id or, without one, by the person."""
    pinged: dict[tuple[str, str], Sent] = {}
    for sent in history.leads:
        names = [(history.scope(sent), name) for name in history.persons(sent)]
        if sent.is_ping:
            pinged.update(dict.fromkeys(names, sent))
            continue
        ping = history.ping_of(sent)
        if ping is not None:
            ledger.met("D22", sent)
        elif not history.link(sent) and not _must_link(history, sent):
            ping = next((pinged[name] for name in names if name in pinged), None)
        if ping is not None and sent.began < ping.ended:
            ledger.broken("D22", "posted while the ping was still open", ping, sent)


def _must_link(history: History, sent: Sent) -> bool:
    terms = history.terms(sent)
    return terms is not None and terms.ping_required


def ping_to_post(history: History, ledger: Ledger) -> None:
    """D23: accepted pings are posted, or somebody asks for prices only."""
    accepted: dict[str, list[Sent]] = {}
    for ping in history.issued_ids.values():
        accepted.setdefault(ping.source_id, []).append(ping)
    for pings in accepted.values():
        if history.is_masked or len(pings) < ENOUGH_PINGS:
            continue
        ledger.met("D23", *pings)
        idle = [ping for ping in pings if not history.was_posted(ping)]
        if len(idle) > (1 - FEW) * len(pings):
            ledger.broken("D23", f"{len(idle)} of {len(pings)} accepted pings were never posted", *idle)


def lenient_parsing(history: History, ledger: Ledger) -> None:
    """D49: whatever optional keys an accepted answer has or lacks, a post follows."""
    shapes: dict[tuple[str, ...], list[Sent]] = {}
    for ping in history.issued_ids.values():
        shapes.setdefault(_shape(ping), []).append(ping)
    seen = {shape: pings for shape, pings in shapes.items() if len(pings) >= ENOUGH_ALIKE}
    posted = Counter({shape: sum(map(history.was_posted, pings)) for shape, pings in seen.items()})
    if len(seen) < 2 or not posted.total():
        return
    for shape, pings in seen.items():
        ledger.met("D49", *pings)
        if not posted[shape]:
            ledger.broken("D49", f"no post follows an accepted answer with just {', '.join(shape)}", *pings)


def _shape(ping: Sent) -> tuple[str, ...]:
    inner = ping.answer.get("data")
    keys = {*ping.answer, *(inner if isinstance(inner, dict) else ())}
    return tuple(sorted(keys))
