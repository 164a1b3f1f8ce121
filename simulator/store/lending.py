"""Who works on which connection, and when: one writer under a lock, or as many as there is room for. No SQL of ours."""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, Protocol, TypeVar

from simulator.store.connection import Connection
from simulator.store.database import Database, StoreUnavailableError

W = TypeVar("W", bound=Connection)
Lent_co = TypeVar("Lent_co", bound=Connection, covariant=True)

MOST_CONNECTIONS = 16  # of one simulator to a server: more would wait inside it for its cores
PATIENCE = 5.0  # seconds for one of them to be free


class Lender(Protocol[Lent_co]):
    """Lends a connection to one thread at a time."""

    def writing(self) -> AbstractContextManager[Lent_co]: ...

    def reading(self) -> AbstractContextManager[Connection]: ...

    def close(self) -> None:
        """Close what is free, and what is lent when it comes back."""


class _Held(Generic[W]):
    """Lends one connection under a lock. Made once: a generator for each transaction costs more than the lock."""

    def __init__(self, connection: W) -> None:
        self._connection = connection
        self.lock = threading.RLock()

    def __enter__(self) -> W:
        self.lock.acquire()
        return self._connection

    def __exit__(self, *_: object) -> None:
        self.lock.release()


class OneWriter(Generic[W]):
    """For SQLite, which writes one transaction at a time: the root connection writes, under a lock.

    Readers have connections of their own. In memory there is one connection for all.
    """

    def __init__(self, database: Database, kind: type[W]) -> None:
        self._database = database
        self._writer = database.first(kind)
        if database.is_file:
            self._writer.wait_for_nobody()
        self._held = _Held(self._writer)
        self._readers: deque[Connection] = deque()
        self._closed = False

    def writing(self) -> AbstractContextManager[W]:
        return self._held

    def acquire(self) -> W:
        """Hold the writer until `release`, by the same thread."""
        return self._held.__enter__()

    def release(self) -> None:
        self._held.__exit__()

    @contextmanager
    def at_hand(self) -> Iterator[Connection]:
        """Lend the writer for reads if nobody has it, or else a reader."""
        if not self._held.lock.acquire(blocking=False):
            with self.reading() as reader:
                yield reader
            return
        try:
            yield self._writer
        finally:
            self._held.lock.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        if self._database.in_memory:
            with self._held as writer:
                yield writer
            return
        try:
            reader = self._readers.pop()
        except IndexError:
            reader = self._database.another(Connection)
        try:
            yield reader
        finally:
            if self._closed:
                reader.close()
            else:
                self._readers.append(reader)

    def close(self) -> None:
        with self._held:
            if self._closed:
                return
            self._closed = True
            while self._readers:
                self._readers.pop().close()
            self._writer.close()


class Pool(Generic[W]):
    """For a server: any thread writes. A connection that was lost is made anew when it is next asked for."""

    def __init__(self, database: Database, kind: type[W]) -> None:
        self._database = database
        self._kind = kind
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._free: deque[W] = deque()
        self._closed = False

    @contextmanager
    def writing(self) -> Iterator[W]:
        if not self._room.acquire(timeout=PATIENCE):
            raise StoreUnavailableError(f"no connection to the store {self._database.place} became free")
        try:
            connection = self._good()
            try:
                yield connection
            finally:
                if self._closed or is_lost(connection):
                    connection.close()
                else:
                    self._free.append(connection)
        finally:
            self._room.release()

    def reading(self) -> AbstractContextManager[Connection]:
        return self.writing()

    def _good(self) -> W:
        while self._free:
            try:
                connection = self._free.pop()
            except IndexError:  # another thread was faster
                break
            if not is_lost(connection):
                return connection
            connection.close()
        return self._database.another(self._kind)

    def close(self) -> None:
        self._closed = True
        while self._free:
            self._free.pop().close()


def is_lost(connection: Connection) -> bool:
    """Whether the server has hung up, at the cost of one system call: an idle connection has nothing to be read."""
    driver = connection.driver
    if driver.closed:
        return True
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN)
    return bool(poll.poll(0))
