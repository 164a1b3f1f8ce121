"""Problem details (RFC 9457), and what every control route reads from a request. No route lives here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import orjson
from flask import Response, request
from pydantic import BaseModel, ConfigDict, ValidationError

from simulator.tenants import DEFAULT, Tenant, Tenants

MOST_LISTED = 1000

B = TypeVar("B", bound="Body")


class ProblemError(Exception):
    """A request to the control API that cannot be done; becomes problem details."""

    def __init__(self, status: int, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.more = more


class Body(BaseModel):
    """What a control route takes. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def as_json(document: object, status: int = 200) -> Response:
    text = orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)  # table names are a subclass of str
    return Response(text, status=status, content_type="application/json")


def problem(status: int, title: str, detail: str, **more: Any) -> Response:
    """Return problem details; `more` are members of our own, such as `errors`."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Response(orjson.dumps(document), status=status, content_type="application/problem+json")


def answer(error: ProblemError) -> Response:
    return problem(error.status, error.title, error.detail, **error.more)


def body_of(model: type[B]) -> B:
    """Read the JSON body as `model`; an empty body is an empty object. Raises ProblemError."""
    raw = request.get_data(cache=False) or b"{}"
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        errors = [_fault(item["loc"], item["msg"]) for item in error.errors(include_url=False)]
        raise ProblemError(400, "Bad request", "; ".join(errors), errors=errors) from None


def _fault(place: Sequence[str | int], message: str) -> str:
    return f"{'.'.join(map(str, place))}: {message}" if place else message


def tenant_of(tenants: Tenants) -> Tenant:
    """Return the tenant that `?tenant=` names, the default one without it. Raises ProblemError."""
    name = request.args.get("tenant", DEFAULT)
    tenant = tenants.get(name)
    if tenant is None:
        raise ProblemError(404, "Not found", f"There is no tenant {name[:100]!r}")
    return tenant


def only(*names: str) -> None:
    """Refuse a query parameter that the route does not know: a typing error must not read as an answer."""
    unknown = sorted(set(request.args) - {*names, "tenant"})
    if unknown:
        known = ", ".join(names) or "tenant"
        raise ProblemError(400, "Bad request", f"{unknown[0][:50]!r} is no parameter of this route; there are {known}")


def whole_number(name: str, default: int, most: int = MOST_LISTED) -> int:
    """Return a query parameter between 1 and `most`. Raises ProblemError."""
    text = request.args.get(name, str(default))
    if not is_whole(text, most):
        raise ProblemError(400, "Bad request", f"{name} must be a whole number from 1 to {most}, not {text[:50]!r}")
    return int(text)


def is_whole(text: str, most: int) -> bool:
    """Whether this is a number between 1 and `most` in plain digits; of endless ones not all are read."""
    return text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most
