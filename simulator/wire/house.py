"""What a client's connection needs of the relay that it belongs to. How it is done is `relay.py`'s."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from simulator.wire.intake import Part
from simulator.wire.upstream import Upstream

if TYPE_CHECKING:
    from simulator.wire.link import Client


class House(Protocol):
    """A relay, as its clients know it. `wanted` is bytes."""

    leaving: bool  # it is to end: each answer says that its connection ends, and a client may ask once more
    stopping: bool  # who is owed nothing is sent away

    async def connect(self, make: Callable[[], Upstream]) -> None: ...
    def joined(self, client: Client) -> None: ...
    def left(self, client: Client) -> None: ...
    def reads(self, client: Client, part: Part, wanted: int) -> bool: ...
    def waits_no_more(self, client: Client) -> None: ...
    def is_stuck(self, client: Client, *, stuck: bool) -> None: ...
