"""What a mutant is: a server that is wrong in one way, as a value. Where it stands on the wire is `proxy.py`'s."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.leads import People
from conformance.target import World

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it arrived. `path` carries the query string."""

    method: str
    path: str
    headers: Headers
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return a header's value, "" when it is not there."""
        return _header(self.headers, name)

    def with_header(self, name: str, value: str) -> Sent:
        return replace(self, headers=(*_without(self.headers, name), (name, value)))


@dataclass(frozen=True, slots=True)
class Got:
    """An answer as it came back."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's value, "" when it is not there."""
        return _header(self.headers, name)

    def without(self, name: str) -> Got:
        return replace(self, headers=_without(self.headers, name))

    def with_header(self, name: str, value: str) -> Got:
        return replace(self, headers=(*_without(self.headers, name), (name, value)))

    def parsed(self) -> Any:
        """Return the body as JSON, None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def with_json(self, document: Any) -> Got:
        return replace(self, body=json.dumps(document).encode())


Ask = Callable[[Sent], Got]
"""Asks the real server."""

Tampering = Callable[[Sent, Ask], Got]
"""Stands between suite and server: answers a request, asking the server once, often or not at all."""


@dataclass
class Scene:
    """What a mutant may know: the world that is asked now, and an answer of each row that the real server gave.

    `people` makes up persons, for a mutant that does not recognise one.
    """

    world: World | None = None
    samples: dict[str, Got] = field(default_factory=dict)
    people: People = field(default_factory=People)


Made = Callable[[Scene], Tampering]
"""Makes a tampering for a scene."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One known-bad server. `breaks` are the ids of the rows or invariants that it no longer keeps.

    `tamper` makes the tampering anew, for what a mutant remembers ends with it; `hook` does the same for what the
    platform sends to a webhook. `all_of` says whether each of `breaks` must be caught by a case of its own;
    otherwise one catch is enough.
    """

    id: str
    kind: str
    platform: str
    says: str
    breaks: tuple[str, ...]
    tamper: Made
    all_of: bool = True
    hook: Made | None = None


def untouched(sent: Sent, ask: Ask) -> Got:
    """Change nothing: the identity mutant."""
    return ask(sent)


def harmless(_scene: Scene) -> Tampering:
    """Make the tampering that changes nothing."""
    return untouched


def teapot(_sent: Sent, _ask: Ask) -> Got:
    """Answer 418 to everything: the control mutant."""
    return Got(418, (("Content-Type", "text/plain"),), b"I'm a teapot")


def _header(headers: Headers, name: str) -> str:
    return next((value for key, value in headers if key.lower() == name.lower()), "")


def _without(headers: Headers, name: str) -> Headers:
    # Lower case, not equal but for case alone: `retry_after` is not `Retry-After`.
    return tuple(item for item in headers if item[0].lower() != name.lower())
