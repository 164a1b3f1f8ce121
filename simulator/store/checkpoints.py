"""Folds SQLite's write-ahead log into the file beside the writer, who would stop for it every few thousand pages."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

PAUSE = 0.25  # seconds between looks whether anything was written


class Checkpoints:
    """A thread that copies what is in the log to where it belongs in the file, while others go on writing to the log.

    The writer's own checkpoint remains, so that the log has an end whatever becomes of this thread; it finds little
    left to do. With it alone, one ingest in a hundred waited for four thousand pages.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        log = Path(f"{self._file}-wal")
        seen = 0
        with closing(sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)) as connection:
            while not self._stopped.wait(PAUSE):
                with suppress(OSError, sqlite3.Error):
                    if (changed := log.stat().st_mtime_ns) != seen:
                        seen = changed
                        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
