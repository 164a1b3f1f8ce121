"""What a `ping_id` promises and when it no longer does. How it is signed is `signing.py`'s."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from simulator.contract.account import Account
from simulator.contract.model import Redeemed
from simulator.platforms.leaddistro import signing
from simulator.routing.agreed import Buyer, Terms
from simulator.routing.decision import Decision, FieldError, Reason
from simulator.routing.values import value

FIELD = "flo_ping_id"


def issue(account: Account, terms: Terms, buyer: Buyer, now: datetime, token_id: str) -> str:
    """Return a token bound to campaign and supplier, valid for the campaign's ping lifetime (seed:002: 30 min)."""
    claims = {
        "cid": terms.campaign_id,
        "sid": terms.source_id,
        "bid": buyer.id,
        "price": str(buyer.price),
        "exp": (now + terms.ping_lifetime).timestamp(),
        "jti": token_id,
    }
    return signing.ping_token(account.secret, claims)


def redeem(account: Account, terms: Terms, values: Mapping[str, Any], now: datetime) -> Redeemed | Decision | None:
    """Return what the token promised; None when there is none and none is needed; else the refusal."""
    forgiving = _forgives(account)
    token = values.get(FIELD)
    if token is None:
        return _refused(Reason.PING_MISSING) if terms.ping_required and not forgiving else None
    promise = _read(account, token)
    reason = _fault(promise, terms, now)
    if reason is None and promise is not None:
        price = promise.price if account.readings.ping_price == "locked" else None
        return Redeemed(promise.token_id, promise.buyer_id, price)
    return None if forgiving else _refused(reason or Reason.PING_INVALID)


def used(account: Account) -> Decision | None:
    """Return the refusal of a token that was redeemed before; None when the lead counts as sent without one."""
    return None if _forgives(account) else _refused(Reason.PING_USED)


def _forgives(account: Account) -> bool:
    return bool(account.readings.ping_token_failure == "ignore")  # noqa: S105  a reading, no secret


@value(frozen=True, slots=True)
class _Promise:
    campaign_id: str
    supplier_id: str
    buyer_id: str
    price: Decimal
    expires_at: datetime
    token_id: str


def _read(account: Account, token: object) -> _Promise | None:
    """Return what a token says. The built-in secret is public, so that a good signature proves no good claims."""
    claims = signing.read_ping_token(account.secret, token) or {}
    try:
        return _Promise(
            str(claims["cid"]),
            str(claims["sid"]),
            str(claims["bid"]),
            Decimal(str(claims["price"])),
            datetime.fromtimestamp(claims["exp"], UTC),
            str(claims["jti"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError, ArithmeticError):
        return None


def _fault(promise: _Promise | None, terms: Terms, now: datetime) -> Reason | None:
    if promise is None:
        return Reason.PING_INVALID
    if promise.campaign_id != terms.campaign_id or promise.supplier_id != terms.source_id:
        return Reason.PING_MISMATCH
    return Reason.PING_EXPIRED if now >= promise.expires_at else None


_SAID = {
    Reason.PING_MISSING: ("required", "is required: this is a ping-post campaign, ping first"),
    Reason.PING_INVALID: ("invalid", "is not a token that this platform signed"),
    Reason.PING_MISMATCH: ("mismatch", "belongs to another campaign or supplier"),
    Reason.PING_EXPIRED: ("expired", "has expired; ping again"),
    Reason.PING_USED: ("used", "was used before; ping again"),
}


def _refused(reason: Reason) -> Decision:
    code, said = _SAID[reason]
    message = f"{FIELD} {said}"
    return Decision(reason, message, errors=(FieldError(FIELD, code, message),))
