"""Live traffic: the list of what came in, and the page that explains one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, request

from simulator.contract.model import ANY_OPERATION, Contract
from simulator.journal import Filter, FilterError, Requests, UnknownRequestError, parsed
from simulator.recording import shorts
from simulator.tenants import Tenant
from simulator.web.control import PREFIX
from simulator.web.dashboard import evidence, sending
from simulator.web.dashboard.frame import UI, Frame, origin
from simulator.web.dashboard.parts import Parts
from simulator.web.dashboard.pictures import auction, story
from simulator.web.observation import explained, vocabulary
from simulator.welcome import curl

SHOWN = 100  # requests on a page
KEPT_LIVE = 100  # rows that a page keeps while it streams
FILTERS = ("platform", "operation", "http", "row", "source")


def add(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    _add_list(pages, parts, frame)
    _add_explanation(pages, parts, frame)


def _add_list(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    words = vocabulary(parts.contracts)

    @pages.get(f"{PREFIX}/")
    def traffic() -> Response:
        tenant = parts.tenant()
        journal = parts.journals.of(tenant.id)
        wanted = {name: request.args.get(name, "").strip() for name in FILTERS}
        try:
            chosen, problems = parsed({name: value for name, value in wanted.items() if value}, words), {}
        except FilterError as error:
            chosen, problems = None, error.problems
        without_rows = request.args.get("rows") == "none"  # a script that only wants the rest of the page anew
        found, following, older = _listed(journal, None if without_rows else chosen)
        return frame.page(
            "traffic.html.jinja",
            "traffic",
            "Older requests" if older else "Live traffic",
            status=400 if problems else 200,
            requests=found,
            next=following,
            older=older,
            wanted=wanted,
            problems=problems,
            choices=_choices(parts.contracts, tenant),
            titles={name: contract.title for name, contract in parts.contracts.items()},
            size=journal.size(),
            first=_first_steps(parts, tenant),
            live=KEPT_LIVE,
        )


def _add_explanation(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    @pages.get(f"{UI}/requests/<request_id>")
    def explanation(request_id: str) -> Response:
        tenant, entry, told = explained(parts.tenants, parts.journals, parts.contracts, request_id)
        return frame.page(
            "explanation.html.jinja",
            "traffic",
            f"{entry['http']} {entry['method']} {entry['path']}"[:100],
            entry=entry,
            told=told,
            contract=parts.contracts[entry["platform"]],
            auction=auction.lanes(told["buyers"], evidence.timeouts(tenant, parts.contracts, entry)),
            story=story.steps(entry, told),
            duties=evidence.findings(parts, tenant, entry),
            again=sending.again(entry, origin()),
            credential=sending.credential_in_force(tenant, parts.contracts, entry),
        )


def _listed(journal: Requests, wanted: Filter | None) -> tuple[list[dict[str, Any]], str, bool]:
    """Return what to list, where that goes on, and whether it is older than the newest."""
    after = request.args.get("after", "")
    if wanted is None:
        return [], "", bool(after)
    try:
        page = journal.select(wanted, SHOWN, after)
    except UnknownRequestError:  # of an earlier start: there is nothing to go on after
        page, after = journal.select(wanted, SHOWN), ""
    return shorts(page.requests), page.next, bool(after)


def _choices(contracts: Mapping[str, Contract], tenant: Tenant) -> dict[str, Sequence[str]]:
    """Return what the filters may be set to."""
    operations = [item.name for contract in contracts.values() for item in contract.operations]
    sources = [source.id for account in tenant.accounts.values() for source in account.sources.values()]
    return {
        "operation": [*dict.fromkeys(operations), ANY_OPERATION],
        "row": [row.id for contract in contracts.values() for row in contract.rows],
        "http": ["2xx", "3xx", "4xx", "5xx", "200", "201", "400", "401", "404", "409", "422", "429", "500", "503"],
        "source": list(dict.fromkeys(sources)),
    }


def _first_steps(parts: Parts, tenant: Tenant) -> list[dict[str, str]]:
    """Return a curl for each vendor that works when it is pasted: its first call, with a source's own credential."""
    found = []
    for name, contract in parts.contracts.items():
        source = next(iter(tenant.accounts[name].sources.values()), None)
        if source is not None:
            operation = contract.operations[0]
            text = curl(origin(), contract, operation, source)
            found.append({"title": contract.title, "operation": operation.name, "curl": text})
    return found
