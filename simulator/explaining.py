"""Why a request got the answer that it got, from its journal entry alone. Pure: nothing is looked up or asked again.

Vendors never say any of this; the sentences here are the sandbox's own, but for the row's documented meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulator.routing.decision import ON_PURPOSE, Reason

Entry = Mapping[str, Any]

ACCEPTED = frozenset(
    {
        Reason.BID,
        Reason.AVAILABLE,
        Reason.SOLD,
        Reason.SOLD_PAST_SUPPRESSION,
        Reason.QUEUED,
        Reason.DUPLICATE_ROUTED,
        *(Reason.FOUND, Reason.FOUND_DUPLICATE, Reason.UPDATED, Reason.FIRED),
        *(Reason.OFFERED, Reason.NO_OFFER, Reason.REDIRECTED),
    }
)
TOOK_IT = frozenset({"won", "sold", "bought", "available"})
_NOT_REACHED = "not reached"

# Which rule decides where no check of a campaign did.
_DECIDES: Mapping[Reason, str] = {
    **dict.fromkeys((Reason.BID, Reason.NO_BID), "auction: the highest bid wins"),
    **dict.fromkeys((Reason.SOLD, Reason.UNSOLD), "sale: the first buyer in order that takes it"),
    Reason.SOLD_PAST_SUPPRESSION: "sale: the first buyer in order that takes it",
    **dict.fromkeys((Reason.AVAILABLE, Reason.NO_BUYER, Reason.UNMATCHED), "distribution: who may have the lead"),
    Reason.QUEUED: "distribution: answered before it (reading in force)",
    **dict.fromkeys((Reason.DUPLICATE, Reason.DUPLICATE_ROUTED), "duplicate rule"),
    Reason.CAP_REACHED: "caps",
    **dict.fromkeys((Reason.MISSING_FIELD, Reason.INVALID_FIELD, Reason.UNACCEPTED_VALUE), "posting specification"),
    **dict.fromkeys((Reason.MALFORMED_BODY, Reason.WRONG_CONTENT_TYPE, Reason.BODY_TOO_LARGE), "request body"),
    **dict.fromkeys((Reason.PING_UNKNOWN, Reason.PING_REJECTED, Reason.PING_EXPIRED), "ping to post"),
    **dict.fromkeys((Reason.PING_USED, Reason.PING_MISMATCH, Reason.PING_MISSING), "ping to post"),
    **dict.fromkeys((Reason.PING_INVALID, Reason.PING_REPEATED), "ping to post"),
    Reason.UNAUTHORIZED: "credential",
    **dict.fromkeys((Reason.NOT_LINKED, Reason.FOREIGN_SUPPLIER, Reason.UNKNOWN_CAMPAIGN), "campaign and its sources"),
    **dict.fromkeys((Reason.UNKNOWN_PATH, Reason.WRONG_METHOD), "path and method"),
    Reason.RATE_LIMITED: "rate limit",
    Reason.MAINTENANCE: "availability",
    Reason.INTERNAL_ERROR: "a failure of the sandbox itself",
    **dict.fromkeys((Reason.FOUND, Reason.FOUND_DUPLICATE), "look-up"),
    **dict.fromkeys((Reason.UPDATED, Reason.UPDATED_UNSOLD), "update of a lead that was taken"),
    **dict.fromkeys((Reason.LEAD_UNKNOWN, Reason.TRANSACTION_MISSING), "the lead that is meant"),
    **dict.fromkeys((Reason.FIRED, Reason.EVENT_UNKNOWN, Reason.REVENUE_MISSING), "events of the campaign"),
    **dict.fromkeys((Reason.EVENT_REPEATED, Reason.EVENT_LOCKED), "an event comes once"),
    Reason.SOURCE_INACTIVE: "the source that is named",
    **dict.fromkeys((Reason.OFFERED, Reason.NO_OFFER, Reason.OFFER_UNKNOWN), "click listing of the campaign"),
    Reason.REDIRECTED: "click URL",
}

# What helps where the entry itself has nothing more exact. `{detail}` is the decision's sentence.
_REMEDIES: Mapping[Reason, str] = {
    Reason.OUTSIDE_HOURS: "send inside the opening hours, or move the clock (POST /__sandbox/clock/set)",
    Reason.SUPPRESSED: "send a person who is not on the suppression list",
    Reason.CAP_REACHED: "wait until the cap's period is over (POST /__sandbox/clock/advance), or raise the cap",
    Reason.DUPLICATE: "send another person, or wait until the duplicate window is over",
    Reason.MALFORMED_BODY: "send a body that can be read: {detail}",
    Reason.WRONG_CONTENT_TYPE: "send another Content-Type: {detail}",
    Reason.BODY_TOO_LARGE: "send a smaller body: {detail}",
    Reason.PING_UNKNOWN: "post the id of an accepted ping of this same source: {detail}",
    Reason.PING_REJECTED: "do not post a rejected ping: ping again, and post when it is accepted",
    Reason.PING_EXPIRED: "ping again and post in time: {detail}",
    Reason.PING_USED: "ping again, since a ping is good for one post: {detail}",
    Reason.PING_MISMATCH: "post what belongs to the ping: {detail}",
    Reason.PING_MISSING: "ping first: {detail}",
    Reason.PING_INVALID: "ping again and send what it answered unchanged: {detail}",
    Reason.PING_REPEATED: "use a new id for each ping: {detail}",
    Reason.UNAUTHORIZED: "present the right credential: {detail}",
    Reason.NOT_LINKED: "have the source linked to the campaign: {detail}",
    Reason.FOREIGN_SUPPLIER: "name the source that the key belongs to: {detail}",
    Reason.UNKNOWN_CAMPAIGN: "name a campaign that exists: {detail}",
    Reason.UNKNOWN_PATH: "call a documented path: {detail}",
    Reason.WRONG_METHOD: "{detail}",
    Reason.RATE_LIMITED: "wait {retry_after} s, and send more slowly: {detail}",
    Reason.MAINTENANCE: "retry later: {detail}",
    Reason.INTERNAL_ERROR: "nothing: this is a fault of the sandbox, its log says more",
    Reason.NO_BUYER: "have a buyer that may take the lead",
    Reason.UNMATCHED: "have a buyer that may take the lead",
    Reason.NO_BID: "have a buyer that bids",
    **dict.fromkeys((Reason.UNSOLD, Reason.UPDATED_UNSOLD), "have a buyer that takes the lead"),
    **dict.fromkeys((Reason.LEAD_UNKNOWN, Reason.TRANSACTION_MISSING), "name a lead that was submitted: {detail}"),
    Reason.EVENT_UNKNOWN: "send the event_id of a configured event: {detail}",
    Reason.REVENUE_MISSING: "send what the conversion is worth: {detail}",
    Reason.EVENT_REPEATED: "send each event of a lead once, or configure it as is_duplicate: {detail}",
    Reason.EVENT_LOCKED: "send an event once, and do not retry it at once: {detail}",
    Reason.SOURCE_INACTIVE: "name an active source: {detail}",
    Reason.OFFER_UNKNOWN: "follow a click URL as it was listed: {detail}",
}


def explain(entry: Entry, buyers: Sequence[str] = ()) -> dict[str, Any]:
    """Return the explanation of a stored request. `buyers` are the ids of all buyers of its campaign.

    Keys: `accepted`, `because`, `row`, `decided_by` {rule, detail}, `rules` (each {rule, passed, detail, decided}),
    `buyers` (each {buyer_id, outcome, took_it, amount, latency_ms, why}), `to_be_accepted` (sentences).
    """
    reason = Reason(entry["reason"])
    decided = _decided_by(entry, reason)
    return {
        "accepted": reason in ACCEPTED,
        "because": f"{decided['rule']}: {decided['detail']}" if decided["detail"] else decided["rule"],
        "row": entry["row"],
        "decided_by": decided,
        "rules": [{**check, "decided": check["rule"] == decided["rule"]} for check in entry["checks"]],
        "buyers": _buyers(entry, reason, buyers, decided["rule"]),
        "to_be_accepted": list(dict.fromkeys(_remedies(entry, reason))),
    }


def triggers(entry: Entry) -> list[str]:
    """Return the triggers that decided: not those that only disturbed the answer on its way, or meant nothing."""
    fault = str(entry.get("fault") or "").partition("=")[0]
    words = [item.rpartition(": ")[2] for item in entry.get("triggers", ())]
    return [word for word in words if not word.endswith(")") and (not fault or word.partition("=")[0] != fault)]


def is_on_purpose(entry: Entry) -> bool:
    """Whether a trigger decided, whatever the request said: errors and failed checks are then made up with the rest."""
    if not triggers(entry):
        return False
    return entry["detail"] == ON_PURPOSE or not (entry["errors"] or any(not one["passed"] for one in entry["checks"]))


def _decided_by(entry: Entry, reason: Reason) -> dict[str, str]:
    if asked_for := triggers(entry):
        return {"rule": f"trigger {', '.join(asked_for)}", "detail": entry["detail"]}
    failed = next((check for check in entry["checks"] if not check["passed"]), None)
    if failed is not None:
        return {"rule": failed["rule"], "detail": failed["detail"]}
    return {"rule": _DECIDES.get(reason, reason.value), "detail": entry["detail"]}


def _buyers(entry: Entry, reason: Reason, everyone: Sequence[str], rule: str) -> list[dict[str, Any]]:
    asked = [{**item, "took_it": item["outcome"] in TOOK_IT} for item in entry["asked"]]
    named = {item["buyer_id"] for item in asked}
    winner = next((item["buyer_id"] for item in asked if item["took_it"]), entry.get("buyer_id", ""))
    if winner and reason in ACCEPTED:
        why = f"{winner} came first and took it"
    elif asked:
        why = "not among the buyers that it was offered to"
    else:
        why = f"decided before any buyer was asked, by {rule}"
    rest = [
        {"buyer_id": name, "outcome": _NOT_REACHED, "why": why, "amount": None, "latency_ms": None, "took_it": False}
        for name in everyone
        if name not in named
    ]
    return asked + rest


def _remedies(entry: Entry, reason: Reason) -> Iterator[str]:
    if reason in ACCEPTED:
        return
    for trigger in triggers(entry):
        yield f"send it without the trigger {trigger}"
    if is_on_purpose(entry):
        return
    yield from (_field(error) for error in entry["errors"] if error["field"] != "body")
    failed = [check for check in entry["checks"] if not check["passed"]]
    yield from (f"pass {check['rule']}: {check['detail']}" for check in failed)
    if reason in _REMEDIES and not (failed and reason is Reason.FILTERED):
        yield _REMEDIES[reason].format(detail=entry["detail"], retry_after=entry.get("retry_after") or 1)
    yield from (_otherwise(item) for item in entry["asked"] if item["outcome"] not in TOOK_IT)


def _field(error: Mapping[str, str]) -> str:
    if error["code"] == "required":
        return f"send {error['field']}: {error['message']}"
    return f"change {error['field']}: {error['message']}"


def _otherwise(item: Mapping[str, Any]) -> str:
    bid = f" at {item['amount']}" if item["amount"] is not None else ""
    why = f": {item['why']}" if item["why"] else ""
    return f"change what kept {item['buyer_id']} from it, which was {item['outcome']}{bid}{why}"


# --- for a terminal -----------------------------------------------------------------------------------------


def text(entry: Entry, explanation: Mapping[str, Any]) -> str:
    """Return an explanation as lines for a terminal."""
    return "\n".join(_lines(entry, explanation))


def line(entry: Entry) -> str:
    """Return a request as one line: time, id, method, path, HTTP status, row, reason, why."""
    why = entry["detail"].partition("\n")[0][:100]
    answered = f"{entry['http']} {entry['row_id']} {entry['reason']}"
    return f"{entry['at'][:23]} {entry['id']} {entry['method']} {entry['path']} {answered} {why}"


def _lines(entry: Entry, explanation: Mapping[str, Any]) -> Iterator[str]:
    row = entry["row"]
    who = entry["source_id"] or "an unrecognised source"
    yield f"{entry['id']}  {entry['method']} {entry['path']}"
    yield f"  {entry['at']}, {entry['duration_ms']:.1f} ms, tenant {entry['tenant']}, from {who}"
    yield f"  answered {entry['http']} by row {row['id']} ({_evidence(row)})"
    yield f"    {row['meaning']}"
    yield f"  because {explanation['because']}"
    yield from (f"  trigger {trigger}" for trigger in entry.get("triggers", ()))
    yield from _section("rules tried", [_rule(rule) for rule in explanation["rules"]])
    yield from _section("buyers", [_buyer(buyer) for buyer in explanation["buyers"]])
    yield from _section("to be accepted", explanation["to_be_accepted"])


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"  {title}"
        yield from (f"    {one}" for one in lines)


def _evidence(row: Mapping[str, Any]) -> str:
    said = {"full": "documented", "row": "documented, the body is inferred", "ours": "the sandbox's own"}
    reading = f", reading {row['reading']}" if row["reading"] else ""
    return f"{said[row['evidence']]}{reading}"


def _rule(rule: Mapping[str, Any]) -> str:
    mark = "ok  " if rule["passed"] else "FAIL"
    return f"{mark} {rule['rule']}: {rule['detail']}" if rule["detail"] else f"{mark} {rule['rule']}"


def _buyer(buyer: Mapping[str, Any]) -> str:
    bid = f"  {buyer['amount']}" if buyer["amount"] is not None else ""
    latency = f"  {buyer['latency_ms']:.0f} ms" if buyer["latency_ms"] is not None else ""
    return f"{'*' if buyer['took_it'] else ' '} {buyer['buyer_id']}: {buyer['outcome']}{bid}{latency}  {buyer['why']}"
