"""Single facts that a sandbox keeps across restarts, by key. Nothing about a lead."""

from __future__ import annotations

from sqlalchemy import bindparam

from simulator.store.connection import Connection, Statement
from simulator.store.tables import meta

_REMEMBER = Statement(
    lambda insert: (
        insert(meta)
        .values(key=bindparam("key"), value=bindparam("value"))
        # An update that changes nothing, so that RETURNING has the row that was there first.
        .on_conflict_do_update(index_elements=[meta.c.key], set_={"value": meta.c.value})
        .returning(meta.c.value)
    )
)


def remembered(connection: Connection, key: str, value: str) -> str:
    """Return what was noted under the key before; else note `value` and return it."""
    return str(connection.value(_REMEMBER, key=key, value=value))
