"""The sandbox's own side, as the suite uses it: tenants, clock, what buyers received. Judges nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

TIMEOUT = 30.0


class ControlError(Exception):
    """The control API did not do what it was asked. One line."""


@dataclass
class Control:
    """`/__sandbox` of one sandbox, and the journals of its mock buyers."""

    base_url: str
    token: str = ""
    mock_buyers: str = ""
    _session: requests.Session = field(default_factory=requests.Session, repr=False)

    def __post_init__(self) -> None:
        self._session.trust_env = False
        if self.token:
            self._session.headers["Authorization"] = f"Bearer {self.token}"

    def close(self) -> None:
        self._session.close()

    def boot(self) -> str:
        """Return the nonce of the process that answers; "" when what answers is no sandbox. Raises ControlError."""
        answer = self._call("GET", f"{self.base_url}/__sandbox/health")
        try:
            found = answer.json()
        except ValueError:
            return ""
        return str(found.get("boot", "")) if isinstance(found, dict) else ""

    def welcome(self) -> dict[str, Any]:
        """Return the default tenant's introduction. Raises ControlError."""
        return self._json("GET", "welcome")

    def create_tenant(self, sandbox: dict[str, Any]) -> dict[str, Any]:
        return self._json("POST", "tenants", {"sandbox": sandbox, "seed": 1})

    def delete_tenant(self, tenant: str) -> None:
        self._json("DELETE", f"tenants/{quote(tenant)}")

    def advance(self, tenant: str, pause: str) -> None:
        self._json("POST", f"clock?tenant={quote(tenant)}", {"advance": pause})

    def now(self, tenant: str) -> str:
        """Return the tenant's time, ISO 8601."""
        return str(self._json("GET", f"clock?tenant={quote(tenant)}")["now"])

    def of(self, tenant: str, what: str, **filters: str) -> Any:
        """Return what the sandbox shows of a tenant: `leads`, `pings`, `deliveries`, `requests`."""
        more = "".join(f"&{name}={quote(value)}" for name, value in filters.items())
        return self._json("GET", f"{what}?tenant={quote(tenant)}{more}")

    def journal(self, request_id: str) -> dict[str, Any]:
        """Return what the sandbox wrote down about one request, whichever tenant's; `row_id` is the row it meant."""
        return self._json("GET", f"requests/{quote(request_id)}")

    def received(self, platform: str, tenant: str, buyer: str) -> list[dict[str, Any]]:
        """Return what a mock buyer received, oldest first."""
        url = f"{self.mock_buyers}/__buyers/{platform}/{tenant}/{buyer}/received"
        found: list[dict[str, Any]] = self._checked(self._call("GET", url))["received"]
        return found

    def _json(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        return self._checked(self._call(method, f"{self.base_url}/__sandbox/{path}", document))

    def _call(self, method: str, url: str, document: object = None) -> requests.Response:
        try:
            return self._session.request(method, url, json=document, timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise ControlError(f"nothing answers at {self.base_url} ({type(error).__name__})") from error

    def _checked(self, answer: requests.Response) -> dict[str, Any]:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not answer.ok or not isinstance(found, dict):
            detail = found.get("detail") if isinstance(found, dict) else answer.text[:200]
            raise ControlError(f"{answer.request.method} {answer.url} answered {answer.status_code}: {detail}")
        return found
