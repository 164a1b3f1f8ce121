"""Scripts of requests and answers, for tests of duties: the real recorder writes them down, on the test's clocks."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from simulator.auditing import audit
from simulator.clock import Clock
from simulator.configuration import sandboxes
from simulator.contract.account import Received, Source
from simulator.contract.duty import Severity
from simulator.contract.model import Operation
from simulator.contract.sent import Attempt
from simulator.dice import Dice
from simulator.events import Hub
from simulator.exchange import ANY_OPERATION, Answer
from simulator.journal import Journals
from simulator.metrics import Metrics
from simulator.platforms import CONTRACTS
from simulator.recording import Recorder
from simulator.routing.decision import Decision, FieldError, Reason
from simulator.tenants import DEFAULT, Tenant, Tenants
from simulator.wire.faults import parse

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
TCPA = "By submitting this form you agree to be contacted by XYZ Lenders..."
SOURCES = {"pingtree": "src_dedupe", "leaddistro": "supplier_xyz789"}


class Script:
    """What one client sends to one platform, and what it is answered; both are the test's to say.

    `now` is sandbox time, `real` monotonic seconds. A request begins at `real` and takes `took` seconds, after which
    the client goes on, unless it is sent `aside`: then the next one begins while it is open.
    """

    def __init__(self, platform: str, *, regenerated: tuple[str, str] | None = None, mask_bodies: bool = False) -> None:
        self.contract = CONTRACTS[platform]
        self.now, self.real = START, 1000.0
        self._numbers = itertools.count(1)
        known = {regenerated: (1, START - timedelta(hours=1))} if regenerated else {}
        self.tenants = Tenants("http://127.0.0.1:9", lambda _: known)
        sandbox, read_file = sandboxes.load(None)
        self.tenant = Tenant(DEFAULT, sandbox, START, Clock(), Dice(1), read_file)
        self.tenants.add(self.tenant)
        self.attempts: list[Attempt] = []
        self.journals, hub = Journals(100_000, 10**9), Hub()
        self.recorder = Recorder(self.tenants, self.journals, hub, Metrics(self.journals, hub), mask_bodies=mask_bodies)
        sources = self.account.sources.values()
        self.source: Source = next(item for item in sources if item.id == SOURCES[platform])

    @property
    def account(self) -> Any:
        return self.tenant.accounts[self.contract.platform]

    def number(self) -> int:
        return next(self._numbers)

    def wait(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.now += timedelta(seconds=seconds)
        self.real += seconds

    def send(
        self,
        operation: str,
        values: Mapping[str, Any] | None = None,
        reason: Reason = Reason.SOLD,
        *,
        took: float = 0.05,
        aside: bool = False,
        token: str | None = None,
        **more: Any,
    ) -> str:
        """Record one exchange; return the request's id."""
        received = self._received(operation, values, token, more)
        answer = self._answer(operation, reason, more)
        body = more.get("answered", answer.rendered.body)
        with patch("simulator.recording.time.monotonic", return_value=self.real + took):
            request_id = self.recorder.answered(
                self.contract, operation, received, answer, json.dumps(body).encode(), self.real
            )
        if aside:
            self.wait(0.001)
        else:
            self.wait(took + 0.001)
        return request_id

    def _received(
        self, operation: str, values: Mapping[str, Any] | None, token: str | None, more: Mapping[str, Any]
    ) -> Received:
        known = {item.name: item for item in self.contract.operations}.get(operation)
        name, path = self.source.name, more.get("path")
        if path is None:
            assert known is not None
            path = known.path.replace("<source_unique_id>", name)
        headers = {"content-type": "application/json", "user-agent": "script", **self._credential(known, token)}
        headers.update(more.get("headers", {}))
        return Received(
            method=more.get("method", "GET" if operation == "lookup" else "POST"),
            path=path,
            arguments={"source_unique_id": path.rpartition("/")[2]},
            headers={name: value for name, value in headers.items() if value},
            query=more.get("query", b""),
            body=more.get("body", b"" if values is None else json.dumps(dict(values)).encode()),
        )

    def _credential(self, operation: Operation | None, token: str | None) -> dict[str, str]:
        if operation is None:
            return {}
        name, value = self.contract.admission.header(self.source, operation) or ("", "")
        return {name.lower(): value if token is None else token}

    def _answer(self, operation: str, reason: Reason, more: Mapping[str, Any]) -> Answer:
        decision = Decision(
            reason,
            more.get("detail", reason.value),
            errors=tuple(FieldError(*error) for error in more.get("errors", ())),
            transaction_id=more.get("transaction_id", ""),
            ping_token=more.get("ping_id", ""),
            price=Decimal(45),
            tcpa=more.get("tcpa", ""),
            buyer_id="xyz_lenders",
            retry_after=1 if reason is Reason.RATE_LIMITED else None,
        )
        row = self.contract.row_for(operation, reason, self.account.words)
        rendered = self.contract.render(row, decision, self.account.readings)
        fault = parse(more["fault"]) if "fault" in more else None
        triggers = tuple(more.get("triggers", ())) + ((f"header: {fault.word}",) if fault else ())
        source_id = "" if reason is Reason.UNAUTHORIZED or operation == ANY_OPERATION else self.source.id
        return Answer(row, decision, rendered, self.tenant, source_id, self.now, triggers, fault)

    def card(self, **severities: Severity) -> dict[str, Any]:
        journal = self.journals.of(self.tenant.id)
        name = self.contract.platform
        return audit(self.tenant, journal, {name: self.contract}, severities, {name: self.attempts})

    def verdicts(self, **severities: Severity) -> dict[str, dict[str, Any]]:
        """Return the verdict of each duty."""
        [platform] = self.card(**severities)["platforms"].values()
        return {duty["duty"]: duty for duty in platform["duties"]}

    def broken(self) -> set[str]:
        """Return the duties that were not met."""
        return {name for name, verdict in self.verdicts().items() if verdict["findings"]}


