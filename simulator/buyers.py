"""HTTP to buyers: all at once, a deadline each, bounded answers. What the bytes mean is the vendor's buyer wire."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
import pycurl

from simulator.reach import Reach, host_of

MAX_ANSWER = 64 * 1024
IDLE_HANDLES = 64  # kept per thread, with their open connections
LONGEST_WAIT = 1.0  # seconds between looks at the transfers where libcurl names no time


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one buyer. `timeout` is seconds, from connecting to the last byte."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    timeout: float
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `failure` is "" or one of `timeout`, `unreachable`, `oversized`, `broken`."""

    status: int
    body: bytes
    latency_ms: float
    failure: str = ""
    detail: str = ""


_FAILURES = {
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_COULDNT_CONNECT: "unreachable",
    pycurl.E_COULDNT_RESOLVE_HOST: "unreachable",
    pycurl.E_WRITE_ERROR: "oversized",
}


class _Opened:
    """A socket until pycurl has made its own descriptor of it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.fileno = sock.fileno

    def __del__(self) -> None:
        self._sock.close()


class _Transfer:
    def __init__(self, call: Call, handle: pycurl.Curl, reach: Reach | None) -> None:
        self.handle = handle
        self._reach, self._url = reach, call.url
        self._forbidden = ""
        self._parts: list[bytes] = []
        self._size = 0
        # As bytes, without NUL: pycurl raises for what libcurl would only fail to reach, and a buyer may cost no ping.
        handle.setopt(pycurl.URL, call.url.encode("utf-8", "replace").replace(b"\0", b"%00"))
        if call.method == "GET":
            handle.setopt(pycurl.HTTPGET, 1)
        else:
            handle.setopt(pycurl.POST, 1)
            handle.setopt(pycurl.POSTFIELDS, call.body)
        handle.setopt(pycurl.CUSTOMREQUEST, call.method)
        # An empty Expect stops libcurl from waiting for a 100 that small servers never send.
        handle.setopt(pycurl.HTTPHEADER, ["Expect:", *(f"{name}: {value}" for name, value in call.headers.items())])
        handle.setopt(pycurl.TIMEOUT_MS, max(1, int(call.timeout * 1000)))
        handle.setopt(pycurl.WRITEFUNCTION, self._receive)
        if reach is not None:
            handle.setopt(pycurl.OPENSOCKETFUNCTION, self._open)

    def _open(self, _purpose: int, address: Any) -> _Opened | int:
        """Open the socket of a new connection, if the address that the name was resolved to is allowed."""
        family, kind, protocol, place = address
        host = host_of(self._url)
        if self._reach is None or self._reach.allows(host, str(place[0])):
            return _Opened(socket.socket(family, kind, protocol))
        self._forbidden = f"{host} ({place[0]}) is not this machine, and no --allow-host allows it"
        return int(pycurl.SOCKET_BAD)

    def _receive(self, part: bytes) -> int:
        self._size += len(part)
        if self._size > MAX_ANSWER:
            return 0  # anything but the length tells libcurl to give up
        self._parts.append(part)
        return len(part)

    def reply(self, code: int, message: str) -> Reply:
        milliseconds = self.handle.getinfo(pycurl.TOTAL_TIME) * 1000
        if code:
            message = self._forbidden or message
            return Reply(0, b"", milliseconds, _FAILURES.get(code, "broken"), message)
        return Reply(int(self.handle.getinfo(pycurl.RESPONSE_CODE)), b"".join(self._parts), milliseconds)


class BuyerCalls:
    """Sends calls side by side from the calling thread; each thread keeps its own open connections.

    `reach` says whom it may connect to; None: anybody.
    """

    def __init__(self, reach: Reach | None = None) -> None:
        self.reach = reach
        self._local = threading.local()

    def send(self, calls: Sequence[Call]) -> list[Reply]:
        """Send all at once; return the replies in the order of the calls, after the slowest or its deadline."""
        multi, idle = self._mine()
        transfers = [_Transfer(call, idle.pop() if idle else _handle(), self.reach) for call in calls]
        for transfer in transfers:
            multi.add_handle(transfer.handle)
        _run(multi)
        outcome = _outcomes(multi)
        replies = [item.reply(*outcome.get(item.handle, (0, ""))) for item in transfers]
        for transfer in transfers:
            multi.remove_handle(transfer.handle)
            if len(idle) < IDLE_HANDLES:
                idle.append(transfer.handle)
        return replies

    def _mine(self) -> tuple[pycurl.CurlMulti, list[pycurl.Curl]]:
        if not hasattr(self._local, "multi"):
            self._local.multi, self._local.idle = pycurl.CurlMulti(), []
        return self._local.multi, self._local.idle


def _handle() -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.PROXY, "")  # an environment's proxy must never see a buyer's lead
    handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    handle.setopt(pycurl.FOLLOWLOCATION, 0)
    return handle


def _run(multi: pycurl.CurlMulti) -> None:
    while True:
        _, running = multi.perform()
        if not running:
            return
        # select(2) cannot watch descriptors past 1023 and says -1 at once; then a short sleep is the poll.
        if multi.select(_pause(multi)) == -1:
            time.sleep(0.001)


def _pause(multi: pycurl.CurlMulti) -> float:
    """Return the seconds until libcurl has something to do without hearing from anybody: a deadline, mostly."""
    milliseconds = multi.timeout()
    return LONGEST_WAIT if milliseconds < 0 else min(LONGEST_WAIT, milliseconds / 1000)


def _outcomes(multi: pycurl.CurlMulti) -> dict[pycurl.Curl, tuple[int, str]]:
    found: dict[pycurl.Curl, tuple[int, str]] = {}
    while True:
        queued, done, failed = multi.info_read()
        found.update(dict.fromkeys(done, (0, "")))
        found.update({handle: (code, message) for handle, code, message in failed})
        if not queued:
            return found


def encoded(fields: Mapping[str, object], *, form: bool) -> tuple[bytes, str]:
    """Return a body and its content type."""
    if not form:
        return orjson.dumps(fields), "application/json"
    words = {key: value if isinstance(value, str) else orjson.dumps(value).decode() for key, value in fields.items()}
    return urlencode(words).encode(), "application/x-www-form-urlencoded"
