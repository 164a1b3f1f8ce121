"""Sends fake leads to a running sandbox, as a source would. Only for people at a terminal."""

from __future__ import annotations

import json
import random
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import requests

from fixtures.leads import fake_leads, ping_part
from simulator.clock import Clock
from simulator.contract.model import Journey
from simulator.platforms import CONTRACTS

TIMEOUT = 30  # seconds
_Lead = dict[str, Any]
_Exchange = tuple[_Lead, requests.Response]
"""What was sent, and the answer."""
_SENDS_LEADS = frozenset({Journey.AUCTION, Journey.REDEEM, Journey.OFFER, Journey.PRECHECK, Journey.INGEST})


class UnreachableError(Exception):
    """No sandbox answers at the address."""


class RefusedError(Exception):
    """The sandbox tells nobody whom to send as, or has nobody."""


def operations(platform: str | None) -> frozenset[str]:
    """Return what can be sent to a platform; to any, without one."""
    found = CONTRACTS.values() if platform is None else [CONTRACTS[platform]]
    return frozenset(item.name for contract in found for item in contract.operations if item.journey in _SENDS_LEADS)


class Sender:
    """One kind of request, as the sandbox tells how to send it. Raises UnreachableError, RefusedError."""

    def __init__(self, url: str, operation: str, platform: str | None, control_token: str, reading_time: float) -> None:
        self._platform = platform or ("leaddistro" if operation == "ingest" else "pingtree")
        self._outcomes: Counter[str] = Counter()
        wire = _Wire(url.rstrip("/"))
        known = wire.first_source(self._platform, control_token)
        self._source = _SOURCES[self._platform](wire, operation, known, reading_time)

    def lines(self, count: int, seed: int | None, *, as_json: bool) -> Iterator[str]:
        """Send the leads one after the other; return a line for each answer. Raises UnreachableError."""
        leads = fake_leads(self._platform, count, random.SystemRandom().getrandbits(32) if seed is None else seed)
        for sent, answer in self._source.send(leads):
            body = _body(answer)
            self._outcomes[f"{answer.status_code} {_outcome(body)}"] += 1
            yield (
                json.dumps({"http": answer.status_code, "sent": sent, "answer": body})
                if as_json
                else (f"{answer.status_code} {json.dumps(body)}")
            )

    def summary(self) -> str:
        return ", ".join(f"{count} x {outcome}" for outcome, count in self._outcomes.most_common())


class _Wire:
    """HTTP to one sandbox. Raises UnreachableError, RefusedError."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # leads go to the sandbox, through no proxy

    def first_source(self, platform: str, control_token: str) -> Mapping[str, Any]:
        told = self._welcome(control_token)
        try:
            [sources] = told["platforms"][platform].values()
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise UnreachableError(f"what answers at {self._url} is no sandbox") from error
        if not sources:
            raise RefusedError(f"the sandbox file has nobody at {platform} to send as")
        found: Mapping[str, Any] = sources[0]
        return found

    def _welcome(self, control_token: str) -> Any:
        headers = {"Authorization": f"Bearer {control_token}"} if control_token else {}
        try:
            answer = self._session.get(f"{self._url}/__sandbox/welcome", headers=headers, timeout=TIMEOUT)
            told = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise UnreachableError(f"no sandbox answers at {self._url}; start one with `leadsandbox up`") from error
        if answer.status_code >= 400 and isinstance(told, dict) and "detail" in told:
            raise RefusedError(str(told["detail"]))
        return told

    def post(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> requests.Response:
        try:
            return self._session.post(f"{self._url}{path}", json=body, headers=headers, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise UnreachableError(f"the sandbox at {self._url} stopped answering: {error}") from error


class _PingtreeSource:
    def __init__(self, wire: _Wire, operation: str, source: Mapping[str, Any], reading_time: float) -> None:
        self._wire = wire
        self._source = source
        self._reading_time = reading_time
        self.send = {"ping": self._pings, "post": self._posts}.get(operation, self._forms)

    def _pings(self, leads: Iterable[_Lead]) -> Iterator[_Exchange]:
        return (self._ask("ping", "ping", ping_part(lead)) for lead in leads)

    def _forms(self, leads: Iterable[_Lead]) -> Iterator[_Exchange]:
        return (self._ask("form", "add", lead) for lead in leads)

    def _posts(self, leads: Iterable[_Lead]) -> Iterator[_Exchange]:
        """Ping each lead and post it when its consumer has read the buyer's text; meanwhile ping the next ones."""
        reading: deque[tuple[float, _Lead]] = deque()
        for lead in leads:
            while reading and reading[0][0] <= time.monotonic():
                yield self._post(reading.popleft()[1])
            pinged = self._ask("ping", "ping", ping_part(lead))
            told = _told(pinged[1])
            if told.get("leadStatus") != "ping_accept":
                yield pinged  # nobody bid, so a post would break the rules
            elif "buyerTcpa" in told:
                consent = {"tcpa_consent": "yes", "tcpa_consent_date": Clock().now().date().isoformat()}
                reading.append((time.monotonic() + self._reading_time, lead | _link(told) | consent))
            else:
                yield self._post(lead | _link(told))
        for until, lead in reading:
            time.sleep(max(0.0, until - time.monotonic()))
            yield self._post(lead)

    def _post(self, lead: _Lead) -> _Exchange:
        return self._ask("post", "post", lead)

    def _ask(self, token: str, path: str, body: _Lead) -> _Exchange:
        headers = {"Authorization": f"Bearer {self._source['credentials'][token]}"}
        return body, self._wire.post(f"/api/lead/{path}/{self._source['name']}", headers, body)


def _told(pinged: requests.Response) -> Mapping[str, Any]:
    """Return what a ping was answered; nothing for an answer that is none."""
    body = _body(pinged)
    told = body.get("data") if pinged.status_code == 201 and isinstance(body, dict) else None
    return told if isinstance(told, dict) else {}


def _link(told: Mapping[str, Any]) -> _Lead:
    return {"transaction_id": told["transaction_id"]}


class _LeadDistroSource:
    def __init__(self, wire: _Wire, operation: str, supplier: Mapping[str, Any], _reading_time: float) -> None:
        self._wire = wire
        self._path = f"/api/v1/{operation}"
        self._headers = {"x-api-key": supplier["credentials"]["api_key"]}
        self._ids = {"flo_campaign_id": supplier["campaigns"][0], "flo_supplier_id": supplier["id"]}

    def send(self, leads: Iterable[_Lead]) -> Iterator[_Exchange]:
        for lead in leads:
            body = self._ids | lead
            yield body, self._wire.post(self._path, self._headers, body)


_SOURCES: dict[str, type[_PingtreeSource | _LeadDistroSource]] = {
    "pingtree": _PingtreeSource,
    "leaddistro": _LeadDistroSource,
}


def _body(answer: requests.Response) -> Any:
    """Return the JSON of an answer, or its text: a trigger may have broken it."""
    try:
        return answer.json()
    except ValueError:
        return answer.text


def _outcome(body: Any) -> str:
    if not isinstance(body, dict):
        return "no JSON"
    data = body.get("data")
    inner = data if isinstance(data, dict) else body
    return str(inner.get("leadStatus") or inner.get("status") or inner.get("error") or inner.get("accepted"))
