"""Where HTTP/1 answers begin and end in a stream of bytes. Nothing is sent or received; requests are `intake.py`'s."""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

from simulator.routing.values import value
from simulator.wire.faults import HEADER, Fault, parse

MAX_HEAD = 512 * 1024  # bytes; a head that does not end by then is none, and passes untouched
MAX_LINE = 4096  # bytes of one chunk-size or trailer line

_FIELDS = re.compile(rb"\n(content-length|transfer-encoding)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_WIRE = re.compile(rb"\n" + HEADER.encode() + rb":[ \t]*([^\r\n]*)\r?(?=\n)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\nconnection[ \t]*:[^\n]*(?=\n)", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])[ \r\n]")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1")


class LostError(ValueError):
    """The bytes are not HTTP/1, or not as anyone would frame it."""


class Framing(NamedTuple):
    """How a body is framed: so many bytes, in chunks, or until the connection ends (`length` None, not `chunked`)."""

    length: int | None = 0
    chunked: bool = False


NO_BODY = Framing()
CHUNKED = Framing(None, chunked=True)
ENDLESS = Framing(None)


def framing_of(head: bytes, otherwise: Framing) -> Framing:
    """Read how the body after this head is framed; `otherwise` is for a head that does not say. Raises LostError."""
    fields = _FIELDS.findall(head)
    if not fields:
        return otherwise
    for name, said in fields:
        if name[0] in b"tT":
            # RFC 9112, 6.3: transfer-encoding overrides content-length.
            return CHUNKED if said.strip().lower().endswith(b"chunked") else ENDLESS
    length: bytes = fields[0][1].strip()
    if any(said.strip() != length for _, said in fields) or not length.isdigit() or len(length) > 18:
        raise LostError("content-length")
    return Framing(int(length))


class Body:
    """Skips one body, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._left = 0
        self._in_chunks = False
        self._endless = False
        self._line = b""
        self._last = False

    @property
    def done(self) -> bool:
        return not (self._left or self._in_chunks or self._endless)

    @property
    def has_known_end(self) -> bool:
        return not (self._in_chunks or self._endless)

    def begin(self, framing: Framing) -> None:
        self._left = framing.length or 0
        self._in_chunks = framing.chunked
        self._endless = framing is ENDLESS
        self._line, self._last = b"", False

    def skip(self, data: bytes, at: int) -> int:
        """Return where in `data` this body ends, or the end of `data`. Raises LostError."""
        if self._endless:
            return len(data)
        while at < len(data) and (self._left or self._in_chunks):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
            else:
                at = self._skip_line(data, at)
        return at

    def _skip_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            self._line += data[at:]
            end = len(data) - 1
        else:
            line, self._line = self._line + data[at : end + 1], b""
            self._read_line(line.strip(b"\r\n"))
        if len(self._line) > MAX_LINE:
            raise LostError("a line without end")
        return end + 1

    def _read_line(self, line: bytes) -> None:
        if self._last:  # a trailer, or the empty line after the trailers
            self._in_chunks = bool(line)
            return
        try:
            size = int(line.partition(b";")[0].strip(), 16)
        except ValueError:
            raise LostError("chunk size") from None
        if not 0 <= size < 2**62:
            raise LostError("chunk size")
        self._last = size == 0
        self._left = size + 2 if size else 0  # the chunk's own line end


@value(frozen=True, slots=True)
class Marked:
    """A response that a fault is meant for: its head without our header, how its body is framed, and what followed."""

    fault: Fault | None
    head: bytes
    framing: Framing
    rest: bytes


class Responses:
    """Follows what the simulator sends: finds our header, in heads only. When lost, everything passes untouched.

    `methods` are those of the requests that await their answers; it is emptied here. Once `says_last` is set, each
    answer that passes tells its client that the connection ends with it; `said_last` tells whether one did.
    """

    def __init__(self, methods: deque[bytes]) -> None:
        self.says_last = self.said_last = False
        self._methods = methods
        self._held = b""
        self._body = Body()

    @property
    def in_stream(self) -> bool:
        """Whether a response is under way that does not say how long it is."""
        return not self._body.has_known_end

    @property
    def between(self) -> bool:
        """Whether the last response is complete and no other has begun."""
        return self._body.done and not self._held

    def take(self, data: bytes) -> tuple[bytes, Marked | None]:
        """Return what may pass now, and the response after it that is not to pass as it is."""
        if self._held:
            data, self._held = self._held + data, b""
        try:
            return self._take(data)
        except LostError:
            self._body.begin(ENDLESS)
            return data, None

    def _take(self, data: bytes) -> tuple[bytes, Marked | None]:
        at, size = 0, len(data)
        while at < size:
            if not self._body.done:
                at = self._body.skip(data, at)
                continue
            end = data.find(b"\r\n\r\n", at)
            if end < 0:
                return self._hold(data, at), None
            head = data[at : end + 4]
            framing = self._begin(head)
            if wire := _WIRE.search(head):
                clean = _WIRE.sub(b"", head)
                return data[:at], Marked(parse(wire[1].decode("latin-1").strip()), clean, framing, data[end + 4 :])
            if self.says_last and not _INTERIM.match(head):
                head = self.last(head)
                data = data[:at] + head + data[end + 4 :]
                end, size = at + len(head) - 4, len(data)
            at = end + 4
        return data, None

    def last(self, head: bytes) -> bytes:
        """Return the head as one that tells its client that the connection ends with this answer."""
        self.said_last = True
        return _CONNECTION.sub(b"", head)[:-2] + b"Connection: close\r\n\r\n"

    def _hold(self, data: bytes, at: int) -> bytes:
        if len(data) - at > MAX_HEAD:
            raise LostError("a head without end")
        self._held = data[at:]
        return data[:at]

    def let_go(self) -> bytes:
        """Return what was held back of a head that never ended."""
        held, self._held = self._held, b""
        return held

    def _begin(self, head: bytes) -> Framing:
        framing = self._framing(head)
        self._body.begin(framing)
        return framing

    def _framing(self, head: bytes) -> Framing:
        line = _STATUS.match(head)
        if line is None:
            raise LostError("status line")
        if line[1] == b"101":
            return ENDLESS
        if line[1][:1] == b"1":
            return NO_BODY  # the response proper is still to come
        method = self._methods.popleft() if self._methods else b""
        if method == b"HEAD" or line[1] in {b"204", b"304"}:
            return NO_BODY
        return ENDLESS if method == b"CONNECT" and line[1][:1] == b"2" else framing_of(head, ENDLESS)
