"""One run from beginning to end: opens a target, checks that it is the right one, asks, adds up. Prints nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from conformance import baseline, catalogue, golden, matrix, preflight, suite_sandbox, target_file
from conformance.client import Client
from conformance.control import Control, ControlError
from conformance.leads import People
from conformance.own import own_sandbox
from conformance.passive import Validator
from conformance.preflight import UnreachableError
from conformance.results import CaseResult, Kind, RunResult, Verdict
from conformance.runner import Question, run
from conformance.stage import Hall
from conformance.target import Target
from simulator.platforms import CONTRACTS

Done = Callable[[CaseResult], None]


@dataclass(frozen=True, slots=True)
class Session:
    """A target that is open and was found to be the right one. `boot` is the sandbox's nonce, "" for other servers."""

    hall: Hall
    boot: str = ""

    def still_there(self) -> None:
        """Check that the same process answered all along. Raises UnreachableError."""
        if self.boot and self.hall.control is not None and preflight.boot_of(self.hall.control) != self.boot:
            raise UnreachableError(f"{self.hall.target.base_url} was started anew during the run: no verdict holds")


@contextmanager
def own() -> Iterator[Session]:
    """Open a sandbox of the suite's own. Raises StartError, UnreachableError."""
    with own_sandbox() as welcome, at_url(welcome["base_url"], name="own sandbox") as session:
        yield session


@contextmanager
def at_url(url: str, *, control_token: str = "", name: str = "") -> Iterator[Session]:
    """Open a running leadsandbox. Raises UnreachableError."""
    with closing(Control(url.rstrip("/"), control_token)) as control:
        boot = preflight.boot_of(control)
        try:
            control.welcome()
            with suite_sandbox.opened(control, name or url) as target, _hall(target, control) as hall:
                preflight.check(target, hall.client)
                yield Session(hall, boot)
        except ControlError as error:
            raise UnreachableError(str(error)) from error


@contextmanager
def from_file(path: Path, environment: Mapping[str, str]) -> Iterator[Session]:
    """Open the server that a target file describes. Raises TargetFileError, UnreachableError, OSError."""
    with _hall(target_file.load(path, environment), None) as hall:
        preflight.check(hall.target, hall.client)
        yield Session(hall)


@contextmanager
def _hall(target: Target, control: Control | None) -> Iterator[Hall]:
    with closing(Client(target.base_url, target.budget, target.secrets)) as client:
        yield Hall(target, client, Validator(), People(), control)


def questions(only: Iterable[str] = ()) -> tuple[Question, ...]:
    """Return the cases and journeys whose id, or a claimed row's id, begins with one of `only`; all without."""
    wanted = tuple(only)
    every: tuple[Question, ...] = (*catalogue.cases(), *catalogue.journeys())
    return tuple(item for item in every if not wanted or _is_meant(item, wanted))


def _is_meant(question: Question, wanted: tuple[str, ...]) -> bool:
    return any(name.startswith(wanted) for name in (question.id, *question.verifies))


def conduct(
    session: Session,
    asked: tuple[Question, ...],
    now: datetime,
    expected: tuple[baseline.Expected, ...] = (),
    done: Done = lambda _: None,
) -> RunResult:
    """Ask the questions and add up. `now` is when the run begins, UTC. Raises UnreachableError."""
    started = time.monotonic()
    found = [*_listed(done), *run(session.hall, asked, done)]
    session.still_there()
    results, stale = baseline.applied(found, expected, _day(now))
    target = session.hall.target
    rows = matrix.rows_of(target, asked, results)
    code = matrix.exit_code(results, stale)
    every = len(catalogue.cases()) + len(catalogue.journeys())
    return RunResult(
        target=target.redacted(),
        started=now.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 2),
        results=results,
        rows=rows,
        exit_code=code,
        complete=len(asked) == every,
        requests=session.hall.client.sent,
        stale=stale,
    )


def _day(now: datetime) -> date:
    return now.date()


def _listed(done: Done) -> list[CaseResult]:
    """Hold contract, golden list and cases against each other; a result only when they differ."""
    differences = (*golden.differences(CONTRACTS), *catalogue.gaps(CONTRACTS, catalogue.cases()))
    if not differences:
        return []
    result = CaseResult(
        id="GOLDEN",
        title="Contract, golden list and cases agree",
        platform="",
        kind=Kind.PASSIVE,
        verifies=("GOLDEN",),
        verdict=Verdict.ERROR,
        detail="; ".join(differences[:5]),
    )
    done(result)
    return [result]
