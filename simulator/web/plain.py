"""What every request pays, without what ours never need: headers as they came, an answer that is whole already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_UNPREFIXED = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}
_SAID_TWICE = frozenset({"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"})


class Whole(Response):
    """An answer whose body is there, and whose headers are what they will be.

    Werkzeug works out lengths and locations when it sends; what does not need that is handed to the server as it is.
    """

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status = self.status_code
        if status in {204, 304} or 300 <= status < 400 or environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        whole: Any = self.response
        return list(whole)


def sent_headers(environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
    """Return names (lower-case) and values as they were sent."""
    for key, value in environ.items():
        if key.startswith("HTTP_") and key not in _SAID_TWICE:
            yield key[5:].replace("_", "-").lower(), value
        elif value and key in _UNPREFIXED:
            yield _UNPREFIXED[key], value
