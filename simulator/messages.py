"""HTTP/1 requests as WSGI environments, and answers as bytes. What came was read strictly before, by `wire`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from werkzeug.http import HTTP_STATUS_CODES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_BODILESS = frozenset({204, 304})
_CGI = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}

SENT_HEADERS = "leadsandbox.sent_headers"  # in an environment: what `sent_headers` returns, worked out once for a head

Headers = list[tuple[str, str]]


class Asked(NamedTuple):
    """What a head says. `is_last`: the client wants the connection to end."""

    environ: WSGIEnvironment
    method: str
    is_old: bool
    is_last: bool


@lru_cache(512)
def understood(head: bytes) -> Asked:
    lines = head.split(b"\n")
    method, target, version = lines[0].strip().decode("latin-1").split(" ")
    path, _, query = re.sub(r"\Ahttps?://[^/?]*", "", target).partition("?")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1") if "%" in path else path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": version,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in _fields(lines[1:]):
        key = _CGI.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
        if name in _CGI and key in environ:
            continue
        environ[key] = f"{environ[key]}{';' if name == 'cookie' else ','}{value}" if key in environ else value
    environ[SENT_HEADERS] = sent_headers(environ)
    wishes = {word.strip().lower() for word in environ.get("HTTP_CONNECTION", "").split(",")}
    is_old = version == "HTTP/1.0"
    return Asked(environ, method, is_old, "close" in wishes or (is_old and "keep-alive" not in wishes))


def sent_headers(environ: WSGIEnvironment) -> Mapping[str, str]:
    """Return names (lower-case) and values as they were sent. Not to be changed: other requests may have the same."""
    known: Mapping[str, str] | None = environ.get(SENT_HEADERS)
    if known is not None:
        return known
    found = {_name(key): value for key, value in environ.items() if key[:5] == "HTTP_"}
    for name, key in (("content-type", "CONTENT_TYPE"), ("content-length", "CONTENT_LENGTH")):
        found.pop(name, None)  # said twice
        if value := environ.get(key):
            found[name] = value
    return found


@lru_cache(512)
def _name(key: str) -> str:
    return key.removeprefix("HTTP_").replace("_", "-").lower()


def _fields(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Return names and values, without names that only look like another one's in an environment: `X_Api_Key`."""
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon and "_" not in name:
            yield name.lower(), value.strip(" \t\r")


class Spoken:
    """An answer on its way into bytes."""

    def __init__(self, asked: Asked, status: int, headers: Headers) -> None:
        self._status = status
        self._headers = headers
        self._is_bodiless = asked.method == "HEAD" or status in _BODILESS
        self._is_old = asked.is_old
        named = {name.lower(): value for name, value in headers}
        self._length = named.get("content-length")
        self.is_short = self._length is not None or self._is_bodiless
        self.in_chunks = self._length is None and not self._is_bodiless and not asked.is_old
        self.is_last = asked.is_last or "close" in named.get("connection", "").lower()

    def whole(self, parts: list[bytes], date: str) -> bytes:
        body = b"" if self._is_bodiless else b"".join(parts)
        if self._length is None and not self._is_bodiless:
            self._length, self.in_chunks = str(len(body)), False
            self._headers = [*self._headers, ("Content-Length", self._length)]
        elif self._length is not None and int(self._length) != len(body) and not self._is_bodiless:
            self.is_last = True  # more was announced than comes: only hanging up says so
        return self.head(date) + body

    def head(self, date: str) -> bytes:
        lines = [f"HTTP/1.1 {self._status} {HTTP_STATUS_CODES.get(self._status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in self._headers if name.lower() != "connection"]
        lines.append(f"Date: {date}")
        if self.in_chunks:
            lines.append("Transfer-Encoding: chunked")
        if self.is_last:
            lines.append("Connection: close")
        elif self._is_old:
            lines.append("Connection: keep-alive")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
