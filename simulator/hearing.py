"""What happens at the other workers, told in the streams of this one. Where the others are is not known here.

A stream has a connection of its own to each of them, on which they tell it what it asked for and nothing else. While no
stream is open there is none, and nobody prepares anything.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path

from simulator.events import Hub, Interest, News, Subscription

LISTEN = "listen"
CONNECT = 1.0  # second; a worker that is stopped, or full, takes no connection at all
PATIENCE = 10.0  # seconds until another worker has taken in that it is listened to; after that it is left alone as long
LOOK = 0.5  # seconds after which workers that were started meanwhile, and streams that ended, are seen
FINDING = "finding"
OWN = frozenset({FINDING, "reload"})  # kinds that every worker finds out by itself


def reached(path: Path) -> Connection:
    """Connect to another worker. Raises OSError, and removes the socket of one that ended."""
    try:
        with socket.socket(socket.AF_UNIX) as plug:
            plug.settimeout(CONNECT)
            plug.connect(str(path))
            plug.setblocking(True)
            return Connection(plug.detach())
    except ConnectionRefusedError:
        if not _runs(int(path.name.rpartition("-")[2])):  # else it has bound its socket, and is about to listen
            path.unlink(missing_ok=True)
        raise


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def tell(connection: Connection, hub: Hub, tenant: str, interest: Interest, *, rings: bool) -> None:
    """Tell another worker's stream what happens here, until either ends."""
    place = hub.overheard(tenant, interest, rings=rings)
    try:
        connection.send(News())
        while (news := place.news()) is not None:
            connection.send(news)  # also when there is none: so it shows that the other went away
            place.rest()
    finally:
        place.end()


class Hearing:
    """One thread that passes on what the others tell, while a stream is open here."""

    def __init__(self, hub: Hub, others: Callable[[], Iterable[Path]], *, alone: bool) -> None:
        """`others` says where the other workers are now; `alone` that there never are any."""
        self._hub = hub
        self._others = others
        self._alone = alone
        self._lock = threading.Lock()
        self._heard: dict[Subscription, dict[Path, Connection]] = {}
        self._deaf: dict[Path, float] = {}  # workers that do not answer, and when to try again
        self._runs = False

    def attend(self, stream: Subscription) -> None:
        """Let a stream hear the others from now on; they have taken that in when this returns."""
        if self._alone:
            return
        lines = self._connected(stream, {})
        with self._lock:
            self._heard[stream] = lines
            starts, self._runs = not self._runs, True
        if starts:
            threading.Thread(target=self._run, name="hearing", daemon=True).start()

    def _connected(self, stream: Subscription, known: Mapping[Path, Connection]) -> dict[Path, Connection]:
        """Return the lines of a stream, also to workers that were not known."""
        found = dict(known)
        for path in self._others():
            if path not in found and self._deaf.get(path, 0.0) < time.monotonic():
                try:
                    found[path] = _line_to(path, stream)
                except TimeoutError:
                    self._deaf[path] = time.monotonic() + PATIENCE
                except (OSError, EOFError):
                    pass  # it ended, or is not there yet
        return found

    def _run(self) -> None:
        looks = time.monotonic() + LOOK
        while streams := self._open_streams():
            sources = {line: (stream, path) for stream, lines in streams.items() for path, line in lines.items()}
            for ready in wait(list(sources), LOOK):
                assert isinstance(ready, Connection)  # nothing else was waited for
                self._hear(ready, *sources[ready])
            if time.monotonic() > looks:
                looks = time.monotonic() + LOOK
                self._look_around()

    def _open_streams(self) -> dict[Subscription, dict[Path, Connection]]:
        """Return what is heard; with no stream left the thread ends, and the next stream starts another."""
        with self._lock:
            for stream in [each for each in self._heard if each.ended]:
                for line in self._heard.pop(stream).values():
                    line.close()
            self._runs = bool(self._heard)
            return {stream: dict(lines) for stream, lines in self._heard.items()}

    def _look_around(self) -> None:
        for stream, lines in list(self._heard.items()):
            self._heard[stream] = self._connected(stream, lines)

    def _hear(self, line: Connection, stream: Subscription, path: Path) -> None:
        try:
            news: News = line.recv()
        except (OSError, EOFError):  # it ended; what it did not tell is gone with it
            line.close()
            del self._heard[stream][path]
            return
        stream.hear(news)
        if news.evidence:
            self._hub.noticed(stream.tenant)


def _line_to(path: Path, stream: Subscription) -> Connection:
    """Return a connection on which a worker tells this stream what happens.

    Raises OSError or EOFError when there is no such worker; TimeoutError when it does not answer.
    """
    with contextlib.ExitStack() as undone:
        line = undone.enter_context(reached(path))
        interest = stream.interest
        asked = interest._replace(kinds=interest.kinds - OWN)
        line.send((stream.tenant, LISTEN, (asked, FINDING in interest.kinds)))
        if not line.poll(PATIENCE):
            raise TimeoutError(path.name)
        line.recv()
        undone.pop_all()
        return line
