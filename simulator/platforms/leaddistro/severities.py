"""How bad it is to break each of Lead Distro AI's duties: keys of the sandbox file. The duties are `duties.py`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.contract.sandbox import Severities, severities_of
from simulator.platforms.leaddistro.duties import DUTIES

if TYPE_CHECKING:  # the keys come from the catalogue, which a type checker does not read
    LeadDistroSeverities = Severities
else:
    LeadDistroSeverities = severities_of("LeadDistroSeverities", DUTIES)
