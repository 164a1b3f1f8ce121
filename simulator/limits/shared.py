"""Rate-limit state of all processes of one machine: a memory-mapped file. The law is `law.py`'s.

The file: a magic word, a table of key digests, and as many slots of cells. It is sparse; a slot takes up disk from its
first use. Whoever reads or changes anything holds the file lock, which the system takes from a process that dies.
`CLOCK_MONOTONIC` is the same in every process of a machine, so they can share its readings.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from simulator.contract.account import Limit
from simulator.limits import law
from simulator.limits.law import LimiterUnavailableError

_MAGIC = b"leadsandbox limits 1"
_TABLE = 4096
_DIGEST = 16
_KEYS = 1024
_CELL = 8
_SLOT = law.WIDTH + 4097  # cells: a burst of 4,096, the most that a sandbox file may ask for
_SLOTS = _TABLE + _KEYS * _DIGEST
_LENGTH = _SLOTS + _KEYS * _SLOT * _CELL
_FREE = bytes(_DIGEST)
_QUICK_TRIES = 5  # at the lock, which is held for microseconds
_PAUSE = 0.000_01  # seconds between later tries; the system makes it five times as long
_MANY_TRIES = 50  # after which much may have happened meanwhile
_GLANCE = 10_000_000  # nanoseconds between two looks at where the path leads: no server starts faster than that


class SharedLimiter:
    """One process's view of the file. `now` tells monotonic nanoseconds.

    Gives up after `patience` seconds at the lock: its holder was stopped, not killed.
    """

    def __init__(self, path: str, fd: int, now: Callable[[], int], patience: float) -> None:
        self._path = str(Path(path).absolute())
        self._fd = fd
        self._inode = os.fstat(fd).st_ino
        self._pid = os.getpid()
        self._now = now
        self._patience = patience
        self._lock = threading.Lock()
        self._map = mmap.mmap(fd, _LENGTH)
        self._cells = memoryview(self._map).cast("q")
        self._known: dict[tuple[str, Limit], tuple[bytes, int]] = {}  # digest, and place in the table
        self._looked = 0  # monotonic nanoseconds when the path was last looked at

    @classmethod
    def open(cls, path: str, now: Callable[[], int] = time.monotonic_ns, patience: float = 1.0) -> SharedLimiter:
        """Open the file, or make it. Raises LimiterUnavailableError, also for a file that is something else."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LimiterUnavailableError(f"cannot open {path}: {error.strerror}") from error
        try:
            _prepare(fd, patience)
            return cls(path, fd, now, patience)
        except (OSError, ValueError, LimiterUnavailableError) as error:
            os.close(fd)
            raise LimiterUnavailableError(f"cannot keep rate limits in {path}: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._cells.release()
            self._map.close()
            os.close(self._fd)
            self._pid = -1

    def ask(self, key: str, limit: Limit) -> int:
        if os.getpid() != self._pid:
            # After a fork both would hold the same lock, and neither would keep the other out.
            raise LimiterUnavailableError("the limiter is closed, or was opened before a fork")
        if not self._lock.acquire(timeout=self._patience):
            raise LimiterUnavailableError("another thread waits for the file lock")
        try:
            # Checked before the lock, which is then held for less time, and again after a long wait for it.
            self._check_file()
            if _lock_file(self._fd, self._patience):
                self._looked = 0
            try:
                if not self._looked:
                    self._check_file()
                now = self._now()  # under the lock, so that time never runs backwards for a key
                return law.ask(self._cells, self._base(key, limit, now), limit, now)
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError as error:
            raise LimiterUnavailableError(f"the file with the rate limits: {error}") from error
        finally:
            self._lock.release()

    def _check_file(self) -> None:
        """Raise when the map is not the whole file that the path names.

        Beyond the end of a truncated file the map would kill the process; a removed file is nobody else's any more.
        """
        moment = time.monotonic_ns()
        if moment - self._looked < _GLANCE:  # the length alone, for a fraction of the cost
            whole = os.lseek(self._fd, 0, os.SEEK_END) == _LENGTH
        else:
            found = os.stat(self._path)  # noqa: PTH116  in the path of every request
            whole = found.st_size == _LENGTH and found.st_ino == self._inode
            self._looked = moment if whole else 0
        if not whole:
            raise LimiterUnavailableError(f"{self._path} was truncated, removed or replaced; start the server anew")

    def _base(self, key: str, limit: Limit, now: int) -> int:
        """Return the index of the key's first cell."""
        known = self._known.get((key, limit))
        if known is None or not self._is_at(*known):
            known = self._known[key, limit] = self._looked_up(_digest(key, limit), limit, now)
        return _base(known[1])

    def _is_at(self, digest: bytes, place: int) -> bool:
        offset = _TABLE + place * _DIGEST
        return self._map[offset : offset + _DIGEST] == digest

    def _looked_up(self, digest: bytes, limit: Limit, now: int) -> tuple[bytes, int]:
        if len(self._known) > 4 * _KEYS:
            self._known = {}
        place = self._place_of(digest)
        if place is None:
            place = self._vacant(now)
            self._claim(place, digest, limit)
        return digest, place

    def _place_of(self, digest: bytes) -> int | None:
        offset = self._map.find(digest, _TABLE, _SLOTS)
        while offset >= 0 and offset % _DIGEST:  # across two entries
            offset = self._map.find(digest, offset + 1, _SLOTS)
        return None if offset < 0 else (offset - _TABLE) // _DIGEST

    def _vacant(self, now: int) -> int:
        place = self._place_of(_FREE)
        if place is not None:
            return place
        for place in range(_KEYS):
            if law.has_rested(self._cells, _base(place), now):
                return place
        raise LimiterUnavailableError(f"more than {_KEYS} keys are being limited at once")

    def _claim(self, place: int, digest: bytes, limit: Limit) -> None:
        offset = _TABLE + place * _DIGEST
        self._map[offset : offset + _DIGEST] = _FREE  # nobody's, until its cells are those of a rested source
        length = law.size(limit) * _CELL
        # By a system call: on a full disk it fails, where the map would kill the process.
        if os.pwrite(self._fd, bytes(length), _base(place) * _CELL) != length:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._cells[_base(place) + law.RATE] = limit.rate
        self._map[offset : offset + _DIGEST] = digest


def _base(place: int) -> int:
    return _SLOTS // _CELL + place * _SLOT


def _digest(key: str, limit: Limit) -> bytes:
    if law.size(limit) > _SLOT:
        raise LimiterUnavailableError(f"a burst of {limit.burst} is more than the file has room for")
    return hashlib.blake2b(f"{key}\n{limit!r}".encode(), digest_size=_DIGEST).digest()


def _lock_file(fd: int, patience: float) -> bool:
    """Lock the file; return whether that took long. Raises LimiterUnavailableError after `patience` seconds."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _wait_for_file(fd, time.monotonic() + patience)
    return False


def _wait_for_file(fd: int, deadline: float) -> bool:
    """Try again and again: a blocking lock would hang for as long as its holder is stopped.

    At first without a pause: the shortest sleep is many times as long as the lock is held. Then with one, since the
    holder may be waiting for this very processor.
    """
    tries = 0
    while time.monotonic() < deadline:
        tries += 1
        if tries > _QUICK_TRIES:
            time.sleep(_PAUSE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return tries > _MANY_TRIES
    raise LimiterUnavailableError("the process that holds the file lock does not let go")


def _prepare(fd: int, patience: float) -> None:
    _lock_file(fd, patience)
    try:
        found = os.pread(fd, len(_MAGIC), 0)
        if found.strip(b"\0") == b"" and os.fstat(fd).st_size in {0, _LENGTH}:  # new, or its maker was killed
            os.ftruncate(fd, _LENGTH)
            os.pwrite(fd, _MAGIC, 0)
        elif found != _MAGIC or os.fstat(fd).st_size != _LENGTH:
            raise LimiterUnavailableError("it is another kind of file")
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)
