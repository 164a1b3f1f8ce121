"""A listening socket, its clients, and the way to the simulator. What passes between them is `link.py`'s."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import cast

from simulator.wire.intake import Part
from simulator.wire.link import Client
from simulator.wire.patience import Deadlines, Patience, Room
from simulator.wire.upstream import Upstream

Place = str | tuple[str, int]

PATIENCE = 10.0  # seconds that a connection waits for a simulator that is just starting
RETRY = 0.02
ACCEPTED_AT_ONCE = 64
PAUSE_AFTER_FAILURE = 1.0
BREATH = 0.25  # seconds after the stop in which what had been sent is read, and clients may ask once more
UNFINISHED = 1.0  # seconds that the rest of a request has after the stop


class Relay:
    """Carries connections from one listening socket to `upstream`: a socket's path, host and port, or a function.

    The function is given the simulator's end of each connection, in the process that it runs in.
    """

    def __init__(
        self,
        listening: socket.socket,
        upstream: Place | Callable[[Upstream], None],
        most_connections: int,
        deadlines: Deadlines,
    ) -> None:
        self.leaving = self.stopping = False
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._upstream = upstream
        self._most = most_connections
        self._clients: set[Client] = set()
        self._opening: set[asyncio.Task[object]] = set()
        self._empty = asyncio.Event()
        self._accepts = False
        self._patience = Patience(deadlines)
        self._room = Room()
        self._tick = deadlines.tick

    def start(self) -> None:
        self._listening.setblocking(False)
        self._accept_on()
        self._look()

    def _look(self) -> None:
        """Send away who took too long, again and again."""
        for client, why in tuple(self._patience.overdue(self._loop.time())):
            cast("Client", client).give_up(why)
        if not self.stopping:
            self._loop.call_later(self._tick, self._look)

    async def stop(self, grace: float) -> None:
        """Take no more connections, wait `grace` seconds for the answers to what was asked, then cut what is left."""
        self.leaving = True
        ends = self._loop.time() + grace
        await self._take_in_the_last(min(BREATH, grace / 2))
        self.stopping = True
        self._close_all_but_owed(ends)
        await self._until_empty(min(ends, self._loop.time() + UNFINISHED))
        for client in tuple(self._clients):
            if client.is_receiving:
                client.transport.abort()
        await self._until_empty(ends)
        for client in tuple(self._clients):
            client.transport.abort()

    async def _take_in_the_last(self, breath: float) -> None:
        """Accept who had connected, and read what had been sent: closing the socket would reset both.

        Whose connection is in use hears with the next answer that it ends.
        """
        ends = self._loop.time() + breath
        self._accept()
        self._accept_off()
        self._listening.close()
        if self._opening:
            await asyncio.wait(self._opening, timeout=breath)
        await self._until_empty(ends)

    def _close_all_but_owed(self, ends: float) -> None:
        for client in tuple(self._clients):
            client.close_unless_owed(ends)

    async def _until_empty(self, ends: float) -> None:
        if self._clients:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), max(ends - self._loop.time(), 0))

    async def connect(self, make: Callable[[], Upstream]) -> None:
        """Connect to the simulator, waiting for one that is starting. Raises OSError when none comes."""
        if callable(self._upstream):
            self._upstream(make())
            return
        deadline = self._loop.time() + PATIENCE
        while True:
            try:
                if isinstance(self._upstream, str):
                    await self._loop.create_unix_connection(make, self._upstream)
                else:
                    await self._loop.create_connection(make, *self._upstream)
            except OSError:
                if self._loop.time() > deadline or self.stopping:
                    raise
                await asyncio.sleep(RETRY)
            else:
                return

    def joined(self, client: Client) -> None:
        self._clients.add(client)

    def left(self, client: Client) -> None:
        self._clients.discard(client)
        self._patience.gone(client)
        self._room.leave(client)
        if self.leaving and not self._clients:
            self._empty.set()
        self._accept_on()

    def reads(self, client: Client, part: Part, wanted: int) -> bool:
        """Wait for more of a request, or for one; return whether there is room for what is wanted."""
        now = self._loop.time()
        if part is Part.NOTHING:
            self._patience.idle(client, now)
            return True
        self._patience.reading(client, now, in_body=part is Part.BODY)
        has_room = self._room.take(client, wanted)
        if not has_room:
            self._patience.excuse(client)
        return has_room

    def waits_no_more(self, client: Client) -> None:
        self._patience.busy(client)
        self._room.leave(client)

    def is_stuck(self, client: Client, *, stuck: bool) -> None:
        if stuck:
            self._patience.stuck(client, self._loop.time())
        else:
            self._patience.unstuck(client)

    def _accept_on(self) -> None:
        is_closed = self._listening.fileno() < 0  # at the end, while the last connections open and close
        if not (self._accepts or self.leaving or is_closed):
            self._accepts = True
            self._loop.add_reader(self._listening.fileno(), self._accept)

    def _accept_off(self) -> None:
        if self._accepts:
            self._accepts = False
            self._loop.remove_reader(self._listening.fileno())

    def _accept(self) -> None:
        for number in range(ACCEPTED_AT_ONCE):
            if len(self._clients) + len(self._opening) >= self._most:
                if number == 0:  # so somebody is waiting, in the kernel's queue, until one ends
                    self._accept_off()
                    self._make_place()
                return
            try:
                accepted, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # out of descriptors or memory
                self._accept_off()
                self._loop.call_later(PAUSE_AFTER_FAILURE, self._accept_on)
                return
            self._open(accepted)

    def _make_place(self) -> None:
        """Close the connection that was silent longest: whoever holds thousands open keeps nobody else out."""
        if idle := self._patience.longest_idle():
            self._patience.gone(idle)
            cast("Client", idle).transport.close()

    def _open(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        opening = self._loop.connect_accepted_socket(lambda: Client(self), accepted)
        task: asyncio.Task[object] = self._loop.create_task(opening)
        self._opening.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[object]) -> None:
        self._opening.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report a client that was gone at once
        self._accept_on()
