"""The workers of one sandbox on one machine: each keeps its own journal and counts, and reads those of all.

They meet at Unix sockets in a folder that nobody else may enter; what passes there is Python's own pickle.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any, TypeVar

from simulator import hearing
from simulator.events import Hub
from simulator.journal import (
    EvictedError,
    EvidenceGoneError,
    Filter,
    Journals,
    Merged,
    Page,
    Requests,
    UnknownRequestError,
)
from simulator.metrics import Metrics, summed

PREFIX = "journal-"
PATIENCE = 10.0  # seconds for an answer; a worker that takes longer counts as one that ended
_READING = frozenset({"select", "find", "latest_of_each", "around", "count", "by_row", "size", "clear"})

R = TypeVar("R")

log = logging.getLogger(__name__)


class GoneError(Exception):
    """The worker ended, or does not answer."""


class _Remote:
    """The journal that another worker keeps of a tenant. What it knew is gone with it."""

    def __init__(self, path: Path, tenant: str, name: str) -> None:
        self.name = name
        self._path = path
        self._tenant = tenant

    def select(self, wanted: Filter, limit: int, after: str = "") -> Page:
        return self._asked(Page((), ""), "select", wanted, limit, after)

    @property
    def newest(self) -> int:
        return self._asked(0, "newest")

    def newest_first(self, wanted: Filter | None = None) -> Iterator[dict[str, Any]]:
        return Merged([self]).newest_first(wanted)

    def find(self, request_id: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = _raised(_ask(self._path, self._tenant, "find", request_id))
        except GoneError:
            raise EvictedError(request_id) from None
        return found

    def latest_of_each(self, most: int) -> dict[tuple[str, str], list[dict[str, Any]]]:
        return self._asked({}, "latest_of_each", most)

    def around(self, request_id: str, before: int, after: int) -> list[dict[str, Any]]:
        return self._asked([], "around", request_id, before, after)

    def count(self, wanted: Filter) -> int:
        return self._asked(0, "count", wanted)

    def by_row(self, wanted: Filter) -> dict[str, int]:
        return self._asked({}, "by_row", wanted)

    def size(self) -> dict[str, int]:
        return self._asked({}, "size")

    def clear(self) -> int:
        return self._asked(0, "clear")

    def _asked(self, otherwise: R, method: str, *arguments: Any) -> R:
        try:
            answer: R = _raised(_ask(self._path, self._tenant, method, *arguments))
        except GoneError:
            return otherwise
        return answer


class Siblings:
    """This worker among those of its folder; without a folder, alone."""

    def __init__(self, folder: str, journals: Journals, metrics: Metrics, hub: Hub) -> None:
        self._folder = Path(folder) if folder else None
        self._journals = journals
        self._metrics = metrics
        self._hub = hub
        self._own = f"{PREFIX}{os.getpid()}"

    @property
    def alone(self) -> bool:
        """Whether there never are others."""
        return self._folder is None

    def start(self) -> None:
        if self._folder is not None:
            listener = Listener(str(self._folder / self._own), "AF_UNIX", backlog=1024)
            threading.Thread(target=self._listen, args=(listener,), name="siblings", daemon=True).start()

    def count(self) -> int:
        """Return how many workers there are, this one included."""
        return 1 + sum(_lives(path) for path in self.others())

    def of(self, tenant: str) -> Requests:
        """Return what all workers keep of a tenant's requests."""
        own = self._journals.of(tenant)
        others: list[Requests] = []
        for path in self.others():
            with contextlib.suppress(GoneError):
                if name := _raised(_ask(path, tenant, "name")):
                    others.append(_Remote(path, tenant, name))
        return Merged([own, *others]) if others else own

    def keeping(self, request_id: str) -> str | None:
        """Return the tenant whose journal gave this id, in any worker."""
        found = self._journals.keeping(request_id)
        for path in self.others() if found is None else ():
            with contextlib.suppress(GoneError):
                found = found or _raised(_ask(path, "", "keeping", request_id))
        return found

    def measured(self) -> bytes:
        """Return the sums of what all workers counted, in Prometheus' text."""
        texts = [self._metrics.text()]
        for path in self.others():
            with contextlib.suppress(GoneError):
                texts.append(_raised(_ask(path, "", "metrics")))
        return summed(texts) if len(texts) > 1 else texts[0]

    def others(self) -> Iterator[Path]:
        """Return the sockets of the other workers, as far as they are known to live."""
        if self._folder is not None:
            yield from (path for path in sorted(self._folder.glob(f"{PREFIX}*")) if path.name != self._own)

    def _listen(self, listener: Listener) -> None:
        while True:
            try:
                connection = listener.accept()
            except OSError:
                log.exception("other workers can no longer read what this one keeps")
                return
            threading.Thread(target=self._serve, args=(connection,), name="sibling", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with contextlib.closing(connection), contextlib.suppress(OSError, EOFError):
            if connection.poll(PATIENCE):
                tenant, method, arguments = connection.recv()
                if method == hearing.LISTEN:
                    interest, rings = arguments
                    hearing.tell(connection, self._hub, tenant, interest, rings=rings)
                    return
                connection.send(self._answer(tenant, method, arguments))

    def _answer(self, tenant: str, method: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        plain: dict[str, Callable[..., Any]] = {
            "name": lambda: journal.name if (journal := self._journals.known(tenant)) else "",
            "newest": lambda: journal.newest if (journal := self._journals.known(tenant)) else 0,
            "keeping": self._journals.keeping,
            "metrics": self._metrics.text,
        }
        if method in plain:
            return ("", plain[method](*arguments))
        assert method in _READING  # nobody else can enter the folder
        try:
            return ("", getattr(self._journals.of(tenant), method)(*arguments))
        except EvidenceGoneError as error:
            return ("evidence", error.kept, error.evicted)
        except EvictedError as error:
            return ("evicted", str(error))
        except UnknownRequestError as error:
            return ("unknown", str(error))


_ERRORS: dict[str, Callable[..., Exception]] = {
    "evidence": EvidenceGoneError,
    "evicted": EvictedError,
    "unknown": UnknownRequestError,
}


def _raised(answer: tuple[Any, ...]) -> Any:
    kind, *rest = answer
    if kind:
        raise _ERRORS[kind](*rest)
    return rest[0]


def _lives(path: Path) -> bool:
    try:
        hearing.reached(path).close()
    except OSError:
        return False
    return True


def _ask(path: Path, tenant: str, method: str, *arguments: Any) -> Any:
    """Ask one worker. Raises GoneError."""
    try:
        with contextlib.closing(hearing.reached(path)) as connection:
            connection.send((tenant, method, arguments))
            if not connection.poll(PATIENCE):
                raise GoneError(path.name)
            return connection.recv()
    except (OSError, EOFError) as error:
        raise GoneError(path.name) from error
