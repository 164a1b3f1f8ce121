"""Gates of a source, who may have a lead, and in what order. No vendor's words for it are here."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate

from simulator.routing import conditions
from simulator.routing.agreed import Buyer, Distribution, Suppression, Terms
from simulator.routing.decision import Asked, Check, Lead, Reason
from simulator.routing.schedule import is_open, local
from simulator.routing.suppression import buyer_suppresses, hit
from simulator.routing.values import once

PASSED_OVER = "passed over"
SUPPRESSED = "suppressed"

# --- may the source bring this lead? ------------------------------------------------------------------------


def refusals(terms: Terms, lead: Lead, now: datetime) -> tuple[Check, ...]:
    """Try every gate that is set, in order: hours, states, ZIP codes, filters, suppressions.

    States and ZIP codes must both match where both are set (ours: the documentation only lists the two).
    """
    found = [_hours(terms, now)] if terms.windows else []
    if terms.states or terms.zip_codes:
        found += _area(terms, lead)
    if terms.filters.members:
        found += _filters(terms, lead, now)
    found += [_suppression(one, lead, now) for one in terms.suppressions]
    return tuple(found)


def refused(checks: Iterable[Check]) -> Check | None:
    """Return the first check that turned the lead away."""
    for check in checks:
        if not check.passed:
            return check
    return None


def _check(rule: str, passed: bool, detail: str, reason: Reason) -> Check:
    return Check(rule, passed, detail, None if passed else reason)


def _hours(terms: Terms, now: datetime) -> Check:
    is_now = is_open(terms.windows, now, terms.timezone)
    detail = f"{_clock(terms, now)} is {'inside' if is_now else 'outside'} the opening hours."
    return _check("opening hours", is_now, detail, Reason.OUTSIDE_HOURS)


def _clock(terms: Terms, now: datetime) -> str:
    return f"{local(now, terms.timezone):%A %H:%M} in {terms.timezone}"


def _area(terms: Terms, lead: Lead) -> Iterator[Check]:
    if terms.states:
        detail = f"{_named('state', lead.state)}; accepted are {_listed(terms.states)}."
        yield _check("states", _in_states(terms.states, lead), detail, Reason.OUTSIDE_AREA)
    if terms.zip_codes:
        detail = f"{_named('ZIP code', lead.zip_code)}; accepted are {_listed(terms.zip_codes)}."
        yield _check("ZIP codes", _in_zip_codes(terms.zip_codes, lead), detail, Reason.OUTSIDE_AREA)


def _in_states(states: frozenset[str], lead: Lead) -> bool:
    return not states or lead.state in states


def _in_zip_codes(zip_codes: frozenset[str], lead: Lead) -> bool:
    """Whether the five digits are listed; a ZIP+4 lies in its five-digit area."""
    return not zip_codes or lead.zip_code.partition("-")[0].strip() in zip_codes


def _named(what: str, value: str) -> str:
    return f"The {what} is {value}" if value else f"The {what} was not sent"


def _listed(values: frozenset[str], most: int = 12) -> str:
    shown = ", ".join(sorted(values)[:most])
    return shown if len(values) <= most else f"{shown} and {len(values) - most} more"


def _filters(terms: Terms, lead: Lead, now: datetime) -> tuple[Check, ...]:
    if not is_open(terms.filter_windows, now, terms.timezone):
        return (Check("filter schedule", True, f"At {_clock(terms, now)} no filters are in force."),)
    return conditions.checks(terms.filters, lead.values, local(now, terms.timezone))


def _suppression(suppression: Suppression, lead: Lead, now: datetime) -> Check:
    on_it, not_on_it = _suppression_checks(suppression)
    return on_it if hit(suppression, lead, now) else not_on_it


@once
def _suppression_checks(suppression: Suppression) -> tuple[Check, Check]:
    """Return the check of somebody who is on the list, and of somebody who is not: both say nothing of the lead."""
    rule, field = suppression.name or f"suppression by {suppression.field}", suppression.field
    return (
        Check(rule, False, f"The {field} is on the suppression list.", Reason.SUPPRESSED),
        Check(rule, True, f"The {field} is not on the suppression list."),
    )


# --- which buyers may have it? ------------------------------------------------------------------------------


def eligible(
    terms: Terms, lead: Lead, now: datetime, full: Mapping[str, str]
) -> tuple[tuple[Buyer, ...], tuple[Asked, ...]]:
    """Split the campaign's buyers into those that may have the lead and those passed over, with the reason.

    `full` maps the id of a buyer with a full cap to the cap's label. The outcome is `suppressed` for a buyer
    whose own list names the person and whom nothing but a cap would otherwise keep out; else `passed over`.
    """
    verdicts = [(buyer, _passed_over(buyer, terms, lead, now, full)) for buyer in terms.buyers]
    asked = tuple([asked for _, asked in verdicts if asked is not None])
    if not asked:
        return terms.buyers, ()
    return tuple([buyer for buyer, asked in verdicts if asked is None]), asked


def _passed_over(buyer: Buyer, terms: Terms, lead: Lead, now: datetime, full: Mapping[str, str]) -> Asked | None:
    why = ""
    if buyer.states or buyer.zip_codes:
        why = _out_of_reach(buyer, lead)
    if not why and (buyer.filters.members or buyer.windows):
        why = _not_wanted(buyer, terms, lead, now)
    if why:
        return Asked(buyer.id, PASSED_OVER, why)
    if buyer.suppressed and buyer_suppresses(buyer, lead):
        return Asked(buyer.id, SUPPRESSED, "on the buyer's suppression list")
    return Asked(buyer.id, PASSED_OVER, f"cap full: {full[buyer.id]}") if buyer.id in full else None


def _out_of_reach(buyer: Buyer, lead: Lead) -> str:
    if not _in_states(buyer.states, lead):
        return f"state {lead.state or 'not sent'}: the buyer takes {_listed(buyer.states)}"
    if not _in_zip_codes(buyer.zip_codes, lead):
        return f"ZIP code {lead.zip_code or 'not sent'}: the buyer takes {_listed(buyer.zip_codes)}"
    return ""


def _not_wanted(buyer: Buyer, terms: Terms, lead: Lead, now: datetime) -> str:
    if buyer.filters.members:
        failed = refused(conditions.checks(buyer.filters, lead.values, local(now, terms.timezone)))
        if failed:
            return f"filter {failed.rule}: {failed.detail}"
    if not is_open(buyer.windows, now, terms.timezone):
        return f"closed: {_clock(terms, now)} is outside the buyer's schedule"
    return ""


# --- does the post go with the ping? ------------------------------------------------------------------------


def redeemable(*, accepted: bool, expires_at: datetime, claimed: bool, now: datetime) -> Reason | None:
    """Say why a ping can't be redeemed, or None. A ping is good until the moment it expires, not at it."""
    if not accepted:
        return Reason.PING_REJECTED
    if claimed:
        return Reason.PING_USED
    return Reason.PING_EXPIRED if now >= expires_at else None


