"""Waiting until another simulator changed something. What it changed is not told here."""

from __future__ import annotations

import time

from simulator.store.connection import Connection
from simulator.store.database import Database, StoreUnavailableError
from simulator.store.peers import CHANNEL

PAUSE = 0.2  # seconds before the next try at a server that is away


class Bell:
    """Listens on a connection of its own, for one thread. A server that went away is asked again and again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    def wait(self, seconds: float) -> None:
        """Return when it rang, at the latest after `seconds`; at once where it may have rung unheard."""
        try:
            if self._connection is None:
                self._connection = self._database.another(Connection)
                self._connection.driver.execute(f"LISTEN {CHANNEL}")
                return
            for _ in self._connection.driver.notifies(timeout=seconds, stop_after=1):
                pass
        except (StoreUnavailableError, self._database.driver_error):
            self.close()
            time.sleep(min(PAUSE, seconds))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
