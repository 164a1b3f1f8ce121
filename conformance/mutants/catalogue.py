"""Every mutant there is, and the written reasons of those that no case can catch. Running them is `proving.py`'s."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from conformance.mutants import auctions, broad, generated, hooks, lenient, memories, rules
from conformance.mutants.model import Mutant
from simulator.platforms import CONTRACTS

SURVIVORS = "survivors.toml"


@cache
def mutants() -> tuple[Mutant, ...]:
    """Return the whole catalogue. Raises ValueError when two mutants have one id."""
    made = [mutant for contract in CONTRACTS.values() for mutant in generated.mutants(contract)]
    for theme in (lenient, rules, memories, auctions, hooks, broad):
        made += theme.mutants()
    seen: set[str] = set()
    for mutant in made:
        if mutant.id in seen:
            raise ValueError(f"two mutants are called {mutant.id}")
        seen.add(mutant.id)
    return tuple(made)


@cache
def excused() -> Mapping[str, str]:
    """Return why a mutant may survive, by its id."""
    found = tomllib.loads(files("conformance.mutants").joinpath(SURVIVORS).read_text("utf-8"))
    return {name: entry["why"] for entry in found.get("survivor", ()) for name in entry["mutants"]}
