"""HTTP calls side by side by libcurl: on the calling thread, or for many fibers on the loop's. Not to whom, or why."""

from __future__ import annotations

import asyncio
import logging
import resource
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pycurl

from simulator.fibers import Fiber, parked
from simulator.reach import Reach, host_of
from simulator.routing.values import value

MAX_ANSWER = 64 * 1024
IDLE_HANDLES = 64  # kept by each who sends, with their open connections
LEAST_CONNECTIONS, MOST_CONNECTIONS = 64, 20_000  # open at once, by all fibers that share them
SENDERS = 2  # who have connections of their own on a loop: calls that ask buyers, and the courier with its webhooks
LONGEST_WAIT = 1.0  # seconds between looks at the transfers where libcurl names no time

log = logging.getLogger(__name__)


@value(frozen=True, slots=True)
class Call:
    """One request to one buyer. `timeout` is seconds, from connecting to the last byte."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    timeout: float
    method: str = "POST"


@value(frozen=True, slots=True)
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

Outcome = tuple[int, str]
"""libcurl's code, 0 for none, and its message."""


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
            try:
                return _Opened(socket.socket(family, kind, protocol))
            except OSError as error:  # out of descriptors, mostly
                self._forbidden = str(error)
                return int(pycurl.SOCKET_BAD)
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


class _Handles:
    """Handles that are used again."""

    def __init__(self) -> None:
        self._idle: list[pycurl.Curl] = []

    def take(self) -> pycurl.Curl:
        return self._idle.pop() if self._idle else _handle()

    def give_back(self, handle: pycurl.Curl) -> None:
        if len(self._idle) < IDLE_HANDLES:
            self._idle.append(handle)


def _handle() -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.PROXY, "")  # an environment's proxy must never see a buyer's lead
    handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    handle.setopt(pycurl.FOLLOWLOCATION, 0)
    return handle


class OfThread:
    """Sends from the calling thread, which waits. For that thread alone."""

    def __init__(self) -> None:
        self._multi = pycurl.CurlMulti()
        self._handles = _Handles()

    def send(self, calls: Sequence[Call], reach: Reach | None) -> list[Reply]:
        transfers = [_Transfer(call, self._handles.take(), reach) for call in calls]
        for transfer in transfers:
            self._multi.add_handle(transfer.handle)
        self._run()
        outcome = dict(_outcomes(self._multi))
        replies = [item.reply(*outcome.get(item.handle, (0, ""))) for item in transfers]
        for transfer in transfers:
            self._multi.remove_handle(transfer.handle)
            self._handles.give_back(transfer.handle)
        return replies

    def _run(self) -> None:
        while True:
            _, running = self._multi.perform()
            if not running:
                return
            # select(2) cannot watch descriptors past 1023 and says -1 at once; then a short sleep is the poll.
            if self._multi.select(self._pause()) == -1:
                time.sleep(0.001)

    def _pause(self) -> float:
        """Return the seconds until libcurl has something to do without hearing from anybody: a deadline, mostly."""
        milliseconds = self._multi.timeout()
        return LONGEST_WAIT if milliseconds < 0 else min(LONGEST_WAIT, milliseconds / 1000)


class OfLoop:
    """Sends for fibers, which wait without holding the loop's thread. All of them share the open connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handles = _Handles()
        self._ended: dict[pycurl.Curl, Callable[[Outcome], object]] = {}
        # The loop looks at all sockets as one: libcurl changes its mind about each several times a call.
        self._sockets = selectors.DefaultSelector()
        loop.add_reader(self._sockets, self._take_what_came)
        self._due: float | None = None  # when libcurl wants to be asked, in the loop's time
        self._timer: asyncio.TimerHandle | None = None
        self._begins = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_due)
        # The other half of the descriptors is the callers'. Who finds no place waits for one, within its timeout.
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        share = most // 2 // SENDERS
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, min(max(share, LEAST_CONNECTIONS), MOST_CONNECTIONS))

    def send(self, fiber: Fiber[Any], calls: Sequence[Call], reach: Reach | None) -> list[Reply]:
        if not calls:
            return []
        transfers = [_Transfer(call, self._handles.take(), reach) for call in calls]
        outcome: dict[pycurl.Curl, Outcome] = {}

        def begin(resume: Callable[[None], object]) -> None:
            def heard(handle: pycurl.Curl, ended: Outcome) -> None:
                outcome[handle] = ended
                if len(outcome) == len(transfers):
                    resume(None)

            for transfer in transfers:
                self._begin(transfer.handle, partial(heard, transfer.handle))

        parked(fiber, begin)
        replies = [item.reply(*outcome[item.handle]) for item in transfers]
        for transfer in transfers:
            self._handles.give_back(transfer.handle)
        return replies

    def _begin(self, handle: pycurl.Curl, ended: Callable[[Outcome], object]) -> None:
        self._ended[handle] = ended
        self._multi.add_handle(handle)

    def _watch(self, wanted: int, descriptor: int, _multi: object, _socket: object) -> None:
        """Do what libcurl says of a socket. An exception would be the end of all transfers, not only of this one."""
        try:
            if wanted in {pycurl.POLL_NONE, pycurl.POLL_REMOVE}:
                self._sockets.unregister(descriptor)
            else:
                self._listen(descriptor, wanted)
        except KeyError:
            pass  # it was not watched
        except OSError:
            log.exception("a connection to a buyer cannot be watched, so the call will time out")

    def _listen(self, descriptor: int, wanted: int) -> None:
        # What selectors call reading and writing has libcurl's numbers.
        try:
            self._sockets.register(descriptor, wanted)
        except KeyError:
            self._sockets.modify(descriptor, wanted)

    def _set_due(self, milliseconds: int) -> None:
        """Note when libcurl wants to be asked. Mostly that is later than before, so a timer that is set stays."""
        if milliseconds == 0:
            if not self._begins:
                self._begins = True
                self._loop.call_soon(self._begin_what_is_new)  # once for all that other fibers add meanwhile
            return
        self._due = None if milliseconds < 0 else self._loop.time() + milliseconds / 1000
        if self._due is not None and (self._timer is None or self._due < self._timer.when()):
            self._set_timer(self._due)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self._loop.time():
            self._set_timer(self._due)
            return
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._tell()

    def _begin_what_is_new(self) -> None:
        self._begins = False
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._tell()

    def _take_what_came(self) -> None:
        for key, ready in self._sockets.select(0):
            self._multi.socket_action(key.fd, ready)
        self._tell()

    def _tell(self) -> None:
        """Tell those whose transfers have ended."""
        ended = list(_outcomes(self._multi))
        for handle, _ in ended:
            self._multi.remove_handle(handle)
        for handle, outcome in ended:
            # Each by itself: what one of them raises is no other's.
            self._loop.call_soon(self._ended.pop(handle), outcome)


def _outcomes(multi: pycurl.CurlMulti) -> Iterator[tuple[pycurl.Curl, Outcome]]:
    while True:
        queued, done, failed = multi.info_read()
        yield from ((handle, (0, "")) for handle in done)
        yield from ((handle, (code, message)) for handle, code, message in failed)
        if not queued:
            return
