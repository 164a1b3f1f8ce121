"""What a ticket puts on the wire, and what its answer says. Sending is the Locust file's work."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import jsonschema_rs

from fixtures.leads import fake_lead, ping_part
from loadtests.log import NEVER, Record
from loadtests.scenarios import Scenario
from loadtests.schedule import Ticket
from simulator.platforms import CONTRACTS

LOOKUP_PATH = "/api/v1/leads/lookup"  # public:/docs/api-response-codes; its parameters are ours
_PLATFORMS = {"pingtree-ping": ("pingtree", "ping"), "pingtree-post": ("pingtree", "post")}


@dataclass(frozen=True, slots=True)
class Supplier:
    """What a Lead Distro AI supplier presents: its key, and the two ids that its leads name."""

    key: str = field(repr=False)
    id: str = ""
    campaign: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A Pingtree source: its link id and its tokens."""

    link: str
    ping: str = field(repr=False)
    post: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Callers:
    """Who stands behind each key letter of a scenario."""

    suppliers: Mapping[str, Supplier]
    sources: Mapping[str, Source]

    def document(self) -> dict[str, Any]:
        return asdict(self)


def callers_of(document: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Callers:
    return Callers(
        {letter: Supplier(**values) for letter, values in document["suppliers"].items()},
        {letter: Source(**values) for letter, values in document["sources"].items()},
    )


@dataclass(frozen=True, slots=True)
class Wire:
    """One HTTP request, ready to send."""

    method: str
    path: str
    headers: dict[str, str]
    body: str | None = None


class Requests:
    """The requests of one run. Every planned ticket has a lead of its own; what follows it sends the same lead.

    `seed` makes the leads; a run with another seed sends other people.
    """

    def __init__(self, scenario: Scenario, callers: Callers, planned: int, seed: int) -> None:
        self._scenario, self._callers = scenario, callers
        self._planned, self._seed = planned, seed

    def origin(self, ticket: Ticket) -> int:
        """Return the number of the planned ticket that this one is or follows."""
        return ticket.number % self._planned

    def wire(self, ticket: Ticket) -> Wire:
        """Return a ticket's request; a retry's is that of the first attempt. Making a lead takes a tenth of a ms."""
        seed = self._seed + self.origin(ticket)
        if ticket.endpoint in _PLATFORMS:
            return self._pingtree(ticket, fake_lead("pingtree", seed=seed))
        return self._leaddistro(ticket, fake_lead("leaddistro", seed=seed))

    def _leaddistro(self, ticket: Ticket, lead: dict[str, Any]) -> Wire:
        supplier = self._callers.suppliers[self._scenario.streams[ticket.stream].supplier]
        headers = {"x-api-key": supplier.key} if ticket.key else {}
        if ticket.endpoint == "lookup":
            return Wire("GET", f"{path_of('lookup')}?phone={lead['phone']}", headers)
        if ticket.endpoint == "ping":
            lead = {name: lead[name] for name in ("phone", "email", "state")}
        body = {"flo_campaign_id": supplier.campaign, "flo_supplier_id": supplier.id, **lead}
        return _json(path_of(ticket.endpoint), headers, body)

    def _pingtree(self, ticket: Ticket, lead: dict[str, Any]) -> Wire:
        source = self._callers.sources[ticket.key]
        post = bool(ticket.transaction)
        path = path_of(ticket.endpoint).replace("<source_unique_id>", source.link)
        body = {**lead, "transaction_id": ticket.transaction} if post else ping_part(lead)
        return _json(path, {"Authorization": f"Bearer {source.post if post else source.ping}"}, body)


def _json(path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> Wire:
    return Wire("POST", path, {**headers, "Content-Type": "application/json"}, json.dumps(body))


def path_of(endpoint: str) -> str:
    """Return the documented path of an endpoint."""
    platform, name = _PLATFORMS.get(endpoint, ("leaddistro", endpoint))
    paths = {operation.name: operation.path for operation in CONTRACTS[platform].operations}
    return LOOKUP_PATH if name == "lookup" else paths[name]


class Reader:
    """Turns answers into records, and accepted pings into transaction ids."""

    def __init__(self) -> None:
        self._validators = dict(_validators())

    def record(
        self, ticket: Ticket, send: int, receive: int, status: int, headers: Mapping[str, str], body: bytes, fault: str
    ) -> Record:
        """Return the record of an answer; `fault` is why there was none (status 0). Times count from the start."""
        end = receive if status else NEVER
        record = Record(ticket.number, ticket.key, ticket.endpoint, ticket.due, send, end, status, ticket.attempt)
        if status != 429:
            return record._replace(fault="" if status else fault or "no answer")
        document = _parsed(body)
        inside = document.get("retry_after", "") if isinstance(document, dict) else ""
        return record._replace(
            retry_after=headers.get("Retry-After") or "",
            retry_after_header=headers.get("retry_after") or "",
            retry_after_body=str(inside),
            fault=self._body_fault(ticket.endpoint, document),
        )

    def _body_fault(self, endpoint: str, document: Any) -> str:
        validator = self._validators.get(endpoint) or self._validators["ingest"]
        error = next(validator.iter_errors(document), None)
        return f"the body is not the documented one: {error.message[:200]}" if error else ""


def accepted_transaction(ticket: Ticket, status: int, body: bytes) -> str:
    """Return the transaction id of an accepted Pingtree ping, or "" (seed:001)."""
    if ticket.endpoint != "pingtree-ping" or status != 201:
        return ""
    document = _parsed(body)
    said = document.get("data") if isinstance(document, dict) else None
    if not isinstance(said, dict) or said.get("leadStatus") != "ping_accept":
        return ""
    return str(said.get("transaction_id", ""))


def _validators() -> Iterator[tuple[str, Any]]:
    contract = CONTRACTS["leaddistro"]
    for row in contract.rows:
        schema = contract.schemas.get(row.operation, {}).get(row.id)
        if row.http == 429 and schema is not None:
            yield row.operation, jsonschema_rs.validator_for(schema)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except ValueError:
        return None
