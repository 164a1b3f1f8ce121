"""Which mock buyers there are, by platform, tenant and id. What they do lives in `buyer.py`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from mock_buyers.buyer import MockBuyer
from mock_buyers.personas import persona_from
from mock_buyers.refusing import RefusedError

PLATFORMS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "pingtree": {"ping": ("POST", "GET"), "post": ("POST",)},
    "leaddistro": {"webhook": ("POST",)},
}
"""What each vendor calls at a buyer, and with which methods: the last segment of the path."""

MOST_BUYERS: Final = 50_000


class TooManyBuyersError(Exception):
    """The program holds as many buyers as it may."""


class Address(NamedTuple):
    platform: str
    tenant: str
    buyer: str


@dataclass(slots=True)
class Registry:
    """Every buyer, and the personas that they start from."""

    personas: Mapping[str, Mapping[str, Any]]
    buyers: dict[Address, MockBuyer] = field(default_factory=dict)
    run: str = field(default_factory=lambda: secrets.token_hex(8))  # by which others see that all was forgotten

    def at(self, address: Address) -> MockBuyer:
        """Return the buyer at an address. Raises RefusedError."""
        buyer = self.buyers.get(address)
        if buyer is None:
            raise RefusedError(404, f"There is no buyer {'/'.join(address)}")
        return buyer

    def put(self, address: Address, document: dict[str, Any]) -> tuple[MockBuyer, bool]:
        """Create a buyer or give it another character; return it, and whether it is new.

        Another character starts its dice again, so that a seeded run can be repeated; its memory stays.
        Raises PersonaError and TooManyBuyersError.
        """
        persona = persona_from(document, self.personas)
        buyer = self.buyers.get(address)
        if buyer is not None:
            buyer.become(document, persona)
            buyer.throws = 0
            return buyer, False
        if len(self.buyers) >= MOST_BUYERS:
            raise TooManyBuyersError
        buyer = MockBuyer(address.buyer, document, persona)
        self.buyers[address] = buyer
        return buyer, True

    def patch(self, buyer: MockBuyer, changes: dict[str, Any]) -> None:
        """Override some fields and go on; null gives a field back to the persona. Raises PersonaError."""
        merged = {**buyer.document, **changes}
        document = {name: value for name, value in merged.items() if value is not None}
        buyer.become(document, persona_from(document, self.personas))

    def matching(self, platform: str | None, tenant: str | None) -> Iterator[tuple[Address, MockBuyer]]:
        for address, buyer in list(self.buyers.items()):
            if platform in (None, address.platform) and tenant in (None, address.tenant):
                yield address, buyer
