"""Fills a sandbox with a working day's traffic of every kind. The same requests each time; no test lives here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from fixtures.leads import fake_leads, ping_part
from simulator.testing import Source, Tenant
from tests.running import run

SANDBOX = Path(__file__).with_suffix(".yaml")
# A Monday, half past eight in New York, after all that was listed or issued when the sandbox started.
MORNING = datetime(2030, 3, 4, 13, 30, tzinfo=UTC)
PACE = timedelta(minutes=4)
VISITS = 110
TIMEOUT = 30
NEVER = "2125550199"  # stands on the suppression lists

Lead = dict[str, Any]
Doing = Callable[[Lead], None]


def report(folder: Path) -> bytes:
    """Return the report of a whole run of the conformance suite on a sandbox of its own."""
    place = folder / "report.json"
    ended = run("conform", "--quiet", "--json", str(place))
    assert ended.returncode == 0, ended.stderr
    return place.read_bytes()


class Day:
    """A source and a supplier at work, over one connection, minute by minute of the sandbox's clock."""

    def __init__(self, tenant: Tenant, seed: int = 8) -> None:
        self._tenant = tenant
        self._session = requests.Session()
        self._session.trust_env = False
        self._dice = random.Random(seed)
        self._web, self._partner = tenant.source("lnk_web"), tenant.source("lnk_partner")
        self._supplier = tenant.source("supplier_solar")
        self._last: dict[str, Lead] = {}

    def pass_by(self, visits: int = VISITS) -> None:
        """Live through it. The clock is frozen at the end of each step, so that every moment is the same each time."""
        self._tenant.clock.freeze()
        self._tenant.clock.set(MORNING)
        doings = self._doings()
        pingtree, leaddistro = (fake_leads(name, visits, 8) for name in ("pingtree", "leaddistro"))
        for visit, loan, sun in zip(range(visits), pingtree, leaddistro, strict=True):
            # Demand swells towards noon and ebbs away, as a chart ought to show.
            for doing, lead in self._moments(doings, visit / visits, loan, sun):
                doing(lead)
            self._tenant.clock.advance(PACE * self._dice.uniform(0.5, 1.5))
            if visit == visits * 2 // 3:
                self._blunders()
                self._hurry()
        self._arm_for_tomorrow()

    def _moments(
        self, doings: Mapping[str, tuple[Doing, ...]], share: float, loan: Lead, sun: Lead
    ) -> Iterator[tuple[Doing, Lead]]:
        busy = 1 if abs(share - 0.45) > 0.3 else 2
        for _ in range(busy):
            platform = self._dice.choices(("pingtree", "leaddistro"), (6, 5))[0]
            yield self._dice.choice(doings[platform]), loan if platform == "pingtree" else sun

    def _doings(self) -> dict[str, tuple[Doing, ...]]:
        pingtree = (self._sell, self._sell, self._sell, self._ping, self._form, self._form, self._sell_as_partner)
        leaddistro = (self._ingest, self._ingest, self._ingest, self._weak_bill, self._ping_and_ingest, self._again)
        return {"pingtree": pingtree, "leaddistro": leaddistro}

    # --- Pingtree ---------------------------------------------------------------------------------------------

    def _pingtree(self, kind: str, source: Source, body: Lead, token: str = "") -> dict[str, Any]:
        path = {"form": "add"}.get(kind, kind)
        headers = {"Authorization": f"Bearer {token or source.credentials[kind]}"}
        return self._post(f"/api/lead/{path}/{source.name}", headers, body)

    def _ping(self, lead: Lead) -> None:
        self._pingtree("ping", self._web, ping_part(lead))

    def _sell(self, lead: Lead) -> None:
        self._ping_and_post(self._web, lead)

    def _sell_as_partner(self, lead: Lead) -> None:
        self._ping_and_post(self._partner, lead)
        self._ping_and_post(self._partner, lead)  # the person is known by then

    def _ping_and_post(self, source: Source, lead: Lead) -> None:
        answer = self._pingtree("ping", source, ping_part(lead)).get("data", {})
        if answer.get("leadStatus") == "ping_accept":
            self._pingtree("post", source, lead | {"transaction_id": answer["transaction_id"]})

    def _form(self, lead: Lead) -> None:
        self._pingtree("form", self._web, lead)

    # --- Lead Distro AI ---------------------------------------------------------------------------------------

    def _leaddistro(self, operation: str, campaign: str, body: Lead, key: str = "") -> dict[str, Any]:
        ids = {"flo_campaign_id": self._suffixed(campaign), "flo_supplier_id": self._supplier.id}
        return self._post(
            f"/api/v1/{operation}", {"x-api-key": key or self._supplier.credentials["api_key"]}, ids | body
        )

    def _suffixed(self, campaign: str) -> str:
        return next(item for item in self._supplier.campaigns if item.startswith(campaign))

    def _ingest(self, lead: Lead) -> None:
        body = lead | {"monthly_bill": self._dice.randint(80, 400)}
        self._last["ingest"] = body
        self._leaddistro("ingest", "campaign_solar", body)

    def _again(self, lead: Lead) -> None:
        self._leaddistro("ingest", "campaign_solar", self._last.get("ingest", lead | {"monthly_bill": 100}))

    def _weak_bill(self, lead: Lead) -> None:
        self._leaddistro("ingest", "campaign_solar", lead | {"monthly_bill": 45})

    def _ping_and_ingest(self, lead: Lead) -> None:
        answer = self._leaddistro("ping", "campaign_roofs", {name: lead[name] for name in ("state", "zip_code")})
        token = answer.get("ping_id") or answer.get("data", {}).get("ping_id")
        self._leaddistro("ingest", "campaign_roofs", lead | ({"flo_ping_id": token} if token else {}))

    # --- what goes wrong --------------------------------------------------------------------------------------

    def _blunders(self) -> None:
        """Make each mistake that a new integration makes once, a minute apart."""
        [loan] = fake_leads("pingtree", 1, 99)
        [sun] = fake_leads("leaddistro", 1, 99)
        mistakes: list[Callable[[], object]] = [
            lambda: self._pingtree("ping", self._web, ping_part(loan), token="not-a-token"),
            lambda: self._pingtree("ping", self._web, {"state": "CA"}),
            lambda: self._pingtree("ping", self._web, ping_part(loan) | {"credit_score": "brilliant"}),
            lambda: self._pingtree("ping", self._web, loan),
            lambda: self._pingtree("form", self._web, loan | {"mobile": NEVER}),
            lambda: self._pingtree("form", self._web, loan | {"loan_amount": 500}),
            lambda: self._pingtree("ping", self._web, ping_part(loan) | {"sub1": "sandbox:no_bid"}),
            lambda: self._pingtree("form", self._web, loan | {"sub1": "sandbox:post_reject"}),
            lambda: self._too_late(loan),
            lambda: self._leaddistro("ingest", "campaign_solar", sun, key="nobody"),
            lambda: self._leaddistro(
                "ingest", "campaign_solar", sun | {"monthly_bill": 120, "state": "TX", "phone": NEVER}
            ),
            lambda: self._leaddistro("ingest", "campaign_roofs", sun),
            lambda: self._leaddistro("ingest", "campaign_solar", {"email": "nobody@"}),
            lambda: self._armed(loan),
        ]
        for mistake in mistakes:
            mistake()
            self._tenant.clock.advance(60)

    def _too_late(self, lead: Lead) -> None:
        answer = self._pingtree("ping", self._web, ping_part(lead | {"loan_amount": 9000}))["data"]
        self._tenant.clock.advance(301)
        self._pingtree("post", self._web, lead | {"transaction_id": answer.get("transaction_id", "txn")})

    def _armed(self, lead: Lead) -> None:
        self._tenant.trigger("http_500", platform="pingtree", operation="ping", count=2)
        self._ping(lead)
        self._ping(lead)

    def _arm_for_tomorrow(self) -> None:
        self._tenant.trigger("slow=400", platform="leaddistro", operation="ingest", count=3)
        self._tenant.trigger("PT-POST-400-RULE", platform="pingtree", count=None, probability=0.1, seed=1)

    def _hurry(self) -> None:
        """Look leads up faster than is allowed, so that the gauge of the limit is full and 429s are there."""
        key = {"x-api-key": self._supplier.credentials["api_key"]}
        url = f"{self._tenant.base_url}/api/v1/leads/lookup"
        for number in range(28):
            self._session.get(url, params={"phone": f"21255501{number:02}"}, headers=key, timeout=TIMEOUT)

    def _post(self, path: str, headers: Mapping[str, str], body: Lead) -> dict[str, Any]:
        answer = self._session.post(f"{self._tenant.base_url}{path}", json=body, headers=headers, timeout=TIMEOUT)
        found: dict[str, Any] = answer.json()
        return found
