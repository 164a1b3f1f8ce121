"""What a sandbox configures for one platform, in the terms every platform shares. Not how a vendor spells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, NamedTuple

from simulator.contract.duty import Severity
from simulator.routing.agreed import Buyer, Terms
from simulator.routing.values import value


@value(frozen=True, slots=True)
class Received:
    """One request as it came in. Header names are lower-case; `body` is at most what the web layer allows."""

    method: str
    path: str
    arguments: Mapping[str, str]
    headers: Mapping[str, str]
    query: bytes
    body: bytes
    body_too_large: bool = False


class Limit(NamedTuple):
    """`rate` requests a second for ever, `burst` a second for `seconds`. Requests beyond are refused with 429.

    A tuple, because it is hashed at every request.
    """

    rate: int
    burst: int
    seconds: int


@value(frozen=True, slots=True)
class Retired:
    """A credential that a newer one replaced. It still opens doors before `honoured_until` (a grace period)."""

    credential: str
    kind: str
    honoured_until: datetime


@value(frozen=True, slots=True)
class Source:
    """Somebody who submits leads: a Pingtree source-campaign pairing, a Lead Distro supplier.

    `name` is what the caller is found by: the link id in the path, or the key in the header. `credentials`
    maps the kind to the token or key in force, `owner` is what they are regenerated under; `retired` lets a
    refusal say that an older one was used. `terms` is by campaign id, `limits` by operation; an operation that
    is not there has no limit. `arguments` are the ids that stand for it in paths and bodies, by the names that the
    contract's paths give them; `siblings` are ids of its account's campaigns.
    """

    id: str
    name: str
    owner: str
    credentials: Mapping[str, str]
    terms: Mapping[str, Terms]
    retired: tuple[Retired, ...] = ()
    is_test: bool = False
    limits: Mapping[str, Limit] = field(default_factory=dict)
    active: bool = True
    arguments: Mapping[str, str] = field(default_factory=dict)
    siblings: frozenset[str] = frozenset()


@value(frozen=True, slots=False)
class Account:
    """One tenant's account with one platform. It has no slots, so that what follows from it is worked out once.

    `readings` is the vendor's own model, `words` the same as lower-case words for the table. `secret` signs
    what the platform hands out. `doors` are the other names that callers are found by: a token where no path names
    its source, a campaign or an account where nobody presents a credential. `severities` are those of duties.
    """

    platform: str
    timezone: str
    readings: Any
    words: Mapping[str, str]
    secret: bytes
    sources: Mapping[str, Source]
    buyers: Mapping[str, Buyer]
    campaigns: frozenset[str]
    doors: Mapping[str, Source] = field(default_factory=dict)
    severities: Mapping[str, Severity] = field(default_factory=dict)


def buyers_of(sources: Iterable[Source]) -> dict[str, Buyer]:
    """Return every buyer that any source's leads may go to, by id."""
    return {buyer.id: buyer for source in sources for terms in source.terms.values() for buyer in terms.buyers}
