"""Opening a database: file, engine, schema, and one clear line when that fails."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import URL, Engine, NullPool, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from simulator.store.connection import Compiled, Connection, Statement
from simulator.store.tables import SCHEMA_VERSION, meta, metadata

C = TypeVar("C", bound=Connection)

_BUSY = 5.0  # seconds to wait for somebody else's lock

_PRAGMAS = (
    f"PRAGMA busy_timeout = {_BUSY * 1000:.0f}",
    "PRAGMA journal_mode = WAL",
    # A commit survives the death of the process; only the death of the machine can take the last ones.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    # Fold the journal into the file at 16 MB: at the default of 4, one ingest in a hundred waits 3 ms for it.
    "PRAGMA wal_autocheckpoint = 4000",
)


_OURS = frozenset({"meta", "leads", "pings", "persons", "outbox"})  # the tables of every version


class StoreError(Exception):
    """The store can't be opened, or refused to read or write. One line: what, and where."""


class Database:
    """An open database that holds our schema. `root` is its first connection, and in memory its only one."""

    def __init__(self, engine: Engine, root: sqlalchemy.Connection) -> None:
        self._engine = engine
        self._root = root
        self._known: dict[Statement, Compiled] = {}
        self.in_memory = is_in_memory(engine.url)
        self.is_file = engine.dialect.name == "sqlite" and not self.in_memory
        self.is_shared = engine.dialect.name != "sqlite"
        self.place = place(engine.url)
        self.driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error

    @classmethod
    def open(cls, target: str) -> Database:
        """Open or create the database at a path, `:memory:` or a SQLAlchemy URL. Raises StoreError."""
        url = _url(target)
        with _explained(place(url)):
            _create_private(url)
            engine = _engine(url)
            root = engine.connect()
            try:
                _prepare(root, place(url))
            except BaseException:
                root.close()
                raise
            return cls(engine, root)

    @classmethod
    @contextmanager
    def seen(cls, target: str) -> Iterator[sqlalchemy.Connection]:
        """Lend a connection that sees the database as it is at this moment, and writes nothing.

        Others may go on writing. Raises StoreError, also for one that is not there or not of this version.
        """
        url = _url(target)
        where = place(url)
        with _explained(where), _read_only(url).connect() as root:
            there = inspect(root).get_table_names()
            if not set(there) >= _OURS:
                raise StoreError(f"{where} is no store of a sandbox: name its file or URL with --db")
            _check_version(root, where)
            yield root

    def first(self, kind: type[C]) -> C:
        """Return the root connection, as a connection of the given kind."""
        return kind(self._root, self._known)

    def another(self, kind: type[C]) -> C:
        with _explained(self.place):
            return kind(self._engine.connect(), self._known)


def is_in_memory(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}


def place(url: URL) -> str:
    """Return how a message names a database: the path of a file, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ":memory:"
    return url.render_as_string(hide_password=True)


def place_of(target: str) -> str:
    """Return the place of a path, `:memory:` or a SQLAlchemy URL. Raises StoreError."""
    return place(_url(target))


def _url(target: str) -> URL:
    if "://" not in target:
        return URL.create("sqlite", database=target)
    try:
        url = make_url(target)
        backend = url.get_backend_name()
    except (SQLAlchemyError, ValueError) as error:
        raise StoreError("the store's URL is not understood: use a path, :memory: or a SQLAlchemy URL") from error
    if backend not in {"sqlite", "postgresql"}:
        raise StoreError(f"the store can't live in {backend}: use a path, :memory: or a postgresql:// URL")
    return url


def _create_private(url: URL) -> None:
    # SQLite itself would make the file readable for everybody; its journal files inherit what we set here.
    if url.get_backend_name() == "sqlite" and not is_in_memory(url):
        os.close(os.open(str(url.database), os.O_RDWR | os.O_CREAT, 0o600))


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    engine = create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",  # BEGIN and COMMIT are ours
        paramstyle="named",
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _set_pragmas)
    return engine


def _read_only(url: URL) -> Engine:
    """Return an engine whose transactions see one state from their first statement to their last."""
    if url.get_backend_name() != "sqlite":
        as_it_is = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return create_engine(url, poolclass=NullPool, execution_options=as_it_is)
    if is_in_memory(url):
        raise StoreError("a store in memory is nobody else's to read: start the sandbox with a file or a database")
    path = Path(str(url.database)).absolute()
    if not path.is_file():
        raise StoreError(f"there is no file {path}; name the store of a sandbox with --db")
    uri = f"{path.as_uri()}?mode=ro"
    engine = create_engine(
        "sqlite://",
        poolclass=NullPool,
        creator=lambda: sqlite3.connect(uri, uri=True, timeout=_BUSY, isolation_level=None),
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _prepare(root: sqlalchemy.Connection, where: str) -> None:
    """Create the schema in an empty database; refuse a database that is not ours or of another version."""
    there = inspect(root).get_table_names()
    if not there:
        root.exec_driver_sql("BEGIN")
        metadata.create_all(root)
        root.execute(insert(meta).values(key="schema", value=str(SCHEMA_VERSION)))
        root.exec_driver_sql("COMMIT")
    elif not set(there) >= _OURS:
        raise StoreError(f"{where} is a database of something else: name another file for the store")
    else:
        _check_version(root, where)


def _check_version(root: sqlalchemy.Connection, where: str) -> None:
    version = root.execute(select(meta.c.value).where(meta.c.key == "schema")).scalar()
    if version != str(SCHEMA_VERSION):
        raise StoreError(
            f"{where} holds a store of schema version {version or 'unknown'}, this leadsandbox reads version "
            f"{SCHEMA_VERSION}: use the release that wrote it, or name another file"
        )


@contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise StoreError(f"the driver for {where} is not installed ({error.name})") from error
    except (OSError, DBAPIError, SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"can't open the store {where}: {_cause(error, where)}") from error


def _cause(error: Exception, where: str) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}; name a file in a folder that exists and that you may write to"
    original = error.orig if isinstance(error, DBAPIError) else error
    said = str(original).strip().splitlines()[0]
    if said == "file is not a database":
        return "it is no database; name another file, or delete this one"
    if not where.startswith("postgresql") and not os.access(Path(where).parent, os.W_OK):
        return f"{said}; its folder must be writable too, for SQLite's journal"
    return said
