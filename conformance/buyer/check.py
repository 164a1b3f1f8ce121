"""What a check of a buyer is, and what it has to work with. The checks: `receivers.py`, `bidders.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conformance.client import Answer, Client, Request
from conformance.leads import People
from conformance.results import Exchange, Verdict, Why

FAST_MS = 500.0
"""What the vendor's blog calls fast, from end to end (/blog/lead-distribution-webhook); no contract."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What a check says. `expected` and `actual` are set unless all is well; `shown` is the exchange that shows it."""

    verdict: Verdict
    expected: str = ""
    actual: str = ""
    why: Why | None = None
    shown: Exchange | None = None


GOOD = Grade(Verdict.PASS)


@dataclass
class Examination:
    """One buyer under examination. `urls` are the addresses by kind; `secret` signs webhooks, "" when unknown.

    `timestamped`: the receiver expects the blog's model, with a signed timestamp (conflict C8). `takes_good`: what
    the receiver said to a webhook that nothing is wrong with; one that refuses all proves nothing by refusing.
    """

    client: Client
    platform: str
    urls: Mapping[str, str]
    secret: str = ""
    timestamped: bool = False
    people: People = field(default_factory=People)
    exchanges: list[Exchange] = field(default_factory=list)
    check_id: str = ""
    takes_good: bool = True

    def send(self, kind: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request to an address. Raises NoAnswerError."""
        path = self.urls[kind].removeprefix(self.client.base_url)
        answer = self.client.send(Request(self.platform, kind, "POST", path, headers, body), self.check_id)
        self.exchanges.append(answer.exchange)
        return answer


Run = Callable[[Examination], Grade]


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `duty` is the id of the duty that it grades, "" for what the vendor's routing page describes.

    `rule` says what is documented and `source` where; without them both are the duty's. A check that must be `signed`
    needs the secret; one that is `stamped` makes sense for receivers with timestamps alone.
    """

    id: str
    title: str
    run: Run
    duty: str = ""
    rule: str = ""
    source: tuple[str, ...] = ()
    signed: bool = False
    stamped: bool = False


def must(holds: bool, expected: str, actual: Answer | str, verdict: Verdict = Verdict.FAIL) -> Grade:
    """Grade one fact. `actual` is an answer, or words."""
    if holds:
        return GOOD
    if isinstance(actual, str):
        return Grade(verdict, expected, actual)
    return Grade(verdict, expected, said(actual), shown=actual.exchange)


def worst(*grades: Grade) -> Grade:
    """Return the gravest of several grades, the first of those that are alike."""
    order = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.WARN, Verdict.PASS)
    return min(grades, key=lambda grade: order.index(grade.verdict))


def taken(answer: Answer) -> bool:
    """Whether an answer says that what was sent was taken."""
    return 200 <= answer.status <= 299


def unreadable(answer: Answer, why: str, expected: str, verdict: Verdict = Verdict.FAIL) -> Grade:
    """Grade an answer that could not be read, and say why."""
    return Grade(verdict, expected, f"{why} ({said(answer)})", shown=answer.exchange)


def said(answer: Answer) -> str:
    """Return an answer in a few words."""
    body = answer.exchange.response_body
    return f"HTTP {answer.status}" + (f" {body[:200]}" if body else "")
