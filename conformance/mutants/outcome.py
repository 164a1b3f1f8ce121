"""What a self-test leaves behind: which mutant was caught by what, and whether the proof holds. Nothing is run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one mutant ended. `caught` maps what it breaks to the id of a case that claims that and failed.

    `acted`: it changed something at all. `excuse` is the written reason, "" without one.
    """

    id: str
    kind: str
    platform: str
    says: str
    breaks: tuple[str, ...]
    caught: Mapping[str, str]
    acted: bool
    all_of: bool = True
    excuse: str = ""

    @property
    def missed(self) -> tuple[str, ...]:
        """Return what it breaks unseen."""
        if not self.all_of and self.caught:
            return ()
        return tuple(broken for broken in self.breaks if broken not in self.caught)

    @property
    def killed(self) -> bool:
        return not self.missed


@dataclass(frozen=True, slots=True)
class KillMatrix:
    """A whole self-test. `identity` holds, for each run of the identity mutant, what failed in it.

    `unmoved` are the cases that the control mutant did not fail, `stale` the excuses that nothing needs.
    """

    outcomes: tuple[Outcome, ...]
    identity: tuple[tuple[str, ...], ...]
    unmoved: tuple[str, ...]
    stale: tuple[str, ...]
    seconds: float
    falsified: frozenset[str] = field(default_factory=frozenset)

    @property
    def void(self) -> str:
        """Return why the self-test proves nothing, "" when it does."""
        if any(self.identity):
            return "the identity mutant was failed: " + ", ".join(
                sorted({name for run in self.identity for name in run})
            )
        if self.unmoved:
            return "the control mutant was not failed by: " + ", ".join(self.unmoved)
        return ""

    @property
    def survivors(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if not outcome.killed)

    @property
    def unexcused(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.survivors if not outcome.excuse)

    @property
    def holds(self) -> bool:
        """Whether the suite is proved: every mutant caught, or excused in writing, and every excuse needed."""
        return not (self.void or self.unexcused or self.stale)

    @property
    def killed(self) -> int:
        return sum(outcome.killed for outcome in self.outcomes)

    def kinds(self) -> dict[str, tuple[int, int]]:
        """Return, for each kind, how many mutants there are and how many were caught."""
        found: dict[str, tuple[int, int]] = {}
        for outcome in self.outcomes:
            made, killed = found.get(outcome.kind, (0, 0))
            found[outcome.kind] = (made + 1, killed + outcome.killed)
        return found

    def document(self) -> dict[str, Any]:
        """Return it as `report.json` holds it."""
        return {
            "holds": self.holds,
            "void": self.void,
            "seconds": round(self.seconds, 1),
            "mutants": len(self.outcomes),
            "killed": self.killed,
            "identity": [list(run) for run in self.identity],
            "control_unmoved": list(self.unmoved),
            "stale_excuses": list(self.stale),
            "kinds": {kind: {"mutants": made, "killed": killed} for kind, (made, killed) in self.kinds().items()},
            "falsified": sorted(self.falsified),
            "survivors": [_survivor(outcome) for outcome in self.survivors],
            "kills": {outcome.id: dict(outcome.caught) for outcome in self.outcomes},
        }


def _survivor(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.id,
        "kind": outcome.kind,
        "says": outcome.says,
        "missed": list(outcome.missed),
        "acted": outcome.acted,
        "why": outcome.excuse,
    }
