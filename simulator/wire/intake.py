"""Takes in what a client sends until a request is whole, within bounds. No clock, no socket; heads are `heads.py`'s."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from simulator.wire.heads import MAX_HEAD, Head, framed, read, refused
from simulator.wire.refusals import Refusal

MAX_BODY = 1024 * 1024  # bytes that the simulator reads as a body; one more tells it that there are too many
MAX_OWN_BODY = 8 * MAX_BODY  # of the sandbox's own API, which takes sandbox files and reports of the conformance suite
MAX_READ = 16 * MAX_BODY  # bytes read and thrown away, so that a client that sends far too much gets its answer
MAX_TRAILERS = 64 * 1024
MAX_LINE = 4096  # bytes of one chunk-size or trailer line

_OWN = tuple(method + b" /__sandbox/" for method in (b"POST", b"PUT", b"PATCH"))
_END = re.compile(rb"\n\r?\n")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")


class Request(NamedTuple):
    """What is to be passed on. `is_last`: what may follow it on this connection is not read."""

    method: bytes
    message: bytes
    is_last: bool = False


class Part(Enum):
    """Where in a request a client is."""

    NOTHING = "nothing"
    HEAD = "head"
    BODY = "body"


class ChunksError(ValueError):
    """The bytes are not chunks."""


class Chunks:
    """Takes a body out of its chunks. Strict: a reader that takes another line end would see other chunks."""

    def __init__(self) -> None:
        self.done = False
        self._left = 0  # bytes of the chunk under way
        self._ends = False  # the chunk's own line end comes next
        self._last = False
        self._trailers = 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what the chunks hold, and what of `data` is still to be looked at. Raises ChunksError."""
        parts: list[bytes] = []
        at = 0
        while not self.done and at < len(data):
            if self._left:
                part = data[at : at + self._left]
                parts.append(part)
                self._left -= len(part)
                self._ends = not self._left
                at += len(part)
                continue
            end = data.find(b"\n", at, at + MAX_LINE)
            if end < 0:
                if len(data) - at >= MAX_LINE:
                    raise ChunksError
                break
            self._line(data[at : end + 1])
            at = end + 1
        return b"".join(parts), data[at:]

    def _line(self, line: bytes) -> None:
        if self._ends:
            if line != b"\r\n":
                raise ChunksError
            self._ends = False
        elif self._last:
            self._trailers += len(line)
            self.done = line == b"\r\n"
            if not line.endswith(b"\r\n") or self._trailers > MAX_TRAILERS:
                raise ChunksError
        else:
            found = _SIZE.fullmatch(line)
            if found is None:
                raise ChunksError
            self._left = int(found[1], 16)
            self._last = not self._left


class Intake:
    """What one client has sent and nobody has been given yet."""

    def __init__(self) -> None:
        self._data = b""
        self._head: Head | None = None
        self._raw = b""  # the head as it came, for a refusal
        self._chunks: Chunks | None = None
        self._body: list[bytes] = []
        self._most = MAX_BODY  # bytes that this body may have
        self._kept = 0  # bytes in `_body`
        self._read = 0  # bytes of this body that came, kept or not
        self._looked_at = 0  # up to where the end of a head was looked for in vain
        self._is_over = False

    @property
    def size(self) -> int:
        """Bytes held."""
        return len(self._data) + self._kept

    @property
    def part(self) -> Part:
        if self._head is not None:
            return Part.BODY
        return Part.HEAD if self._data.strip(b"\r\n") and not self._is_over else Part.NOTHING

    @property
    def wants_continue(self) -> bool:
        """Whether the client waits for a word before it sends its body."""
        return self._head is not None and self._head.expects and not self._read

    @property
    def wants(self) -> int:
        """Bytes that the request under way will hold at most."""
        if self._head is None:
            return len(self._data)
        length = self._head.length
        return self._most if length is None else min(length, self._most)

    def add(self, data: bytes) -> None:
        if not self._is_over:
            self._data = self._data + data if self._data else data

    def next(self) -> Request | None:
        """Return the next request that is whole or refused, None while there is none."""
        if self._head is None:
            if not self._data or self._is_over:
                return None
            if request := self._begin():
                return request
        if self._head is None:
            return None
        return self._in_chunks() if self._chunks is not None else self._counted(self._head)

    def refuse(self, why: Refusal) -> Request | None:
        """Give up the request under way; return what asks the simulator to say so, None if it has no first line."""
        raw = self._raw if self._head is not None else self._data.lstrip(b"\r\n")
        return self._refused(raw, why)

    def _refused(self, raw: bytes, why: Refusal) -> Request | None:
        message = refused(raw, why)
        self._is_over = True
        self._forget()
        self._data = b""
        return None if message is None else Request(message.partition(b" ")[0], message, is_last=True)

    def _forget(self) -> None:
        self._head, self._raw, self._chunks = None, b"", None
        self._body, self._kept, self._read = [], 0, 0

    def _begin(self) -> Request | None:
        """Look for a head. Returns a request that has no body, as most of those without one have."""
        data = self._data
        if data[0] in b"\r\n":
            data = self._data = data.lstrip(b"\r\n")
            self._looked_at = 0
        end = _END.search(data, self._looked_at)
        if end is None:
            self._looked_at = max(len(data) - 2, 0)
            return self._refused(data, Refusal.TOO_LONG) if len(data) > MAX_HEAD else None
        self._looked_at = 0
        raw = data[: end.end()]
        head = read(raw) if len(raw) <= MAX_HEAD else Refusal.TOO_LONG
        if isinstance(head, Refusal):
            return self._refused(raw, head)
        self._data = data[end.end() :]
        if head.length == 0:
            return Request(head.method, head.plain)
        self._head, self._raw = head, raw
        self._most = MAX_OWN_BODY if raw.startswith(_OWN) else MAX_BODY
        self._chunks = Chunks() if head.length is None else None
        return None

    def _counted(self, head: Head) -> Request | None:
        """Return the request once so many bytes came as its head said."""
        assert head.length is not None
        if not self._read and len(self._data) >= head.length <= MAX_BODY:  # all at once, as nearly always
            body, self._data = self._data[: head.length], self._data[head.length :]
            self._forget()
            return Request(head.method, head.plain + body)
        part = self._data[: head.length - self._read]
        self._data = self._data[len(part) :]
        self._keep(part)
        self._read += len(part)
        return self._whole(head) if self._read == head.length or self._read >= MAX_READ else None

    def _in_chunks(self) -> Request | None:
        assert self._chunks is not None
        assert self._head is not None
        before = len(self._data)
        try:
            part, self._data = self._chunks.take(self._data)
        except ChunksError:
            return self._refused(self._raw, Refusal.CHUNKS)
        self._keep(part)
        self._read += before - len(self._data)
        return self._whole(self._head) if self._chunks.done or self._read >= MAX_READ else None

    def _keep(self, part: bytes) -> None:
        """Keep one byte more than a body may have, so that the simulator sees that there were too many."""
        if part and self._kept <= self._most:
            self._body.append(part[: self._most + 1 - self._kept])
            self._kept += len(self._body[-1])

    def _whole(self, head: Head) -> Request:
        complete = self._chunks.done if self._chunks is not None else self._read == head.length
        plain = head.plain if self._kept == head.length else framed(head, self._kept)
        request = Request(head.method, plain + b"".join(self._body), is_last=not complete)
        if not complete:
            self._is_over = True
            self._data = b""
        self._forget()
        return request