class PingtreeScript(Script):
    """A source that does everything right, and the pieces to do it with."""

    def __init__(self, **more: Any) -> None:
        super().__init__("pingtree", **more)

    def attributes(self, n: int) -> dict[str, Any]:
        return {"state": "CA", "zip_code": f"9{n % 1000:04}", "age": 40, "loan_amount": 15000 + n, "sub1": "campaign-1"}

    def person(self, n: int) -> dict[str, Any]:
        mobile = f"{201 + n // 100}55501{n % 100:02}"
        return {"first_name": "Jane", "last_name": "Doe", "email": f"jane{n}@example.com", "mobile": mobile}

    def evidence(self) -> dict[str, Any]:
        return {
            "tcpa_consent": "yes",
            "tcpa_consent_date": self.now.date().isoformat(),
            "xxTrustedFormCertUrl": "https://cert.trustedform.com/0123456789abcdef0123456789abcdef01234567",
            "jornaya": "01234567-89AB-CDEF-0123-456789ABCDEF",
        }

    def ping(self, n: int, reason: Reason = Reason.BID, *, shown: bool = True, **more: Any) -> str:
        """Ping with an id of the source's own; return that id."""
        name = f"txn_own-{n:06}"
        values = {**self.attributes(n), "transaction_id": name, **more.pop("values", {})}
        values = {key: value for key, value in values.items() if value is not None}
        self.send("ping", values, reason, transaction_id=name, tcpa=TCPA if shown else "", **more)
        return name

    def full(self, n: int, name: str) -> dict[str, Any]:
        """Return the whole lead of a ping."""
        return {**self.attributes(n), **self.person(n), **self.evidence(), "transaction_id": name}

    def post(self, n: int, name: str, reason: Reason = Reason.SOLD, **more: Any) -> str:
        values = {**self.full(n, name), **more.pop("values", {})}
        values = {key: value for key, value in values.items() if value is not None}
        return self.send("post", values, reason, transaction_id=name, **more)

    def lead(self, n: int | None = None, *, ping: Mapping[str, Any] | None = None, **post: Any) -> str:
        """Ping, let the consumer read, post; return the transaction_id."""
        n = self.number() if n is None else n
        name = self.ping(n, **(ping or {}))
        self.wait(post.pop("after", 5))
        self.post(n, name, **post)
        return name

    def well_behaved(self) -> None:
        for number in range(8):
            self.lead(ping={"shown": number % 2 == 0})
        self.ping(self.number(), Reason.NO_BID)
        self.ping(self.number(), Reason.CAP_REACHED)
        self._trouble()
        n, m = self.number(), self.number()
        one, two = self.ping(n), self.ping(m)
        self.wait(5)
        self.post(n, one, took=0.5, aside=True)
        self.post(m, two)
        self.wait(1)
        self._afterwards()

    def _trouble(self) -> None:
        n = self.number()
        for pause in (1, 2.5, 6):
            self.ping(n, Reason.INTERNAL_ERROR)
            self.wait(pause)
        name = self.ping(n, took=2.0)
        self.wait(5)
        self.post(n, name, Reason.INTERNAL_ERROR)
        self.wait(1.5)
        self.post(n, name, took=1.5)
        self.lead(reason=Reason.UNSOLD)

    def _afterwards(self) -> None:
        name = self.lead()
        self.event("sale", name)
        offers = {"data": {"offers": [{"clickUrl": f"https://api.pingtree.com{self.click(name)}"}]}}
        self.send(
            "*", None, Reason.UNKNOWN_PATH, path=f"/api/click/list/cmp_9z8y7x6w/{name}", method="GET", answered=offers
        )
        self.send("*", None, Reason.UNKNOWN_PATH, path=self.click(name), method="GET")

    def click(self, name: str) -> str:
        return f"/api/click/cl_001/cmp_9z8y7x6w/src_abc123/{name}"

    def event(self, event_id: str, name: str) -> None:
        values = {"cid": "cmp_9z8y7x6w", "event_id": event_id, "transaction_id": name, "revenue": 45}
        self.send("*", values, Reason.UNKNOWN_PATH, path="/api/event/trigger")


