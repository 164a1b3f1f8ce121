"""Calls to the control API of a sandbox. What they mean is `tenant.py`'s and `server.py`'s."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

TIMEOUT = 60  # seconds


class SandboxError(Exception):
    """The sandbox refused a call to its control API, or does not answer. `status` is 0 when it does not."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class Calls:
    """The control API at a base URL. `token` opens it where the sandbox asks for one."""

    def __init__(self, base_url: str, token: str = "") -> None:
        self.base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # to the sandbox, by no proxy

    def call(self, method: str, path: str, document: object = None, **parameters: object) -> Any:
        """Call `/__sandbox/<path>`; return the document that comes back. Raises SandboxError."""
        url = f"{self.base_url}/__sandbox/{path}{_query(parameters)}"
        body = None if document is None else json.dumps(document).encode()
        headers = {**self._headers, "Content-Type": "application/json"}
        try:
            request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310  the caller's own sandbox
            with self._opener.open(request, timeout=TIMEOUT) as response:
                found = response.read()
            return json.loads(found) if found else None
        except urllib.error.HTTPError as error:
            raise SandboxError(error.code, _detail(error.read())) from None
        except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: no URL, or no JSON
            raise SandboxError(0, f"no sandbox answers at {self.base_url}: {str(error).strip()}") from error


def _query(parameters: Mapping[str, object]) -> str:
    pairs: list[tuple[str, object]] = []
    for name, value in parameters.items():
        several = isinstance(value, Iterable) and not isinstance(value, str)
        pairs += [(name, one) for one in value] if several else [(name, value)]  # type: ignore[attr-defined]
    return f"?{urlencode(pairs)}" if pairs else ""


def _detail(body: bytes) -> str:
    try:
        problem = json.loads(body)
        return f"{problem['title']}: {problem['detail']}"
    except (ValueError, LookupError, TypeError):
        return body[:500].decode("utf-8", "replace")
