"""How bad it is to break each of Pingtree's duties: the keys of the sandbox file. The duties are `duties.py`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.contract.sandbox import Severities, severities_of
from simulator.platforms.pingtree.duties import DUTIES

if TYPE_CHECKING:  # the keys come from the catalogue, which a type checker does not read
    PingtreeSeverities = Severities
else:
    PingtreeSeverities = severities_of("PingtreeSeverities", DUTIES)
