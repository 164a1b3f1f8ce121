"""Transactions of fibers that are committed together: half of the cost of a small one is its COMMIT. No SQL of ours."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Generic, TypeVar

from simulator.fibers import Fiber, Resume, parked
from simulator.store.connection import LOOK, PATIENCE, Connection, is_locked
from simulator.store.lending import OneWriter

W = TypeVar("W", bound=Connection)


class UndoneError(Exception):
    """The group was rolled back, mostly for another's mistake: what was done in it is to be done again, alone."""


class Group(Generic[W]):
    """Lends the one writer to fiber after fiber, and commits what they did when no other is ready to join.

    Everything here runs on the loop's thread.
    """

    def __init__(self, lender: OneWriter[W], driver_error: type[Exception]) -> None:
        self._lender = lender
        self._driver_error = driver_error
        self._writer: W | None = None  # while the group is open
        self._waiting: list[Resume[bool]] = []

    def joined(self, fiber: Fiber[object]) -> W:
        """Return the connection to work on. Nothing may wait between this and `committed` or `undo`.

        While another program writes to the file, the fiber waits and lets others go on, who may only read.
        """
        ends = 0.0
        while self._writer is None:
            try:
                self._open(fiber.loop)
            except self._driver_error as error:
                ends = ends or time.monotonic() + PATIENCE
                if not is_locked(error) or time.monotonic() >= ends:
                    raise
                parked(fiber, partial(_rest, fiber.loop))
        return self._writer

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        writer = self._lender.acquire()
        try:
            writer.begin_now()
        except BaseException:
            self._lender.release()
            raise
        self._writer = writer
        loop.call_soon(self.finish)  # behind the requests that are ready by now

    def reading(self) -> AbstractContextManager[Connection]:
        """Commit what is open, and lend a connection to read it."""
        self.finish()
        return self._lender.at_hand()

    def committed(self, fiber: Fiber[object]) -> None:
        """Wait until the work is committed. Raises UndoneError."""
        if not parked(fiber, self._waiting.append):
            raise UndoneError

    def undo(self) -> None:
        """Undo everything in the group, also what others did."""
        if self._writer is not None:
            self._end(kept=False)

    def finish(self) -> None:
        """Commit what is open. Nothing is raised: those who wait are told."""
        if self._writer is None:
            return
        kept = False
        try:
            with suppress(self._driver_error):
                self._writer.commit()
                kept = True
        finally:
            self._end(kept=kept)

    def _end(self, *, kept: bool) -> None:
        assert self._writer is not None
        try:
            if not kept:
                # SQLite may have rolled back by itself, on a full disk for one.
                with suppress(self._driver_error):
                    self._writer.rollback()
        finally:
            self._writer = None
            self._lender.release()
        waiting, self._waiting = self._waiting, []
        loop = asyncio.get_running_loop()
        for resume in waiting:
            loop.call_soon(resume, kept)


def _rest(loop: asyncio.AbstractEventLoop, resume: Resume[None]) -> None:
    loop.call_later(LOOK, resume, None)
