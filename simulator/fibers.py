"""Requests that take turns on one thread, the event loop's: who waits for something lets the others go on.

Work on a fiber is plain code; it waits with `parked` in place of blocking. What must not be interrupted
needs no lock against other fibers: they only run while this one is parked.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar, cast

from greenlet import getcurrent, greenlet

R = TypeVar("R")

MOST_IDLE = 64  # fibers that wait for work

Resume = Callable[[R], object]
"""Ends the wait with a result. To be called once, on the loop's thread, after `parked` was entered."""


class Fiber(greenlet, Generic[R]):
    """One piece of work. `loop` is where it takes its turns."""

    def __init__(self, work: Callable[[], R], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(work)
        self.loop = loop
        self.since = time.perf_counter()  # it has its turn
        self.worked = 0.0  # seconds in the turns before


def current() -> Fiber[Any] | None:
    """Return the fiber that runs this code; None on a thread of its own."""
    found = getcurrent()
    return found if isinstance(found, Fiber) else None


def parked(fiber: Fiber[Any], begin: Callable[[Resume[R]], object]) -> R:
    """Let others go on until the resume function that `begin` is given is called; return what it is called with."""
    begin(fiber.switch)
    assert fiber.parent is not None  # the loop's own greenlet
    fiber.worked += time.perf_counter() - fiber.since
    result = fiber.parent.switch()
    fiber.since = time.perf_counter()
    return cast("R", result)


def worked() -> float:
    """Return the seconds that this thread, or this fiber in its turns, has worked. Differences mean something."""
    fiber = current()
    return time.thread_time() if fiber is None else fiber.worked + time.perf_counter() - fiber.since


class Turns:
    """Does work on fibers of a loop: what `threads.Threads` is elsewhere.

    A fiber that has done its work waits for more: a new one costs a map of memory and its end an unmap.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._idle: list[Fiber[Any]] = []

    def do(self, job: Callable[[], object]) -> None:
        """Do it soon. May be called on any thread."""
        self._loop.call_soon_threadsafe(self.do_now, job)

    def do_now(self, job: Callable[[], object]) -> None:
        """Do it at once, until it waits for something. To be called by the loop."""
        if not self._idle:
            self._hire()
        fiber = self._idle.pop()
        fiber.gr_context = None  # no call finds context variables of the one before
        fiber.switch(job)

    def _hire(self) -> None:
        fiber: Fiber[Any] = Fiber(lambda: self._work(fiber), self._loop)
        fiber.switch()

    def _work(self, fiber: Fiber[Any]) -> None:
        while len(self._idle) < MOST_IDLE:
            # The job has no name here: whoever waits for the next one must not keep what the last one was about.
            parked(fiber, lambda _: self._idle.append(fiber))()


class Flag:
    """What may be up or down, on any thread. Threads and fibers wait until it is up: a `threading.Event` for both."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._fibers: list[_Waiting] = []
        self.is_set = self._event.is_set
        self.clear = self._event.clear

    def set(self) -> None:
        self._event.set()
        if self._fibers:
            self._wake_fibers()

    def wait(self, seconds: float) -> bool:
        """Wait until it is up, so many seconds at most. Returns whether it is."""
        fiber = current()
        if fiber is None:
            return self._event.wait(seconds)
        if seconds > 0 and not self._event.is_set():
            parked(fiber, partial(self._park, fiber.loop, seconds))
        return self._event.is_set()

    def _park(self, loop: asyncio.AbstractEventLoop, seconds: float, resume: Resume[None]) -> None:
        waiting = _Waiting(loop, resume)
        waiting.timer = loop.call_later(seconds, self._end, waiting)
        self._fibers.append(waiting)
        if self._event.is_set():  # by another thread, which saw nobody wait
            self._wake_fibers()

    def _wake_fibers(self) -> None:
        for waiting in tuple(self._fibers):
            with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
                waiting.loop.call_soon_threadsafe(self._end, waiting)

    def _end(self, waiting: _Waiting) -> None:
        if waiting in self._fibers:
            self._fibers.remove(waiting)
            waiting.timer.cancel()
            waiting.resume(None)


@dataclass(eq=False, slots=True)
class _Waiting:
    """A fiber that waits for a flag."""

    loop: asyncio.AbstractEventLoop
    resume: Resume[None]
    timer: asyncio.TimerHandle = field(init=False)
