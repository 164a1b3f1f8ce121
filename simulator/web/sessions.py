"""How a browser shows that it may use the control API: a login cookie. Other sites are `visitors.py`'s affair."""

from __future__ import annotations

import hashlib
import hmac

from flask import Response, request

_PATH = "/__sandbox"


def is_token(presented: str, token: str) -> bool:
    """Compare in a time that does not depend on where they differ."""
    return hmac.compare_digest(presented.encode("utf-8", "replace"), token.encode())


def has_session(token: str) -> bool:
    """Whether the request carries the cookie that a login with this token gave out."""
    return is_token(request.cookies.get(_name(), ""), _value(token))


def begin(response: Response, token: str) -> None:
    """Hand out the cookie. No script can read it, and no request that another site causes carries it."""
    response.set_cookie(_name(), _value(token), path=_PATH, httponly=True, samesite="Strict", secure=request.is_secure)


def end(response: Response) -> None:
    response.delete_cookie(_name(), path=_PATH, httponly=True, samesite="Strict")


def _name() -> str:
    # Cookies know no ports, and two sandboxes of one machine have a token each.
    return f"leadsandbox_{request.host.rpartition(':')[2] if ':' in request.host else '80'}".replace("]", "")


def _value(token: str) -> str:
    return hmac.new(token.encode(), b"leadsandbox dashboard", hashlib.sha256).hexdigest()
