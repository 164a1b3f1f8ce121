"""Watches the sandbox file: a good change is put in force whole, a bad one leaves the old state and says why."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator.configuration import sandboxes
from simulator.configuration.loading import ConfigurationError
from simulator.tenancy import PersonaError, Tenancy, UnreachableBuyersError

EVERY = 0.5  # seconds between looks

log = logging.getLogger(__name__)


class Reloader:
    """One thread that looks at one file. `outcome` tells how the last reload ended."""

    def __init__(self, path: Path, tenancy: Tenancy, notify: Callable[[dict[str, Any]], None]) -> None:
        self._path = path
        self._tenancy = tenancy
        self._notify = notify
        self._seen = self._state()
        self._stopped = threading.Event()
        self.outcome: dict[str, Any] = {"reloads": 0, "errors": []}

    def start(self) -> None:
        threading.Thread(target=self._run, name="reloading", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(EVERY):
            state = self._state()
            if state is not None and state != self._seen:
                self._seen = state
                self.reload()

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None  # editors replace a file in two steps; it will be back
        return found.st_mtime_ns, found.st_size, found.st_ino

    def reload(self) -> None:
        """Put the file in force, or note why not."""
        errors: list[str] = []
        try:
            sandbox, read_file = sandboxes.load(self._path)
            default = self._tenancy.tenants.default
            self._tenancy.reload(default, sandbox, read_file)
        except ConfigurationError as error:
            errors = [str(item) for item in error.problems]
        except (PersonaError, UnreachableBuyersError, ValueError) as error:
            errors = [str(error)]
        for line in errors:
            log.warning("kept the old sandbox: %s", line)
        self.outcome = {"reloads": self.outcome["reloads"] + (not errors), "errors": errors}
        self._notify({"file": str(self._path), "in_force": not errors, "errors": errors})
