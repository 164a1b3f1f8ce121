"""Requests that take turns on one thread, the event loop's: who waits for something lets the others go on.

Work on a fiber is plain code; it waits with `parked` in place of blocking. What must not be interrupted
needs no lock against other fibers: they only run while this one is parked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from greenlet import getcurrent, greenlet

R = TypeVar("R")

Resume = Callable[[R], object]
"""Ends the wait with a result. To be called once, on the loop's thread, after `parked` was entered."""


class Fiber(greenlet, Generic[R]):
    """One piece of work. `loop` is where it takes its turns."""

    def __init__(self, work: Callable[[], R], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(work)
        self.loop = loop
        self.park: greenlet | None = None  # who goes on while this one waits: the loop


def current() -> Fiber[Any] | None:
    """Return the fiber that runs this code; None on a thread of its own."""
    found = getcurrent()
    return found if isinstance(found, Fiber) else None


def parked(fiber: Fiber[Any], begin: Callable[[Resume[R]], object]) -> R:
    """Let others go on until the resume function that `begin` is given is called; return what it is called with."""
    begin(fiber.switch)
    assert fiber.parent is not None  # the loop's own greenlet
    return cast("R", fiber.parent.switch())
