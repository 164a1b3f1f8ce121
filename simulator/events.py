"""What happens, told to whoever listens right now. Nothing is kept, and nothing is asked of those who tell."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

MOST_SUBSCRIBERS = 8  # each holds one of the server's threads
QUEUE = 1000  # events that a slow reader may be behind
HEARTBEAT = 2.0  # seconds; a client that went away is noticed when something is written
PACE = 0.1  # seconds between two batches: a reader that is woken for each of many events would cost their senders
KINDS = ("request", "delivery", "finding", "clock", "fault", "reload", "state")
EVIDENCE = frozenset({"request", "delivery"})  # what duties are graded on; as many of them as there is traffic


class TooManySubscribersError(Exception):
    """All places are taken. `limit` is how many there are."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} streams are open, which is the limit")
        self.limit = limit


class Interest(NamedTuple):
    """What a reader wants to hear. It goes from worker to worker.

    `most`: about so many events of traffic a second, the newest, and how many were left out; 0 for all of them.
    `matches`: tells by its label whether a request is one of those that are wanted; None for every one.
    """

    kinds: frozenset[str] = frozenset(KINDS)
    most: int = 0
    matches: Callable[[Any], bool] | None = None

    @property
    def share(self) -> int:
        """How many events of traffic come in one batch at most, so that a full one is due twice a second."""
        return max(1, self.most // 2)


EVERYTHING = Interest()


class Event:
    """One event, worded by whoever needs its words first, once for all."""

    __slots__ = ("_tell", "_words", "kind")

    def __init__(self, kind: str, tell: Callable[[], Mapping[str, Any]] | None, words: bytes = b"") -> None:
        self.kind = kind
        self._tell = tell
        self._words = words

    @classmethod
    def heard(cls, words: bytes) -> Event:
        """Return an event that somebody else worded."""
        return cls(words[len(b"event: ") : words.index(b"\n")].decode(), None, words)

    def words(self) -> bytes:
        tell = self._tell
        if tell is not None:  # two at once word it twice, to the same end
            self._words = encoded(self.kind, tell())
            self._tell = None
        return self._words


class News(NamedTuple):
    """What came since the last look: events, how many more were lost, whether there is new evidence."""

    events: tuple[bytes, ...] = ()
    lost: int = 0
    evidence: bool = False


class Subscription:
    """One reader of one tenant's events. A reader that is too slow loses the oldest, and is told how many."""

    def __init__(
        self, hub: Hub, tenant: str, interest: Interest, queue: int, *, is_foreign: bool = False, rings: bool = False
    ) -> None:
        """`is_foreign`: for another worker. `rings`: told that there is evidence, also where it hears none of it."""
        self._hub = hub
        self.tenant = tenant
        self.interest = interest
        self.is_foreign = is_foreign
        self.rings = rings
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[Event] = deque(maxlen=queue)
        self._newest: deque[Event] = deque(maxlen=interest.share)  # not worded yet: most of them are pushed out
        self._lines = {
            kind: self._newest if interest.most and kind in EVIDENCE else self._waiting for kind in interest.kinds
        }
        self._is_told = False  # that there is something; a reader that knows is awake, or will look
        self._lost = 0
        self._read = 0
        self._evidence = False
        self._stopped = threading.Event()

    @property
    def ended(self) -> bool:
        return self._stopped.is_set()

    def wants(self, kind: str, label: Any) -> bool:
        matches = self.interest.matches
        return kind in self._lines and (matches is None or label is None or matches(label))

    def put(self, event: Event) -> None:
        line = self._lines[event.kind]
        if line is self._waiting:
            event.words()  # what is told all the same is told as it is now
        with self._lock:  # the same; it is entered sooner
            self._lost += len(line) == line.maxlen
            line.append(event)
            if not self._is_told:
                self._is_told = True
                self._changed.notify()

    def ring(self) -> None:
        """Tell that there is evidence."""
        with self._changed:
            if not self._evidence:
                self._evidence = True
                self._changed.notify()

    def hear(self, news: News) -> None:
        """Take in what somebody else was told."""
        for words in news.events:
            self.put(Event.heard(words))
        with self._changed:
            self._lost += news.lost

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
            while (news := self.news(heartbeat)) is not None:
                lost = (encoded("dropped", {"events": news.lost}),) if news.lost else ()
                yield b"".join((*lost, *news.events)) or b": still here\n\n"
                if news.events:
                    self.rest()
        finally:
            self.end()

    def news(self, heartbeat: float = HEARTBEAT) -> News | None:
        """Wait for something, so many seconds at most; None when it is over."""
        with self._changed:
            if not self._is_told and not self._evidence and not self._stopped.is_set():
                self._changed.wait(heartbeat)
            if self._stopped.is_set():
                return None
            events, lost, evidence = (*self._waiting, *self._newest), self._lost, self._evidence
            self._read = len(self._newest)
            self._waiting.clear()
            self._newest.clear()
            self._lost, self._evidence, self._is_told = 0, False, False
        return News(tuple(event.words() for event in events), lost, evidence)

    def rest(self) -> None:
        """Let events gather; what comes next comes at once when nothing came for that long."""
        self._stopped.wait(self.pause(time.monotonic()))

    def pause(self, now: float) -> float:
        """Return how many seconds to rest: longer for a reader that wants about so many events a second."""
        most, share = self.interest.most, self.interest.share
        if most and self._read == share:  # until one moment for all readers of much: so they share what is worded
            return share / most - now % (share / most)
        return max(PACE, self._read / most) if most else PACE


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
        """How many listen, other workers included."""
        return len(self._subscriptions)

    @property
    def streams(self) -> int:
        """How many of them are streams that are open here."""
        return sum(not one.is_foreign for one in self._subscriptions)

    @property
    def tenants(self) -> frozenset[str]:
        """Whose events somebody listens to."""
        return frozenset(one.tenant for one in self._subscriptions)

    def wants(self, kind: str, tenant: str) -> bool:
        """Whether somebody listens to events of this kind."""
        return any(one.tenant == tenant and kind in one.interest.kinds for one in self._subscriptions)

    def subscribe(self, tenant: str, interest: Interest = EVERYTHING) -> Subscription:
        """Return a place to listen from. Raises TooManySubscribersError."""
        with self._lock:
            if self._closed or self.streams >= self._most:
                raise TooManySubscribersError(self._most)
            return self._added(Subscription(self, tenant, interest, self._queue))

    def overheard(self, tenant: str, interest: Interest, *, rings: bool) -> Subscription:
        """Return a place for a stream that another worker has open. There are as many as the others have streams."""
        own = Subscription(self, tenant, interest, self._queue, is_foreign=True, rings=rings)
        with self._lock:
            self._added(own)
            closed = self._closed
        if closed:
            own.end()
        return own

    def _added(self, subscription: Subscription) -> Subscription:
        self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)

    def publish(self, kind: str, tenant: str, tell: Callable[[], Mapping[str, Any]], label: Any = None) -> None:
        """Tell those who listen to this tenant; `tell` is only called when somebody reads it.

        That of a request or a delivery may be called later, from any thread. `label` is what requests are chosen by.
        """
        readers = [one for one in self._subscriptions if one.tenant == tenant]
        if listeners := [one for one in readers if one.wants(kind, label)]:
            event = Event(kind, tell)
            for listener in listeners:
                listener.put(event)
        if readers and kind in EVIDENCE:
            self.noticed(tenant)
            for reader in readers:
                if reader.rings:
                    reader.ring()

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
