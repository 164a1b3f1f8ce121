"""The plan of one run as a document: what `leadsandbox load` hands to Locust, and a master to its workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.requesting import Callers, callers_of
from loadtests.scenarios import Scenario
from loadtests.schedule import Ticket, tickets


@dataclass(frozen=True, slots=True)
class Plan:
    """`seed` makes the leads and the thinking; `gap` is that of `schedule.tickets`, in nanoseconds."""

    name: str
    scenario: Scenario
    callers: Callers
    seed: int
    gap: int = 0
    url: str = "http://127.0.0.1"

    def tickets(self) -> list[Ticket]:
        return tickets(self.scenario, self.gap)

    def document(self) -> dict[str, Any]:
        scenario = self.scenario.model_dump(mode="json", exclude_none=True)
        return {
            "name": self.name,
            "scenario": scenario,
            "callers": self.callers.document(),
            "seed": self.seed,
            "gap": self.gap,
            "url": self.url,
        }


def plan_of(document: Mapping[str, Any]) -> Plan:
    return Plan(
        name=document["name"],
        scenario=Scenario.model_validate(document["scenario"]),
        callers=callers_of(document["callers"]),
        seed=document["seed"],
        gap=document["gap"],
        url=document["url"],
    )
