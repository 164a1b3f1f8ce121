"""HTTP messages as values: what was asked, and the bytes of an answer. No connection lives here."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from mock_buyers.answers import Answer

Fields = Sequence[tuple[bytes, bytes]]
"""Header fields as they came."""

_MOST_VALUES: Final = 2_000
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_BODILESS: Final = frozenset({204, 304})


class Headers(Mapping[str, str]):
    """Header fields, found whatever the case of their names; of several with one name the first counts."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode()
        for given, value in self.fields:
            if given.lower() == wanted:
                return value.decode("utf-8", "replace")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter({name.decode("utf-8", "replace").lower(): None for name, _ in self.fields})

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Request(NamedTuple):
    """One request, all of it. After the answer to one that is the last, the connection ends."""

    method: str
    target: str
    headers: Headers
    body: bytes
    is_last: bool = False

    @property
    def segments(self) -> list[str]:
        """The path without its first slash, split at the others, each part decoded."""
        path = self.target.partition("?")[0]
        if not path.startswith("/"):  # http://host/path, as a proxy is asked
            path = f"/{path.partition('://')[2].partition('/')[2]}"
        parts = path.split("/")[1:]
        return [unquote(part) for part in parts] if "%" in path else parts

    @property
    def query_string(self) -> str:
        return self.target.partition("?")[2]

    @property
    def query(self) -> dict[str, str]:
        """Raises ValueError with a sentence."""
        return pairs(self.query_string)


def pairs(text: str) -> dict[str, str]:
    """Return the fields of a query or of a form. Raises ValueError with a sentence."""
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_VALUES))


def head(answer: Answer, *, is_last: bool, second: int) -> bytes:
    """Return an answer's bytes up to its body. `second` is any number that changes every second."""
    more = f"Allow: {answer.allow}\r\n" if answer.allow else ""
    if answer.status not in _BODILESS:
        more += f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
    if is_last:
        more += "Connection: close\r\n"
    phrase = _PHRASES.get(answer.status, "")
    return f"HTTP/1.1 {answer.status} {phrase}\r\n{more}Date: {_date(second)}\r\n\r\n".encode()


def body(answer: Answer, method: str) -> bytes:
    return b"" if method == "HEAD" or answer.status in _BODILESS else answer.body


@functools.lru_cache(maxsize=1)
def _date(_second: int) -> str:
    return formatdate(usegmt=True)
