"""A store of an older release is upgraded with all that is in it; one of a newer release is refused in one line."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine.interfaces import ReflectedIndex

import simulator.store.migrations
from simulator.store import Store, StoreError
from simulator.store.tables import SCHEMA_VERSION
from tests.postgres import Postgres

STORES = Path(__file__).with_name("stores")
OLDER = range(1, SCHEMA_VERSION)

Run = Callable[[str, str], None]
"""Executes SQL in a database from outside."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return a function that makes an empty database and returns how a store is opened there."""
    if backend == "postgresql":
        server: Postgres = request.getfixturevalue("postgres_server")
        return server.database
    numbers = iter(range(100))
    return lambda: str(tmp_path / f"store{next(numbers)}.db")


@pytest.fixture
def execute(backend: str, request: pytest.FixtureRequest) -> Run:
    if backend == "postgresql":
        server: Postgres = request.getfixturevalue("postgres_server")
        return server.execute

    def run(target: str, sql: str) -> None:
        with closing(sqlite3.connect(target)) as connection:
            connection.executescript(sql)

    return run


def older(version: int, backend: str) -> str:
    return (STORES / f"version_{version}.{backend}.sql").read_text()


def rows_in(index: ReflectedIndex) -> list[str]:
    """Return the condition of an index that does not hold every row."""
    return [str(value) for name, value in index.get("dialect_options", {}).items() if name.endswith("_where")]


def shape(target: str) -> dict[str, Any]:
    """Return tables, columns, keys and indexes as the database tells them."""
    url = target.replace("postgresql://", "postgresql+psycopg://") if "://" in target else f"sqlite:///{target}"
    engine = create_engine(url)
    try:
        look = inspect(engine)
        return {
            table: {
                "columns": sorted(
                    (column["name"], str(column["type"]), column["nullable"]) for column in look.get_columns(table)
                ),
                "key": look.get_pk_constraint(table)["constrained_columns"],
                "indexes": sorted(
                    (index["name"] or "", index["column_names"], rows_in(index)) for index in look.get_indexes(table)
                ),
            }
            for table in look.get_table_names()
        }
    finally:
        engine.dispose()


@pytest.mark.parametrize("version", OLDER)
def test_a_store_of_an_older_version_is_upgraded_with_what_is_in_it(
    version: int, backend: str, empty: Callable[[], str], execute: Run
) -> None:
    old, new = empty(), empty()
    execute(old, older(version, backend))
    Store.open(new).close()
    with Store.open(old) as store:
        kept = store.lead("t1", "lead_1")
        assert kept is not None
        assert (kept.phone, kept.price_cents, kept.values) == ("2125550123", 4550, {"first_name": "Ann"})
        assert store.count_leads("t1") == 1
    assert without_collations(shape(old)) == without_collations(shape(new))
    Store.open(old).close()


def without_collations(tables: dict[str, Any]) -> dict[str, Any]:
    """Leave out how texts are ordered, which an upgrade does not touch."""
    for table in tables.values():
        table["columns"] = [(name, kind.partition(" COLLATE")[0], null) for name, kind, null in table["columns"]]
    return tables


def test_every_version_has_one_migration_that_leads_to_it() -> None:
    scripts = ScriptDirectory(str(Path(simulator.store.migrations.__file__).parent))
    assert [step.revision for step in scripts.walk_revisions()] == [str(n) for n in range(SCHEMA_VERSION, 0, -1)]


@pytest.mark.parametrize(
    ("change", "named"),
    [(f"UPDATE meta SET value = '{SCHEMA_VERSION + 1}'", str(SCHEMA_VERSION + 1)), ("DELETE FROM meta", "unknown")],
)
def test_a_newer_or_unknown_version_is_refused_in_one_line_and_left_alone(
    empty: Callable[[], str], execute: Run, change: str, named: str
) -> None:
    target = empty()
    Store.open(target).close()
    execute(target, change)
    before = shape(target)
    with pytest.raises(StoreError, match=f"schema version {named}, this leadsandbox reads versions 1 to") as refused:
        Store.open(target)
    assert "\n" not in str(refused.value)
    assert shape(target) == before


def test_an_upgrade_that_fails_leaves_the_old_version(backend: str, empty: Callable[[], str], execute: Run) -> None:
    target = empty()
    execute(target, older(1, backend))
    execute(target, "CREATE TABLE events (something TEXT)")
    before = shape(target)
    with pytest.raises(StoreError):
        Store.open(target)
    assert shape(target) == before
    execute(target, "DROP TABLE events")
    Store.open(target).close()


@pytest.mark.long
@pytest.mark.parametrize("version", [0, *OLDER])
def test_of_simulators_that_start_at_once_one_makes_or_upgrades_the_schema(
    version: int, postgres_server: Postgres
) -> None:
    target = postgres_server.database()
    if version:
        postgres_server.query(target, older(version, "postgresql"))
    refused: list[Exception] = []
    barrier = threading.Barrier(6)

    def start() -> None:
        barrier.wait()
        try:
            Store.open(target).close()
        except StoreError as error:
            refused.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refused
    assert postgres_server.query(target, "SELECT value FROM meta WHERE key = 'schema'") == [(str(SCHEMA_VERSION),)]
