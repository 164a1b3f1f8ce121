"""The store as its users see it: who may read and write when, and every read by name. No SQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from simulator.fibers import Fiber, current
from simulator.store import (
    claims,
    credentials,
    dispatch,
    listing,
    outbox,
    peers,
    snapshots,
    tenants,
)
from simulator.store import faults as fault_table
from simulator.store import leads as lead_table
from simulator.store import pings as ping_table
from simulator.store.bell import Bell
from simulator.store.checkpoints import Checkpoints
from simulator.store.connection import Connection
from simulator.store.database import Database, RacedError, StoreError, StoreUnavailableError
from simulator.store.grouping import Group, UndoneError
from simulator.store.lending import Lender, OneWriter, Pool
from simulator.store.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")

MOST_TRIES = 5
_TRY_AGAIN = frozenset({"40001", "40P01"})  # PostgreSQL: serialization failure, deadlock


def _may_be_tried_again(error: StoreUnavailableError) -> bool:
    return isinstance(error, RacedError) or getattr(error.__cause__, "sqlstate", None) in _TRY_AGAIN


def _read(function: Callable[Concatenate[Connection, P], R]) -> Callable[Concatenate[Store, P], R]:
    @wraps(function)
    def method(store: Store, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with store.reading() as connection:
            return function(connection, *args, **kwargs)

    return method


class _Refusals:
    """Words what a driver refuses inside of a block. Made once: every request enters it several times."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.closed = False

    def __enter__(self) -> None:
        if self.closed:
            raise StoreError(f"the store {self._database.place} is closed")

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, self._database.driver_error):
            raise self._database.refusal(error) from error


class Store:
    """What the sandbox remembers, for many threads; on a server, for many simulators too.

    Who works on which connection is the lender's to know. What a transaction wrote is kept when its `with` block
    has ended: answer after that.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lender: Lender[Transaction]
        self._group: Group[Transaction] | None = None
        if database.is_shared:
            self._lender = Pool(database, Transaction)
        else:
            self._lender = writer = OneWriter(database, Transaction)
            self._group = Group(writer, database.driver_error)
        self._checkpoints = Checkpoints(database.place) if database.is_file else None
        # Who holds a lock needs other connections too, and must not wait for those who wait for the lock.
        self._locks = Pool(database, Connection)
        self._refusals = _Refusals(database)

    @classmethod
    def open(cls, target: str | os.PathLike[str]) -> Store:
        """Open a path, `:memory:` or a SQLAlchemy URL; make the database when there is none.

        Sales that a killed process left in flight are released, unless the database may be shared by others.
        A file belongs to one process. Raises StoreError with one line that says what to do.
        """
        database = Database.open(os.fspath(target))
        store = cls(database)
        if not database.is_shared:
            try:
                with store.transaction() as tx:
                    tx.release_unsettled()
            except BaseException:
                store.close()
                raise
        return store

    @property
    def place(self) -> str:
        """Where the store is: a path, `:memory:`, or a URL without its password."""
        return self._database.place

    @property
    def is_shared(self) -> bool:
        """Whether other simulators may use it at the same time."""
        return self._database.is_shared

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Hold a connection that writes; commit at the end of the block, undo everything on an exception."""
        if self._group is not None and current() is not None:
            self._group.finish()
        with self._refusals, self._lender.writing() as writer:
            writer.begin()
            try:
                yield writer
                writer.commit()
            except BaseException:
                # SQLite may have rolled back by itself, on a full disk for one; a server may be gone.
                with suppress(self._database.driver_error):
                    writer.rollback()
                raise

    def transact(self, work: Callable[[Transaction], R]) -> R:
        """Do `work` in a transaction, and again when the database chose it to end a deadlock, or it lost a race.

        What `work` does outside of the transaction it must be able to do again. On a fiber it is committed together
        with what others do meanwhile.
        """
        fiber = current()
        if fiber is not None and self._group is not None:
            with suppress(UndoneError):
                return self._together(self._group, fiber, work)
        for _ in range(MOST_TRIES - 1):
            try:
                with self.transaction() as tx:
                    return work(tx)
            except StoreUnavailableError as error:
                if not _may_be_tried_again(error):
                    raise
        with self.transaction() as tx:
            return work(tx)

    def look(self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do any reads on one connection; return what is kept.

        On a fiber it is the one that writes, if it is free: its pages are in memory, another's are read anew after each
        commit.
        """
        if self._group is None or current() is None:
            with self.reading() as connection:
                return work(connection, *args, **kwargs)
        with self._refusals, self._group.reading() as connection:
            return work(connection, *args, **kwargs)

    def _together(self, group: Group[Transaction], fiber: Fiber[Any], work: Callable[[Transaction], R]) -> R:
        with self._refusals:
            writer = group.joined(fiber)
            try:
                done = work(writer)
            except BaseException:
                group.undo()
                raise
        group.committed(fiber)
        return done

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection for reads, one thread at a time. The operations below do this by themselves."""
        with self._refusals, self._lender.reading() as reader:
            yield reader

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Keep other simulators out of a block of the same name. Without others it costs nothing."""
        if not self.is_shared:
            yield
            return
        with self._refusals, self._locks.reading() as connection, peers.alone(connection, name):
            yield

    def bell(self) -> Bell:
        """Return what rings when another simulator changed something."""
        return Bell(self._database)

    def close(self) -> None:
        """Close every connection, after the transaction that is under way. Closing twice is fine."""
        self._refusals.closed = True
        if self._checkpoints is not None:
            self._checkpoints.stop()
        self._lender.close()
        self._locks.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    credential = _read(credentials.credential)
    generation = _read(credentials.generation)
    credentials = _read(credentials.credentials_of)
    ping = _read(ping_table.ping)
    pings = _read(ping_table.pings_of)
    lead = _read(lead_table.lead)
    leads = _read(lead_table.leads_of)
    count_leads = _read(lead_table.count_leads)
    listed_leads = _read(listing.listed_leads)
    count_listed = _read(listing.count_listed)
    find_person = _read(claims.find_person)
    usage = _read(claims.usage)
    all_usage = _read(claims.all_usage)
    delivery = _read(outbox.delivery)
    deliveries = _read(outbox.deliveries)
    latest_deliveries = _read(outbox.latest_deliveries)
    next_due = _read(outbox.next_due)
    attempts = _read(outbox.attempts_at)
    row_counts = _read(tenants.row_counts)
    saved_tenants = _read(tenants.saved_tenants)
    saved_tenant = _read(tenants.saved_tenant)
    faults = _read(fault_table.faults_of)
    others_are_sending = _read(dispatch.others_are_sending)
    changes_since = _read(peers.changes_since)
    newest_change = _read(peers.newest_change)
    slowest = _read(peers.slowest)
    snapshots = _read(snapshots.snapshots_of)
