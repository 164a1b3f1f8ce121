"""Serves one simulator with granian, from checked settings to an orderly end. What is served is `app.py`'s."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from simulator import posting
from simulator.addresses import CannotStartError
from simulator.app import create
from simulator.settings import Settings
from simulator.store import Store

NEVER = 24 * 3600 * 1000  # milliseconds
SILENCE = 30_000  # milliseconds for the headers of a request, from the one before it or the connection
KILL_AFTER = 1  # seconds behind the relay, which waited for the answers before


def serve(settings: Settings, parent_fd: int | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, or until the parent's pipe ends.

    Raises ConfigurationError, StoreError, CannotStartError before anything listens.
    """
    from granian import Granian  # noqa: PLC0415  a heavy import that `--help` should not wait for
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415

    posting.checked(settings.config)  # said here, where a fault can still be told by its exit code
    lock = sole_use_of(settings.database)
    Store.open(settings.database).close()
    server = Granian(
        "leadsandbox",
        address=settings.host,
        port=settings.port,
        uds=Path(settings.socket_path) if settings.wire else None,
        http=HTTPModes.http1,
        interface=Interfaces.WSGI,
        blocking_threads=settings.threads,
        blocking_threads_idle_timeout=600,
        log_level=LogLevels.warning,
        websockets=False,
        workers_kill_timeout=KILL_AFTER if settings.wire else max(int(settings.grace), 1),
        # The relay has deadlines of its own, and would lose the request that it sends while the server hangs up.
        http1_settings=HTTP1Settings(header_read_timeout=NEVER if settings.wire else SILENCE),
    )
    server.on_startup(partial(_end_with_parent, parent_fd))
    try:
        server.serve(target_loader=partial(_load, settings), wrap_loader=False)
    finally:
        lock.release()
        if settings.wire:  # the supervisor does the same, unless it was killed
            shutil.rmtree(Path(settings.socket_path).parent, ignore_errors=True)


def _load(settings: Settings) -> Any:
    threading.Thread(target=_end_with_server, name="server watch", daemon=True).start()
    try:
        return create(settings)
    except Exception as error:  # noqa: BLE001  granian would word whatever it is as a traceback
        # In the worker: say it once, and end the whole server instead of being started again and again.
        print(f"leadsandbox: {error}", file=sys.stderr, flush=True)  # noqa: T201
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(3)


def sole_use_of(database: str) -> FileLock:
    """Hold the database file for this process. Raises CannotStartError when another sandbox has it."""
    path = os.devnull if database == ":memory:" or "://" in database else f"{database}.lock"
    lock = FileLock(path, timeout=0)
    if path == os.devnull:
        return lock
    if not (folder := Path(database).absolute().parent).is_dir():  # the lock would make it: a typing error, mostly
        raise CannotStartError(f"there is no folder {folder}; make it, or choose another file with --db")
    try:
        lock.acquire()
    except Timeout:
        raise CannotStartError(f"another sandbox uses {database}; stop it, or choose another file with --db") from None
    except OSError as error:
        raise CannotStartError(f"cannot write {path}: {error.strerror}; choose another file with --db") from error
    return lock


def _end_with_parent(parent_fd: int | None) -> None:
    if parent_fd is None:
        return

    def wait() -> None:
        while os.read(parent_fd, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent watch", daemon=True).start()


def _end_with_server() -> None:
    """End the worker when the process that started it is gone: it would go on writing to a file it no longer holds."""
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(3)
