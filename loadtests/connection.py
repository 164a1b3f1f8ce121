"""One kept-alive HTTP connection, to whom it is open, and the bytes it sends. What they say is `requesting.py`'s.

Locust's own session builds and parses every request anew; at a thousand requests a second that is what makes a
generator late. The parser is the same, geventhttpclient's.
"""

from __future__ import annotations

import select
import ssl
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import gevent.socket
from gevent import monkey
from geventhttpclient.response import HTTPParseError, HTTPSocketResponse

from loadtests.requesting import Wire

FRESH = 1.0  # seconds of quiet after which a connection is opened anew ahead of its next request
STALE = 2.0  # seconds of quiet after which it is opened anew in any case: the server may be closing it at this moment
CONNECT_PATIENCE, ANSWER_PATIENCE = 10.0, 20.0  # seconds
LONGEST_ANSWER = 1 << 20  # bytes
_BLOCK = 16_384
_GONE: int = getattr(select, "POLLRDHUP", select.POLLIN)
_poll: Any = monkey.get_original("select", "poll")  # gevent's would let others run


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0 and `fault` when nothing did. Of headers, only the two that a 429 carries are kept."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    fault: str = ""


class Place:
    """The server that a run is sent to, by its base URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.context = ssl.create_default_context() if parts.scheme == "https" else None  # one for all: it is dear
        self.host, self.port = parts.hostname or "", parts.port or (443 if self.context else 80)
        self._path = parts.path.rstrip("/")
        self._head = f"Host: {parts.netloc.rpartition('@')[2]}\r\nUser-Agent: leadsandbox-load\r\nAccept: */*\r\n"
        self._head += "Accept-Encoding: identity\r\n"
        self._login = ""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._login = f"Basic {b64encode(pair.encode()).decode()}"

    def encoded(self, wire: Wire) -> bytes:
        """Return a request as the bytes that are sent."""
        headers = {"Authorization": self._login, **wire.headers} if self._login else dict(wire.headers)
        body = (wire.body or "").encode()
        if wire.body is not None:
            headers["Content-Length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{wire.method} {self._path}{wire.path} HTTP/1.1\r\n{self._head}{lines}\r\n".encode("latin-1") + body


class Connection:
    """Open to one place, opened again when it was closed. One request at a time; none is ever sent twice."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._socket: Any = None
        self._closing = _poll()
        self._used = 0.0

    def freshen(self) -> None:
        """Open it, unless it was used just now. That it cannot be opened will show when it is needed."""
        if self._socket is None or time.monotonic() - self._used > FRESH:
            try:
                self._open()
            except OSError:
                self.close()

    def exchange(self, request: bytes) -> Answer:
        """Send a request and return its answer."""
        try:
            if self._socket is None or time.monotonic() - self._used > STALE or self._closing.poll(0):
                self._open()
            self._socket.sendall(request)
            response = HTTPSocketResponse(self._socket, block_size=_BLOCK)
            body = response.read() if response.message_complete else response.read(LONGEST_ANSWER)
        except (OSError, HTTPParseError) as error:
            self.close()
            return Answer(0, {}, b"", f"{type(error).__name__}: {error}"[:300])
        self._used = time.monotonic()
        if response.should_close():
            self.close()
        status = response.get_code()
        return Answer(status, _carriers(response) if status == 429 else {}, body)

    def _open(self) -> None:
        self.close()
        address = (self._place.host, self._place.port)
        plain = gevent.socket.create_connection(address, timeout=CONNECT_PATIENCE)
        try:
            context = self._place.context
            opened = context.wrap_socket(plain, server_hostname=self._place.host) if context else plain
            opened.settimeout(ANSWER_PATIENCE)
        except BaseException:
            plain.close()
            raise
        self._socket = opened
        self._closing = _poll()
        self._closing.register(opened.fileno(), _GONE)
        self._used = time.monotonic()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _carriers(response: HTTPSocketResponse) -> dict[str, str]:
    """Return both headers of a 429; one that was sent several times as one line."""
    found = {name: response.get(name) for name in ("Retry-After", "retry_after")}
    return {name: value if isinstance(value, str) else ", ".join(value) for name, value in found.items() if value}
