"""What every request pays, without what ours never need: hosts looked at once, headers as they came, whole answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from flask import Flask, Request, Response
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import MapAdapter

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MOST_HOSTS = 100
_WHERE = ("wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT")


class Application(Flask):
    """Flask, for requests to few hosts. `end` is what is to be done when the process is about to stop."""

    def __init__(self, name: str, end: Callable[[], object]) -> None:
        super().__init__(name, static_folder=None)
        self.end = end
        self._hosts: dict[tuple[str | None, ...], tuple[str, str]] = {}

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Do what Flask does; for a host that was a good one before, without looking at it again."""
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        environ = request.environ
        where = tuple(map(environ.get, _WHERE))
        if (known := self._hosts.get(where)) is None:
            adapter = super().create_url_adapter(request)
            if adapter is not None and len(self._hosts) < MOST_HOSTS:
                self._hosts[where] = request.host, adapter.server_name
            return adapter
        request.host, server_name = known
        script, path, query = (_text(environ.get(key, "")) for key in ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"))
        scheme, method = environ["wsgi.url_scheme"], environ["REQUEST_METHOD"]
        return MapAdapter(self.url_map, server_name, script, "", scheme, path, method, query)


def _text(value: str) -> str:
    return value if value.isascii() else value.encode("latin-1").decode(errors="replace")


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


@lru_cache(512)
def _name(key: str) -> str:
    return key.removeprefix("HTTP_").replace("_", "-").lower()


def sent_headers(environ: WSGIEnvironment) -> Mapping[str, str]:
    """Return names (lower-case) and values as they were sent."""
    found = {_name(key): value for key, value in environ.items() if key[:5] == "HTTP_"}
    for name, key in (("content-type", "CONTENT_TYPE"), ("content-length", "CONTENT_LENGTH")):
        found.pop(name, None)  # said twice
        if value := environ.get(key):
            found[name] = value
    return found
