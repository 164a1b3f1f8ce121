"""Sends fake leads to a running sandbox, as a source would. Only for people at a terminal."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import requests

from fixtures.leads import fake_leads, ping_part
from simulator.contract.model import Journey
from simulator.platforms import CONTRACTS

TIMEOUT = 30  # seconds
_SENDS_LEADS = frozenset({Journey.AUCTION, Journey.REDEEM, Journey.OFFER, Journey.PRECHECK, Journey.INGEST})


class UnreachableError(Exception):
    """No sandbox answers at the address."""


def operations(platform: str | None) -> frozenset[str]:
    """Return what can be sent to a platform; to any, without one."""
    found = CONTRACTS.values() if platform is None else [CONTRACTS[platform]]
    return frozenset(item.name for contract in found for item in contract.operations if item.journey in _SENDS_LEADS)


class Sender:
    """One kind of request, with the credentials that the sandbox itself tells."""

    def __init__(self, url: str, operation: str, platform: str | None, control_token: str) -> None:
        self._platform = platform or ("leaddistro" if operation == "ingest" else "pingtree")
        self._outcomes: Counter[str] = Counter()
        wire = _Wire(url.rstrip("/"))
        self._send = _SOURCES[self._platform](wire, operation, wire.first_source(self._platform, control_token)).send

    def lines(self, count: int, seed: int | None, *, as_json: bool) -> Iterator[str]:
        """Send the leads one after the other; return a line for each answer."""
        for lead in fake_leads(self._platform, count, random.SystemRandom().getrandbits(32) if seed is None else seed):
            answer = self._send(lead)
            body = answer.json()
            self._outcomes[f"{answer.status_code} {_outcome(body)}"] += 1
            yield (
                json.dumps({"http": answer.status_code, "sent": lead, "answer": body})
                if as_json
                else (f"{answer.status_code} {json.dumps(body)}")
            )

    def summary(self) -> str:
        return ", ".join(f"{count} x {outcome}" for outcome, count in self._outcomes.most_common())


class _Wire:
    """HTTP to one sandbox. Raises UnreachableError."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # leads go to the sandbox, through no proxy

    def first_source(self, platform: str, control_token: str) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {control_token}"} if control_token else {}
        try:
            welcome = self._session.get(f"{self._url}/__sandbox/welcome", headers=headers, timeout=TIMEOUT).json()
            [sources] = welcome["platforms"][platform].values()
            found: Mapping[str, Any] = sources[0]
        except (requests.RequestException, LookupError, ValueError) as error:
            raise UnreachableError(f"no sandbox answers at {self._url}; start one with `leadsandbox up`") from error
        return found

    def post(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> requests.Response:
        try:
            return self._session.post(f"{self._url}{path}", json=body, headers=headers, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise UnreachableError(f"the sandbox at {self._url} stopped answering: {error}") from error


class _PingtreeSource:
    def __init__(self, wire: _Wire, operation: str, source: Mapping[str, Any]) -> None:
        self._wire = wire
        self._source = source
        self.send = {"ping": self._ping, "post": self._ping_and_post}.get(operation, self._form)

    def _ping(self, lead: dict[str, Any]) -> requests.Response:
        return self._ask("ping", "ping", ping_part(lead))

    def _ping_and_post(self, lead: dict[str, Any]) -> requests.Response:
        pinged = self._ping(lead)
        if pinged.status_code != 201 or pinged.json()["data"]["leadStatus"] != "ping_accept":
            return pinged  # nobody bid, so a post would break the rules
        return self._ask("post", "post", lead | {"transaction_id": pinged.json()["data"]["transaction_id"]})

    def _form(self, lead: dict[str, Any]) -> requests.Response:
        return self._ask("form", "add", lead)

    def _ask(self, token: str, path: str, body: dict[str, Any]) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._source['credentials'][token]}"}
        return self._wire.post(f"/api/lead/{path}/{self._source['name']}", headers, body)


class _LeadDistroSource:
    def __init__(self, wire: _Wire, operation: str, supplier: Mapping[str, Any]) -> None:
        self._wire = wire
        self._path = f"/api/v1/{operation}"
        self._headers = {"x-api-key": supplier["credentials"]["api_key"]}
        self._ids = {"flo_campaign_id": supplier["campaigns"][0], "flo_supplier_id": supplier["id"]}

    def send(self, lead: dict[str, Any]) -> requests.Response:
        return self._wire.post(self._path, self._headers, self._ids | lead)


_SOURCES: dict[str, type[_PingtreeSource | _LeadDistroSource]] = {
    "pingtree": _PingtreeSource,
    "leaddistro": _LeadDistroSource,
}


def _outcome(body: Mapping[str, Any]) -> str:
    inner = body.get("data", body)
    return str(inner.get("leadStatus") or inner.get("status") or inner.get("error") or inner.get("accepted"))
