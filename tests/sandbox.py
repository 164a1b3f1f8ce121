"""Starts a sandbox for tests and talks to it over HTTP; every answer is held against its documented row."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from jsonschema import Draft202012Validator

from simulator.contract.model import ANY_OPERATION, Contract, Row, in_force, words
from simulator.platforms import CONTRACTS

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
TIMEOUT = 30.0

_numbers = itertools.count()
_validators: dict[int, tuple[Any, Draft202012Validator]] = {}

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What came back. `rows` are the ids of the documented rows that the answer can be."""

    status: int
    headers: Headers
    raw: bytes
    rows: frozenset[str] = frozenset()

    @cached_property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.body["data"]
        return data

    @property
    def lead_status(self) -> str:
        """Pingtree's word for how it ended."""
        return str(self.data["leadStatus"])

    @property
    def fields_in_error(self) -> dict[str, str]:
        """Lead Distro's field errors: field to code."""
        return {item["field"]: item["code"] for item in self.body["field_errors"]}


@dataclass
class Sandbox:
    """A running sandbox: where it is, whom it knows, what it has stored and logged."""

    welcome: dict[str, Any]
    database: Path
    log: Path
    readings: Mapping[str, Mapping[str, str]]

    @property
    def base_url(self) -> str:
        return str(self.welcome["base_url"])

    @property
    def mock_buyers_url(self) -> str:
        return str(self.welcome["mock_buyers"])

    def source(self, link_id: str = "lnk_abc123xyz") -> Source:
        [found] = [one for one in self.welcome["platforms"]["pingtree"]["sources"] if one["name"] == link_id]
        return Source(self, link_id, found["credentials"], found["arguments"])

    def supplier(self, supplier_id: str = "supplier_xyz789", campaign: str = "campaign_abc123") -> Supplier:
        known = self.welcome["platforms"]["leaddistro"]["suppliers"]
        [found] = [one for one in known if one["id"] == supplier_id]
        return Supplier(self, supplier_id, found["credentials"]["api_key"], campaign)

    def call(self, method: str, path: str, headers: Headers | None = None, body: bytes | None = None) -> Answer:
        """Send a request as it is given, and check the answer against the rows that it can be."""
        return self.checked(method, path, self.sent(method, path, headers, body))

    def sent(self, method: str, path: str, headers: Headers | None = None, body: bytes | None = None) -> Answer:
        """Send a request as it is given; return the answer unchecked."""
        connection = http.client.HTTPConnection(self.base_url.removeprefix("http://"), timeout=TIMEOUT)
        with closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            return _answer(connection.getresponse())

    def raw(self, request: bytes, method: str = "POST") -> Answer:
        """Send bytes that no client library would; return the answer unchecked."""
        host, _, port = self.base_url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), TIMEOUT) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            with response:
                return _answer(response)

    def checked(self, method: str, path: str, answer: Answer) -> Answer:
        """Return the answer with its rows. AssertionError when it is no answer that the contract knows."""
        assert answer.headers.get("content-type") == JSON, answer
        if method == "HEAD":
            assert answer.raw == b"", answer
            return answer
        known = [row for contract, row in self._rows(path) if self._words(contract, row, answer)]
        assert known, f"{method} {path[:200]}: no row in force is answered with {answer}"
        return Answer(answer.status, answer.headers, answer.raw, frozenset(row.id for row in known))

    def _rows(self, path: str) -> Iterator[tuple[Contract, Row]]:
        path = unquote(path.partition("?")[0])
        for contract in CONTRACTS.values():
            for name in _operations(contract, path, self.readings[contract.platform]):
                yield from ((contract, row) for row in contract.rows_of(name))

    def _words(self, contract: Contract, row: Row, answer: Answer) -> bool:
        readings = self.readings[contract.platform]
        if row.http != answer.status or not in_force(row.reading, readings):
            return False
        return _validator(contract.schema_for(row, readings)).is_valid(answer.body)

    # --- what buyers and the database saw ---------------------------------------------------------------------

    def buyer(self, method: str, path: str, document: Any = None) -> Any:
        """Call the mock buyers' control: `pingtree/default/<buyer>`, `…/received`, `…/reset`."""
        return _controlled(self.mock_buyers_url, method, f"/__buyers/{path}", document)

    def control(self, path: str, document: Any = None) -> Any:
        """POST to the sandbox's own side: `reset`, `credentials/regenerate`."""
        return _controlled(self.base_url, "POST", f"/__sandbox/{path}", document or {})

    def received(self, platform: str, buyer_id: str, kind: str, **values: Any) -> list[dict[str, Any]]:
        """Return the calls of one kind that a mock buyer received with these values in the body."""
        found = self.buyer("GET", f"{platform}/default/{buyer_id}/received")["received"]
        return [
            entry
            for entry in found
            if entry["kind"] == kind and all(entry["body"].get(name) == value for name, value in values.items())
        ]

    def webhook(self, buyer_id: str, **values: Any) -> dict[str, Any]:
        """Wait for the one webhook with these values, which a background worker delivers."""
        found = eventually(lambda: self.received("leaddistro", buyer_id, "webhook", **values))
        assert len(found) == 1
        return dict(found[0])

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the database from outside."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, values).fetchall()

    def stored(self) -> dict[str, int]:
        """Count the rows of every table that a request can fill, but for deliveries under way."""
        tables = ("leads", "pings", "persons", "redeemed", "outbox")
        counts = {name: self.query(f"SELECT count(*) FROM {name}")[0][0] for name in tables}
        return counts | {"caps": self.query("SELECT coalesce(sum(used), 0) FROM caps")[0][0]}


