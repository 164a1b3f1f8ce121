"""What every request pays, without what ours never need: contexts and hooks, answers that are worked out anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from werkzeug.http import HTTP_STATUS_CODES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PlainView = Callable[["WSGIEnvironment", Mapping[str, str]], Response]
"""A view that takes what it needs from the environment and the arguments of its route, and raises nothing."""

MOST_PLACES = 1024
LONGEST_PLACE = 256  # characters of a path and a host


class Application(Flask):
    """Flask, with a shorter way to views that need neither its contexts nor its hooks.

    When the process is told to stop, it is to `let_go` of those who listen, and to `end` when the calls were answered.
    `end` takes as long as webhooks may need: not on the loop's thread.
    """

    def __init__(self, name: str, let_go: Callable[[], object], end: Callable[[], object]) -> None:
        super().__init__(name, static_folder=None)
        self.let_go = let_go
        self.end = end
        self._places: dict[tuple[str, str], tuple[PlainView, Mapping[str, str]]] = {}

    def add_plain_view(self, endpoint: str, view: PlainView) -> None:
        """Add the view of an endpoint whose route takes every method.

        Flask looks at the host and finds the route. What it found for a path at a host is remembered, and the next
        request there goes to the view at once: a sixth of what an ingest cost was contexts, signals and sessions.
        """

        def found(**arguments: str) -> Response:
            environ = request.environ
            place = environ["PATH_INFO"], environ.get("HTTP_HOST", "")
            if place[1] and len(place[0]) + len(place[1]) <= LONGEST_PLACE:
                if len(self._places) >= MOST_PLACES:
                    self._places = {}
                self._places[place] = view, arguments
            return view(environ, arguments)

        self.view_functions[endpoint] = found

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        found = self._places.get((environ["PATH_INFO"], environ.get("HTTP_HOST", "")))
        if found is None or "HTTP_UPGRADE" in environ:  # Flask has other routes for WebSockets: none
            return super().wsgi_app(environ, start_response)
        view, arguments = found
        return view(environ, arguments)(environ, start_response)


class Whole(Response):
    """An answer whose body is there, and whose headers are what they will be.

    Werkzeug works out lengths and locations when it sends; what does not need that is handed to the server as it is.
    """

    def __init__(self, body: bytes, status: int, headers: list[tuple[str, str]]) -> None:
        # Werkzeug's own is not called: nobody reads or changes it before it is sent.
        self._whole = body, status, headers

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body, status, headers = self._whole
        if status in {204, 304} or 300 <= status < 400 or environ["REQUEST_METHOD"] == "HEAD":
            return Response(body, status, headers)(environ, start_response)
        start_response(_line(status), [*headers, ("Content-Length", str(len(body)))])
        return [body]


@lru_cache
def _line(status: int) -> str:
    return f"{status} {HTTP_STATUS_CODES.get(status, 'unknown').upper()}"
