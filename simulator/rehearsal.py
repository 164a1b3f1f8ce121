"""Runs an integrator's own command through scripted situations, a fresh tenant each, and grades all that it sent.

A run is one situation from beginning to end: whatever language the command is written in, nothing has to tell it
when one situation ends and the next begins. What is graded, and how, is the audit's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.contract.model import Contract, Journey, Operation, words
from simulator.platforms import CONTRACTS
from simulator.routing.decision import Reason
from simulator.testing import Server

GRACE = 5  # seconds that a command has to end by itself when it is told to
EXPIRED = "an expired ping"  # stands for the row by which each vendor words it
SLOW = "slow"  # goes with the number of milliseconds
# What a merged scorecard calls a duty that had several outcomes: the first of these.
OUTCOMES = ("fail", "warn", "info", "pass", "not seen", "off")

_FIRST = (Journey.AUCTION, Journey.PRECHECK, Journey.OFFER, Journey.INGEST)
_EVERY = (*_FIRST, Journey.REDEEM)
_SALES = (Journey.REDEEM, Journey.OFFER, Journey.INGEST)
_AFTER_PING = (Journey.REDEEM, Journey.INGEST)


@dataclass(frozen=True, slots=True)
class Situation:
    """What the platform does in one run. `word` is armed for each operation of these journeys that the command uses.

    `count` is how often it fires for each, None without end. `pinged` arms an ingest only where the command pings.
    """

    name: str
    meaning: str
    word: str = ""
    journeys: Sequence[Journey] = ()
    count: int | None = None
    pinged: bool = False


ACCEPT = Situation("accept", "a buyer wants the lead and buys it")
SITUATIONS = (
    ACCEPT,
    Situation("reject", "no buyer wants the lead", "no_bid", _FIRST),
    Situation("duplicate", "the lead was submitted before", "duplicate", _SALES),
    Situation("slow_auction", "the buyers take their time", SLOW, _FIRST),
    Situation("rate_limited", "the first call of each kind gets a 429", "rate_limited", _EVERY, 1),
    Situation("outage", "the first two calls of each kind get a 500, the next ones an answer", "http_500", _EVERY, 2),
    Situation(
        "expired_ping", "the accepted ping is too old when the lead arrives", EXPIRED, _AFTER_PING, 1, pinged=True
    ),
    Situation(
        "post_refused", "the ping was accepted, but nobody buys the lead", "post_reject", _AFTER_PING, pinged=True
    ),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one situation. `code` is the command's exit code, None when it took too long.

    `card` is the scorecard of its tenant, `log` what it sent; `skipped` says that nothing which the command uses can
    be so.
    """

    situation: Situation
    code: int | None = 0
    card: Mapping[str, Any] = field(default_factory=dict)
    log: Sequence[Mapping[str, Any]] = ()
    skipped: bool = False

    @property
    def requests(self) -> int:
        return int(self.card.get("requests", 0))


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rehearsal goes by: `slow` is how many milliseconds a slow auction takes, a severity is as in `D05:off`."""

    slow: int
    severity: Sequence[str] = ()


class CommandError(Exception):
    """The integrator's command cannot be run; the text says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """The integrator's command, and how many seconds one run of it may take."""

    words: Sequence[str]
    timeout: float

    def run(self, environment: Mapping[str, str]) -> int | None:
        """Run it, its output on stderr; return its exit code, None when it took too long. Raises CommandError.

        Whatever ends the run ends all that the command has started: a test runner's workers would go on sending.
        """
        try:
            process = subprocess.Popen(  # noqa: S603  the command that the user gave  # nosec B603
                self.words, env={**os.environ, **environment}, stdout=2, start_new_session=True
            )
        except OSError as error:
            raise CommandError(f"cannot run {self.words[0]}: {error.strerror}") from None
        try:
            return process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its session, which has its leader's id; it may clean up if it still runs."""
    try:
        if process.poll() is None:
            with contextlib.suppress(PermissionError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(GRACE)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def rehearse(
    server: Server, command: Command, situations: Iterable[Situation], terms: Terms, tell: Callable[[Situation], None]
) -> Iterator[Run]:
    """Run the command once in each situation; ACCEPT is always the first, and the only one if it sends nothing.

    `tell` is called before each run.
    Raises SandboxError, CommandError.
    """
    tell(ACCEPT)
    first = _run(server, command, ACCEPT, {}, terms)
    used = frozenset((entry["platform"], entry["operation"]) for entry in first.log)
    yield first
    for situation in situations if first.requests else ():
        faults = dict(_faults(situation, used, terms.slow))
        if situation is not ACCEPT and not faults:
            yield Run(situation, skipped=True)
        elif situation is not ACCEPT:
            tell(situation)
            yield _run(server, command, situation, faults, terms)


def _run(
    server: Server, command: Command, situation: Situation, faults: Mapping[tuple[str, str], str], terms: Terms
) -> Run:
    tenant = server.new_tenant()
    try:
        for (platform, operation), word in faults.items():
            tenant.trigger(word, platform=platform, operation=operation, count=situation.count)
        code = command.run({**tenant.environment(), "LEADSANDBOX_SITUATION": situation.name})
        return Run(situation, code, tenant.audit(severity=terms.severity), list(tenant.requests))
    finally:
        tenant.delete()


def _faults(situation: Situation, used: frozenset[tuple[str, str]], slow: int) -> Iterator[tuple[tuple[str, str], str]]:
    """Return what to arm for which operation of those that are `used`, each as platform and name."""
    for name, contract in CONTRACTS.items():
        called = [item for item in contract.operations if (name, item.name) in used]
        pings = any(item.journey is Journey.PRECHECK for item in called)
        for operation in called:
            counts = operation.journey is not Journey.INGEST or pings or not situation.pinged
            word = _word(situation, contract, operation, slow) if counts else ""
            if word and operation.journey in situation.journeys:
                yield (name, operation.name), word


def _word(situation: Situation, contract: Contract, operation: Operation, slow: int) -> str:
    if situation.word == SLOW:
        return f"slow={slow}"
    if situation.word != EXPIRED:
        return situation.word
    try:
        return contract.row_for(operation.name, Reason.PING_EXPIRED, words(contract.readings())).id
    except LookupError:  # an operation without pings
        return ""


def merged(runs: Iterable[Run]) -> dict[str, Any]:
    """Return one scorecard of several runs: each duty's worst outcome, each finding once with its situations.

    Beside the audit's keys it has `log`: what each request was, by id, since its tenant is gone. `name` is what
    people call it: its situation, its number in that, its operation and what it was answered.
    """
    told = [run for run in runs if run.card]
    cards = [run.card for run in told]
    platforms = {name: _platform(name, told) for name in cards[0]["platforms"]}
    outcomes = [duty["outcome"] for platform in platforms.values() for duty in platform["duties"]]
    return {
        "tenant": "of the rehearsal",
        "requests": sum(card["requests"] for card in cards),
        "evicted": sum(card["evicted"] for card in cards),
        "summary": {outcome: outcomes.count(outcome) for outcome in OUTCOMES if outcome in outcomes},
        "platforms": platforms,
        "log": {entry["id"]: entry for run in told for entry in _log(run)},
    }


def _log(run: Run) -> Iterator[dict[str, Any]]:
    situation = run.situation.name
    for number, entry in enumerate(run.log, 1):
        yield {**entry, "situation": situation, "name": f"{situation}#{number} {entry['operation']} {entry['http']}"}


def _platform(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    parts = [run.card["platforms"][name] for run in runs]
    return {
        "title": parts[0]["title"],
        "requests": sum(part["requests"] for part in parts),
        "duties": [_duty(runs, seen) for seen in zip(*(part["duties"] for part in parts), strict=True)],
    }


def _duty(runs: Sequence[Run], seen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    worst = min(seen, key=lambda duty: OUTCOMES.index(duty["outcome"]))
    findings: dict[str, dict[str, Any]] = {}
    for run, duty in zip(runs, seen, strict=True):
        for finding in duty["findings"]:
            blank = {**finding, "requests": [], "count": 0, "in": []}
            _add(findings.setdefault(finding["detail"], blank), finding, run)
    told = [{**found, "detail": f"{found['detail']} [{', '.join(found['in'])}]"} for found in findings.values()]
    return {**worst, "exercised": sum(duty["exercised"] for duty in seen), "findings": told}


def _add(found: dict[str, Any], finding: Mapping[str, Any], run: Run) -> None:
    found["requests"] += finding["requests"]
    found["count"] += finding["count"]
    found["in"] = list(dict.fromkeys([*found["in"], run.situation.name]))
