"""How Pingtree speaks to a buyer's own endpoint, and how the answer is read. Sending does not live here.

Documented (/documentation/campaign/distribution/ping-post, endpoint-configuration): partial mapped fields
go out; an accept flag, a bid amount, a ping id, an optional URL and a reject reason come back, each under a
key that the buyer's configuration maps. Ours: the keys that stand when nothing is mapped (`DEFAULT_KEYS`),
the words that count as yes, the bounds, and that a ping drops personal data whatever the configuration says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, DecimalException
from typing import Any

import orjson

from simulator.routing.agreed import Buyer, Endpoint
from simulator.routing.decision import Bid, Lead
from simulator.routing.values import value

PII_FIELDS: frozenset[str] = frozenset({"first_name", "last_name", "email", "mobile", "phone", "address"})
"""Fields that a ping must not carry (Create Source Ping API, tip 1; duty D01)."""

DEFAULT_KEYS: Mapping[str, str] = {
    "accepted": "accepted",
    "bid": "bid",
    "ping_id": "ping_id",
    "reason": "reason",
    "url": "redirect_url",
    "tcpa": "tcpa",
}
"""Where the parts of an answer stand when `Endpoint.answer_keys` does not say; paths are dotted."""

MAX_ANSWER = 65_536
MAX_BID = Decimal(1_000_000)
_CENT = Decimal("0.01")
_YES = frozenset({"true", "1", "yes", "y", "accepted", "accept", "success", "ok"})
_NO = frozenset({"false", "0", "no", "n", "rejected", "reject", "declined", "failure", "error", ""})
_EMAIL = re.compile(r"[\w.+-]{1,64}(?:@|%40)[\w-]{1,63}\.\w", re.ASCII)
_PHONE = re.compile(r"(?:\+?1[ .-]?)?\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{4}", re.ASCII)
_SSN = re.compile(r"\d{3}[ -]\d{2}[ -]\d{4}", re.ASCII)


@value(frozen=True, slots=True)
class SaleAnswer:
    """What a buyer said to the full lead. `why` is the refusal, or what was wrong with the answer."""

    accepted: bool
    redirect_url: str = ""
    why: str = ""


def looks_like_pii(value: Any) -> bool:
    """Whether a value, or anything nested in it, looks like an e-mail address, a 10-digit phone or an SSN.

    A number of ten digits that begins with 0 or 1 is no phone: Unix times look like that.
    """
    if isinstance(value, str):
        text = value.strip()  # the expressions are asked only about what could match them at all
        if ("@" in text or "%40" in text) and _EMAIL.search(text):
            return True
        return len(text) >= 10 and bool(_PHONE.fullmatch(text) or _SSN.fullmatch(text))
    if isinstance(value, int):
        return 2_000_000_000 <= value <= 9_999_999_999
    if isinstance(value, Mapping):
        return any(looks_like_pii(member) for member in value.values())
    return isinstance(value, list | tuple) and any(looks_like_pii(member) for member in value)


def ping_request(buyer: Buyer, lead: Lead) -> dict[str, Any]:
    """Return the partial lead under the buyer's names: its ping fields, or all if it has none; never PII."""
    endpoint = buyer.endpoint or Endpoint()
    return {
        endpoint.mapping.get(name, name): value
        for name, value in lead.values.items()
        if value not in (None, "") and _goes_into_a_ping(endpoint, name, value)
    }


def post_request(buyer: Buyer, lead: Lead, ping_id: str) -> dict[str, Any]:
    """Return the full lead under the buyer's names, with its own ping id unless the ping was bypassed."""
    mapping = (buyer.endpoint or Endpoint()).mapping
    request = {mapping.get(name, name): value for name, value in lead.values.items()}
    if ping_id:
        request[mapping.get("ping_id", "ping_id")] = ping_id
    return request