@dataclass
class Source:
    """A Pingtree source."""

    sandbox: Sandbox
    link_id: str
    tokens: Mapping[str, str]
    ids: Mapping[str, str] = field(default_factory=dict)

    def path(self, operation: str) -> str:
        if operation == "update":
            return f"/api/lead/update/{self.ids['offer_campaign_id']}"
        return f"/api/lead/{'add' if operation == 'form' else operation}/{self.link_id}"

    def auth(self, operation: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[operation]}"}

    def send(self, operation: str, fields: Mapping[str, Any], *, form: bool = False) -> Answer:
        headers, body = encoded(fields, form=form)
        return self.sandbox.call("POST", self.path(operation), self.auth(operation) | headers, body)

    def ping(self, fields: Mapping[str, Any] | None = None, **more: Any) -> Answer:
        return self.send("ping", {**attributes(), **(fields or {}), **more})

    def post(self, transaction_id: str, fields: Mapping[str, Any] | None = None, **more: Any) -> Answer:
        return self.send("post", {**person(), "transaction_id": transaction_id, **(fields or {}), **more})

    def form(self, fields: Mapping[str, Any] | None = None, **more: Any) -> Answer:
        return self.send("form", {**person(), **(fields or {}), **more})

    def get(self, fields: Mapping[str, str]) -> Answer:
        return self.sandbox.call("GET", f"{self.path('form')}?{urlencode(fields)}", self.auth("form"))

    def accepted_ping(self, **more: Any) -> str:
        """Ping; return the transaction id of what must be an accept."""
        answer = self.ping(**more)
        assert answer.lead_status == "ping_accept", answer
        return str(answer.data["transaction_id"])


@dataclass
class Supplier:
    """A Lead Distro AI supplier, speaking of one campaign."""

    sandbox: Sandbox
    id: str
    key: str
    campaign: str

    @property
    def auth(self) -> dict[str, str]:
        return {"x-api-key": self.key}

    @property
    def ids(self) -> dict[str, str]:
        return {"flo_campaign_id": self.campaign, "flo_supplier_id": self.id}

    def send(
        self,
        operation: str,
        fields: Mapping[str, Any],
        *,
        form: bool = False,
        headers: Headers | None = None,
    ) -> Answer:
        content_type, body = encoded(fields, form=form)
        return self.sandbox.call("POST", f"/api/v1/{operation}", {**self.auth, **content_type, **(headers or {})}, body)

    def ping(self, fields: Mapping[str, Any] | None = None, **more: Any) -> Answer:
        return self.send("ping", {**self.ids, "state": "TX", **(fields or {}), **more})

    def ingest(self, fields: Mapping[str, Any] | None = None, **more: Any) -> Answer:
        return self.send("ingest", {**self.ids, **lead(), **(fields or {}), **more})

    def promised(self, **more: Any) -> str:
        """Ping; return the `ping_id` of what must be an accept."""
        answer = self.ping(**more)
        assert answer.body["accepted"] is True, answer
        return str(answer.body["ping_id"])


