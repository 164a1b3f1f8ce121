"""Whether a request to the control API can be a web page's doing, rather than its reader's. No route lives here."""

from __future__ import annotations

import re
from typing import Protocol

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]]*)(?::[0-9]{1,5})?", re.IGNORECASE)
_ADDRESS = re.compile(r"\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3}", re.IGNORECASE)
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Headers(Protocol):
    """Finds a header by its name, in whatever case."""

    def get(self, name: str, default: str, /) -> str: ...


def stranger(method: str, headers: Headers, *, named: bool) -> str:
    """Return what makes a request a web page's, as a sentence for the caller; "" when nothing does.

    A browser sends what any page asks it to, to any address that the page's own name resolves to. It says so in
    `Host`, `Origin` and `Sec-Fetch-Site`, which a page cannot change; programs send the first of them only. Where a
    token protects the control API, it may be reached under any name (`named`).
    """
    host = headers.get("Host", "")
    if host and not named and not _is_of_this_machine(host):
        return f"The control API is not served under the name {host[:80]!r}: use an IP address or localhost"
    origin = headers.get("Origin", "")
    if origin and method not in _READS and origin.partition("://")[2].lower() != host.lower():
        return f"A page of {origin[:80]!r} may not change anything here"
    is_link = method == "GET" and headers.get("Sec-Fetch-Mode", "") == "navigate"
    if headers.get("Sec-Fetch-Site", "") == "cross-site" and not is_link:
        return "A page of another site may not ask this"
    return ""


def _is_of_this_machine(host: str) -> bool:
    """Whether no name server was asked for this name: one could answer with 127.0.0.1 for any name of its own."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found["name"].lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or _ADDRESS.fullmatch(name) is not None
