"""What a page says after an action worked, in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simulator.web.dashboard.wording import day_and_time, plural

Answer = Mapping[str, Any]
Typed = Mapping[str, str]


def _clock(answer: Answer, _typed: Typed) -> str:
    fired = answer.get("webhooks", {})
    hooks = [f"{number} {name.replace('_', ' ')}" for name, number in fired.items() if number]
    on_the_way = f" Webhooks on the way: {', '.join(hooks)}." if hooks else ""
    return (
        f"The clock shows {day_and_time(answer['now'])}{' and stands still' if answer['frozen'] else ''}.{on_the_way}"
    )


def _regenerated(answer: Answer, typed: Typed) -> str:
    kind = answer["kind"].replace("_", " ")
    if typed.get("kind") == "webhook_secret":
        return f"{answer['owner']} has a new webhook secret: what is sent from now on is signed with it."
    return f"{answer['owner']} has a new {kind} credential. The one before is refused from now on."


def _armed(answer: Answer, _typed: Typed) -> str:
    scope = [answer[name] for name in ("platform", "operation", "source") if answer.get(name)]
    return f"{answer['id']} is armed: {answer['trigger']} for {' '.join(scope) or 'every request'}."


def _reset(answer: Answer, _typed: Typed) -> str:
    emptied = ", ".join(f"{name} ({number})" for name, number in answer["emptied"].items() if number)
    return f"Emptied: {emptied or 'nothing was there'}. Kept: {', '.join(answer['kept'])}."


def _switched(answer: Answer, _typed: Typed) -> str:
    modes = {"refuse": "refuses everything", "stall": "never answers", "break": "answers HTTP 500"}
    return f"{answer['buyer']} {modes.get(answer['mode'], 'behaves as its persona says')} from now on."


TOLD: Mapping[str, Callable[[Answer, Typed], str]] = {
    "regenerate": _regenerated,
    **dict.fromkeys(("advance", "set", "freeze", "unfreeze", "follow"), _clock),
    "arm": _armed,
    "disarm": lambda _, typed: f"{typed.get('id', 'It')} is disarmed.",
    "disarm-all": lambda answer, _: f"{plural(answer['disarmed'], 'fault is', 'faults are')} disarmed.",
    "create-tenant": lambda answer, _: f"The tenant {answer['tenant']} is there, with ids and tokens of its own.",
    "delete-tenant": lambda answer, _: f"The tenant {answer['deleted']} and everything of it are gone.",
    "reset": _reset,
    "snapshot": lambda answer, _: f"The state is kept as {answer['snapshot']}.",
    "restore": lambda answer, _: f"The state, clock and dice are those of {answer['restored']}.",
    "forget-snapshot": lambda answer, _: f"The snapshot {answer['deleted']} is forgotten.",
    "switch": _switched,
    "replay": lambda answer, _: f"Delivery {answer['replayed']} is sent again.",
}