# --- starting one ---------------------------------------------------------------------------------------------


@contextmanager
def running(folder: Path, config: Mapping[str, Any] | None = None) -> Iterator[Sandbox]:
    """Start `leadsandbox up` with a database in `folder`; end it, by its process id, in the end."""
    database, log = folder / "sandbox.db", folder / "sandbox.log"
    command = [sys.executable, "-m", "simulator", "up", "--port", "0", "--db", str(database), "--json"]
    if config is not None:
        file = folder / "sandbox.yaml"
        file.write_text(json.dumps(config))
        command += ["--config", str(file)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEADSANDBOX_")}
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            yield Sandbox(json.loads(line), database, log, readings_of(config or {}))
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def readings_of(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {
        name: words(contract.readings(**config.get(name, {}).get("readings", {})))
        for name, contract in CONTRACTS.items()
    }


# --- what is sent ---------------------------------------------------------------------------------------------


def number() -> int:
    """Return a number that this process has not used yet."""
    return next(_numbers)


def marker() -> str:
    """Return a word by which one lead is found again."""
    return f"mark-{os.getpid()}-{number()}"


def phone() -> str:
    """Return a 555-01xx number that nobody has: not in 212, where the tests' own people are, nor in 500 (triggers)."""
    place = number()
    return f"{213 + place // 100 % 280}55501{place % 100:02}"


def attributes() -> dict[str, Any]:
    """What a Pingtree ping carries at the least."""
    return {"state": "CA", "zip_code": "90001"}


def person() -> dict[str, Any]:
    """A full Pingtree lead of somebody new."""
    who = phone()
    named = {"first_name": "Jane", "last_name": "Doe", "email": f"jane.{who}@example.com", "mobile": who}
    return {**attributes(), **named}


def lead() -> dict[str, Any]:
    """A full Lead Distro lead of somebody new, without ids."""
    who = phone()
    named = {"first_name": "Jane", "last_name": "Doe", "email": f"jane.{who}@example.com", "phone": who}
    return {**named, "state": "TX"}


def without(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def encoded(fields: Mapping[str, Any], *, form: bool = False) -> tuple[dict[str, str], bytes]:
    if form:
        return {"Content-Type": FORM}, urlencode(fields).encode()
    return {"Content-Type": JSON}, json.dumps(fields).encode()


def eventually(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Return what `look` finds, once it finds something. The time is only when to give up."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return found


# --- reading answers ------------------------------------------------------------------------------------------


def _answer(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def _controlled(base_url: str, method: str, path: str, document: Any) -> Any:
    with closing(http.client.HTTPConnection(base_url.removeprefix("http://"), timeout=TIMEOUT)) as connection:
        connection.request(method, path, json.dumps(document).encode(), {"Content-Type": JSON})
        response = connection.getresponse()
        body = response.read()
        assert response.status < 400, body
        return json.loads(body) if body else None


def _operations(contract: Contract, path: str, readings: Mapping[str, str]) -> list[str]:
    """Name the operations that a path may be of: the one that is served there, else none."""
    found = [
        operation.name
        for operation in contract.operations
        for served, reading in {operation.path: "", **operation.aliases}.items()
        if in_force(reading, readings) and re.fullmatch(re.sub(r"<\w+>", "[^/]+", served) + "/?", path)
    ]
    return found[:1] or [ANY_OPERATION]


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    if id(schema) not in _validators:
        made = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        _validators[id(schema)] = (schema, made)  # kept, so that its id is not given to another
    return _validators[id(schema)][1]
