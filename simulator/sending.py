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
        self._url = url.rstrip("/")
        self._operation = operation
        self._platform = platform or ("leaddistro" if operation == "ingest" else "pingtree")
        self._session = requests.Session()
        self._session.trust_env = False  # leads go to the sandbox, through no proxy
        self._outcomes: Counter[str] = Counter()
        self._source = self._first_source(control_token)

    def _first_source(self, control_token: str) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {control_token}"} if control_token else {}
        try:
            welcome = self._session.get(f"{self._url}/__sandbox/welcome", headers=headers, timeout=TIMEOUT).json()
            [sources] = welcome["platforms"][self._platform].values()
            found: Mapping[str, Any] = sources[0]
        except (requests.RequestException, LookupError, ValueError) as error:
            raise UnreachableError(f"no sandbox answers at {self._url}; start one with `leadsandbox up`") from error
        return found

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

    def _send(self, lead: dict[str, Any]) -> requests.Response:
        if self._platform == "leaddistro":
            ids = {"flo_campaign_id": self._source["campaigns"][0], "flo_supplier_id": self._source["id"]}
            key = self._source["credentials"]["api_key"]
            return self._post(f"/api/v1/{self._operation}", {"x-api-key": key}, ids | lead)
        if self._operation == "post":
            pinged = self._pingtree("ping", ping_part(lead))
            transaction_id = pinged.json()["data"].get("transaction_id")
            if pinged.status_code != 201 or pinged.json()["data"]["leadStatus"] != "ping_accept":
                return pinged  # nobody bid, so a post would break the rules
            return self._pingtree("post", lead | {"transaction_id": transaction_id})
        if self._operation == "ping":
            return self._pingtree("ping", ping_part(lead))
        return self._pingtree("form", lead)

    def _pingtree(self, kind: str, body: dict[str, Any]) -> requests.Response:
        path = {"form": "add"}.get(kind, kind)
        token = self._source["credentials"][kind]
        return self._post(f"/api/lead/{path}/{self._source['name']}", {"Authorization": f"Bearer {token}"}, body)

    def _post(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> requests.Response:
        try:
            return self._session.post(f"{self._url}{path}", json=body, headers=headers, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise UnreachableError(f"the sandbox at {self._url} stopped answering: {error}") from error


def _outcome(body: Mapping[str, Any]) -> str:
    inner = body.get("data", body)
    return str(inner.get("leadStatus") or inner.get("status") or inner.get("error") or inner.get("accepted"))
