"""What a run's log means for its scenario: PASS, VIOLATED or INCONCLUSIVE, with the figures behind it.

VIOLATED comes first: what the judge proves holds for a run that is otherwise invalid, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtests import judge
from loadtests.law import SECOND, Limit
from loadtests.log import Record
from loadtests.rehearsal import lawful, rehearse
from loadtests.scenarios import Book, Pressed, Scenario
from loadtests.schedule import Follower, tickets

PASS, VIOLATED, INCONCLUSIVE = "PASS", "VIOLATED", "INCONCLUSIVE"
NOT_PRESSED, GENERATOR_INVALID = "not-pressed", "generator-invalid"
MS = 1_000_000


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
    scenario: str
    verdict: str
    why: str = ""
    reasons: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    groups: tuple[Group, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return asdict(self)


def judged(name: str, scenario: Scenario, book: Book, log: Sequence[Record], planned: int, gap: int = 0) -> Verdict:
    """Return the verdict on a log. `planned` counts the tickets dealt; `gap` is that of `schedule.tickets`."""
    grouped = _grouped(log)
    findings = tuple(_findings(scenario, book, grouped))
    predicted = _predicted(scenario, book.laws, gap)
    groups = tuple(_group(where, records, book.laws, predicted) for where, records in sorted(grouped.items()))
    figures = figures_of(log, planned)
    broken, short = _invalid(book, figures), _not_pressed(scenario, groups, log)
    if findings:
        word, why, reasons = VIOLATED, "", tuple(finding.sentence for finding in findings)
    elif broken:
        word, why, reasons = INCONCLUSIVE, GENERATOR_INVALID, broken
    elif short:
        word, why, reasons = INCONCLUSIVE, NOT_PRESSED, short
    else:
        word, why, reasons = PASS, "", ()
    return Verdict(name, word, why, reasons, findings, groups, figures)


def _grouped(log: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    grouped: dict[tuple[str, str], list[Record]] = {}
    for record in log:
        grouped.setdefault((record.key, record.endpoint), []).append(record)
    return grouped


def _predicted(scenario: Scenario, limits: Mapping[str, Limit], gap: int) -> Counter[tuple[str, str]]:
    plan = tickets(scenario, gap)
    log = rehearse(plan, lawful(limits), follower=Follower(scenario, len(plan), seed=0))
    return Counter((record.key, record.endpoint) for record in log if judge.was_accepted(record))


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
                yield from _dishonest(where, records, limit)
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


def _dishonest(where: tuple[str, str], records: Sequence[Record], limit: Limit) -> Iterator[Finding]:
    bad = [record for record in records if record.refused and not 1 <= record.wait <= limit.longest_wait]
    if bad:
        said = f"Retry-After: {bad[0].retry_after}" if bad[0].retry_after else "no Retry-After"
        honest = "1" if limit.longest_wait == 1 else f"1 to {limit.longest_wait}"
        sentence = f"{where[1]}, key {where[0]}: {len(bad)} answers of 429 with {said}, where {honest} is honest"
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


def _expected(record: Record) -> bool:
    if record.status in {0, 429}:  # counted elsewhere
        return True
    if not record.key:
        return record.status == 401
    return 200 <= record.status < 300


def figures_of(log: Sequence[Record], planned: int) -> dict[str, Any]:
    """Return the figures of a run: counts, rates (requests/s), lateness and latency (milliseconds)."""
    first = [record for record in log if record.attempt == 0]
    statuses = Counter(record.status for record in log)
    unexpected = Counter(record.status for record in log if not _expected(record))
    return {
        "planned": planned,
        "sent": len(log),
        "unsent": planned - len(first),
        "accepted": sum(map(judge.was_accepted, log)),
        "refused": statuses[429],
        "unanswered": statuses[0],
        "unexpected": unexpected.total(),
        "statuses": _by_status(statuses),
        "unexpected_statuses": _by_status(unexpected),
        "retried": sum(record.attempt > 0 and record.endpoint != "pingtree-post" for record in log),
        "seconds": round((max((r.send for r in log), default=0) - min((r.send for r in log), default=0)) / SECOND, 3),
        "offered_rate_error": _rate_error(first),
        "lateness_ms": percentiles([(record.send - record.due) / MS for record in log]),
        "latency_ms": percentiles([(r.receive - r.send) / MS for r in log if not r.unanswered]),
        "why_unanswered": sorted({record.fault for record in log if record.unanswered})[:3],
    }


def _by_status(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(status): count for status, count in sorted(counts.items())}


def _rate_error(records: Sequence[Record]) -> float:
    """Return by how much the sent rate differs from the planned one, as a share of it."""
    if len(records) < 2:
        return 0.0
    due, sent = sorted(record.due for record in records), sorted(record.send for record in records)
    planned, really = due[-1] - due[0], sent[-1] - sent[0]
    return round(abs(planned / really - 1), 5) if planned and really else 0.0


def percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    named = {f"p{share}": ordered[round(last * share / 100)] for share in (50, 95, 99)}
    return {name: round(value, 3) for name, value in (*named.items(), ("max", ordered[-1]))}


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
