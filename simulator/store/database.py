"""Opening a database: file, engine, schema, and one clear line when that fails."""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import URL, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from simulator.store import schema
from simulator.store.connection import PATIENCE, Compiled, Connection, Statement

C = TypeVar("C", bound=Connection)

# As psql would take it; here it would be the name of a file, with a password in it.
_CONNINFO = re.compile(r"(^|.*\s)password\s*=|\s*\w+\s*=\s*\S+\s+\w+\s*=")

_PRAGMAS = (
    f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}",
    "PRAGMA journal_mode = WAL",
    # A commit survives the death of the process; only the death of the machine can take the last ones.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    # The writer itself folds the log into the file at 16 MB, where `checkpoints.py` has mostly done so before.
    "PRAGMA wal_autocheckpoint = 4000",
)

# Every wait has an end; what the URL itself says counts more. libpq's own words.
_SERVER = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "application_name": "leadsandbox",
    "options": "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
}

# Who reads everything may take longer for a statement, and for what it makes of it meanwhile.
_SERVER_READ_WHOLE = _SERVER | {
    "options": "-c statement_timeout=5min -c lock_timeout=10s -c idle_in_transaction_session_timeout=5min",
}


class StoreError(Exception):
    """The store can't be opened, or refused to read or write. One line: what, and where."""


class StoreUnavailableError(StoreError):
    """The store can't be reached at the moment, or gave up a transaction: it may be tried again."""


class RacedError(StoreUnavailableError):
    """Another transaction took half of what only one can have: as a whole, this one can be done again."""


class Database:
    """An open database that holds our schema. `root` is its first connection, and in memory its only one."""

    def __init__(self, engine: Engine, root: sqlalchemy.Connection, where: str) -> None:
        self._engine = engine
        self._root = root
        self._known: dict[Statement, Compiled] = {}
        self.in_memory = is_in_memory(engine.url)
        # A place that is a URI of SQLite's own may be anything, memory too.
        self.is_file = engine.dialect.name == "sqlite" and not self.in_memory and not where.startswith("file:")
        self.is_shared = engine.dialect.name != "sqlite"
        self.place = where
        self.simulator = secrets.token_hex(8) if self.is_shared else None
        driver = engine.dialect.loaded_dbapi
        self.driver_error: type[Exception] = driver.Error
        self._passing = (driver.OperationalError, driver.InterfaceError) if self.is_shared else ()

    @classmethod
    def open(cls, target: str) -> Database:
        """Open or create the database at a path, `:memory:` or a SQLAlchemy URL. Raises StoreError."""
        url = _url(target)
        with _explained(place(url)):
            _create_private(url)
            engine = _engine(url)
            root = engine.connect()
            try:
                schema.prepare(root, place(url))
            except BaseException:
                root.close()
                raise
            return cls(engine, root, place(url))

    @classmethod
    @contextmanager
    def seen(cls, target: str) -> Iterator[sqlalchemy.Connection]:
        """Lend a connection that sees the database as it is at this moment, and writes nothing.

        Others may go on writing. Raises StoreError, also for one that is not there or not of this version.
        """
        url = _url(target)
        where = place(url)
        with _explained(where, "read"), _read_only(url).connect() as root:
            if root.dialect.name == "postgresql":
                # Who reads everything joins by hashes of whole keys. Without statistics, or for a cursor's first rows,
                # the planner would loop over tables of any size, or merge them by their tenant alone.
                root.exec_driver_sql("SET LOCAL enable_nestloop = off")
                root.exec_driver_sql("SET LOCAL enable_mergejoin = off")
            schema.current(root, where)
            yield root

    def first(self, kind: type[C]) -> C:
        """Return the root connection, as a connection of the given kind."""
        return kind(self._root, self._known, self.simulator)

    def close(self) -> None:
        """Close the root connection, which may be closed already; the others are closed by who has them."""
        self._root.close()

    def another(self, kind: type[C]) -> C:
        """Return one more connection. Raises StoreError, for a server that is away StoreUnavailableError."""
        try:
            with _explained(self.place):
                return kind(self._engine.connect(), self._known, self.simulator)
        except StoreError as error:
            raise (StoreUnavailableError if self.is_shared else StoreError)(str(error)) from error

    def refusal(self, error: Exception) -> StoreError:
        """Return what a driver's error means to who uses the store."""
        kind = StoreUnavailableError if isinstance(error, self._passing) else StoreError
        said = str(error).strip().partition("\n")[0]
        return kind(f"the store {self.place} refused: {said}")


def is_in_memory(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}


def place(url: URL) -> str:
    """Return how a message names a database: the path of a file, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ":memory:"
    return url.set(query={}).render_as_string(hide_password=True)


def place_of(target: str) -> str:
    """Return the place of a path, `:memory:` or a SQLAlchemy URL. Raises StoreError."""
    return place(_url(target))


def _url(target: str) -> URL:
    if "://" not in target:
        if _CONNINFO.match(target):
            raise StoreError("the store's address is not understood: write it as a URL, postgresql://user@host/name")
        return URL.create("sqlite", database=target)
    try:
        url = make_url(target)
        backend = url.get_backend_name()
    except (SQLAlchemyError, ValueError) as error:
        raise StoreError("the store's URL is not understood: use a path, :memory: or a SQLAlchemy URL") from error
    if backend not in {"sqlite", "postgresql"}:
        raise StoreError(f"the store can't live in {backend}: use a path, :memory: or a postgresql:// URL")
    if "@" in (url.host or ""):
        raise StoreError("the store's URL is not understood: write an @ in its password as %40")
    return url


def _create_private(url: URL) -> None:
    # SQLite itself would make the file readable for everybody; its journal files inherit what we set here.
    if url.get_backend_name() == "sqlite" and not is_in_memory(url):
        os.close(os.open(str(url.database), os.O_RDWR | os.O_CREAT, 0o600))


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(_driven(url), poolclass=NullPool, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
    engine = create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",  # BEGIN and COMMIT are ours
        paramstyle="named",
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _set_pragmas)
    return engine


def _driven(url: URL, session: Mapping[str, str] = _SERVER) -> URL:
    driven = url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url
    return driven.set(query={**session, **url.query})


def _read_only(url: URL) -> Engine:
    """Return an engine whose transactions see one state from their first statement to their last."""
    if url.get_backend_name() != "sqlite":
        as_it_is = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return create_engine(_driven(url, _SERVER_READ_WHOLE), poolclass=NullPool, execution_options=as_it_is)
    if is_in_memory(url):
        raise StoreError("a store in memory is nobody else's to read: start the sandbox with a file or a database")
    path = Path(str(url.database)).absolute()
    if not path.is_file():
        raise StoreError(f"there is no file {path}; name the store of a sandbox with --db")
    uri = f"{path.as_uri()}?mode=ro"
    engine = create_engine(
        "sqlite://",
        poolclass=NullPool,
        creator=lambda: sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None),
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)


@contextmanager
def _explained(where: str, doing: str = "open") -> Iterator[None]:
    try:
        yield
    except schema.SchemaError as error:
        raise StoreError(str(error)) from None
    except ImportError as error:
        hint = "pip install 'leadsandbox[scale]'"
        raise StoreError(f"the driver for {where} is not installed ({error.name}): {hint}") from error
    except (OSError, DBAPIError, SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"can't {doing} the store {where}: {_cause(error, where)}") from error


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
