"""The self-test: runs every mutant against the cases that claim what it breaks. What is broken is the catalogue's."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from conformance import catalogue as questions_of
from conformance.client import Client
from conformance.leads import People
from conformance.mutants import catalogue
from conformance.mutants.hooks import TappedControl
from conformance.mutants.model import Ask, Got, Mutant, Scene, Sent, Tampering, teapot, untouched
from conformance.mutants.outcome import KillMatrix, Outcome
from conformance.mutants.proxy import Proxy, in_front_of
from conformance.mutants.recognising import CONTROL, is_row, rows
from conformance.passive import Validator
from conformance.results import CaseResult, Verdict, Why
from conformance.runner import Question, Skipped, ask, passive, placed
from conformance.stage import Hall
from conformance.suite_sandbox import opened

IDENTITY_RUNS = 3
WORKERS = 2
RENEWED = 120
"""After so many mutants a bench gets new tenants: fictional phone numbers are few, and nobody may come twice."""

Done = Callable[[int, int], None]
"""Hears how many mutants of how many were run."""


@dataclass
class Bench:
    """One place to try mutants at: tenants of its own behind a proxy of its own."""

    hall: Hall
    scene: Scene
    proxy: Proxy
    hook: Proxy
    acted: bool = False

    def ask(self, question: Question, tamper: Tampering, hook: Tampering = untouched) -> CaseResult:
        """Ask one question of the server, with a mutant before it."""
        place = placed(self.hall.target, question)
        self.scene.world = None if isinstance(place, Skipped) else place
        self.proxy.mutant, self.hook.mutant = self._watched(tamper), self._watched(hook)
        try:
            return ask(self.hall, question)
        finally:
            self.proxy.mutant = self.hook.mutant = untouched

    def _watched(self, tamper: Tampering) -> Tampering:
        """Note whether a tampering changes anything."""

        def watched(sent: Sent, ask: Ask) -> Got:
            seen: list[tuple[Sent, Got]] = []

            def noted(asked: Sent) -> Got:
                got = ask(asked)
                if not asked.path.startswith(CONTROL):
                    seen.append((asked, got))
                return got

            got = tamper(sent, noted)
            self.acted = self.acted or seen != [(sent, got)]
            return got

        return watched


@contextmanager
def bench(welcome: Mapping[str, Any], samples: Mapping[str, Got]) -> Iterator[Bench]:
    """Open a bench at a running sandbox."""
    with ExitStack() as stack:
        base_url = str(welcome["base_url"])
        proxy, hook = (stack.enter_context(in_front_of(base_url)) for _ in range(2))
        control = TappedControl(base_url, mock_buyers=str(welcome.get("mock_buyers", "")), hook=hook)
        stack.callback(control.close)
        target = replace(stack.enter_context(opened(control, "self-test")), base_url=proxy.base_url)
        client = Client(proxy.base_url)
        stack.callback(client.close)
        people = People()
        hall = Hall(target, client, Validator(), people, control)
        yield Bench(hall, Scene(samples=dict(samples), people=people), proxy, hook)


def everything() -> tuple[Question, ...]:
    """Return all that the suite can ask: cases first."""
    return (*questions_of.cases(), *questions_of.journeys())


def prove(
    welcome: Mapping[str, Any],
    chosen: Sequence[Mutant] | None = None,
    done: Done = lambda _now, _all: None,
    identity_runs: int = IDENTITY_RUNS,
) -> KillMatrix:
    """Run the self-test at a running sandbox. `chosen` are the mutants to try; all without it."""
    started = time.monotonic()
    asked = everything()
    mutants = catalogue.mutants() if chosen is None else chosen
    samples: dict[str, Got] = {}
    with bench(welcome, samples) as first:
        identity = tuple(_identity(first, asked, samples) for _ in range(identity_runs))
        unmoved = tuple(question.id for question in asked if not _moved(first.ask(question, teapot)))
    outcomes = _tried(welcome, samples, mutants, asked, done)
    return KillMatrix(
        outcomes=outcomes,
        identity=identity,
        unmoved=unmoved,
        stale=_stale(outcomes) if chosen is None else (),
        seconds=time.monotonic() - started,
        falsified=frozenset(broken for outcome in outcomes for broken in outcome.caught),
    )


def _identity(at: Bench, asked: Iterable[Question], samples: dict[str, Got]) -> tuple[str, ...]:
    """Ask everything with nothing changed; return what did not pass. Keeps one answer of each row."""
    results = [at.ask(question, _sampling(samples)) for question in asked]
    results.append(passive(results))
    return tuple(f"{item.id} ({item.verdict}: {item.detail})" for item in results if item.verdict is not Verdict.PASS)


def _sampling(samples: dict[str, Got]) -> Tampering:
    def tamper(sent: Sent, ask: Ask) -> Got:
        got = ask(sent)
        for row in rows().values():
            if row.id not in samples and is_row(row, sent, got, row.id):
                samples[row.id] = got
        return got

    return tamper


def _moved(result: CaseResult) -> bool:
    """Whether a case did not let the control mutant pass: it failed, or could not even begin."""
    return result.verdict is Verdict.FAIL or (
        result.verdict is Verdict.INCONCLUSIVE and result.why is Why.PRECONDITION_FAILED and bool(result.findings)
    )


def _tried(
    welcome: Mapping[str, Any],
    samples: Mapping[str, Got],
    mutants: Sequence[Mutant],
    asked: Sequence[Question],
    done: Done,
) -> tuple[Outcome, ...]:
    work: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(mutants)):
        work.put(number)
    trial = _Trial(welcome, samples, mutants, asked, done, work)
    threads = [threading.Thread(target=trial.work) for _ in range(min(WORKERS, len(mutants)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if trial.errors:
        raise trial.errors[0]
    return tuple(trial.outcomes[number] for number in range(len(mutants)))


@dataclass
class _Trial:
    welcome: Mapping[str, Any]
    samples: Mapping[str, Got]
    mutants: Sequence[Mutant]
    asked: Sequence[Question]
    done: Done
    left: queue.SimpleQueue[int]
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def work(self) -> None:
        try:
            while not self.left.empty() and not self.errors:
                self._some()
        except BaseException as error:  # noqa: BLE001  a thread's error is raised by the one that waits for it
            self.errors.append(error)

    def _some(self) -> None:
        with bench(self.welcome, self.samples) as at:
            for _ in range(RENEWED):
                try:
                    number = self.left.get_nowait()
                except queue.Empty:
                    return
                self.outcomes[number] = tried(at, self.mutants[number], self.asked)
                self.done(len(self.outcomes), len(self.mutants))


def tried(at: Bench, mutant: Mutant, asked: Iterable[Question]) -> Outcome:
    """Ask what claims the rows that a mutant breaks, until each has been caught or nothing is left to ask."""
    at.acted = False
    left = set(mutant.breaks)
    caught: dict[str, str] = {}
    for question in asked:
        claimed = left & set(question.verifies)
        if not claimed or question.platform != mutant.platform:
            continue
        hook = mutant.hook(at.scene) if mutant.hook else untouched
        if at.ask(question, mutant.tamper(at.scene), hook).verdict is Verdict.FAIL:
            caught |= dict.fromkeys(claimed, question.id)
            left -= claimed
    excuse = catalogue.excused().get(mutant.id, "")
    head = (mutant.id, mutant.kind, mutant.platform, mutant.says, mutant.breaks)
    return Outcome(*head, caught, at.acted, mutant.all_of, excuse)


def _stale(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """Return the excuses of mutants that were caught or that there are not."""
    needed = {outcome.id for outcome in outcomes if not outcome.killed}
    return tuple(sorted(catalogue.excused().keys() - needed))
