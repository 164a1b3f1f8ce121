"""One call of `leadsandbox load`: checks what was asked for, runs the scenarios one by one, judges each."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from loadtests import target
from loadtests.keys import KeyRing, supplier_letters
from loadtests.plan import Plan
from loadtests.report import Result
from loadtests.run import Engine, Outcome, Run
from loadtests.scenarios import Book, Scenario
from loadtests.schedule import Ticket
from loadtests.target import Target
from loadtests.verdict import Circumstances, Verdict, judged

MOST_SEEDS = 1 << 30  # far more leads than any run sends, and e-mail addresses stay short
MOST_SUPPLIERS = 200  # of a sandbox of our own; when that is too few, keys rest between two uses
ATTEMPTS_HERE = 2  # on this machine, whose other work makes a generator late


class RefusedError(Exception):
    """What was asked for is not safe, or not possible; the text says what would be."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for. `rate` and `seconds` scale the plans; None leaves them as written.

    `attempts` is how often a scenario runs that shows nothing for want of a punctual generator.
    """

    names: tuple[str, ...]
    url: str = ""
    keys: tuple[str, ...] = ()
    rate: float | None = None
    seconds: float | None = None
    accept_rate: float = 1.0
    engine: Engine = field(default_factory=Engine)
    html: Path | None = None
    permission: bool = False
    max_rate: float | None = None
    seed: int | None = None
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Watcher:
    """Hears how a session goes: a scenario begins (name, seconds), so many sent and refused, it is judged.

    `pause` waits so many seconds for keys to rest; `page` is told where Locust's own page stays until Ctrl-C.
    """

    begins: Callable[[str, float], None]
    progress: Callable[[int, int], None]
    pause: Callable[[float], None]
    judged: Callable[[Result], None]
    page: Callable[[str], None]


def chosen(wishes: Wishes, book: Book) -> dict[str, Scenario]:
    """Return the scenarios asked for, scaled. Raises target.TargetError, RefusedError (one is unknown or too much)."""
    if not wishes.names:
        raise RefusedError("`all` is every scenario of the law, and this file has none; name one")
    unknown = [name for name in wishes.names if name not in book.scenario]
    if unknown:
        raise RefusedError(f"no scenario is called {', '.join(unknown)}; `leadsandbox load --list` names them all")
    if wishes.engine.ui and len(wishes.names) > 1:
        raise RefusedError("--ui shows one scenario; name one")
    if wishes.engine.master and len(wishes.names) > 1:
        raise RefusedError("--master deals one scenario, after which its workers end; name one")
    if (wishes.attempts or 1) > 1 and (wishes.engine.ui or wishes.engine.master):
        raise RefusedError("--attempts repeats a scenario, which --ui and --master run once")
    found = {name: book.scenario[name].scaled(wishes.rate, wishes.seconds) for name in wishes.names}
    if wishes.url:
        target.address_of(wishes.url)
    elif wishes.keys:
        raise RefusedError("--key names a supplier of a --target; a sandbox of our own makes its suppliers itself")
    elsewhere = bool(wishes.url) and not target.is_here(wishes.url)
    if elsewhere and not wishes.permission:
        raise RefusedError(
            f"{wishes.url} is not this machine. Load tests of somebody else's server need their permission: "
            "ask, and then say --i-have-permission"
        )
    for name, scenario in found.items():
        _check(name, scenario, book, wishes.max_rate, elsewhere=elsewhere)
    return found


def _check(name: str, scenario: Scenario, book: Book, max_rate: float | None, *, elsewhere: bool) -> None:
    safety = book.safety
    usual = safety.most_per_second_elsewhere if elsewhere else safety.most_per_second
    most = min(max_rate or usual, safety.most_per_second)
    if scenario.peak > most:
        raise RefusedError(f"{name} sends up to {scenario.peak:g} requests/s, and {most:g} is the most: see --max-rate")
    if scenario.at_once > min(safety.most_at_once, most):
        raise RefusedError(
            f"{name} sends {scenario.at_once} requests at once, and {most:g} is the most: see --max-rate"
        )
    if scenario.length > safety.longest_seconds:
        raise RefusedError(f"{name} lasts {scenario.length:g} s, and {safety.longest_seconds:g} s is the longest")
    planned = sum(phase.requests * stream.repeat for stream in scenario.streams for phase in stream.plan)
    if planned > safety.most_requests:
        raise RefusedError(f"{name} sends {planned:.0f} requests, and {safety.most_requests} is the most in one run")


def conduct(
    wishes: Wishes, book: Book, scenarios: Mapping[str, Scenario], watcher: Watcher
) -> Generator[Result, None, None]:
    """Run scenario after scenario and yield the result of each attempt as it is judged.

    Raises target.UnreachableError, target.StartError, keys.TooFewKeysError, run.PortError, run.RunError.
    """
    wishes.engine.check_ports()
    attempts = _attempts(wishes)
    with _opened(wishes, list(scenarios.values()), attempts) as tested:
        ring = KeyRing(tested, book.laws, fresh=not wishes.url)
        ring.check(scenarios)
        for name, scenario in scenarios.items():
            session = _Session(name, scenario, book, wishes, tested, ring, watcher)
            for attempt in range(1, attempts + 1):
                last = None
                for last in session.attempt(attempt):
                    yield last
                if last is None or not last.verdict.again:
                    break


def _attempts(wishes: Wishes) -> int:
    if wishes.engine.ui or wishes.engine.master:
        return 1
    usual = ATTEMPTS_HERE if not wishes.url or target.is_here(wishes.url) else 1
    return wishes.attempts or usual


@contextmanager
def _opened(wishes: Wishes, scenarios: Sequence[Scenario], attempts: int) -> Iterator[Target]:
    if wishes.url:
        yield target.named_target(wishes.url, wishes.keys)
        return
    suppliers = sum(len(supplier_letters(scenario)) for scenario in scenarios)
    with target.own_sandbox(min(MOST_SUPPLIERS, max(1, attempts * suppliers)), wishes.accept_rate) as own:
        yield own


@dataclass(frozen=True, slots=True)
class _Session:
    """One scenario, and all that its attempts need."""

    name: str
    scenario: Scenario
    book: Book
    wishes: Wishes
    tested: Target
    ring: KeyRing
    watcher: Watcher

    def attempt(self, number: int) -> Iterator[Result]:
        """Run the scenario once and yield its result: before Locust has ended, so that nothing can lose it."""
        self.tested.check()
        callers, gap = self.ring.take(self.name, self.scenario, self.watcher.pause)
        plan = Plan(self.name, self.scenario, callers, self._seed(), gap, self.tested.url)
        html = _locust_page(self.wishes.html, self.name, number)
        self.watcher.begins(self.name, plan.tickets()[-1].due / 1e9)
        with (
            tempfile.TemporaryDirectory(prefix="leadsandbox-load-") as folder,
            Run(plan, self.wishes.engine, Path(folder), html) as running,
        ):
            outcome = running.outcome(self.watcher.progress)
            self.ring.used(callers)
            verdict = self._judged(plan, outcome)
            result = Result(self.scenario, verdict, outcome.log, html.name if html else "", number)
            self.watcher.judged(result)
            yield result
            self._stay(running, html)
        if verdict.figures["unanswered"]:
            self.tested.check()

    def _stay(self, running: Run, html: Path | None) -> None:
        """Wait for Locust's own report; with its page, until somebody has seen enough of it."""
        if self.wishes.engine.ui:
            self.watcher.page(f"http://127.0.0.1:{self.wishes.engine.ui_port}")
            with suppress(KeyboardInterrupt):
                running.wait()
        elif html:
            running.wait()

    def _seed(self) -> int:
        return self.wishes.seed if self.wishes.seed is not None else secrets.randbelow(MOST_SEEDS)

    def _judged(self, plan: Plan, outcome: Outcome) -> Verdict:
        facts = {name: getattr(outcome, name) for name in ("processes", "clock_error", "cpu", "lost")}
        around = Circumstances(plan.gap, plan.seed, self._takes(plan, outcome), **facts)
        return judged(self.name, self.scenario, self.book, outcome.log, outcome.planned, around)

    def _takes(self, plan: Plan, outcome: Outcome) -> Callable[[Ticket], bool]:
        """Return what tells which pings sell: the buyer of our own sandbox, elsewhere the posts that followed."""
        if self.tested.ours:
            return target.takers(self.wishes.accept_rate, plan.seed)
        posted = {record.ticket - outcome.planned for record in outcome.log if record.endpoint == "pingtree-post"}
        return lambda ticket: ticket.number in posted


def _locust_page(html: Path | None, name: str, attempt: int) -> Path | None:
    """Return where Locust's own report goes: beside ours."""
    again = f"-{attempt}" if attempt > 1 else ""
    return html.with_name(f"{html.stem}-{name}{again}-locust.html") if html else None
