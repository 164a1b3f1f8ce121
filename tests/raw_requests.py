"""Requests as no client library would send them, made by seeded dice. What comes back is judged elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
ODD = [b"\x00", b"\r", b"\n", b"\r\n", b"\x7f", b"\xff", b" ", b"\t", b":", b"\x1b[2J", b"\xc3\xa9"]
REFUSED = frozenset({400, 404})  # 404: at a path that nobody has
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@dataclass(frozen=True)
class Sending:
    """Bytes in the pieces in which they are sent. `answers`: so many answers must come; None: as many as there are."""

    shape: str
    pieces: Sequence[bytes]
    answers: int | None = None
    half_closes: bool = False
    leaves: bool = False  # hangs up without reading
    statuses: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Good:
    """Good requests to spoil: first line, further header lines, body."""

    line: bytes
    fields: tuple[bytes, ...] = ()
    body: bytes = b""

    def head(self, *more: bytes, fields: Sequence[bytes] | None = None) -> bytes:
        lines = [self.line, b"Host: x", *(self.fields if fields is None else fields), *more]
        return b"\r\n".join([*lines, b"", b""])

    def whole(self) -> bytes:
        length = (b"Content-Length: %d" % len(self.body),) if self.body else ()
        return self.head(*length) + self.body


Shape = Callable[[Random, Good], Sending]


def cut(data: bytes, dice: Random, most: int = 6) -> list[bytes]:
    """Cut bytes into pieces at random places."""
    places = sorted(dice.randrange(1, len(data)) for _ in range(dice.randrange(most))) if len(data) > 1 else []
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]


def in_chunks(body: bytes, dice: Random) -> bytes:
    parts = cut(body, dice) if body else []
    ext = dice.choice([b"", b";a=b", b' ;q="x"'])
    return (
        b"".join(b"%x%s\r\n%s\r\n" % (len(part), ext, part) for part in parts)
        + b"0\r\n"
        + dice.choice([b"\r\n", b"X-Trailer: y\r\n\r\n"])
    )


def pipelined(dice: Random, good: Good) -> Sending:
    count = dice.randrange(2, 12)
    data = good.whole() * count
    return Sending("pipelined", cut(data, dice), answers=count, half_closes=dice.random() < 0.5)


def chunked(dice: Random, good: Good) -> Sending:
    data = good.head(CHUNKED.rstrip()) + in_chunks(good.body, dice)
    return Sending("chunked", cut(data, dice), answers=1)


def drop_by_drop(dice: Random, good: Good) -> Sending:
    data = good.whole()
    step = max(1, len(data) // 60)
    return Sending("drop by drop", [data[at : at + step] for at in range(0, len(data), step)], answers=1)


def oversized(dice: Random, good: Good) -> Sending:
    size = dice.choice([70_000, 130_000, 400_000, 600_000])
    filler = b"a" * size
    kind = dice.randrange(4)
    if kind == 0:
        data = good.head(b"X-Long: " + filler)
    elif kind == 1:
        data = good.line.replace(b" HTTP", filler + b" HTTP", 1) + b"\r\nHost: x\r\n\r\n"
    elif kind == 2:
        data = good.head(*(b"X-%d: b" % number for number in range(dice.choice([99, 101, 3000]))))
    else:
        data = good.head(filler + b": b")
    return Sending("oversized", cut(data, dice), half_closes=True)


def large_body(dice: Random, good: Good) -> Sending:
    size = dice.choice([1_048_576, 1_048_577, 3_000_000])
    body = b" " * size
    data = good.head(b"Content-Length: %d" % size) + body
    if dice.random() < 0.5:
        data = good.head(CHUNKED.rstrip()) + b"%x\r\n%s\r\n0\r\n\r\n" % (size, body)
    return Sending("large body", [data], answers=1)


def bad_chunks(dice: Random, good: Good) -> Sending:
    bad = dice.choice(
        [b"zz\r\n", b"-1\r\n", b"0x1\r\nx\r\n0\r\n\r\n", b"1\nx\n0\n\n", b"3\r\nabcde\r\n", b"ffffffffffffffff\r\n",
         b"1 1\r\nx\r\n", b"\r\n", b"1;" + b"e" * 9000 + b"\r\nx\r\n", b"1\r\nx\r\n0\r\n" + b"T" * 5000 + b"\r\n\r\n"]
    )  # fmt: skip
    data = good.head(CHUNKED.rstrip()) + bad + SMUGGLED
    return Sending("bad chunks", cut(data, dice), answers=1, statuses=REFUSED)


def smuggling(dice: Random, good: Good) -> Sending:
    lines = dice.choice(
        [
            [b"Content-Length: %d" % len(SMUGGLED), b"Transfer-Encoding: chunked"],
            [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
            [b"Content-Length: 5", b"Content-Length: 6"],
            [b"Content-Length: 5, 6"],
            [b"Content-Length: +5"],
            [b"Content-Length : 5"],
            [b"Content-Length: 0x5"],
            [b"Content-Length:"],
            [b"Transfer-Encoding: chunked, identity"],
            [b"Transfer-Encoding: xchunked"],
            [b"Transfer-Encoding:\x0bchunked"],
            [b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"],
            [b"Transfer-Encoding\t: chunked"],
            [b"X: y\rTransfer-Encoding: chunked"],
            [b"X: y", b" Transfer-Encoding: chunked"],
            [b"Content-Length: 99999999999999999999"],
        ]
    )
    data = good.head(*lines) + b"0\r\n\r\n" + SMUGGLED
    return Sending("smuggling", cut(data, dice), answers=1, statuses=REFUSED)


def odd_bytes(dice: Random, good: Good) -> Sending:
    data = bytearray(good.whole())
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(data))
        odd = dice.choice(
            [b"\x00", b"\r", b"\n", b"\r\n", b"\x7f", b"\xff", b" ", b"\t", b":", b"\x1b[2J", b"\xc3\xa9"]
        )
        data[at : at + dice.randrange(2)] = odd
    return Sending("odd bytes", cut(bytes(data), dice), half_closes=True)


def other_protocols(dice: Random, _good: Good) -> Sending:
    data = dice.choice(
        [b"GET /\r\n", b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n", b"\r\n" * 500,
         b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(300), b"SSH-2.0-OpenSSH_9.6\r\n",
         b"*1\r\n$4\r\nPING\r\n", dice.randbytes(dice.randrange(1, 3000)), b"HTTP/1.1 200 OK\r\n\r\n"]
    )  # fmt: skip
    return Sending("other protocols", cut(data, dice), half_closes=True)


def bare_line_feeds(dice: Random, good: Good) -> Sending:
    data = good.head(b"Content-Length: %d" % len(good.body)).replace(b"\r\n", b"\n") + good.body
    return Sending("bare line feeds", cut(data, dice), answers=1)


def left_in_the_middle(dice: Random, good: Good) -> Sending:
    data = good.whole()
    data = data[: dice.randrange(1, len(data))]
    leaves = dice.random() < 0.5
    return Sending("left in the middle", cut(data, dice), half_closes=not leaves, leaves=leaves)


def continued(dice: Random, good: Good) -> Sending:
    head = good.head(b"Content-Length: %d" % len(good.body), b"Expect: 100-continue")
    return Sending("continued", [head, good.body] if good.body else [head], answers=1)


SHAPES: tuple[Shape, ...] = (
    *(pipelined, chunked, drop_by_drop, oversized, large_body, bad_chunks, smuggling, odd_bytes, other_protocols),
    *(bare_line_feeds, left_in_the_middle, continued),
)
