"""One tenant of a running sandbox: its credentials, journal, triggers, clock and scorecard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from simulator.testing.calls import Calls, SandboxError

MOST = 1000  # entries on one page of the journal


@dataclass(frozen=True, slots=True)
class Source:
    """A source or supplier of the tenant. `credentials` maps the kind to the token or key in force.

    `name` is what a caller is found by: Pingtree's link id, Lead Distro AI's key. `arguments` are the ids that stand
    for it in the vendors' paths, by the names that the paths give them.
    """

    platform: str
    word: str
    id: str
    name: str
    credentials: Mapping[str, str]
    arguments: Mapping[str, str]
    campaigns: Sequence[str]
    test_mode: bool

    @property
    def campaign(self) -> str:
        return self.campaigns[0]


class Tenant:
    """A world of its own in a sandbox: what other tenants send, arm or advance does not exist in it."""

    def __init__(self, calls: Calls, welcome: Mapping[str, Any]) -> None:
        self._calls = calls
        self.welcome = welcome
        self.id = str(welcome["tenant"])
        self.base_url = calls.base_url
        self.clock = Clock(self)

    def control(self, method: str, path: str, document: object = None, **parameters: object) -> Any:
        """Call `/__sandbox/<path>` for this tenant. Raises SandboxError."""
        return self._calls.call(method, path, document, tenant=self.id, **parameters)

    @property
    def sources(self) -> list[Source]:
        """Every source and supplier, in the order of the sandbox file."""
        return [
            Source(platform, words.removesuffix("s"), **entry)
            for platform, groups in self.welcome["platforms"].items()
            for words, entries in groups.items()
            for entry in entries
        ]

    def source(self, name: str = "", *, platform: str = "") -> Source:
        """Return the source or supplier with this id or link id, or a platform's first. Raises LookupError.

        A tenant's link ids end in its own id, which may be left out.
        """
        for item in self.sources:
            known = {item.id, item.name, item.name.removesuffix(f".{self.id}")}
            if platform in {"", item.platform} and (not name or name in known):
                return item
        raise LookupError(f"tenant {self.id} has no source or supplier {name or 'of ' + platform!r}")

    def environment(self) -> dict[str, str]:
        """Return base URL, ids and credentials of each platform's first source, as environment variables."""
        found = {"LEADSANDBOX_URL": self.base_url, "LEADSANDBOX_TENANT": self.id}
        for platform in self.welcome["platforms"]:
            source = next((item for item in self.sources if item.platform == platform), None)
            found |= _variables(source, self.base_url) if source else {}
        return found

    @property
    def requests(self) -> Requests:
        """The journal: what was sent with this tenant's credentials, and answered."""
        return Requests(self)

    def trigger(self, word: str, *, platform: str = "", operation: str = "", source: str = "", **more: Any) -> Trigger:
        """Arm a trigger: a row id (`PT-POST-400-RULE`) or a behaviour (`no_bid`, `slow=2500`, `http_500`).

        It fires once unless `count` says otherwise (None: without end); `probability`, `seed` and `ttl_seconds`
        go with it. Raises SandboxError for a word that is none.
        """
        scope = {"platform": platform, "operation": operation, "source": source}
        armed = self.control("POST", "faults", {"trigger": word, **scope, "count": 1, **more})
        return Trigger(self, armed)

    def leads(self, **filters: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("GET", "leads", **{"limit": MOST, **filters})["leads"]
        return found

    def deliveries(self, **filters: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("GET", "deliveries", **{"limit": MOST, **filters})["deliveries"]
        return found

    def reset(self, *scopes: str) -> None:
        """Empty `leads`, `pings`, `caps`, `deliveries`, `journal`, `faults`, `clock`; everything without a word."""
        self.control("POST", "reset", {"scopes": scopes or ("all",)})

    def audit(self, *, severity: Sequence[str] = ()) -> dict[str, Any]:
        """Return the scorecard. `severity` changes that of duties, as in `D05:off`."""
        found: dict[str, Any] = self.control("GET", "audit", severity=severity)
        return found

    def assert_duties_met(self, *required: str, fail_on: str = "fail", severity: Sequence[str] = ()) -> None:
        """Fail unless what was sent meets the duties of a source. A duty in `required` must have been exercised.

        `fail_on="warn"` counts warnings too. A tenant that was sent nothing has met nothing.
        """
        from simulator import scorecard  # noqa: PLC0415  only who grades needs it

        __tracebackhide__ = True
        card = self.audit(severity=severity)
        if not card["requests"]:
            raise AssertionError(f"tenant {self.id} got no request, so no duty was met")
        if failures := scorecard.failures(card, fail_on, required):
            told = "\n".join([*failures, "", *scorecard.lines(card)])
            raise AssertionError(f"duties not met:\n{told}")

    def delete(self) -> None:
        """Delete the tenant with everything that it remembers. One that is gone already is no error."""
        try:
            self._calls.call("DELETE", f"tenants/{self.id}")
        except SandboxError as error:
            if error.status != 404:
                raise


class Requests:
    """What was sent, oldest first: asked for anew at each look. Each entry is in short form; `explain` has it all."""

    def __init__(self, tenant: Tenant, **filters: object) -> None:
        self._tenant = tenant
        self._filters = filters

    def where(self, **filters: object) -> Requests:
        """Return those that match: platform, operation, row, source, http (`404`, `4xx`), method, since, until."""
        return Requests(self._tenant, **{**self._filters, **filters})

    def count(self) -> int:
        """Return how many there were, also of those that left the journal. Raises SandboxError when nobody knows."""
        return int(self._tenant.control("GET", "requests/count", **self._filters)["count"])

    def explain(self, request_id: str) -> dict[str, Any]:
        """Return one entry whole, with `explanation`: the rule that decided, and what would change it."""
        found: dict[str, Any] = self._tenant.control("GET", f"requests/{request_id}")
        return found

    def clear(self) -> None:
        self._tenant.control("DELETE", "requests")

    def _entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            page = self._tenant.control("GET", "requests", **{"limit": MOST, **self._filters, **after})
            found += page["requests"]
            if page["next"] is None:
                return found[::-1]
            after = {"after": page["next"]}

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self._entries()[place]

    def __len__(self) -> int:
        return len(self._entries())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._entries())


class Trigger:
    """An armed trigger. As a context manager, it is disarmed in the end."""

    def __init__(self, tenant: Tenant, armed: Mapping[str, Any]) -> None:
        self._tenant = tenant
        self.id = str(armed["id"])

    def disarm(self) -> None:
        """Disarm it. One that has fired as often as it may is no error."""
        try:
            self._tenant.control("DELETE", f"faults/{self.id}")
        except SandboxError as error:
            if error.status != 404:
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disarm()


class Clock:
    """The tenant's clock: ping lifetimes, duplicate windows, caps, schedules and webhook retries follow it."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def now(self) -> datetime:
        return self._moment(self._tenant.control("GET", "clock"))

    def advance(self, by: timedelta | float | str) -> datetime:
        """Move on by a timedelta, seconds or a text (`30 days`); what falls due happens. Returns the new time."""
        return self._move(advance=by.total_seconds() if isinstance(by, timedelta) else by)

    def set(self, moment: datetime) -> datetime:
        return self._move(set=moment.isoformat())

    def freeze(self) -> datetime:
        return self._move(freeze=True)

    def unfreeze(self) -> datetime:
        return self._move(unfreeze=True)

    def reset(self) -> datetime:
        return self._move(reset=True)

    def _move(self, **move: object) -> datetime:
        return self._moment(self._tenant.control("POST", "clock", move))

    @staticmethod
    def _moment(document: Mapping[str, str]) -> datetime:
        return datetime.fromisoformat(document["now"])


def _variables(source: Source, base_url: str) -> dict[str, str]:
    found = {"URL": base_url, f"{source.word}_ID": source.id, **source.arguments}
    if source.campaigns:
        found["CAMPAIGN_ID"] = source.campaign
    for kind, credential in source.credentials.items():
        found[kind if "key" in kind or "token" in kind else f"{kind}_token"] = credential
    return {f"{source.platform}_{name}".upper(): value for name, value in found.items()}