class LeadDistroScript(Script):
    """A supplier that does everything right, and the pieces to do it with."""

    CAMPAIGN = "campaign_pingpost"

    def __init__(self, **more: Any) -> None:
        super().__init__("leaddistro", **more)

    def ids(self) -> dict[str, Any]:
        return {"flo_campaign_id": self.CAMPAIGN, "flo_supplier_id": self.source.id}

    def person(self, n: int) -> dict[str, Any]:
        phone = f"{201 + n // 100}55501{n % 100:02}"
        return {"phone": phone, "email": f"jane{n}@example.com", "state": "TX"}

    def token(self, campaign: str | None = None) -> str:
        terms = self.source.terms[campaign or self.CAMPAIGN]
        tokens = self.contract.ping_tokens
        assert tokens is not None
        return tokens.issue(self.account, terms, terms.buyers[0], self.now, f"token-{self.number()}")

    def ping(self, n: int, reason: Reason = Reason.AVAILABLE, **more: Any) -> str:
        """Ping; return the ping_id."""
        token = self.token() if reason is Reason.AVAILABLE else ""
        values = {**self.ids(), **self.person(n), **more.pop("values", {})}
        values = {key: value for key, value in values.items() if value is not None}
        self.send("ping", values, reason, ping_id=token, **more)
        return token

    def full(self, n: int, token: str | None) -> dict[str, Any]:
        named = {"first_name": "Jane", "last_name": "Doe", "zip_code": f"7{n % 1000:04}"}
        evidence = {"tcpa_consent_date": self.now.date().isoformat()}
        return {**self.ids(), **self.person(n), **named, **evidence, **({"flo_ping_id": token} if token else {})}

    def ingest(self, n: int, token: str | None, reason: Reason = Reason.SOLD, **more: Any) -> str:
        values = {**self.full(n, token), **more.pop("values", {})}
        values = {key: value for key, value in values.items() if value is not None}
        return self.send("ingest", values, reason, **more)

    def lead(self, n: int | None = None, *, ping: Mapping[str, Any] | None = None, **ingest: Any) -> str:
        n = self.number() if n is None else n
        token = self.ping(n, **(ping or {}))
        self.wait(ingest.pop("after", 5))
        self.ingest(n, token, **ingest)
        return token

    def bids(self) -> dict[str, Any]:
        """Return what a ping is answered with where bids are shown."""
        return {"answered": {"accepted": True, "ping_id": self.token(), "message": "Lead accepted", "bids": []}}

    def deliver(self, event_id: str, status: int | None = 200, latency_ms: float = 20) -> None:
        """Note a webhook to the client's own receiver."""
        self.attempts.append(Attempt(f"deliveries/{len(self.attempts)}", event_id, status, latency_ms))

    def well_behaved(self) -> None:
        for event_id in ("event-1", "event-2", "event-1"):
            self.deliver(event_id)
        for _ in range(8):
            self.lead()
        for _ in range(4):
            n, answered = self.number(), self.bids()
            self.ping(n, **answered)
            self.wait(3)
            self.ingest(n, answered["answered"]["ping_id"])
        self.ping(self.number(), Reason.FILTERED)
        self._trouble()
        n, m = self.number(), self.number()
        one, two = self.ping(n), self.ping(m)
        self.ingest(n, one, took=0.5, aside=True)
        self.ingest(m, two)
        self.wait(1)

    def _trouble(self) -> None:
        n = self.number()
        for pause in (1, 2.5, 6):
            self.ping(n, Reason.MAINTENANCE)
            self.wait(pause)
        token = self.ping(n, Reason.AVAILABLE, took=1.5)
        self.ingest(n, token, Reason.RATE_LIMITED, triggers=("header: rate_limited",))
        self.wait(1.1)
        self.ingest(n, token, took=1.5)
        self.lead(reason=Reason.UNMATCHED)
        m = self.number()
        self.ingest(m, self.ping(m), Reason.CAP_REACHED if self._words_caps() else Reason.FILTERED)

    def _words_caps(self) -> bool:
        return any(Reason.CAP_REACHED in row.answers for row in self.contract.rows_of("ingest"))


SCRIPTS: Mapping[str, type[PingtreeScript | LeadDistroScript]] = {
    "pingtree": PingtreeScript,
    "leaddistro": LeadDistroScript,
}
