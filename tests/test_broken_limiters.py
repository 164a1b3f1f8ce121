"""Every broken limiter is caught by each scenario that claims it; over a simulated network, and a few over HTTP."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from loadtests import scenarios, schedule, verdict
from loadtests.law import SECOND, Limit
from loadtests.rehearsal import Limiter, Reply, lawful, rehearse
from loadtests.scenarios import Scenario
from loadtests.schedule import Ticket

BOOK = scenarios.read()
LIMITS = BOOK.laws
INGEST = LIMITS["ingest"]


@dataclass
class Wrong:
    """A limiter in floating point, with a switch for each thing that people get wrong."""

    rate: float
    capacity: float
    burst: float
    window: str = "sliding"
    uncapped: bool = False
    charges_refused: bool = False
    level: float | None = None
    filled_at: float | None = None
    recent: deque[float] = field(default_factory=deque)
    window_start: float = -1.0
    window_count: int = 0
    second_bucket: float | None = None

    def passes(self, now: float) -> bool:
        self._refill(now)
        assert self.level is not None
        room = self._has_room(now)
        if self.level >= 1 and room:
            self.level -= 1
            self._count(now)
            return True
        if self.charges_refused:
            self.level = max(0.0, self.level - 1)
        return False

    def _refill(self, now: float) -> None:
        gone = 0.0 if self.filled_at is None else now - self.filled_at
        self.level = (self.capacity if self.level is None else self.level) + gone * self.rate
        if not self.uncapped:
            self.level = min(self.capacity, self.level)
        if self.second_bucket is not None or self.window == "bucket":
            before = self.burst if self.second_bucket is None else self.second_bucket
            self.second_bucket = min(self.burst, before + gone * self.burst)
        self.filled_at = now

    def _has_room(self, now: float) -> bool:
        if self.window == "none":
            return True
        if self.window == "bucket":
            assert self.second_bucket is not None
            return self.second_bucket >= 1
        if self.window == "sliding":
            while self.recent and self.recent[0] <= now - 1:
                self.recent.popleft()
            return len(self.recent) < self.burst
        start = float(int(now)) if self.window == "aligned" else self.window_start
        if start != self.window_start or now >= start + 1:
            self.window_start, self.window_count = (start if self.window == "aligned" else now), 0
        return self.window_count < self.burst

    def _count(self, now: float) -> None:
        self.recent.append(now)
        self.window_count += 1
        if self.second_bucket is not None:
            self.second_bucket -= 1


Identity = Callable[[Ticket, Scenario, random.Random], object]


@dataclass(frozen=True)
class Mutant:
    """How a limiter is built from the documented numbers, whose state a request meets, and what a 429 says."""

    build: Callable[[Limit], Wrong]
    identity: Identity = lambda ticket, _scenario, _dice: (ticket.key, ticket.endpoint)
    says: tuple[str, str, str] = ("1", "1", "1")
    limit_of: Callable[[str, Mapping[str, Limit]], Limit] = lambda endpoint, limits: limits[endpoint]
    limits_strangers: bool = False

    def limiter(self, scenario: Scenario, dice: random.Random) -> Limiter:
        states: dict[object, Wrong] = {}
        phase = dice.random()  # where the server's seconds begin

        def answer(ticket: Ticket, now: int) -> Reply:
            if not ticket.key and not self.limits_strangers:
                return Reply(401)
            identity = self.identity(ticket, scenario, dice)
            if identity not in states:
                states[identity] = self.build(self.limit_of(ticket.endpoint, LIMITS))
            if not states[identity].passes(now / SECOND + phase):
                return Reply(429, self.says)
            return Reply(201 if ticket.key else 401)

        return answer


def _with(*, rate: float = 1, capacity: float = 1, burst: float = 1, **switches: object) -> Callable[[Limit], Wrong]:
    return lambda limit: Wrong(
        limit.rate * rate,
        limit.capacity * capacity,
        limit.burst * burst,
        **switches,  # type: ignore[arg-type]
    )


MUTANTS = {
    "unshared between workers": Mutant(
        _with(), identity=lambda ticket, _, dice: (ticket.key, ticket.endpoint, dice.randrange(2))
    ),
    "no ceiling": Mutant(_with(window="none")),
    "ceiling +10 %": Mutant(_with(burst=1.1)),
    "ceiling -10 %": Mutant(_with(burst=0.9)),
    "ceiling as a second bucket": Mutant(_with(window="bucket")),
    "capacity +10 %": Mutant(_with(capacity=1.1)),
    "capacity -10 %": Mutant(_with(capacity=0.9)),
    "capacity too small": Mutant(_with(capacity=0.8)),
    "starts empty": Mutant(lambda limit: Wrong(limit.rate, limit.capacity, limit.burst, level=0.0)),
    "rate +10 %": Mutant(_with(rate=1.1)),
    "rate -10 %": Mutant(_with(rate=0.9)),
    "aligned windows": Mutant(_with(window="aligned")),
    "windows from the first request": Mutant(_with(window="first")),
    "uncapped credit": Mutant(_with(uncapped=True)),
    "no refill": Mutant(_with(rate=0)),
    "refused requests charged": Mutant(_with(charges_refused=True)),
    "key shared": Mutant(_with(), identity=lambda ticket, _scenario, _dice: ticket.endpoint),
    "limited by address": Mutant(
        _with(), identity=lambda ticket, _scenario, _dice: ticket.endpoint, limits_strangers=True
    ),
    "endpoints shared": Mutant(
        _with(), identity=lambda ticket, _scenario, _dice: ticket.key, limit_of=lambda _, limits: limits["ping"]
    ),
    "ping limited like ingest": Mutant(_with(), limit_of=lambda _, limits: limits["ingest"]),
    "charged before authentication": Mutant(
        _with(),
        identity=lambda ticket, scenario, _: (scenario.streams[ticket.stream].supplier, ticket.endpoint),
        limits_strangers=True,
    ),
    "Retry-After 0": Mutant(_with(), says=("0", "0", "0")),
    "Retry-After 30": Mutant(_with(), says=("30", "30", "30")),
    "Retry-After missing": Mutant(_with(), says=("", "", "")),
    "carriers disagree": Mutant(_with(), says=("1", "2", "1")),
    "body without retry_after": Mutant(_with(), says=("1", "1", "")),
}
CLAIMS = [(name, fault) for name, scenario in BOOK.scenario.items() for fault in scenario.catches]
DEMANDED = {
    "unshared between workers", "no ceiling", "ceiling +10 %", "ceiling -10 %", "capacity +10 %", "capacity -10 %",
    "rate +10 %", "rate -10 %", "aligned windows", "uncapped credit", "no refill", "refused requests charged",
    "key shared", "endpoints shared", "Retry-After 0", "Retry-After 30", "Retry-After missing",
    "charged before authentication",
}  # fmt: skip


def network(dice: random.Random, milliseconds: float) -> Callable[[], tuple[int, int]]:
    """Return delays that are mostly about this long each way, and sometimes ten times as long."""

    def delays() -> tuple[int, int]:
        stall = 10 if dice.random() < 0.01 else 1
        there, back = (dice.expovariate(1 / milliseconds) * stall + 0.05 for _ in range(2))
        return int(there * 1e6), int(back * 1e6)

    return delays


def run(name: str, limiter_of: Callable[[Scenario, random.Random], Limiter], seed: int) -> verdict.Verdict:
    scenario, dice = BOOK.scenario[name], random.Random(f"{name} {seed}")
    planned = schedule.tickets(scenario)
    log = rehearse(
        planned,
        limiter_of(scenario, dice),
        connections=scenario.connections,
        delays=network(dice, 3),
        follower=schedule.Follower(scenario, len(planned), seed),
    )
    return verdict.judged(name, scenario, BOOK, log, len(planned))


@pytest.mark.parametrize(("name", "fault"), CLAIMS)
def test_a_scenario_catches_every_broken_limiter_that_it_claims(name: str, fault: str) -> None:
    found = run(name, MUTANTS[fault].limiter, seed=1)
    assert found.verdict == verdict.VIOLATED, (found.reasons, found.groups)


@pytest.mark.parametrize("name", BOOK.scenario)
def test_a_lawful_limiter_passes_every_scenario_pressed_and_valid(name: str) -> None:
    found = run(name, lambda _scenario, _dice: lawful(LIMITS), seed=2)
    assert (found.verdict, found.reasons) == (verdict.PASS, ())


def test_every_broken_limiter_of_the_list_is_claimed_by_some_scenario() -> None:
    claimed = {fault for _, fault in CLAIMS}
    assert claimed >= DEMANDED
    assert claimed == set(MUTANTS)


def test_the_model_without_a_fault_is_not_accused() -> None:
    found = run("drain", Mutant(_with()).limiter, seed=3)
    assert found.verdict == verdict.PASS
    assert replace(found, figures={}).findings == ()
