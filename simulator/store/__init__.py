"""What the sandbox remembers: the public door of the store. Nothing is implemented here.

What looks for contradictions, `checking.py`, has a door of its own: no sandbox that starts needs it.
"""

from simulator.store.database import StoreError, StoreUnavailableError
from simulator.store.encoding import index_key
from simulator.store.faults import FaultRow
from simulator.store.peers import LEASE
from simulator.store.records import (
    AttemptRecord,
    Booking,
    CredentialRecord,
    DeliveryRecord,
    DeliveryStatus,
    EventClaimed,
    LeadRecord,
    Original,
    PingRecord,
    PingStored,
    Scope,
)
from simulator.store.snapshots import Snapshot, TooManySnapshotsError
from simulator.store.store import Store
from simulator.store.transaction import Transaction

__all__ = [
    "LEASE",
    "AttemptRecord",
    "Booking",
    "CredentialRecord",
    "DeliveryRecord",
    "DeliveryStatus",
    "EventClaimed",
    "FaultRow",
    "LeadRecord",
    "Original",
    "PingRecord",
    "PingStored",
    "Scope",
    "Snapshot",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "TooManySnapshotsError",
    "Transaction",
    "index_key",
]
