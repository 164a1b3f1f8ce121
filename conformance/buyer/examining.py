"""Runs the checks of a buyer and makes a run of them that every report understands. Prints nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from urllib.parse import urlsplit

from conformance.buyer import bidders, receivers
from conformance.buyer.check import Check, Examination, Grade
from conformance.client import Client, NoAnswerError
from conformance.preflight import UnreachableError
from conformance.results import CaseResult, Exit, Finding, Kind, RunResult, Verdict, Why
from simulator.platforms import CONTRACTS

CHECKS: Mapping[str, tuple[Check, ...]] = {"pingtree": bidders.CHECKS, "leaddistro": receivers.CHECKS}
SECRET_NAME = "LEADSANDBOX_BUYER_SECRET"  # noqa: S105  the name of a variable

Done = Callable[[CaseResult], None]


def examine(
    platform: str,
    urls: Mapping[str, str],
    now: datetime,
    *,
    secret: str = "",
    timestamped: bool = False,
    done: Done = lambda _: None,
) -> RunResult:
    """Ask a buyer everything. `now` is when the run begins, UTC. Raises UnreachableError when nothing answers."""
    started = time.monotonic()
    first = urlsplit(next(iter(urls.values())))
    base_url = f"{first.scheme}://{first.netloc}"
    secrets = {secret: SECRET_NAME} if secret else {}
    with closing(Client(base_url, secrets=secrets)) as client:
        at = Examination(client, platform, urls, secret, timestamped)
        results: list[CaseResult] = []
        for check in CHECKS[platform]:
            results.append(_asked(at, check, first=not results))
            done(results[-1])
        return RunResult(
            target=_target(at, base_url),
            started=now.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - started, 2),
            results=tuple(results),
            rows=(),
            exit_code=_exit_code(results),
            complete=True,
            requests=client.sent,
        )


def _target(at: Examination, base_url: str) -> dict[str, object]:
    signed = {"signed": bool(at.secret), "timestamped": at.timestamped}
    return {"name": f"{at.platform} buyer", "base_url": base_url, "urls": dict(at.urls), **signed}


def _asked(at: Examination, check: Check, *, first: bool) -> CaseResult:
    at.check_id, at.exchanges = check.id, []
    started = time.monotonic()
    grade = _aside(at, check) or _graded(at, check, first=first)
    return CaseResult(
        id=check.id,
        title=check.title,
        platform=at.platform,
        kind=Kind.JOURNEY,
        verifies=(check.duty or check.id,),
        verdict=grade.verdict,
        why=grade.why,
        detail="" if grade.verdict is Verdict.PASS else _worded(grade),
        findings=(_finding(at, check, grade),) if grade.expected else (),
        exchanges=tuple(at.exchanges),
        milliseconds=round((time.monotonic() - started) * 1000, 1),
    )


def _aside(at: Examination, check: Check) -> Grade | None:
    """Return why a check is not asked, None when it is."""
    if check.stamped and not at.timestamped:
        return Grade(Verdict.NOT_APPLICABLE, actual="the receiver expects no timestamp (--timestamped)")
    if check.signed and not at.secret:
        return Grade(Verdict.INCONCLUSIVE, actual="without --secret nothing can be signed", why=Why.NO_PERMISSION)
    return None


def _finding(at: Examination, check: Check, grade: Grade) -> Finding:
    rule, source = _rule(at.platform, check)
    shown = grade.shown or (at.exchanges[-1] if at.exchanges else None)
    number, curl = (shown.number, shown.curl) if shown else (None, "")
    return Finding(check.duty or check.id, grade.expected, grade.actual, rule, source, number, curl)


def _graded(at: Examination, check: Check, *, first: bool) -> Grade:
    try:
        return check.run(at)
    except NoAnswerError as error:
        if first:
            raise UnreachableError(f"nothing answers at {at.client.base_url}: {error}") from error
        return Grade(Verdict.FAIL, "an HTTP answer", str(error))


def _worded(grade: Grade) -> str:
    return f"expected {grade.expected}, got {grade.actual}" if grade.expected else grade.actual


def _rule(platform: str, check: Check) -> tuple[str, tuple[str, ...]]:
    """Return what is documented, in the duty's words unless the check has its own."""
    if check.rule:
        return check.rule, check.source
    duties = CONTRACTS[platform].duties
    found = [duty for duty in duties.catalogue if duty.id == check.duty] if duties and check.duty else []
    return (f"{found[0].id}: {found[0].rule}", found[0].source) if found else (check.rule, check.source)


def _exit_code(results: list[CaseResult]) -> Exit:
    verdicts = {result.verdict for result in results}
    if not any(result.exchanges for result in results):
        return Exit.NOTHING_RAN
    if verdicts & {Verdict.FAIL, Verdict.ERROR}:
        return Exit.FAILED
    return Exit.INCOMPLETE if Verdict.INCONCLUSIVE in verdicts else Exit.ALL_GREEN
