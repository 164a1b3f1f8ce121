"""Private folders for sockets: made, kept while their process lives, cleared away after it. Nothing listens here."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from simulator.addresses import CannotStartError

PREFIX = "leadsandbox-"
LOCK = "lock"
LONGEST_SOCKET_PATH = 103  # bytes that every system takes; Linux takes four more
LONGEST_NAME = len("/journal-4194304")  # of the sockets in it


class PrivateFolder:
    """A folder of this process alone, whose path leaves room for a socket in it.

    The lock in it ends with the last process that has it, however that ends: whoever makes a folder next clears away
    what nobody holds any more. Raises CannotStartError.
    """

    def __init__(self) -> None:
        for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108  mkdtemp makes it private  # nosec B108
            with contextlib.suppress(OSError):
                clear_away(Path(parent))
                folder = Path(os.path.realpath(tempfile.mkdtemp(prefix=PREFIX, dir=parent)))
                if len(os.fsencode(folder)) + LONGEST_NAME <= LONGEST_SOCKET_PATH:
                    self.path = str(folder)
                    self._lock = os.open(folder / "new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                    fcntl.flock(self._lock, fcntl.LOCK_EX)
                    (folder / "new").rename(folder / LOCK)  # not there before it is held
                    return
                folder.rmdir()
        raise CannotStartError("no temporary folder for a socket; set TMPDIR to a short path, or use --direct")

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def clear_away(parent: Path) -> None:
    """Remove the folders in `parent` that nobody holds: of processes that were killed."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or gone already
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
