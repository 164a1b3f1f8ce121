"""What the journeys share: short words for the steps of a story. No story here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from conformance.case import Expect, Step
from conformance.client import Answer
from conformance.results import Verdict
from conformance.stage import Stage, StopError
from conformance.suite_sandbox import world_of

PINGTREE = "pingtree"
LEADDISTRO = "leaddistro"
AT_ONCE = 6


def tell(stage: Stage, operation: str, row: str, http: int, **more: Any) -> Answer:
    """Send one request and expect one row. `more` is a step's (account, lead, patch, …) or the expectation's."""
    named = {name: more.pop(name) for name in ("body", "bind", "present", "absent", "require") if name in more}
    answer = stage.play(Step(operation=operation, expect=Expect(row=row, http=http, **named), **more))
    if answer is None:
        raise StopError(Verdict.ERROR, "a step without an operation has no answer")
    return answer


def ping(stage: Stage, name: str = "txn", **more: Any) -> Answer:
    """Ping at Pingtree; the transaction id is bound under `name`."""
    return tell(stage, "ping", "PT-PING-201-ACCEPT", 201, bind={name: "/data/transaction_id"}, **more)


def post(stage: Stage, row: str, http: int, name: str = "txn", **more: Any) -> Answer:
    """Post at Pingtree what was pinged under `name`."""
    return tell(stage, "post", row, http, patch={"transaction_id": f"${{{name}}}"}, **more)


def ping_id(stage: Stage, row: str = "LD-PING-200-ACCEPTED", **more: Any) -> Answer:
    """Ping at Lead Distro; the token is bound as `token`."""
    return tell(stage, "ping", row, 200, bind={"token": "/ping_id"}, **more)


def all_at_once(stage: Stage, step: Step, people: bool = False) -> list[Answer]:
    """Send a step from several threads; with `people` each sends another person."""
    steps = [Step(**{**_fields(step), "lead": f"{step.lead}_{n}" if people else step.lead}) for n in range(AT_ONCE)]
    for item in steps:  # made up before the threads start, or each might make up a person of its own
        stage.composer.filled(f"${{{item.lead}.email}}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(stage.send, steps))


def _fields(step: Step) -> Mapping[str, Any]:
    return {name: getattr(step, name) for name in Step.__dataclass_fields__}


def kept_rows(answers: list[Answer]) -> list[str]:
    """Return the rows of answers, sorted; "" for an answer that keeps none."""
    return sorted(answer.exchange.rows[0] if answer.exchange.rows else "" for answer in answers)


@contextmanager
def own_world(stage: Stage, world: str, sandbox: dict[str, Any]) -> Iterator[Stage]:
    """Give a stage in a tenant of its own, made of a changed sandbox file under a world's readings."""
    welcome = stage.control.create_tenant(sandbox)
    try:
        own = Stage(stage.hall, world_of(world, welcome), stage.platform, stage.case_id, stage.claims, stage.exchanges)
        yield own
    finally:
        stage.control.delete_tenant(welcome["tenant"])
