"""How often each credential was regenerated, and whether it was revoked. No secret is kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select

from simulator.store.connection import Connection, Statement
from simulator.store.encoding import micros, moment, optional_moment
from simulator.store.records import CredentialRecord
from simulator.store.tables import credentials

_KEY = [credentials.c.tenant, credentials.c.owner, credentials.c.kind]
_THIS = (
    (credentials.c.tenant == bindparam("tenant"))
    & (credentials.c.owner == bindparam("owner"))
    & (credentials.c.kind == bindparam("kind"))
)

_FIND = Statement(select(credentials.c.generation, credentials.c.issued_at, credentials.c.revoked_at).where(_THIS))


_ALL = Statement(
    select(
        credentials.c.owner,
        credentials.c.kind,
        credentials.c.generation,
        credentials.c.issued_at,
        credentials.c.revoked_at,
    ).where(credentials.c.tenant == bindparam("tenant"))
)

_REGENERATE = Statement(
    lambda insert: (
        insert(credentials)
        .values(
            tenant=bindparam("tenant"),
            owner=bindparam("owner"),
            kind=bindparam("kind"),
            generation=1,
            issued_at=bindparam("now"),
            revoked_at=None,
        )
        .on_conflict_do_update(
            index_elements=_KEY,
            set_={
                "generation": credentials.c.generation + 1,
                "issued_at": bindparam("now"),
                "revoked_at": None,
            },
        )
        .returning(credentials.c.generation)
    )
)

_REVOKE = Statement(
    lambda insert: (
        insert(credentials)
        .values(
            tenant=bindparam("tenant"),
            owner=bindparam("owner"),
            kind=bindparam("kind"),
            generation=0,
            issued_at=bindparam("now"),
            revoked_at=bindparam("now"),
        )
        .on_conflict_do_update(index_elements=_KEY, set_={"revoked_at": bindparam("now")})
    )
)


def credential(connection: Connection, tenant: str, owner: str, kind: str) -> CredentialRecord | None:
    """Return None for a credential that was neither regenerated nor revoked: it is as configured."""
    found = connection.row(_FIND, tenant=tenant, owner=owner, kind=kind)
    if found is None:
        return None
    generation, issued_at, revoked_at = found
    return CredentialRecord(owner, kind, generation, moment(issued_at), optional_moment(revoked_at))


def credentials_of(connection: Connection, tenant: str) -> list[CredentialRecord]:
    """Return every credential of a tenant that was regenerated or revoked."""
    return [
        CredentialRecord(owner, kind, generation, moment(issued_at), optional_moment(revoked_at))
        for owner, kind, generation, issued_at, revoked_at in connection.rows(_ALL, tenant=tenant)
    ]


def generation(connection: Connection, tenant: str, owner: str, kind: str) -> int:
    """Return how often the credential was regenerated, 0 when never."""
    found = connection.row(_FIND, tenant=tenant, owner=owner, kind=kind)
    return 0 if found is None else int(found[0])


def regenerate(connection: Connection, tenant: str, owner: str, kind: str, now: datetime) -> int:
    """Return the new generation. A revoked credential is good again in its new generation."""
    return int(connection.value(_REGENERATE, tenant=tenant, owner=owner, kind=kind, now=micros(now)))


def revoke(connection: Connection, tenant: str, owner: str, kind: str, now: datetime) -> None:
    connection.change(_REVOKE, tenant=tenant, owner=owner, kind=kind, now=micros(now))
