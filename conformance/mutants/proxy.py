"""An HTTP proxy that a mutant sits in. One port, one mutant at a time; what the mutant does is not known here."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from conformance.mutants.model import Got, Headers, Sent, Tampering, untouched

TIMEOUT = 30.0
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "host"})


class Upstream:
    """Asks the real server; each thread over a connection of its own."""

    def __init__(self, base_url: str) -> None:
        address = urlsplit(base_url)
        self._host, self._port = str(address.hostname), address.port
        self._own = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._opened:
            connection.close()

    def __call__(self, sent: Sent) -> Got:
        for last in (False, True):
            try:
                return self._asked(sent)
            except (http.client.HTTPException, OSError):
                # A connection that was kept may have been closed meanwhile: once more over a new one.
                self._forget()
                if last:
                    raise
        raise AssertionError("unreachable")

    def _asked(self, sent: Sent) -> Got:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
            self._opened.append(connection)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._own.connection = connection
        headers = {name: value for name, value in sent.headers if name.lower() not in _HOP}
        connection.request(sent.method, sent.path, sent.body or None, headers)
        response = connection.getresponse()
        body = response.read()
        if response.will_close:
            self._forget()
        return Got(response.status, _kept(tuple(response.getheaders())), body)

    def _forget(self) -> None:
        """Close this thread's connection; the next request opens another."""
        connection, self._own.connection = getattr(self._own, "connection", None), None
        if connection is not None:
            connection.close()
            self._opened.remove(connection)


def _kept(headers: Headers) -> Headers:
    return tuple((name, value) for name, value in headers if name.lower() not in _HOP)


class Proxy:
    """Serves on a free port of the loopback interface. Set `mutant` to change what it does from now on."""

    def __init__(self, upstream: str) -> None:
        self.mutant: Tampering = untouched
        self.ask = Upstream(upstream)
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()
        self.ask.close()


@contextmanager
def in_front_of(upstream: str) -> Iterator[Proxy]:
    """Serve a proxy for as long as the block takes."""
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()


class _Server(ThreadingHTTPServer):
    """Remembers its connections: those that are kept alive would outlive it."""

    daemon_threads = False  # waited for when it closes

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(address, handler)

    def hang_up(self) -> None:
        for connection in tuple(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a suite that hangs up is no news."""


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline:
                self.close_connection = True
            elif self.parse_request():
                self._answer()

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else b""
            sent = Sent(self.command, self.path, tuple(self.headers.items()), body)
            try:
                got = proxy.mutant(sent, proxy.ask)
            except (http.client.HTTPException, OSError):
                self.close_connection = True  # the server did not answer, so neither do we
                return
            self._write(got)

        def _write(self, got: Got) -> None:
            phrase = self.responses.get(got.status, ("",))[0]
            lines = [f"HTTP/1.1 {got.status} {phrase}", *(f"{name}: {value}" for name, value in got.headers)]
            head = "\r\n".join([*lines, f"Content-Length: {len(got.body)}", "", ""]).encode("latin-1")
            self.wfile.write(head if self.command == "HEAD" else head + got.body)

    return Handler
