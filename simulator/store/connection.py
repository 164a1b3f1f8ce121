"""Statements compiled once per dialect, and the connection that runs them. None of our SQL is here."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, NamedTuple, cast

import sqlalchemy
from sqlalchemy import ClauseElement, Dialect, Table
from sqlalchemy.sql.compiler import SQLCompiler

Upsert = Callable[[Table], Any]
"""The dialect's `insert`: both have `on_conflict_do_update` with the same meaning, and no common type."""

_BEGIN = {"sqlite": "BEGIN IMMEDIATE"}  # the write lock now, so that no later statement can find it taken

PATIENCE = 5.0  # seconds for another program's lock on a file
LOOK = 0.01  # seconds between looks whether it is gone

Parameters = dict[str, Any]


def _upsert(dialect: str) -> Upsert:
    """Return a dialect's `insert`. The dialect is loaded already, and the other one is heavy: no start waits for it."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415  as said above

        return insert
    from sqlalchemy.dialects.postgresql import insert as server_insert  # noqa: PLC0415  as above

    return server_insert


def _spoken(dialect: Dialect) -> Dialect:
    """Return the dialect to compile for. SQLite's driver looks a name up for each parameter: by place costs less."""
    if dialect.name != "sqlite":
        return dialect
    kind: Any = type(dialect)
    spoken: Dialect = kind(paramstyle="qmark")
    return spoken


def is_locked(error: BaseException) -> bool:
    """Whether a driver's error says that another program writes to the file."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY


class Compiled(NamedTuple):
    """A statement for one dialect. `arguments` makes what the driver takes of the parameters by name."""

    sql: str
    arguments: Callable[[Parameters], Any]


class Statement:
    """A Core expression, or a function that makes one from the dialect's own `insert`."""

    def __init__(self, source: ClauseElement | Callable[[Upsert], ClauseElement]) -> None:
        self._source = source

    def compiled(self, dialect: Dialect) -> Compiled:
        source = self._source
        expression = source if isinstance(source, ClauseElement) else source(_upsert(dialect.name))
        compiled = cast("SQLCompiler", expression.compile(dialect=_spoken(dialect)))
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        return Compiled(str(compiled), _arguments(compiled.positiontup, constants))


def _arguments(places: Sequence[str] | None, constants: Parameters) -> Callable[[Parameters], Any]:
    """Return how parameters by name become arguments by place; without places they stay as they are."""
    if places is None:
        return (lambda given: constants | given) if constants else (lambda given: given)
    if len(places) < 2:  # of one name `itemgetter` makes no tuple
        return lambda given: tuple([(constants | given)[name] for name in places])
    take = itemgetter(*places)
    return (lambda given: take(constants | given)) if constants else take


def _without_nul(parameters: Parameters) -> Parameters:
    """Return the parameters with U+FFFD for each NUL in a text; nothing when there is none."""
    found = {name: value.replace("\0", "\ufffd") for name, value in parameters.items() if isinstance(value, str)}
    return parameters | found if any(found[name] != parameters[name] for name in found) else {}


class Connection:
    """One connection of the store, for one thread at a time. `simulator` is whose, where there may be several.

    It hands strings to the DBAPI cursor: `sqlalchemy.Connection.execute` adds 8 to 15 µs to each.
    Every result is fetched at once, since an open one would keep a COMMIT or a checkpoint from finishing.
    """

    def __init__(
        self, connection: sqlalchemy.Connection, known: dict[Statement, Compiled], simulator: str | None = None
    ) -> None:
        self.core = connection
        self.simulator = simulator
        self._dialect = connection.dialect
        self._known = known
        self._cursor = connection.connection.cursor()
        self._begin = _BEGIN.get(self._dialect.name, "BEGIN")
        self._unspeakable: type[Exception] = self._dialect.loaded_dbapi.DataError

    def _execute(self, statement: Statement, parameters: Parameters) -> None:
        compiled = self._known.get(statement)
        if compiled is None:
            compiled = self._known[statement] = statement.compiled(self._dialect)
        sql, arguments = compiled
        try:
            self._cursor.execute(sql, arguments(parameters))
        except self._unspeakable:
            # PostgreSQL's text has no NUL; the driver says so before anything is sent.
            if not (spoken := _without_nul(parameters)):
                raise
            self._cursor.execute(sql, arguments(spoken))

    @property
    def driver(self) -> Any:
        """The driver's own connection."""
        return self.core.connection.dbapi_connection

    def rows(self, statement: Statement, **parameters: Any) -> list[tuple[Any, ...]]:
        self._execute(statement, parameters)
        return list(self._cursor.fetchall())

    def row(self, statement: Statement, **parameters: Any) -> tuple[Any, ...] | None:
        """Return the first row, None when there is none. Also for INSERT and UPDATE … RETURNING."""
        found = self.rows(statement, **parameters)
        return found[0] if found else None

    def value(self, statement: Statement, **parameters: Any) -> Any:
        """Return the first column of the first row, None when there is none."""
        found = self.rows(statement, **parameters)
        return found[0][0] if found else None

    def change(self, statement: Statement, **parameters: Any) -> int:
        """Return how many rows were inserted, updated or deleted."""
        self._execute(statement, parameters)
        return int(self._cursor.rowcount)

    def begin(self) -> None:
        """Begin to write, as soon as no other program does. Raises the driver's error when that takes too long."""
        ends = 0.0
        while True:
            try:
                self.begin_now()
            except Exception as error:
                ends = ends or time.monotonic() + PATIENCE
                if not is_locked(error) or time.monotonic() >= ends:
                    raise
                time.sleep(LOOK)
            else:
                return

    def begin_now(self) -> None:
        """Do the same without waiting."""
        self._cursor.execute(self._begin)

    def wait_for_nobody(self) -> None:
        """Let SQLite refuse at once what another program's lock keeps it from: how to wait depends on who waits."""
        self._cursor.execute("PRAGMA busy_timeout = 0")

    def commit(self) -> None:
        self._cursor.execute("COMMIT")

    def rollback(self) -> None:
        self._cursor.execute("ROLLBACK")

    @contextmanager
    def all_or_none(self, statements: int) -> Iterator[Callable[[], None]]:
        """Yield a function that undoes what was done inside; the surrounding transaction goes on.

        A single statement that changes nothing leaves nothing to undo.
        """
        if statements < 2:
            yield lambda: None
            return
        self._cursor.execute("SAVEPOINT inner_work")
        yield lambda: self._cursor.execute("ROLLBACK TO SAVEPOINT inner_work") and None
        self._cursor.execute("RELEASE SAVEPOINT inner_work")

    def close(self) -> None:
        self.core.close()
