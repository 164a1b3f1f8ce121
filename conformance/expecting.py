"""What an expectation finds wrong with a body and its headers, as sentences. No schema here: that is `passive.py`'s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conformance.case import Expect


def pointed(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) names. Raises LookupError."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list) and key.isdecimal():
            document = document[int(key)]
        elif isinstance(document, Mapping) and key in document:
            document = document[key]
        else:
            raise LookupError(pointer)
    return document


def body_faults(expect: Expect, body: Any) -> Iterator[str]:
    """Yield what is not as expected in a body."""
    for pointer, wanted in expect.body.items():
        try:
            found = pointed(body, pointer)
        except LookupError:
            yield f"{pointer} is not there, {wanted!r} was expected"
            continue
        if not _same(found, wanted):
            yield f"{pointer} is {found!r}, {wanted!r} was expected"
    for pointer, unwanted in expect.differs.items():
        if not _is_there(body, pointer) or _same(pointed(body, pointer), unwanted):
            yield f"{pointer} must be there and be another than {unwanted!r}"
    yield from (f"{pointer} is not there" for pointer in expect.present if not _is_there(body, pointer))
    yield from (f"{pointer} must not be there" for pointer in expect.absent if _is_there(body, pointer))


def header_faults(expect: Expect, headers: Mapping[str, str]) -> Iterator[str]:
    """Yield what is not as expected among the headers; names are looked up as `headers` does."""
    for name, wanted in expect.headers.items():
        if headers.get(name) != wanted:
            yield f"header {name} is {headers.get(name)!r}, {wanted!r} was expected"
    yield from (f"header {name} is not there" for name in expect.require if name not in headers)
    yield from (f"header {name} must not be there" for name in expect.forbid if name in headers)


def _same(found: Any, wanted: Any) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def _is_there(body: Any, pointer: str) -> bool:
    try:
        pointed(body, pointer)
    except LookupError:
        return False
    return True
