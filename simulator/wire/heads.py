"""Request heads, read strictly: what is not certain to mean the same to every reader is refused. No bytes move here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from simulator.wire.refusals import HEADER, LONGEST_TARGET, MOST_HEADERS, Refusal

MAX_HEAD = 384 * 1024  # bytes; the server behind takes a little more

OFTEN = 4096  # bytes of a head that may come again and again: it is read once

IN_CHUNKS = -1

# A bare line feed ends a line for servers, so it does here. All else is RFC 9112 without what it allows for old times'
# sake: no folded headers, no space before the colon, no control characters.
_LINE = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}:[\t\x20-\x7e\x80-\xff]*+\r?\n"
_PATH = rb"/[!\"$-;=?-_a-~\x80-\xff]*+"  # none of < > ` and #
_TARGET = rb"(?:https?://[A-Za-z0-9._~-]{1,255}(?::[0-9]{1,5})?)?(?:" + _PATH + rb")"
_FIRST = rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,1000}) (" + _TARGET + rb") HTTP/1\.([01])\r?\n"
_HEAD = re.compile(_FIRST + rb"(?:" + _LINE + rb"){0,%d}+\r?\n" % MOST_HEADERS)
_OWN = HEADER.lower().encode()
_FRAMING = re.compile(
    rb"\n(content-length|transfer-encoding|expect|host|" + _OWN + rb"):[ \t]*+([^\r\n]*)", re.IGNORECASE
)

_FIRST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,1000}) ([^\r\n]*) HTTP/1\.[01]\r?\n")
_WHOLE_LINE = re.compile(_LINE)
_UNSAFE = re.compile(rb"[^!$&'()*+,./0-9:;=@A-Z_a-z~%-]")
_HOP = re.compile(
    rb"(?:connection|content-length|transfer-encoding|expect|te|trailer|upgrade|x-sandbox-[a-z-]*):", re.IGNORECASE
)
_LONGEST_PATH = 8192  # bytes of a path that are passed on when the request is refused
_MOST_PASSED = 16 * 1024  # bytes of headers, likewise


class Head(NamedTuple):
    """One head that can be passed on. `length` is None for a body in chunks. `plain` is how it is passed on."""

    method: bytes
    length: int | None
    expects: bool
    plain: bytes


def read(head: bytes) -> Head | Refusal:
    """Read a head, which ends with its empty line and has none before."""
    return _read_before(head) if len(head) <= OFTEN else _read(head)


@lru_cache(512)
def _read_before(head: bytes) -> Head | Refusal:
    return _read(head)


def _read(head: bytes) -> Head | Refusal:
    found = _HEAD.fullmatch(head)
    if found is None:
        return _why(head)
    method, target, version = found.groups()
    fields: dict[bytes, list[bytes]] = {}
    for name, value in _FRAMING.findall(head):
        fields.setdefault(name.lower(), []).append(value.rstrip(b" \t"))
    if wrong := _wrong_address(method, target) or _wrong_fields(fields):
        return wrong
    length = _length(fields, is_old=version == b"0")
    if isinstance(length, Refusal):
        return length
    expects = b"expect" in fields
    plain = _without(head, b"expect") if expects else head
    return Head(method, None if length == IN_CHUNKS else length, expects and version == b"1", plain)


def _wrong_address(method: bytes, target: bytes) -> Refusal | None:
    if len(target) > LONGEST_TARGET:
        return Refusal.TOO_LONG
    is_address = (target.isascii() or _is_text(target)) and b'"' not in target.partition(b"?")[2]
    return None if is_address and method != b"CONNECT" else Refusal.TARGET


def _wrong_fields(fields: Mapping[bytes, Sequence[bytes]]) -> Refusal | None:
    if len(fields.get(b"host", ())) > 1:
        return Refusal.HEADER
    return Refusal.RESERVED if _OWN in fields else None


def _length(fields: Mapping[bytes, Sequence[bytes]], *, is_old: bool) -> int | Refusal:
    """Return how long the body is, IN_CHUNKS where it says so itself. Two ways of saying it are one too many."""
    lengths, codings = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if codings:
        is_plain = len(codings) == 1 and codings[0].lower() == b"chunked" and not is_old and not lengths
        return IN_CHUNKS if is_plain else Refusal.FRAMING
    if not lengths:
        return 0
    is_number = len(set(lengths)) == 1 and lengths[0].isdigit() and len(lengths[0]) <= 18
    return int(lengths[0]) if is_number else Refusal.FRAMING


def _is_text(target: bytes) -> bool:
    try:
        target.decode()
    except UnicodeDecodeError:
        return False
    return True


def _why(head: bytes) -> Refusal:
    """Say what is wrong with a head that is none."""
    first = _FIRST_LINE.match(head)
    if first is None:
        return Refusal.TOO_LONG if len(head) > LONGEST_TARGET else Refusal.NO_HTTP
    if len(first[2]) > LONGEST_TARGET:
        return Refusal.TOO_LONG
    if not re.fullmatch(_TARGET, first[2]):
        return Refusal.TARGET
    lines = head[first.end() :].split(b"\n")[:-2]
    if not all(_WHOLE_LINE.fullmatch(line + b"\n") for line in lines):
        return Refusal.HEADER
    return Refusal.TOO_MANY_HEADERS


def framed(head: Head, length: int) -> bytes:
    """Return the head for a body of `length` bytes, however it was framed before."""
    bare = _without(_without(head.plain, b"transfer-encoding"), b"content-length")
    end = bare.rindex(b"\n", 0, -1) + 1 if bare.endswith(b"\n\n") else len(bare) - 2
    return bare[:end] + b"Content-Length: %d\r\n\r\n" % length


def _without(head: bytes, name: bytes) -> bytes:
    return re.sub(rb"(?<=\n)" + name + rb":[^\n]*\n", b"", head, flags=re.IGNORECASE)


def refused(head: bytes, why: Refusal) -> bytes | None:
    """Return a request that asks the simulator to word a refusal: what can be read of `head`, and nothing else of it.

    None where not even the first line is there.
    """
    first, _, rest = head.partition(b"\n")
    if not rest and not head.endswith(b"\n"):
        return None
    named = _FIRST_LINE.match(first + b"\n")
    method, target = (named[1], named[2]) if named else (b"GET", b"/")
    if method == b"CONNECT":  # the server behind would hang up without a word
        method = b"GET"
    passed: list[bytes] = []
    size = 0
    for line in rest.split(b"\n")[:-1]:
        size += len(line)
        if len(passed) == MOST_HEADERS - 4 or size > _MOST_PASSED:
            break
        is_second_host = line[:5].lower() == b"host:" and any(other[:5].lower() == b"host:" for other in passed)
        if _WHOLE_LINE.fullmatch(line + b"\n") and not _HOP.match(line) and not is_second_host:
            passed.append(line.rstrip(b"\r") + b"\r\n")
    own = b"Connection: close\r\nContent-Length: 0\r\n" + f"{HEADER}: {why}\r\n\r\n".encode()
    return b"%s %s HTTP/1.1\r\n%s%s" % (method, _path(target), b"".join(passed), own)


def _path(target: bytes) -> bytes:
    """Return the path of a target with every odd byte encoded, and without its query, which may be what is wrong."""
    path = re.sub(rb"\Ahttps?://[^/?]*", b"", target).partition(b"?")[0][:_LONGEST_PATH]
    if not path.startswith(b"/"):
        return b"/"
    return _UNSAFE.sub(lambda odd: b"%%%02X" % odd[0][0], path)
