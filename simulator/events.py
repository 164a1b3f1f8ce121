"""What happens, told to whoever listens right now. Nothing is kept, and nothing is asked of those who tell."""

from __future__ import annotations

import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

MOST_SUBSCRIBERS = 8  # each holds one of the server's threads
QUEUE = 1000  # events that a slow reader may be behind
HEARTBEAT = 2.0  # seconds; a client that went away is noticed when something is written
PACE = 0.1  # seconds between two batches: a reader that is woken for each of many events would cost their senders
KINDS = ("request", "delivery", "finding", "clock", "fault", "reload")
EVIDENCE = frozenset({"request", "delivery"})  # what duties are graded on


class TooManySubscribersError(Exception):
    """All places are taken. `limit` is how many there are."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} streams are open, which is the limit")
        self.limit = limit


class Subscription:
    """One reader of one tenant's events. A reader that is too slow loses the oldest, and is told how many."""

    def __init__(self, hub: Hub, tenant: str, kinds: frozenset[str], queue: int) -> None:
        self._hub = hub
        self.tenant = tenant
        self.kinds = kinds
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._queue = queue
        self._dropped = 0
        self._stopped = threading.Event()

    def put(self, event: bytes) -> None:
        with self._changed:
            if len(self._waiting) >= self._queue:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(event)
            if len(self._waiting) == 1:  # a reader that has something already is awake, or will look
                self._changed.notify()

    def end(self) -> None:
        """Let the reader's stream end. Safe to call twice, and from any thread."""
        self._hub.leave(self)
        with self._changed:
            self._stopped.set()
            self._changed.notify()

    def stream(self, heartbeat: float = HEARTBEAT) -> Iterator[bytes]:
        """Return server-sent events until the reader goes away or the hub closes."""
        try:
            yield b": listening\n\n"
            while (batch := self._next(heartbeat)) is not None:
                yield batch or b": still here\n\n"
                if batch:
                    self._stopped.wait(PACE)  # what comes next comes at once when nothing came for that long
        finally:
            self.end()

    def _next(self, heartbeat: float) -> bytes | None:
        with self._changed:
            if not self._waiting and not self._stopped.is_set():
                self._changed.wait(heartbeat)
            if self._stopped.is_set():
                return None
            batch = b"".join(self._waiting)
            self._waiting.clear()
            if self._dropped:
                batch = encoded("dropped", {"events": self._dropped}) + batch
                self._dropped = 0
            return batch


class Hub:
    """Passes events on. Telling costs one comparison while nobody listens."""

    def __init__(self, most_subscribers: int = MOST_SUBSCRIBERS, queue: int = QUEUE) -> None:
        self._lock = threading.Lock()
        self._most = most_subscribers
        self._queue = queue
        self._subscriptions: tuple[Subscription, ...] = ()
        self._closed = False
        self.noticed: Callable[[str], None] = _nobody  # told of a tenant that has new evidence, while it has a reader

    @property
    def listening(self) -> int:
        """How many listen."""
        return len(self._subscriptions)

    def wants(self, kind: str, tenant: str) -> bool:
        """Whether somebody listens to events of this kind."""
        return any(one.tenant == tenant and kind in one.kinds for one in self._subscriptions)

    def subscribe(self, tenant: str, kinds: Iterable[str] = KINDS) -> Subscription:
        """Return a place to listen from. Raises TooManySubscribersError."""
        subscription = Subscription(self, tenant, frozenset(kinds), self._queue)
        with self._lock:
            if self._closed or len(self._subscriptions) >= self._most:
                raise TooManySubscribersError(self._most)
            self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)

    def publish(self, kind: str, tenant: str, tell: Callable[[], Mapping[str, Any]]) -> None:
        """Tell those who listen to this tenant; `tell` is only called when somebody does."""
        readers = [one for one in self._subscriptions if one.tenant == tenant]
        if listeners := [one for one in readers if kind in one.kinds]:
            event = encoded(kind, tell())
            for listener in listeners:
                listener.put(event)
        if readers and kind in EVIDENCE:
            self.noticed(tenant)

    def end(self, tenant: str) -> None:
        """End the streams of a tenant that is no more."""
        for one in self._subscriptions:
            if one.tenant == tenant:
                one.end()

    def close(self) -> None:
        """End every stream, so that none holds up the end of the server."""
        with self._lock:
            self._closed = True
        for one in self._subscriptions:
            one.end()


def _nobody(_tenant: str) -> None:
    """Take no notice."""


def encoded(kind: str, document: Mapping[str, Any]) -> bytes:
    """Return one server-sent event. JSON has no line breaks of its own."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps(document, default=str))


def on_end_of_process(action: Callable[[], None]) -> None:
    """Call `action` when SIGTERM or SIGINT arrives, whatever else handles it; only from the main thread.

    The server replaces signal handlers when it starts, after the application was made. The descriptor that
    Python writes signals to is left alone, so that is where to listen.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    receiving, sending = socket.socketpair()
    sending.setblocking(False)
    signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)

    def wait() -> None:
        while number := receiving.recv(1):
            if number[0] in {signal.SIGTERM, signal.SIGINT}:
                action()
        sending.close()  # never reached: Python would write signals to whatever took its number

    threading.Thread(target=wait, name="end of streams", daemon=True).start()
