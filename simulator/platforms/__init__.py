"""The platforms that the sandbox can play: one line each. What a platform says is in its own folder."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.contract.model import Contract
from simulator.platforms import leaddistro, pingtree

CONTRACTS: Mapping[str, Contract] = {
    "pingtree": pingtree.CONTRACT,
    "leaddistro": leaddistro.CONTRACT,
}
