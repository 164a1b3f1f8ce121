"""A fresh tenant of a running sandbox, as a test's own: its control API and its leads."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

import requests

from simulator.contract.model import Contract, Journey, Operation
from simulator.platforms import CONTRACTS

_numbers = itertools.count()
TIMEOUT = 30


class Tenant:
    """A fresh tenant of the running sandbox, as a test's own."""

    def __init__(self, base_url: str, **document: Any) -> None:
        self.base = base_url
        self.session = requests.Session()
        self.session.trust_env = False
        answer = self.session.post(f"{self.base}/__sandbox/tenants", json=document, timeout=TIMEOUT)
        assert answer.status_code == 201, answer.text
        self.welcome = answer.json()
        self.name = self.welcome["tenant"]

    def control(self, method: str, path: str, document: Any = None) -> requests.Response:
        url = f"{self.base}/__sandbox/{path}"
        return self.session.request(method, url, json=document, params={"tenant": self.name}, timeout=TIMEOUT)

    def say(self, name: str, **more: Any) -> requests.Response:
        """Send a valid request, `say("pingtree ping", sub1="x")`, with `headers` beside the lead's fields."""
        platform, _, operation_name = name.partition(" ")
        contract = CONTRACTS[platform]
        operation = next(item for item in contract.operations if item.name == operation_name)
        return self.send(contract, operation, more.pop("headers", {}), **more)

    def send(
        self, contract: Contract, operation: Operation, headers: Mapping[str, str], **more: Any
    ) -> requests.Response:
        [[source, *_]] = self.welcome["platforms"][contract.platform].values()
        known = _Known(source)
        header = contract.admission.header(known, operation)  # type: ignore[arg-type]  # has what it reads
        known_ids = {**source["arguments"], **more}
        path = re.sub(r"<(\w+)>", lambda place: str(known_ids.get(place[1], "unknown")), operation.path)
        n = next(_numbers)
        phone = {"mobile": f"212555{n % 10_000:04}", "phone": f"212555{n % 10_000:04}", "email": f"p{n}@example.com"}
        known_fields = {key: item for key, item in phone.items() if key in operation.example}
        own = {field: source["arguments"][argument] for field, argument in operation.fills.items()}
        body = {**operation.example, **own, **known_fields, **more}
        if operation.link and operation.journey is not Journey.AUCTION:
            body.setdefault(operation.link, "txn_unknown")
        [method, *_] = operation.methods
        sent: dict[str, Any] = {"params": body} if method == "GET" else {"json": body}
        given = {**dict([header] if header else []), **headers}
        return self.session.request(
            method, f"{self.base}{path}", headers=given, timeout=TIMEOUT, allow_redirects=False, **sent
        )


class _Known:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self.credentials = document["credentials"]
        self.name = document["name"]
