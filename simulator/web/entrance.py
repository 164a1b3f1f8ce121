"""Where the pages for people are. They are an application of their own, which is made when the first one is opened."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, redirect, request

from simulator.web.control import PREFIX
from simulator.web.routes import Route

UI = f"{PREFIX}/ui"
PLACES = (f"{PREFIX}/", f"{UI}/", f"{UI}/<path:anything>")


def register(app: Flask, make: Callable[[], Flask]) -> None:
    """Let the application that `make` makes answer wherever pages are. It is made once, and not before it is needed.

    To be called before the control API is added, which answers every other path.
    """
    made: list[Flask] = []
    making = threading.Lock()

    def page(**_arguments: str) -> Any:
        with making:
            if not made:
                made.append(make())
        return Response.from_app(made[0], request.environ, buffered=True)

    app.view_functions["page"] = page
    for place in PLACES:
        app.url_map.add(Route(place, endpoint="page"))


def front_door(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return a view for `/` that shows browsers the pages; everybody else gets what `view` answers."""

    def enter(**arguments: str) -> Any:
        wants_page = request.method in {"GET", "HEAD"} and "text/html" in request.headers.get("Accept", "")
        return redirect(f"{PREFIX}/", 302) if wants_page else view(**arguments)

    return enter
