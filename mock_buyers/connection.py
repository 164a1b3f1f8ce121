"""One caller's connection: bytes to requests, answers to bytes, within bounds. What is answered is decided elsewhere.

No task and no thread belongs to a connection: a delayed answer is one timer, and an undelayed one is none.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from mock_buyers import answers
from mock_buyers.answers import Answer
from mock_buyers.latency import LONGEST_MS
from mock_buyers.messages import Headers, Request, body, head

MAX_BODY: Final = 1_048_576
_MAX_HEAD: Final = 65_536
_MAX_RAW: Final = 8 * MAX_BODY  # a body as it came, with all that its chunks and trailers add
_REQUEST_SECONDS: Final = 30
_LINGER_SECONDS: Final = 10  # for a caller that is refused while it sends to see why
_STALL_SECONDS: Final = LONGEST_MS / 1000
_MOST_WAITING: Final = 16  # requests that were sent before the answer to the one before


class Connection(asyncio.Protocol):
    """Answers requests one after the other. The parser calls the methods that begin with `on_`."""

    def __init__(self, answer: Callable[[Request], Answer], connections: set[Connection]) -> None:
        self._answer, self._connections = answer, connections
        self._loop = asyncio.get_running_loop()
        self._parser = HttpRequestParser(self)
        self._waiting: deque[Request | Answer] = deque()  # an answer is a refusal, and the last
        self._delay: asyncio.TimerHandle | None = None
        self._limit: asyncio.TimerHandle | None = None  # until all of a request must be here, or all refused bytes
        self._is_partial = self._is_in_head = self._is_promised = False
        self._is_deaf = False  # nothing that comes is read any more
        self._is_full = False  # the caller does not take its answers
        self._is_leaving = False

    # --- what the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was being delayed: stalled answers cannot pile up once their callers have hung up."""
        del exc
        self._connections.discard(self)
        self._waiting.clear()
        for timer in (self._delay, self._limit):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        try:
            self._parse(data)
        except HttpParserError as bad:
            self._refuse(400, "Bad Request", f"This is no HTTP request: {bad}")
        if self._is_partial:
            self._bound(len(data))
        elif self._limit is not None:
            self._limit.cancel()
            self._limit = None
        self._work()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._loop.call_soon(self._work)  # the event loop's own work on the connection has to end first

    # --- what the parser tells

    def on_message_begin(self) -> None:
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = self._raw = 0
        self._is_partial = self._is_in_head = True

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_head:  # else it is a trailer
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._is_in_head = self._is_promised = False

    def on_body(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= MAX_BODY:
            self._body.append(part)

    def on_message_complete(self) -> None:
        parser = self._parser
        if parser.should_upgrade():
            return  # its body was not read: see `_parse`
        self._is_partial = False
        is_last = not parser.should_keep_alive() or parser.get_http_version() != "1.1"
        if self._size > MAX_BODY:
            self._refuse_body()
        elif not self._is_deaf:
            method, target = parser.get_method().decode(), self._target.decode("utf-8", "replace")
            self._waiting.append(Request(method, target, Headers(self._fields), b"".join(self._body), is_last))
            self._is_deaf = is_last

    # --- from requests to answers

    def _parse(self, data: bytes) -> None:
        """Parse what came; a request that wishes for another protocol as if it did not. Raises HttpParserError.

        Clients that know HTTP/2 wish so beside a body, and the parser leaves off after the head.
        """
        while True:
            try:
                self._parser.feed_data(data)
            except HttpParserUpgrade as wish:
                method = self._parser.get_method()
                if method == b"CONNECT":
                    self._refuse(400, "Bad Request", "This is no proxy")
                    return
                fields = [b"%b: %b\r\n" % field for field in self._fields if field[0].lower() != b"upgrade"]
                head_again = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self._target, b"".join(fields))
                data = head_again + data[wish.args[0] :]
                self._parser = HttpRequestParser(self)
            else:
                return

    def _bound(self, came: int) -> None:
        """Refuse what is too large or takes too long; a request that came in one piece never gets here."""
        self._raw += came
        if self._is_in_head and self._raw > _MAX_HEAD:
            self._refuse(431, "Request Header Fields Too Large", f"A head is at most {_MAX_HEAD} bytes long")
        elif self._size > MAX_BODY or self._raw > _MAX_RAW:
            self._refuse_body()
        elif self._limit is None:
            self._limit = self._loop.call_later(_REQUEST_SECONDS, self._too_late)
        if not (self._is_in_head or self._is_promised or self._is_deaf or self._waiting or self._delay):
            self._is_promised = True
            if Headers(self._fields).get("expect", "").lower() == "100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _too_late(self) -> None:
        self._limit = None
        self._refuse(408, "Request Timeout", "The rest of the request did not arrive")
        self._work()

    def _refuse_body(self) -> None:
        self._refuse(413, "Request Entity Too Large", f"A body is at most {MAX_BODY} bytes long")

    def _refuse(self, status: int, title: str, detail: str) -> None:
        if not self._is_deaf:
            self._is_deaf = True
            self._waiting.append(answers.problem(status, title, detail))

    def _work(self) -> None:
        """Answer what waits, unless an answer is being delayed, or the caller takes none or has gone."""
        while self._waiting and self._delay is None and not self._is_full and not self._transport.is_closing():
            asked = self._waiting.popleft()
            if isinstance(asked, Answer):
                self._turn_away(asked)
                return
            answer = self._answer(asked)
            seconds = _STALL_SECONDS if answer.fault == "stall" else answer.delay
            if seconds:
                self._delay = self._loop.call_later(seconds, self._delayed, asked, answer)
            else:
                self._send(asked, answer)
        # Only a caller that sends on is not listened to, since who is not listened to is not seen hanging up.
        if self._is_full or len(self._waiting) > _MOST_WAITING:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _delayed(self, asked: Request, answer: Answer) -> None:
        self._delay = None
        self._send(asked, answer)
        self._work()

    def _send(self, asked: Request, answer: Answer) -> None:
        if answer.fault in ("stall", "reset"):
            self._reset()
            return
        is_last = asked.is_last or self._is_leaving
        told = body(answer, asked.method)
        if answer.fault == "truncated":
            told = told[: len(told) // 2]
        self._transport.write(head(answer, is_last=is_last, second=int(self._loop.time())) + told)
        if is_last or answer.fault:
            self._waiting.clear()
            self._transport.close()

    def _turn_away(self, refusal: Answer) -> None:
        """Refuse and hang up, but not before the caller has: what it still sends would cost it the answer."""
        self._transport.write(head(refusal, is_last=True, second=int(self._loop.time())) + refusal.body)
        self._transport.write_eof()
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self._loop.call_later(_LINGER_SECONDS, self._transport.abort)

    def _reset(self) -> None:
        """Reset the connection: the caller sees no answer and no orderly end."""
        self._waiting.clear()
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    # --- the end of the program

    def leave(self) -> None:
        """Hang up, after the answer that is under way."""
        self._is_leaving = True
        if self._delay is None:
            self._transport.close()

    def cut(self) -> None:
        """Hang up now, in order."""
        self._transport.close()
