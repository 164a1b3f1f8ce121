"""Armed faults that several simulators spend together. What one means is in its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, or_, select, update

from simulator.store import encoding
from simulator.store.connection import Connection, Statement
from simulator.store.tables import faults


class FaultRow(NamedTuple):
    id: str
    most: int | None
    fired: int
    document: Mapping[str, Any]


_OF_TENANT = faults.c.tenant == bindparam("tenant")
_THIS = _OF_TENANT & (faults.c.id == bindparam("id"))
_ADD = Statement(insert(faults).values({column.name: bindparam(column.name) for column in faults.c}))
_ALL = Statement(select(faults.c.id, faults.c.most, faults.c.fired, faults.c.document_json).where(_OF_TENANT))
_FIRE = Statement(
    update(faults)
    .where(_THIS, or_(faults.c.most.is_(None), faults.c.fired < faults.c.most))
    .values(fired=faults.c.fired + 1)
    .returning(faults.c.fired)
)
_REMOVE = Statement(delete(faults).where(_THIS))
_CLEAR = Statement(delete(faults).where(_OF_TENANT))


def add_fault(connection: Connection, tenant: str, fault: FaultRow) -> None:
    document = encoding.text(fault.document)
    connection.change(_ADD, tenant=tenant, id=fault.id, most=fault.most, fired=fault.fired, document_json=document)


def faults_of(connection: Connection, tenant: str) -> list[FaultRow]:
    return [
        FaultRow(number, most, fired, encoding.parsed(document))
        for number, most, fired, document in connection.rows(_ALL, tenant=tenant)
    ]


def fire_fault(connection: Connection, tenant: str, number: str) -> int | None:
    """Spend a fault once; return how often that was done now, None when it is spent or disarmed."""
    found = connection.value(_FIRE, tenant=tenant, id=number)
    return None if found is None else int(found)


def remove_faults(connection: Connection, tenant: str, number: str | None = None) -> int:
    """Disarm one fault, or all; return how many."""
    if number is None:
        return connection.change(_CLEAR, tenant=tenant)
    return connection.change(_REMOVE, tenant=tenant, id=number)
