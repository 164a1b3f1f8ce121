"""Watches whether the mock buyers were started again, and tells them anew whom they play: they forget it."""

from __future__ import annotations

import logging
import threading

import orjson

from simulator.buyers import Call
from simulator.tenancy import PersonaError, Tenancy, TooManyTenantsError, UnreachableBuyersError

EVERY = 1.0  # seconds between looks
PATIENCE = 2.0  # seconds for an answer

log = logging.getLogger(__name__)


class Introductions:
    """One thread that asks the mock buyers for the name of their run, which is another after each start."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._known = self._run_of_theirs()
        self._stopped = threading.Event()

    def start(self) -> None:
        if self._tenancy.mock_buyers_url:
            threading.Thread(target=self._run, name="introductions", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(EVERY):
            now = self._run_of_theirs()
            if now and now != self._known and self._introduced():
                self._known = now

    def _run_of_theirs(self) -> str:
        """Return its name; "" when they do not answer, or are somebody else's who names none."""
        url = self._tenancy.mock_buyers_url
        if not url:
            return ""
        [reply] = self._tenancy.calls.send([Call(f"{url}/healthz", b"", {}, PATIENCE, "GET")])
        if reply.failure or reply.status != 200:
            return ""
        try:
            document = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            return ""
        return str(document.get("run", "")) if isinstance(document, dict) else ""

    def _introduced(self) -> bool:
        log.warning("the mock buyers were started again: they are told whom they play; what they received is gone")
        try:
            for tenant in list(self._tenancy.tenants):
                self._tenancy.introduce(tenant)
        except (PersonaError, TooManyTenantsError, UnreachableBuyersError) as error:
            log.warning("the mock buyers do not know all buyers: %s", error)
            return False
        return True
