"""Fake people, fresh in every run: nobody twice, all marked as the suite's. What a field must be is the contract's."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from fixtures.leads import fake_lead, ping_part
from simulator.contract.model import Journey, Operation

MARK = "leadsandbox-conformance"
_MARKED = {"pingtree": "sub1", "leaddistro": "source"}
_TRIES = 1000


class People:
    """Makes up people whom the target has not seen in this run."""

    def __init__(self) -> None:
        self.run = secrets.token_hex(4)
        self._seen: set[str] = set()

    def person(self, platform: str) -> dict[str, Any]:
        """Return a full lead of somebody new."""
        for _ in range(_TRIES):
            lead = fake_lead(platform)
            phone = str(lead.get("mobile") or lead.get("phone"))
            if phone not in self._seen:
                break
        self._seen.add(phone)
        number = len(self._seen)
        return lead | {"email": f"conform.{self.run}.{number}@example.com", _MARKED[platform]: MARK}

    def fresh_id(self) -> str:
        """Return an id that nobody else uses."""
        return f"conform-{self.run}-{secrets.token_hex(6)}"


def content(operation: Operation, person: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a person's lead that the operation takes: no name in a ping, nothing in a look-up."""
    if operation.journey is Journey.AUCTION:
        return ping_part(person)
    return dict(person) if operation.takes_lead else {}
