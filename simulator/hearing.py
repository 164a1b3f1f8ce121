"""What happens at the other workers, told in the streams of this one. Where the others are is not known here.

A stream has a connection of its own to each of them, on which they tell it what it asked for and nothing else. While no
stream is open there is none, and nobody prepares anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Client, Connection, wait
from pathlib import Path

from simulator.events import Hub, News, Subscription

LISTEN = "listen"
PATIENCE = 10.0  # seconds until another worker has taken in that it is listened to
LOOK = 0.5  # seconds after which workers that were started meanwhile, and streams that ended, are seen
FINDING = "finding"
OWN = frozenset({FINDING, "reload"})  # kinds that every worker finds out by itself


def reached(path: Path) -> Connection:
    """Connect to another worker. Raises OSError, and removes the socket of one that ended."""
    try:
        return Client(str(path), "AF_UNIX")
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        raise


def tell(connection: Connection, hub: Hub, tenant: str, kinds: Iterable[str], *, rings: bool) -> None:
    """Tell another worker's stream what happens here, until either ends."""
    place = hub.overheard(tenant, kinds, rings=rings)
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
            if path not in found and (line := _line_to(path, stream)) is not None:
                found[path] = line
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


def _line_to(path: Path, stream: Subscription) -> Connection | None:
    """Return a connection on which a worker tells this stream what happens; None when there is no such worker."""
    try:
        line = reached(path)
    except OSError:
        return None
    try:
        line.send((stream.tenant, LISTEN, (sorted(stream.kinds - OWN), FINDING in stream.kinds)))
        if line.poll(PATIENCE):
            line.recv()
            return line
    except (OSError, EOFError):
        pass
    line.close()
    return None
