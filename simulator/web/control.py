"""The sandbox's own side, `/__sandbox/*`: who may use it, whether it serves. Never imitates a vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from simulator.store import StoreUnavailableError
from simulator.web import sessions
from simulator.web.problems import ProblemError, answer, as_json, problem
from simulator.web.routes import Route
from simulator.web.visitors import stranger
from simulator.welcome import Introduce
from simulator.wire import refusals

PREFIX = "/__sandbox"
NOTHING = "nothing of the control API"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
HEALTH = frozenset({"/__sandbox/health", "/healthz", "/readyz"})


Health = Callable[[], Mapping[str, Any]]
"""Returns what the health routes tell besides `ready`: the boot nonce, how the last reload went."""


def register(
    app: Flask,
    parts: Iterable[Blueprint],
    *,
    introduce: Introduce,
    health: Health,
    token: str,
    relayed: bool,
    be_sure: Callable[[], None] = lambda: None,
) -> None:
    """Add the control API. `health` tells this process from any other; `token`, if set, opens the API.

    `relayed` says whether the relay stands in front, which names requests that are none. `be_sure` is called before
    every route: other simulators may have changed what it speaks of.
    """
    own = _own_routes(introduce, health)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # it would answer in HTML
    add_nothing(app)
    for part in (*parts, own):
        part.before_request(_guard(token, relayed=relayed))
        part.before_request(_sure(be_sure))
        part.register_error_handler(ProblemError, answer)
        part.register_error_handler(HTTPException, _http_problem)
        part.register_error_handler(StoreUnavailableError, _unavailable)
        app.register_blueprint(part)


def _guard(token: str, *, relayed: bool) -> Callable[[], Response | None]:
    def refuse() -> Response | None:
        if relayed and (why := request.headers.get(refusals.HEADER)):
            return problem(400, "Bad request", refusals.sentence(why))
        if request.path in HEALTH:
            return None
        if said := stranger(request.method, request.headers, named=bool(token)):
            return problem(403, "Forbidden", said)
        presented = request.headers.get("Authorization", "")
        if not token or sessions.is_token(presented, f"Bearer {token}") or sessions.has_session(token):
            return None
        return problem(401, "Unauthorized", "Send the control token: 'Authorization: Bearer <token>'")

    return refuse


def _sure(be_sure: Callable[[], None]) -> Callable[[], None]:
    def check() -> None:
        try:
            be_sure()
        except StoreUnavailableError:
            if request.method != "GET":  # what happened can be read while the database is away
                raise

    return check


def _http_problem(error: HTTPException) -> Response:
    response = problem(error.code or 500, error.name, error.description or error.name)
    allowed = error.get_response().headers.get("Allow")
    if allowed:
        response.headers["Allow"] = allowed
    return response


def _unavailable(error: StoreUnavailableError) -> Response:
    return problem(503, "Service unavailable", str(error))


def _own_routes(introduce: Introduce, health: Health) -> Blueprint:
    control = Blueprint("control", __name__)

    def healthy() -> Response:
        return as_json({"status": "ready", **health()})

    for path in HEALTH:
        control.add_url_rule(path, path, healthy)

    @control.get(f"{PREFIX}/welcome")
    def welcome() -> Response:
        return as_json(introduce("default"))

    return control


def add_nothing(app: Flask) -> None:
    """Answer every other path, and every other method of a path that there is, in the control API's own way."""

    def nothing(anything: str = "") -> Response:
        adapter = app.create_url_adapter(request)
        assert adapter is not None  # there is a request
        allowed = [name for name in METHODS if adapter.test(method=name) and _is_own(adapter, name)]
        if not allowed:
            return problem(404, "Not found", f"The control API has nothing at {PREFIX}/{anything[:200]}")
        refused = problem(405, "Method not allowed", f"Use {' or '.join(allowed)} here")
        refused.headers["Allow"] = ", ".join(allowed)
        return refused

    app.view_functions[NOTHING] = nothing
    for path in (f"{PREFIX}/", f"{PREFIX}/<path:anything>"):
        app.url_map.add(Route(path, endpoint=NOTHING))


def _is_own(adapter: MapAdapter, method: str) -> bool:
    endpoint, _ = adapter.match(method=method)
    return bool(endpoint != NOTHING)
