"""Serves one simulator, in turns or with granian, from checked settings to an orderly end. `app.py` says what."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import math
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from simulator import posting
from simulator.addresses import CannotStartError, listening
from simulator.app import create
from simulator.configuration.sandboxes import Loaded
from simulator.folders import PrivateFolder
from simulator.gateway import Gateway
from simulator.settings import Settings
from simulator.sharing import LEAVING
from simulator.store import Store, StoreUnavailableError
from simulator.web import vendor_api
from simulator.web.plain import Application
from simulator.wire.patience import Deadlines
from simulator.wire.program import most_connections, told_to_stop
from simulator.wire.relay import Relay

RETRY = 0.5  # seconds between tries of a worker that finds no database
NEVER = 24 * 3600 * 1000  # milliseconds
SILENCE = 30_000  # milliseconds for the headers of a request, from the one before it or the connection
_STDERR = {"formatter": "generic", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
LOOK = 0.5  # seconds between looks whether a worker ends without a signal


def serve(settings: Settings, parent_fd: int | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, or until the parent's pipe ends.

    Raises ConfigurationError, StoreError, CannotStartError before anything listens.
    """
    sandbox = posting.sound(settings.config)  # said here, where a fault can still be told by its exit code
    release = sole_use_of(settings.database)
    if settings.takes_turns:
        _serve_here(settings, sandbox, parent_fd)
        return  # the database stays held until the process ends, whose threads may write until then
    try:
        _serve_by_workers(settings, parent_fd)
    finally:
        release()


def _serve_here(settings: Settings, sandbox: Loaded, parent_fd: int | None) -> None:
    """Serve from this process, in turns."""
    with asyncio.Runner() as runner:
        app = create(settings, runner.get_loop(), sandbox)
        _settle()
        with listening(settings.host, settings.port, is_reserved=True) as sock:
            runner.run(_relay(settings, app, sock, parent_fd))


async def _relay(settings: Settings, app: Application, sock: socket.socket, parent_fd: int | None) -> None:
    loop = asyncio.get_running_loop()
    gateway = Gateway(app, vendor_api.is_vendors, settings.threads, (settings.host, settings.port), loop)
    relay = Relay(sock, gateway.connect, most_connections(), Deadlines())
    relay.start()
    await told_to_stop(parent_fd)
    app.let_go()
    await relay.stop(settings.grace)
    await asyncio.to_thread(app.end)  # it waits for webhooks, which need the loop


def _serve_by_workers(settings: Settings, parent_fd: int | None) -> None:
    """Serve from processes with threads."""
    import multiprocessing  # noqa: PLC0415  only workers need it

    Store.open(settings.database).close()
    own_folder = PrivateFolder() if settings.workers > 1 and not settings.folder else None
    if own_folder is not None:
        settings = replace(settings, folder=own_folder.path)
    server = _server(settings, told=parent_fd is None)
    server.on_startup(partial(_end_with_parent, parent_fd))
    try:
        starts = multiprocessing.Value("i", 0)
        server.serve(target_loader=partial(_load, settings, starts), wrap_loader=False)
    finally:
        if own_folder is not None:
            own_folder.remove()
        if settings.wire:  # the supervisor does the same, unless it was killed
            shutil.rmtree(Path(settings.socket_path).parent, ignore_errors=True)


def _server(settings: Settings, *, told: bool) -> Any:
    """Return the server, which says on stderr what goes wrong in it if that is to be `told`."""
    from granian import Granian  # noqa: PLC0415  a heavy import that `--help` should not wait for
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415  as above
    from granian.http import HTTP1Settings  # noqa: PLC0415  as above
    from granian.log import LogLevels  # noqa: PLC0415  as above

    server = Granian(
        "leadsandbox",
        address=settings.host,
        port=settings.port,
        uds=Path(settings.socket_path) if settings.wire else None,
        http=HTTPModes.http1,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        respawn_failed_workers=settings.workers > 1,
        blocking_threads=settings.threads,
        blocking_threads_idle_timeout=600,
        log_enabled=told,
        log_level=LogLevels.error,
        log_dictconfig={"handlers": dict.fromkeys(("console", "access"), _STDERR)},  # stdout is for documents
        websockets=False,
        workers_kill_timeout=settings.worker_ends,
        # The relay has deadlines of its own, and would lose the request that it sends while the server hangs up.
        http1_settings=HTTP1Settings(header_read_timeout=NEVER if settings.wire else SILENCE),
    )
    server.respawned_wrks = _NeverAgain()
    return server


