"""One call of `leadsandbox load`: checks what was asked for, runs the scenarios one by one, judges each."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from loadtests import target
from loadtests.keys import KeyRing, supplier_letters
from loadtests.plan import Plan
from loadtests.report import Result
from loadtests.run import Engine, Run
from loadtests.scenarios import Book, Scenario
from loadtests.target import Target
from loadtests.verdict import judged

MOST_SEEDS = 1 << 30  # far more leads than any run sends, and e-mail addresses stay short


class RefusedError(Exception):
    """What was asked for is not safe, or not possible; the text says what would be."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for. `rate` and `seconds` scale the plans; None leaves them as written."""

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
    unknown = [name for name in wishes.names if name not in book.scenario]
    if unknown:
        raise RefusedError(f"no scenario is called {', '.join(unknown)}; `leadsandbox load --list` names them all")
    if wishes.engine.ui and len(wishes.names) > 1:
        raise RefusedError("--ui shows one scenario; name one")
    if wishes.engine.master and len(wishes.names) > 1:
        raise RefusedError("--master deals one scenario, after which its workers end; name one")
    found = {name: book.scenario[name].scaled(wishes.rate, wishes.seconds) for name in wishes.names}
    if wishes.url:
        target.address_of(wishes.url)
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


def conduct(wishes: Wishes, book: Book, scenarios: Mapping[str, Scenario], watcher: Watcher) -> Iterator[Result]:
    """Run scenario after scenario and yield each result as it is judged.

    Raises target.UnreachableError, target.StartError, keys.TooFewKeysError, run.RunError.
    """
    with _opened(wishes, list(scenarios.values())) as tested:
        ring = KeyRing(tested, book.laws, fresh=not wishes.url)
        for name, scenario in scenarios.items():
            yield _one(name, scenario, book, wishes, tested, ring, watcher)


@contextmanager
def _opened(wishes: Wishes, scenarios: Sequence[Scenario]) -> Iterator[Target]:
    if wishes.url:
        yield target.named_target(wishes.url, wishes.keys)
        return
    suppliers = sum(len(supplier_letters(scenario)) for scenario in scenarios)
    with target.own_sandbox(max(1, suppliers), wishes.accept_rate) as own:
        yield own


def _one(
    name: str, scenario: Scenario, book: Book, wishes: Wishes, tested: Target, ring: KeyRing, watcher: Watcher
) -> Result:
    callers, gap = ring.take(name, scenario, watcher.pause)
    seed = wishes.seed if wishes.seed is not None else secrets.randbelow(MOST_SEEDS)
    plan = Plan(name, scenario, callers, seed, gap)
    html = _locust_page(wishes.html, name)
    watcher.begins(name, plan.tickets()[-1].due / 1e9)
    with (
        tempfile.TemporaryDirectory(prefix="leadsandbox-load-") as folder,
        Run(plan, tested.url, wishes.engine, Path(folder), html) as running,
    ):
        outcome = running.outcome(watcher.progress)
        ring.used(callers)
        verdict = judged(name, scenario, book, outcome.log, outcome.planned, gap)
        verdict = replace(verdict, figures={**verdict.figures, "processes": outcome.processes})
        watcher.judged(Result(scenario, verdict, outcome.log))
        if wishes.engine.ui:
            watcher.page(f"http://127.0.0.1:{wishes.engine.ui_port}")
        if html or wishes.engine.ui:
            running.wait()
    return Result(scenario, verdict, outcome.log, html.name if html and html.exists() else "")


def _locust_page(html: Path | None, name: str) -> Path | None:
    """Return where Locust's own report goes: beside ours."""
    return html.with_name(f"{html.stem}-{name}-locust.html") if html else None
