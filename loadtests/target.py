"""Who is tested: a sandbox of our own, or a target that somebody named. Keys, permission, reachability."""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import yaml

from fixtures.leads import fake_lead
from loadtests.requesting import Source, Supplier
from loadtests.schedule import Ticket

LOANS = range(1000, 50_001, 500)  # what fixtures/leads.py gives as loan_amount
_PATIENCE = 10.0
_PORTS = {"http": 80, "https": 443}


class UnreachableError(Exception):
    """Nothing answers at the target."""


class TargetError(Exception):
    """What was named as a target is no URL of an HTTP server."""


class StartError(Exception):
    """Our own sandbox did not start, or ended before it should."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go and as whom. Suppliers and sources are fresh only on a sandbox of our own."""

    url: str
    suppliers: tuple[Supplier, ...]
    sources: tuple[Source, ...]
    ours: bool = False

    def check(self) -> None:
        """Raise UnreachableError when nothing listens there, StartError when that was our own sandbox."""
        try:
            socket.create_connection(address_of(self.url), timeout=_PATIENCE).close()
        except (OSError, UnicodeError) as error:  # UnicodeError of a name that no host can have
            if self.ours:
                raise StartError(f"our own sandbox ended while it was tested ({error})") from error
            raise UnreachableError(f"nothing answers at {self.url}: {error}") from error


def least_loan(accept_rate: float) -> int:
    """Return the smallest loan that a buyer takes who takes about this share of the fake leads."""
    return LOANS[min(len(LOANS) - 1, round((1 - accept_rate) * len(LOANS)))]


def sandbox_document(suppliers: int, accept_rate: float) -> dict[str, Any]:
    """Return a sandbox file: so many suppliers, and a Pingtree source whose buyer takes this share of fake leads."""
    fields = [
        {"name": "state", "type": "state", "required": ["ping", "post"]},
        {"name": "loan_amount", "type": "number"},
    ]
    taker: dict[str, Any] = {"id": "load_buyer", "name": "Load Buyer", "persona": {"persona": "eager"}}
    if accept_rate <= 0:
        taker["persona"] = {"mode": "refuse"}
    elif accept_rate < 1:
        taker["filters"] = [{"field": "loan_amount", "operator": ">=", "value": least_loan(accept_rate)}]
    source = {"id": "load_source", "link_id": "lnk_load", "fields": fields}
    return {
        "pingtree": {"campaigns": [{"id": "load_campaign", "sources": [source], "buyers": [taker]}]},
        "leaddistro": {
            "campaigns": [{"id": "load_campaign", "buyers": []}],
            "suppliers": [
                {"id": f"load_supplier_{n}", "api_key": f"load_key_{n}", "campaigns": ["load_campaign"]}
                for n in range(suppliers)
            ],
        },
    }


def takers(accept_rate: float, seed: int) -> Callable[[Ticket], bool]:
    """Return what tells of a ping of ours whether the buyer of our own sandbox bids; `seed` is that of the plan."""
    least = least_loan(accept_rate)

    def takes(ticket: Ticket) -> bool:
        if ticket.endpoint != "pingtree-ping" or accept_rate >= 1:
            return True
        return accept_rate > 0 and int(fake_lead("pingtree", seed=seed + ticket.number)["loan_amount"]) >= least

    return takes


@contextmanager
def own_sandbox(suppliers: int, accept_rate: float) -> Iterator[Target]:
    """Start a sandbox with fresh suppliers, and end it. Raises StartError with what it said."""
    with tempfile.TemporaryDirectory(prefix="leadsandbox-load-") as folder:
        config = Path(folder, "sandbox.yaml")
        config.write_text(yaml.safe_dump(sandbox_document(suppliers, accept_rate)), "utf-8")
        said = Path(folder, "stderr")
        options = ["--host", "127.0.0.1", "--port", "0", "--db", ":memory:", "--json", "--config", str(config)]
        options += ["--until-stdin-ends"]  # which it does when this process is killed
        with (
            said.open("wb") as stderr,
            subprocess.Popen(  # noqa: S603  our own program  # nosec B603
                [sys.executable, "-P", "-m", "simulator", "up", *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,  # a Ctrl-C is for us alone: we end it, after the reports
            ) as child,
        ):
            try:
                line = child.stdout.readline() if child.stdout else b""
                if not line:
                    why = said.read_text("utf-8", "replace").strip() or "the sandbox said nothing"
                    raise StartError(f"the sandbox did not start: {why}")
                yield replace(target_of(json.loads(line)), ours=True)
            finally:
                child.terminate()


def target_of(welcome: Mapping[str, Any], url: str = "") -> Target:
    """Return the target that a sandbox's welcome describes."""
    platforms = welcome.get("platforms", {})
    suppliers = tuple(
        Supplier(item["credentials"]["api_key"], item["id"], next(iter(item["campaigns"]), ""))
        for item in platforms.get("leaddistro", {}).get("suppliers", ())
    )
    sources = tuple(
        Source(item["name"], item["credentials"]["ping"], item["credentials"]["post"])
        for item in platforms.get("pingtree", {}).get("sources", ())
    )
    return Target(url or welcome["base_url"], suppliers, sources)


def named_target(url: str, keys: tuple[str, ...]) -> Target:
    """Return a target with the keys given (`KEY[,SUPPLIER[,CAMPAIGN]]`), or those that a sandbox tells.

    Raises UnreachableError when nothing listens there, TargetError.
    """
    url = url.rstrip("/")
    Target(url, (), ()).check()
    if keys:
        return Target(url, tuple(Supplier(*key.split(",", 2)) for key in keys), ())
    return _welcomed(url)


def address_of(url: str) -> tuple[str, int]:
    """Return host and port of an http:// or https:// URL. Raises TargetError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetError(f"--target {url}: {error}") from error
    if parts.scheme not in _PORTS or not host or port == 0:
        raise TargetError(f"--target {url}: a target is http://HOST[:PORT] or https://HOST[:PORT]")
    return host, port or _PORTS[parts.scheme]


def _welcomed(url: str) -> Target:
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(f"{url}/__sandbox/welcome", timeout=_PATIENCE, allow_redirects=False)
            return target_of(answer.json(), url) if answer.ok else Target(url, (), ())
        except requests.ConnectionError as error:
            raise UnreachableError(f"nothing answers at {url}: {error}") from error
        except (requests.RequestException, ValueError, LookupError, TypeError, AttributeError):
            return Target(url, (), ())


def is_here(url: str) -> bool:
    """Whether every address of the URL's host is this machine's loopback."""
    try:
        found = {str(item[4][0]) for item in socket.getaddrinfo(address_of(url)[0], None)}
    except (OSError, UnicodeError, TargetError):
        return False
    return bool(found) and all(ipaddress.ip_address(item.partition("%")[0]).is_loopback for item in found)
