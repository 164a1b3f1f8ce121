"""Sends requests and writes down what came back, within the target's budget and pace. Judges nothing."""

from __future__ import annotations

import itertools
import json
import shlex
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from conformance.results import Exchange
from conformance.target import Budget

TIMEOUT = 30.0
SHOWN = 20_000
"""How many characters of a body a report keeps."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class NoAnswerError(Exception):
    """Nothing came back that is HTTP: refused, reset, cut off, too late."""


class BudgetError(Exception):
    """The target's budget of requests is used up."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it will be sent. `path` starts with a slash."""

    platform: str
    operation: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how it goes into a report."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    exchange: Exchange

    def parsed(self) -> Any:
        """Return the body as JSON. Raises ValueError."""
        return json.loads(self.raw)


@dataclass
class Client:
    """One connection pool to one server. `pause` waits so many seconds; `secrets` maps a credential to its name."""

    base_url: str
    budget: Budget = field(default_factory=Budget)
    secrets: Mapping[str, str] = field(default_factory=dict)
    pause: Callable[[float], None] = time.sleep
    sent: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)
    _session: requests.Session = field(default_factory=requests.Session, repr=False)
    _last: float = float("-inf")

    def __post_init__(self) -> None:
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def send(self, request: Request, case_id: str) -> Answer:
        """Send one request. Raises BudgetError, NoAnswerError."""
        self._keep_to_budget()
        started = time.monotonic()
        self.sent += 1
        try:
            response = self._session.request(
                request.method,
                self.base_url + request.path,
                headers=dict(request.headers),
                data=request.body,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
            raw = response.content
        except requests.RequestException as error:
            raise NoAnswerError(f"{request.method} {request.path}: {_cause(error)}") from error
        exchange = self._written(request, case_id, response, raw, time.monotonic() - started)
        return Answer(response.status_code, response.headers, raw, exchange)

    def is_up(self) -> bool:
        """Whether anything still listens at the address."""
        parts = urlsplit(self.base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), timeout=TIMEOUT).close()
        except OSError:
            return False
        return True

    def _keep_to_budget(self) -> None:
        if self.budget.requests is not None and self.sent >= self.budget.requests:
            raise BudgetError(f"the budget of {self.budget.requests} requests is used up")
        if self.budget.per_second:
            wait = self._last + 1 / self.budget.per_second - time.monotonic()
            if wait > 0:
                self.pause(wait)
            self._last = time.monotonic()

    def _written(
        self, request: Request, case_id: str, response: requests.Response, raw: bytes, seconds: float
    ) -> Exchange:
        return Exchange(
            number=next(self._numbers),
            case_id=case_id,
            platform=request.platform,
            operation=request.operation,
            method=request.method,
            url=self._hidden(self.base_url + request.path),
            request_headers={name: self._hidden(value) for name, value in request.headers.items()},
            request_body=self._hidden(_text(request.body or b"")),
            status=response.status_code,
            response_headers=dict(response.headers),
            response_body=self._hidden(_text(raw)),
            milliseconds=round(seconds * 1000, 2),
            curl=self._curl(request),
        )

    def _hidden(self, text: str) -> str:
        for secret, name in self.secrets.items():
            text = text.replace(secret, f"${name}")
        return text

    def _curl(self, request: Request) -> str:
        """Return a command that sends the same; a secret is the environment variable that holds it."""
        parts = ["curl", "-i", "-X", request.method, self._quoted(self.base_url + request.path)]
        for name, value in request.headers.items():
            parts += ["-H", self._quoted(f"{name}: {value}")]
        if request.body is not None:
            parts += ["--data-binary", self._quoted(_text(request.body))]
        return " ".join(parts)

    def _quoted(self, text: str) -> str:
        hidden = self._hidden(text)
        if hidden == text:
            return shlex.quote(text)
        quoted = shlex.quote(hidden)
        for name in self.secrets.values():  # the shell fills in what stands outside the quotes
            quoted = quoted.replace(f"${name}", f"'\"${name}\"'")
        return quoted


def _text(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def _cause(error: BaseException) -> str:
    """Return the innermost reason, without the wrapping of the libraries and without object addresses."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__}: {error}".split(" object at 0x")[0][:300]


def encoded(values: Mapping[str, Any], *, form: bool) -> tuple[bytes, str]:
    """Return the body of a lead and its content type."""
    if form:
        return query(values).encode(), FORM
    return json.dumps(values).encode(), JSON


def query(values: Mapping[str, Any]) -> str:
    """Return values form-encoded, booleans as JSON spells them."""
    return urlencode({name: json.dumps(value) if isinstance(value, bool) else value for name, value in values.items()})