def read_ping(buyer: Buyer, status: int, body: bytes) -> Bid | str:
    """Return the bid, or one sentence: the refusal, or why the answer counts as none. Never raises."""
    answer = _read(buyer, status, body)
    if isinstance(answer, str):
        return answer
    amount = _amount(buyer, answer)
    if amount is None:
        return "accepted without a bid amount that can be read"
    ping_id = _text(_part(buyer, answer, "ping_id"), 256)
    if not ping_id:
        return "accepted without a ping id"
    tcpa = _text(_part(buyer, answer, "tcpa"), 10_000)
    return Bid(buyer_id=buyer.id, amount=amount, ping_id=ping_id, tcpa=tcpa or buyer.tcpa)


def read_post(buyer: Buyer, status: int, body: bytes) -> SaleAnswer:
    """Return whether the buyer took the lead, and where the consumer goes next. Never raises."""
    answer = _read(buyer, status, body)
    if isinstance(answer, str):
        return SaleAnswer(accepted=False, why=answer)
    url = _text(_part(buyer, answer, "url"), 2048)
    if url and not url.lower().startswith(("http://", "https://")):
        return SaleAnswer(accepted=True, why="the redirect URL is not an http(s) address and was dropped")
    return SaleAnswer(accepted=True, redirect_url=url)


def _goes_into_a_ping(endpoint: Endpoint, name: str, value: Any) -> bool:
    wanted = not endpoint.ping_fields or name in endpoint.ping_fields
    return wanted and name.lower() not in PII_FIELDS and not looks_like_pii(value)


def _read(buyer: Buyer, status: int, body: bytes) -> dict[str, Any] | str:
    """Return the answer of a buyer that accepts; else the sentence that says why it does not."""
    answer = _parsed(body)
    if not 200 <= status <= 299:
        detail = _reason(buyer, answer) if isinstance(answer, dict) else ""
        return f"HTTP {status}: {detail}" if detail else f"HTTP {status}"
    if isinstance(answer, str):
        return answer
    accepted = _flag(_part(buyer, answer, "accepted"))
    if accepted is None:
        return "the answer does not say whether the lead is accepted"
    return answer if accepted else _reason(buyer, answer) or "refused without a reason"


def _parsed(body: bytes) -> dict[str, Any] | str:
    if len(body) > MAX_ANSWER:
        return f"the answer is longer than {MAX_ANSWER} bytes"
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "the answer is not JSON"
    return answer if isinstance(answer, dict) else "the answer is not a JSON object"


def _reason(buyer: Buyer, answer: dict[str, Any]) -> str:
    # `detail` is where a problem document (RFC 9457) keeps its sentence.
    return _text(_part(buyer, answer, "reason"), 500) or _text(answer.get("detail"), 500)


def _part(buyer: Buyer, answer: dict[str, Any], part: str) -> Any:
    keys = buyer.endpoint.answer_keys if buyer.endpoint else {}
    found: Any = answer
    for step in keys.get(part, DEFAULT_KEYS[part]).split("."):
        if isinstance(found, list) and step.isdecimal() and len(step) < 5:
            found = found[int(step)] if int(step) < len(found) else None
        else:
            found = found.get(step) if isinstance(found, dict) else None
    return found


def _flag(value: Any) -> bool | None:
    word = str(value).strip().lower() if isinstance(value, str | int) else None
    if word in _YES:
        return True
    return False if word in _NO else None


def _amount(buyer: Buyer, answer: dict[str, Any]) -> Decimal | None:
    """Return dollars and cents; a buyer that names no bid pays its fixed payout, if it has one."""
    value = _part(buyer, answer, "bid")
    if value is None:
        return buyer.price if buyer.price > 0 else None
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 40:
        return None
    try:
        amount = Decimal(str(value))
        if not amount.is_finite() or not 0 < amount <= MAX_BID:
            return None
        amount = amount.quantize(_CENT, rounding=ROUND_HALF_EVEN)
    except DecimalException:
        return None
    return amount if amount > 0 else None


def _text(value: Any, limit: int) -> str:
    """Return a text or a number as text; "" for anything else, and for what is longer than `limit`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(value)
    return text if len(text) <= limit else ""
