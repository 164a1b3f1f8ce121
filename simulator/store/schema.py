"""Makes the schema in an empty database, upgrades an older one, refuses what is not ours. What it is: `tables.py`."""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy
from sqlalchemy import insert, inspect, select, text, update

from simulator.store.tables import SCHEMA_VERSION, meta, metadata

_OURS = frozenset({"meta", "leads", "pings", "persons", "outbox"})  # the tables of every version
_LOCK = 7_301_969_421  # a number of our own among PostgreSQL's advisory locks


class SchemaError(Exception):
    """The database holds something else, or a version that this release cannot read. One line."""


def prepare(connection: sqlalchemy.Connection, where: str) -> None:
    """Bring the schema to this release's version, in one transaction. Of two simulators at once one does it."""
    if _version(connection) == str(SCHEMA_VERSION):
        return
    on_server = connection.dialect.name == "postgresql"
    connection.exec_driver_sql("BEGIN" if on_server else "BEGIN IMMEDIATE")
    try:
        if on_server:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        _bring_up_to_date(connection, where)
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
        raise


def current(connection: sqlalchemy.Connection, where: str) -> None:
    """Raise SchemaError unless there is a store of this release's version. Nothing is upgraded."""
    version = _version(connection)
    if version is None:
        raise SchemaError(f"{where} is no store of a sandbox: name its file or URL with --db")
    if version != str(SCHEMA_VERSION):
        raise SchemaError(
            f"{where} holds a store of schema version {version}, and this leadsandbox checks version "
            f"{SCHEMA_VERSION}: start a sandbox on it, which upgrades an older one"
        )


def _bring_up_to_date(connection: sqlalchemy.Connection, where: str) -> None:
    there = set(inspect(connection).get_table_names())
    if not there:
        metadata.create_all(connection, checkfirst=False)  # which would ask for each by itself
        connection.execute(insert(meta).values(key="schema", value=str(SCHEMA_VERSION)))
        return
    if not there >= _OURS:
        raise SchemaError(f"{where} is a database of something else: name another one for the store")
    version = _version(connection) or "unknown"
    if not version.isdecimal() or not 1 <= int(version) <= SCHEMA_VERSION:
        raise SchemaError(
            f"{where} holds a store of schema version {version}, this leadsandbox reads versions 1 to "
            f"{SCHEMA_VERSION}: use the release that wrote it, or name another one"
        )
    if version != str(SCHEMA_VERSION):  # else another simulator was faster
        _upgrade(connection, version)


def _version(connection: sqlalchemy.Connection) -> str | None:
    """Return the version that the store says it has; None when there is no store, or it does not say."""
    if not inspect(connection).has_table(meta.name):
        return None
    columns = {column["name"] for column in inspect(connection).get_columns(meta.name)}
    if not columns >= {"key", "value"}:
        return None
    return connection.execute(select(meta.c.value).where(meta.c.key == "schema")).scalar()


def _upgrade(connection: sqlalchemy.Connection, version: str) -> None:
    """Go through the migrations one by one. The version stands in `meta`, where every release looks for it."""
    from alembic.migration import MigrationContext  # noqa: PLC0415  heavy, and rarely needed
    from alembic.operations import Operations  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory(str(files("simulator.store").joinpath("migrations")))
    steps = reversed(list(scripts.iterate_revisions("head", version)))
    with Operations.context(MigrationContext.configure(connection)):
        for step in steps:
            step.module.upgrade()
    connection.execute(update(meta).where(meta.c.key == "schema").values(value=str(SCHEMA_VERSION)))
