"""A listening socket, its clients, and the way to the simulator. What passes between them is `link.py`'s."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from simulator.wire.link import Client

PATIENCE = 10.0  # seconds that a connection waits for a simulator that is just starting
RETRY = 0.02
ACCEPTED_AT_ONCE = 64
PAUSE_AFTER_FAILURE = 1.0


class Relay:
    """Carries connections from one listening socket to `upstream`: a socket's path, or host and port."""

    def __init__(self, listening: socket.socket, upstream: str | tuple[str, int], most_connections: int) -> None:
        self.stopping = False
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._upstream = upstream
        self._most = most_connections
        self._clients: set[Client] = set()
        self._opening: set[asyncio.Task[object]] = set()
        self._empty = asyncio.Event()
        self._accepts = False

    def start(self) -> None:
        self._listening.setblocking(False)
        self._accept_on()

    async def stop(self, grace: float) -> None:
        """Take no more connections, give answers under way `grace` seconds, then cut what is left."""
        self._accept_off()
        self.stopping = True
        self._listening.close()
        for client in tuple(self._clients):
            client.close_when_idle()
        if self._clients:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), grace)
        for client in tuple(self._clients):
            client.transport.abort()

    async def connect(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Connect to the simulator, waiting for one that is starting. Raises OSError when none comes."""
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
        if self.stopping and not self._clients:
            self._empty.set()
        self._accept_on()

    def _accept_on(self) -> None:
        if not self._accepts and not self.stopping:
            self._accepts = True
            self._loop.add_reader(self._listening.fileno(), self._accept)

    def _accept_off(self) -> None:
        if self._accepts:
            self._accepts = False
            self._loop.remove_reader(self._listening.fileno())

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            if len(self._clients) + len(self._opening) >= self._most:
                self._accept_off()  # others wait in the kernel's queue until one ends
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
