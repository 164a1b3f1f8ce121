"""How one simulator process was told to run. Read from the command line and environment in `cli.py` only."""

from __future__ import annotations

import json
import math
import secrets
from dataclasses import asdict, field
from pathlib import Path

from simulator.routing.values import value

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@value(frozen=True, slots=True)
class Settings:
    """One simulator. `database` is a path, `:memory:` or a URL; `config` None means the built-in sandbox.

    `limits_state` is "" for rate limits of this process alone, else a file or a Redis URL that others share.

    `workers` is how many processes serve. `folder` is theirs alone: there they find each other, and share rate limits
    where `limits_state` names no other place.

    `allow_hosts` are the words of `--allow-host`, which `reach.py` reads.

    `stop_timeout` is seconds from the signal to the end, whatever is under way.

    `direct` is for `up`: no relay in a process of its own. `socket_path` is the Unix socket that such a one speaks to,
    "" without one; host and port are the public address in either case.

    `strict` leaves the sandbox's own headers out of the vendors' answers. `journal_entries` and `journal_bytes` bound
    the journal of each tenant. `conformance_report` is a report.json that the dashboard shows; it may appear later.
    `boot` is a nonce that only this start knows, for telling it from another server on the same port.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    database: str = ""
    config: Path | None = None
    mock_buyers_url: str = ""
    threads: int = 32
    workers: int = 1
    folder: str = ""
    limits_state: str = ""
    control_token: str = ""
    allow_hosts: tuple[str, ...] = ()
    stop_timeout: float = 8.0
    direct: bool = False
    socket_path: str = ""
    journal_entries: int = 10_000
    journal_bytes: int = 32 * 1024 * 1024
    mask_bodies: bool = False
    strict: bool = False
    conformance_report: Path | None = None
    boot: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Return the settings that `to_json` wrote."""
        document = json.loads(text)
        paths = {name: Path(document[name]) if document[name] else None for name in ("config", "conformance_report")}
        return cls(**{**document, **paths, "allow_hosts": tuple(document["allow_hosts"])})

    def to_json(self) -> str:
        """Return everything as one line."""
        return json.dumps(asdict(self), default=str)

    @property
    def takes_turns(self) -> bool:
        """Whether calls take turns on one thread behind a relay of the same process.

        So it is where neither the store nor the limits are behind a network.
        """
        return is_alone(self.database, self.shared_limits)

    @property
    def wire(self) -> bool:
        """Whether a relay of its own process stands in front."""
        return bool(self.socket_path)

    @property
    def relayed(self) -> bool:
        """Whether a relay takes requests in and performs transport faults."""
        return self.wire or self.takes_turns

    @property
    def shared_limits(self) -> str:
        """Where rate limits are kept: "" for this process alone."""
        return self.limits_state or (f"{self.folder}/limits" if self.workers > 1 else "")

    @property
    def grace(self) -> float:
        """Seconds of the stop timeout in which answers may still leave; the rest is for the programs' own ends."""
        return max(self.stop_timeout - 2.0, self.stop_timeout / 2)

    @property
    def farewell(self) -> float:
        """Seconds of that rest in which webhooks may still leave and arrive."""
        return 0.6 * (self.stop_timeout - self.grace)

    @property
    def worker_ends(self) -> int:
        """Seconds after which a worker that was told to stop is killed. Behind a relay nothing is left to answer."""
        rest = self.stop_timeout - self.grace
        return max(1, math.ceil(rest) if self.wire else int(self.stop_timeout - rest / 4))

    @property
    def base_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def is_alone(database: str, limits: str) -> bool:
    """Whether neither the store nor the state of the rate limits is behind a network."""
    return ("://" not in database or database.startswith("sqlite")) and "://" not in limits


def default_database() -> Path:
    """Return the private file that is used when none is named."""
    from platformdirs import user_state_path  # noqa: PLC0415  nobody who names a file should wait for it

    return user_state_path("leadsandbox", appauthor=False, ensure_exists=True) / "sandbox.db"