class _NeverAgain(dict[int, float]):
    """Says of every worker that it was not started again lately: granian gives up after two deaths in 5.5 seconds."""

    def get(self, _worker: int, _default: object = None) -> float:
        return -math.inf


def _load(settings: Settings, starts: Any) -> Any:
    threading.Thread(target=_end_with_server, name="server watch", daemon=True).start()
    with starts:
        starts.value += 1
        again = starts.value > settings.workers
    if again:
        print("leadsandbox: a worker ended and was started again", file=sys.stderr, flush=True)  # noqa: T201  stderr is for people
    try:
        app = _created(settings, patient=again)
        _forget_environment()
        _settle()
        _on_end_of_process(app.let_go, settings.worker_ends - settings.farewell - LEAVING, app.end)
    except Exception as error:  # noqa: BLE001  granian would word whatever it is as a traceback
        # In the worker: say it once, and end the whole server instead of being started again and again.
        print(f"leadsandbox: {error}", file=sys.stderr, flush=True)  # noqa: T201  as above
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(3)
    else:
        return app


def _on_end_of_process(first: Callable[[], object], patience: float, then: Callable[[], object]) -> None:
    """Call `first` when SIGTERM or SIGINT arrives, whatever else handles it; only from the main thread.

    `then` is called when the main thread has ended, or in `patience` seconds, and the process waits for it. The server
    replaces signal handlers when it starts, after the application was made. The descriptor that Python writes
    signals to is left alone, so that is where to listen.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    receiving, sending = socket.socketpair()
    sending.setblocking(False)
    receiving.settimeout(LOOK)
    signal.set_wakeup_fd(sending.detach(), warn_on_full_buffer=False)

    def wait() -> None:
        is_alive = True
        while is_alive:
            is_alive = threading.main_thread().is_alive()  # before the last look, not after it
            with suppress(TimeoutError):
                if receiving.recv(1)[0] in {signal.SIGTERM, signal.SIGINT}:
                    first()
                    threading.main_thread().join(max(0.0, patience))
                    then()
                    break
        receiving.detach()  # both ends stay open: more signals may come

    threading.Thread(target=wait, name="end of process", daemon=False).start()


def _forget_environment() -> None:
    """Take out of the environment what the application would take for headers: granian hands it all of that as well."""
    for name in [name for name in os.environ if name.startswith(("HTTP_", "CONTENT_"))]:
        del os.environ[name]


def _settle() -> None:
    """Keep the collector from walking over the application again and again; a request leaves it little to find."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 50, 100)


def _created(settings: Settings, *, patient: bool) -> Application:
    while True:
        try:
            return create(settings)
        except StoreUnavailableError:
            if not patient:  # the others serve; a database that is away for a moment must not end them
                raise
            time.sleep(RETRY)


def sole_use_of(database: str) -> Callable[[], None]:
    """Hold the database file for this process, until what is returned is called or the process ends.

    Raises CannotStartError when another sandbox has it.
    """
    if database == ":memory:" or "://" in database:
        return lambda: None
    path = f"{database}.lock"
    if not (folder := Path(database).absolute().parent).is_dir():  # a typing error, mostly
        raise CannotStartError(f"there is no folder {folder}; make it, or choose another file with --db")
    try:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)  # goes with the process
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStartError(f"another sandbox uses {database}; stop it, or choose another file with --db") from None
    except OSError as error:
        raise CannotStartError(f"cannot write {path}: {error.strerror}; choose another file with --db") from error
    return partial(os.close, held)


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
    import multiprocessing  # noqa: PLC0415  only workers need it

    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(3)
