"""From a tenant's journal to a scorecard: every duty of every vendor with its verdict. No HTTP, and no rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from simulator import explaining
from simulator.contract.duty import Duties, Finding, Severity, Verdict
from simulator.contract.ledger import grade
from simulator.contract.model import Contract
from simulator.contract.sent import Attempt
from simulator.contract.traffic import History
from simulator.journal import Filter, Requests
from simulator.routing.agreed import Buyer
from simulator.store import Store
from simulator.tenants import Tenant

MOST_DELIVERIES = 1000  # the oldest ones


class SeverityError(Exception):
    """A severity that can't be read, or of a duty that no vendor has."""


def severities(words: Sequence[str], contracts: Mapping[str, Contract]) -> dict[str, Severity]:
    """Read `D05:off`, `D64:fail`. Raises SeverityError naming every word that is wrong."""
    known = {duty.id for contract in contracts.values() if contract.duties for duty in contract.duties.catalogue}
    found: dict[str, Severity] = {}
    wrong: list[str] = []
    for word in words:
        duty, _, severity = word.partition(":")
        if duty in known and severity in set(Severity):
            found[duty] = Severity(severity)
        else:
            wrong.append(f"{word[:60]!r}")
    if wrong:
        wanted = f"a duty such as {min(known)}, a colon and one of {', '.join(Severity)}"
        raise SeverityError(f"severity must be {wanted}, not {', '.join(wrong)}")
    return found


def audit(
    tenant: Tenant,
    journal: Requests,
    contracts: Mapping[str, Contract],
    chosen: Mapping[str, Severity],
    attempts: Mapping[str, Sequence[Attempt]],
    *,
    last: int | None = None,
) -> dict[str, Any]:
    """Return the scorecard of a tenant. `attempts` are those at its own receivers, by platform.

    `chosen` severities override those of the sandbox file. `last` grades so many requests of each platform only.

    Keys: `tenant`, `requests` (graded), `evicted` (no longer in the journal, so not graded), `summary` (duties by
    outcome) and `platforms`: each {title, requests, duties}, a duty being {duty, outcome, severity, rule, source,
    basis, advice, exercised, overall, reason, findings, requests (of a passed duty, those that first met it)}, a
    finding {duty, severity, detail, rule, source, advice, requests, count}.
    """
    size = journal.size()
    platforms = {
        name: _platform(tenant, journal, contract, contract.duties, chosen, attempts.get(name, ()), last)
        for name, contract in contracts.items()
        if contract.duties is not None
    }
    outcomes = [duty["outcome"] for platform in platforms.values() for duty in platform["duties"]]
    return {
        "tenant": tenant.id,
        "requests": sum(platform["requests"] for platform in platforms.values()),
        "evicted": size["evicted"],
        "summary": {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(sorted(outcomes))},
        "platforms": platforms,
    }


def _platform(
    tenant: Tenant,
    journal: Requests,
    contract: Contract,
    duties: Duties,
    chosen: Mapping[str, Severity],
    attempts: Iterable[Attempt],
    last: int | None,
) -> dict[str, Any]:
    account = tenant.accounts[contract.platform]
    history = History(contract, duties.dialect, account, entries(journal, contract.platform, last), attempts)
    verdicts = grade(duties, history, {**account.severities, **chosen})
    return {
        "title": contract.title,
        "requests": len(history.sent),
        "duties": [_verdict(verdict) for verdict in verdicts],
    }


def entries(journal: Requests, platform: str, last: int | None = None) -> Iterator[dict[str, Any]]:
    """Return what a journal still has of one platform, as duties read it: whether a trigger decided is added."""
    page = journal.select(Filter(platform=platform), last or journal.size()["entries"])
    return (entry | {"forced": bool(explaining.triggers(entry))} for entry in page.requests)


def attempts_at_own_receivers(store: Store, tenant: Tenant, mock_buyers_url: str) -> dict[str, list[Attempt]]:
    """Return the webhooks that went to receivers which are not the sandbox's mock buyers, by platform, oldest first."""
    own = {
        name: {buyer.id for buyer in account.buyers.values() if _is_own(buyer, mock_buyers_url)}
        for name, account in tenant.accounts.items()
    }
    found: dict[str, list[Attempt]] = {name: [] for name in own}
    if not any(own.values()):
        return found
    for delivery in store.deliveries(tenant.id, limit=MOST_DELIVERIES):
        if delivery.buyer_id in own[delivery.platform]:
            found[delivery.platform] += [
                Attempt(f"deliveries/{delivery.id}", delivery.event_id, item.http_status, item.latency_ms)
                for item in store.attempts(tenant.id, delivery.id)
            ]
    return found


def _is_own(buyer: Buyer, mock_buyers_url: str) -> bool:
    return buyer.webhook is not None and not (mock_buyers_url and buyer.webhook.url.startswith(f"{mock_buyers_url}/"))


def _verdict(verdict: Verdict) -> dict[str, Any]:
    duty = verdict.duty
    return {
        "duty": duty.id,
        "outcome": verdict.outcome.value,
        "severity": duty.severity.value,
        "rule": duty.rule,
        "source": list(duty.source),
        "basis": duty.basis.value,
        "advice": duty.advice,
        "exercised": verdict.exercised,
        "overall": duty.overall,
        "reason": verdict.reason,
        "requests": list(verdict.requests),
        "findings": [_finding(verdict, finding) for finding in verdict.findings],
    }


def _finding(verdict: Verdict, finding: Finding) -> dict[str, Any]:
    duty = verdict.duty
    return {
        "duty": duty.id,
        "severity": finding.severity.value,
        "detail": finding.detail,
        "rule": duty.rule,
        "source": list(duty.source),
        "advice": duty.advice,
        "requests": list(finding.requests),
        "count": finding.count,
    }