# --- who is offered it first? -------------------------------------------------------------------------------


def order(terms: Terms, buyers: Iterable[Buyer], *, turn: int, dice: float) -> tuple[Buyer, ...]:
    """Put the buyers that may have a lead in the order in which they are offered it.

    `turn` counts the leads that the campaign has distributed, from 0; `dice` is in [0, 1).
    """
    match terms.distribution:
        case Distribution.ROUND_ROBIN:
            return _round_robin(sorted(buyer.id for buyer in terms.buyers), _by_id(buyers), turn)
        case Distribution.WEIGHTED:
            return _weighted(_by_id(buyers), dice)
        case _:
            # Neither turns nor chance: all of the buyers together always stand in one order.
            return _all_ranked(terms) if buyers is terms.buyers else _ranked(terms, buyers)


@once
def _all_ranked(terms: Terms) -> tuple[Buyer, ...]:
    return _ranked(terms, terms.buyers)


def _ranked(terms: Terms, buyers: Iterable[Buyer]) -> tuple[Buyer, ...]:
    if terms.distribution is Distribution.WATERFALL:
        return tuple(sorted(_by_id(buyers), key=lambda buyer: buyer.priority))
    return tuple(sorted(_by_id(buyers), key=lambda buyer: buyer.price.copy_negate()))


def _by_id(buyers: Iterable[Buyer]) -> list[Buyer]:
    return sorted(buyers, key=lambda buyer: buyer.id)


def _round_robin(everyone: list[str], by_id: list[Buyer], turn: int) -> tuple[Buyer, ...]:
    """Give each buyer of the campaign its own turn; turns of absent buyers go round among those present.

    Rotating only those present can starve a buyer that is always there, when who is present changes from lead
    to lead; letting the next in line inherit an absent buyer's turns doubles its share. So: a buyer present
    throughout is first at least once in `len(everyone)` turns, and while the same m are present each of them
    is first equally often in any m rounds of `len(everyone)` turns.
    """
    present = [buyer.id for buyer in by_id]
    if not present:
        return ()
    rounds, slot = divmod(turn, len(everyone))
    owner = everyone[slot]
    first = present.index(owner if owner in present else present[(rounds + slot) % len(present)])
    return (*by_id[first:], *by_id[:first])


def _weighted(by_id: list[Buyer], dice: float) -> tuple[Buyer, ...]:
    """Pick the first by weight among those present, which is what renormalising means; the rest by weight.

    Nobody is picked at weight 0, so such a buyer only stands in for the others.
    """
    rest = sorted(by_id, key=lambda buyer: -buyer.weight)
    bounds = list(accumulate(max(buyer.weight, 0) for buyer in rest))
    if not bounds or bounds[-1] == 0:
        return tuple(rest)
    drawn = rest[bisect_right(bounds, min(int(dice * bounds[-1]), bounds[-1] - 1))]
    return (drawn, *(buyer for buyer in rest if buyer is not drawn))
