"""What a run's log means for its scenario: PASS, VIOLATED or INCONCLUSIVE, with the figures behind it.

VIOLATED comes first: what the judge proves holds for a run that is otherwise invalid, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtests import judge
from loadtests.figures import MS, figures_of
from loadtests.law import HONEST_WAIT, SECOND, Limit
from loadtests.log import Record
from loadtests.rehearsal import always, lawful, rehearse
from loadtests.scenarios import Book, Pressed, Scenario
from loadtests.schedule import Follower, Ticket, tickets

PASS, VIOLATED, INCONCLUSIVE = "PASS", "VIOLATED", "INCONCLUSIVE"
NOT_PRESSED, GENERATOR_INVALID = "not-pressed", "generator-invalid"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a log does not say of its run. `gap` is that of `schedule.tickets`, `seed` that of its plan.

    `takes` tells of a Pingtree ping whether somebody bids for it. `clock_error` is nanoseconds on either side, `cpu`
    the seconds of it that the generator used, and `lost` why there is no log.
    """

    gap: int = 0
    seed: int = 0
    takes: Callable[[Ticket], bool] = always
    processes: int = 1
    clock_error: int = 0
    cpu: float = 0.0
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One proof. `kind` is a word of docs/load-testing.md; `at` is seconds after the start; `times` how often."""

    kind: str
    key: str
    endpoint: str
    at: float
    times: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Group:
    """One key at one endpoint. The gaps are requests short of the bound (negative: past it), None without a limit."""

    key: str
    endpoint: str
    sent: int
    accepted: int
    refused: int
    predicted: int
    bucket_gap: float | None
    ceiling_gap: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run showed. `again` says of an inconclusive one whether another attempt may show more."""

    scenario: str
    verdict: str
    why: str = ""
    reasons: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    groups: tuple[Group, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False

    def document(self) -> dict[str, Any]:
        return asdict(self)


def judged(
    name: str, scenario: Scenario, book: Book, log: Sequence[Record], planned: int, around: Circumstances | None = None
) -> Verdict:
    """Return the verdict on a log. `planned` counts the tickets dealt."""
    around = around or Circumstances()
    figures = {**figures_of(log, planned), **_circumstances(around, len(log))}
    if around.lost:
        return Verdict(name, INCONCLUSIVE, GENERATOR_INVALID, (around.lost,), figures=figures, again=True)
    grouped = _grouped(log)
    ideal = _ideal(scenario, book.laws, around)
    groups = _groups(log, ideal, book.laws)
    findings = tuple(_findings(scenario, book, grouped))
    broken, short = _invalid(book, figures), _not_pressed(scenario, groups, log)
    if findings:
        reasons = tuple(finding.sentence for finding in findings)
        return Verdict(name, VIOLATED, "", reasons, findings, groups, figures)
    if broken:
        again = figures["unexpected"] <= book.valid.unexpected
        return Verdict(name, INCONCLUSIVE, GENERATOR_INVALID, broken, (), groups, figures, again)
    if short:
        # A plan that is too gentle is so every time.
        again = not _not_pressed(scenario, _groups(ideal, ideal, book.laws), ideal)
        return Verdict(name, INCONCLUSIVE, NOT_PRESSED, short, (), groups, figures, again)
    return Verdict(name, PASS, groups=groups, figures=figures)


def _circumstances(around: Circumstances, sent: int) -> dict[str, Any]:
    return {
        "processes": around.processes,
        "clock_error_ms": round(around.clock_error / MS, 3),
        "cpu_us_per_request": round(around.cpu * 1e6 / sent, 1) if sent else 0.0,
        "lost": around.lost,
    }


def _grouped(log: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    grouped: dict[tuple[str, str], list[Record]] = {}
    for record in log:
        grouped.setdefault((record.key, record.endpoint), []).append(record)
    return grouped


def _ideal(scenario: Scenario, limits: Mapping[str, Limit], around: Circumstances) -> list[Record]:
    """Return the log of the same plan on a perfect network, against a server that keeps the law."""
    plan = tickets(scenario, around.gap)
    return rehearse(plan, lawful(limits), follower=Follower(scenario, len(plan), around.seed), takes=around.takes)


def _groups(log: Sequence[Record], ideal: Sequence[Record], limits: Mapping[str, Limit]) -> tuple[Group, ...]:
    predicted = Counter((record.key, record.endpoint) for record in ideal if judge.was_accepted(record))
    return tuple(_group(where, records, limits, predicted) for where, records in sorted(_grouped(log).items()))


def _group(
    where: tuple[str, str], records: Sequence[Record], limits: Mapping[str, Limit], predicted: Counter[tuple[str, str]]
) -> Group:
    limit = limits.get(where[1])
    bucket = judge.tightest_bucket(records, limit) if limit else None
    ceiling = judge.tightest_ceiling(records, limit) if limit else None
    return Group(
        *where,
        sent=len(records),
        accepted=sum(map(judge.was_accepted, records)),
        refused=sum(record.refused for record in records),
        predicted=predicted[where],
        bucket_gap=bucket.gap if bucket else None,
        ceiling_gap=ceiling.gap if ceiling else None,
    )


def _findings(scenario: Scenario, book: Book, grouped: Mapping[tuple[str, str], Sequence[Record]]) -> Iterator[Finding]:
    for where, records in sorted(grouped.items()):
        limit = book.laws.get(where[1])
        if limit is None or not where[0]:
            yield from _never_limited(where, records)
        else:
            yield from _unlawful(where, records, limit)
            if "retry-after" in scenario.checks:
                yield from _dishonest(where, records)
        if "carriers" in scenario.checks:
            yield from _disagreeing(where, records)


def _never_limited(where: tuple[str, str], records: Sequence[Record]) -> Iterator[Finding]:
    refused = [record for record in records if record.refused]
    if refused:
        whose = "where no limit is documented" if where[0] else "to a caller without a key, who should get 401"
        yield _finding("too strict", where, refused, f"{len(refused)} answers of 429 at {where[1]} {whose}")


def _unlawful(where: tuple[str, str], records: Sequence[Record], limit: Limit) -> Iterator[Finding]:
    name = f"{where[1]}, key {where[0]}"
    for kind, window in (
        ("too lenient (bucket)", judge.tightest_bucket(records, limit)),
        ("too lenient (ceiling)", judge.tightest_ceiling(records, limit)),
    ):
        if window and window.broken:
            start, length = window.start / SECOND, (window.end - window.start) / SECOND
            said = f"{window.accepted} accepted within {length:.3f} s, where {window.allowed} may be"
            yield Finding(kind, *where, round(start, 3), 1, f"{name}: {said} (from {start:.3f} s)")
    wrongful = judge.wrongful_refusals(records, limit)
    if wrongful:
        first = wrongful[0]
        left = f"at least {first.tokens:.1f} tokens and {first.slots} slots of the second were left"
        said = f"{len(wrongful)} answers of 429 without cause; at the first, {left}"
        yield _finding("too strict", where, [item.record for item in wrongful], f"{name}: {said}")


def _dishonest(where: tuple[str, str], records: Sequence[Record]) -> Iterator[Finding]:
    bad = [record for record in records if record.refused and record.wait != HONEST_WAIT]
    if bad:
        said = f"Retry-After: {bad[0].retry_after}" if bad[0].retry_after else "no Retry-After"
        sentence = f"{where[1]}, key {where[0]}: {len(bad)} answers of 429 with {said}, where {HONEST_WAIT} is honest"
        yield _finding("dishonest Retry-After", where, bad, sentence)


def _disagreeing(where: tuple[str, str], records: Sequence[Record]) -> Iterator[Finding]:
    for record in records:
        carried = (record.retry_after, record.retry_after_header, record.retry_after_body)
        if record.refused and (record.fault or len(set(carried)) > 1 or not carried[0]):
            named = f"Retry-After {carried[0]!r}, retry_after {carried[1]!r}, body {carried[2]!r}"
            why = f"a 429 carries {named}" + (f"; {record.fault}" if record.fault else "")
            yield _finding("undocumented 429", where, [record], f"{where[1]}, key {where[0]}: {why}")
            return


def _finding(kind: str, where: tuple[str, str], records: Sequence[Record], sentence: str) -> Finding:
    return Finding(kind, *where, round(records[0].send / SECOND, 3), len(records), sentence)


def _invalid(book: Book, figures: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why the generator was not good enough for the run to say anything."""
    reasons = []
    lateness = figures["lateness_ms"].get("p99", 0.0)
    if not figures["sent"]:
        reasons.append("nothing was sent")
    if lateness >= book.valid.lateness_p99_ms:
        most = book.valid.lateness_p99_ms
        reasons.append(
            f"requests left late: p99 {lateness:.0f} ms, allowed {most:g} ms; use more connections or processes"
        )
    if figures["clock_error_ms"] >= book.valid.clock_error_ms:
        known, most = figures["clock_error_ms"], book.valid.clock_error_ms
        reasons.append(f"the workers' clocks are known to {known:.1f} ms only, allowed {most:g} ms")
    for name, what in (
        ("unanswered", "requests got no answer"),
        ("unexpected", "answers were neither the endpoint's own nor a 429"),
        ("unsent", "tickets were never sent"),
    ):
        if figures[name] > getattr(book.valid, name):
            reasons.append(f"{figures[name]} {what} ({_detail(name, figures)})")
    return tuple(reasons)


def _detail(name: str, figures: Mapping[str, Any]) -> str:
    if name == "unanswered":
        return "; ".join(figures["why_unanswered"])
    if name == "unexpected":
        return ", ".join(f"{count} of status {status}" for status, count in figures["unexpected_statuses"].items())
    return str(figures["statuses"])


def _not_pressed(scenario: Scenario, groups: Sequence[Group], log: Sequence[Record]) -> tuple[str, ...]:
    found = {(group.key, group.endpoint): group for group in groups}
    reasons: list[str] = []
    for stream in scenario.streams:
        group = found.get((stream.key, stream.endpoint))
        if stream.pressed != Pressed():
            reasons += _short(stream.pressed, group, log) if group else [f"nothing was sent to {stream.endpoint}"]
    return tuple(dict.fromkeys(reasons))


def _short(wanted: Pressed, group: Group, log: Sequence[Record]) -> Iterator[str]:
    name = f"{group.endpoint}, key {group.key}"
    for what, gap, most in (
        ("bucket", group.bucket_gap, wanted.bucket),
        ("ceiling", group.ceiling_gap, wanted.ceiling),
    ):
        if most is not None and (gap is None or gap > most):
            seen = "no request accepted" if gap is None else f"{gap:.1f} requests short of the {what}"
            yield f"{name}: {seen}, where {most} at most show anything"
    retried = sum(r.attempt > 0 and (r.key, r.endpoint) == (group.key, group.endpoint) for r in log)
    for what, count, least in (("refused", group.refused, wanted.refused), ("retried", retried, wanted.retried)):
        if least is not None and count < least:
            yield f"{name}: {count} requests {what}, where {least} are needed"
