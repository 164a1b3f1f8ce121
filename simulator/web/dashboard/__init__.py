"""Pages for people at `/__sandbox/`: what the sandbox sees, in a browser. Nothing is decided or kept here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, g, redirect, request
from werkzeug.exceptions import HTTPException

from simulator.web.control import PREFIX, add_nothing
from simulator.web.dashboard import actions, assets, buying, charting, door, grading, sources, steering, traffic
from simulator.web.dashboard.frame import THEME_COOKIE, THEMES, UI, Frame
from simulator.web.dashboard.parts import Parts
from simulator.web.problems import ProblemError
from simulator.web.routes import Route

_PAGES = (traffic, sources, buying, steering, charting, grading, actions)


def application(parts: Parts) -> Flask:
    """Return the application that answers wherever pages are; for other methods there, as the control API does."""
    app = Flask("leadsandbox", static_folder=None)
    app.url_rule_class = Route
    pages = Blueprint("dashboard", __name__)
    frame = Frame(parts)
    frame.context["act"] = actions.offering(frame)
    _tell_cost(pages)
    door.guard(pages, frame, parts.token)
    door.add_login(pages, frame, parts.token)
    assets.add(pages)
    for module in _PAGES:
        module.add(pages, parts, frame)
    _add_theme(pages)
    _add_nothing(pages, frame)
    pages.register_error_handler(ProblemError, lambda error: frame.failure(error.status, error.title, error.detail))
    pages.register_error_handler(HTTPException, _told(frame))
    app.register_blueprint(pages)
    add_nothing(app)
    return app


def _told(frame: Frame) -> Callable[[HTTPException], Response]:
    def tell(error: HTTPException) -> Response:
        return frame.failure(error.code or 500, error.name, error.description or error.name)

    return tell


def _tell_cost(pages: Blueprint) -> None:
    """Say on each page how long it took here: pages look again as seldom as that asks for, however slow the network."""

    @pages.before_request
    def begin() -> None:
        g.page_began = time.perf_counter()

    @pages.after_request
    def tell(response: Response) -> Response:
        now = time.perf_counter()
        took = 1000 * (now - g.get("page_began", now))  # none where it was refused before it came here
        response.headers["Server-Timing"] = f"page;dur={took:.1f}"
        return response


def _add_theme(pages: Blueprint) -> None:
    @pages.post(f"{UI}/theme")
    def choose() -> Response:
        response = Response(status=303, headers={"Location": door.local(request.form.get("back", ""))})
        chosen = request.form.get("theme", "auto")
        if chosen in THEMES:
            response.set_cookie(THEME_COOKIE, chosen, path=PREFIX, samesite="Strict", max_age=365 * 86_400)
        return response


def _add_nothing(pages: Blueprint, frame: Frame) -> None:
    @pages.get(f"{UI}/")
    def front() -> Any:
        return redirect(f"{PREFIX}/", 302)

    @pages.get(f"{UI}/<path:anything>")
    def nothing(anything: str) -> Response:
        return frame.failure(404, "No such page", f"The dashboard has nothing at {UI}/{anything[:200]}")
