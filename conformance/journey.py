"""What a journey is: a story of several calls, in code, that claims rows or invariants. The stories: `journeys/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.case import Lever

if TYPE_CHECKING:
    from conformance.stage import Stage

Story = Callable[["Stage"], None]


@dataclass(frozen=True, slots=True)
class Journey:
    """`verifies`: ids of rows, or of invariants (`INV-…`). `accounts` are the roles of the senders that it needs."""

    id: str
    platform: str
    title: str
    verifies: tuple[str, ...]
    tell: Story
    needs: frozenset[Lever] = frozenset()
    readings: Mapping[str, str] = field(default_factory=dict)
    accounts: frozenset[str] = frozenset()


def journey(
    name: str,
    platform: str,
    verifies: tuple[str, ...],
    *,
    needs: tuple[Lever, ...] = (),
    readings: Mapping[str, str] | None = None,
    accounts: tuple[str, ...] = ("main",),
) -> Callable[[Story], Journey]:
    """Make a journey of a function, whose docstring's first line is the title: a fact."""

    def made(tell: Story) -> Journey:
        title = (tell.__doc__ or "").strip().splitlines()[0].rstrip(".")
        return Journey(
            name, platform, title, verifies, tell, frozenset(needs), dict(readings or {}), frozenset(accounts)
        )

    return made
