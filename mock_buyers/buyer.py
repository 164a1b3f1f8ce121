"""How one mock buyer decides: its persona, its dice, its memory. No HTTP and no clock live here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from random import Random
from typing import Any, Final, NamedTuple

from mock_buyers import answers
from mock_buyers.answers import Answer
from mock_buyers.journal import Journal
from mock_buyers.latency import seconds
from mock_buyers.memory import Memory
from mock_buyers.personas import Persona
from mock_buyers.pricing import quote
from mock_buyers.spending import Spending, is_open
from simulator.platforms.leaddistro.signing import (
    EVENT_ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    timestamped,
    verify,
)
from simulator.platforms.pingtree.buyer_wire import PII_FIELDS, looks_like_pii

REMEMBERED: Final = 30_000
"""Ping ids and event ids that a buyer remembers at least; the oldest go first."""


class Call(NamedTuple):
    """What reached the buyer. `values` is None when the body could not be read, and `fault` says why."""

    kind: str
    values: dict[str, Any] | None
    raw: bytes
    headers: Mapping[str, str]
    now: datetime
    fault: str = ""


class Rolls(NamedTuple):
    """The throws of one call, drawn always and in one order, so that a switch never shifts the others."""

    silence: float
    error: float
    garbage: float
    post_reject: float
    pick: float


NO_ROLLS: Final = Rolls(1.0, 1.0, 1.0, 1.0, 0.0)
"""For a persona that leaves nothing to chance; below no rate. Seeding dice is a third of what a decision costs else."""

_NO_DICE: Final = Random(0)  # noqa: S311  such a persona never throws them  # nosec B311


@dataclass(slots=True)
class MockBuyer:
    """One buyer of one tenant. `document` is the persona document as it was put."""

    id: str
    document: dict[str, Any]
    persona: Persona
    journal: Journal = field(default_factory=Journal)
    spending: Spending = field(default_factory=Spending)
    offers: Memory[Decimal | None] = field(default_factory=lambda: Memory(REMEMBERED))  # the bid, None once posted
    events: Memory[None] = field(default_factory=lambda: Memory(REMEMBERED))
    issued: int = 0
    throws: int = 0

    def become(self, document: dict[str, Any], persona: Persona) -> None:
        """Take another character at once; what was bought, promised and received stays."""
        self.document, self.persona = document, persona

    def reset(self) -> None:
        """Forget everything but the character; the dice start again."""
        self.journal.empty()
        self.offers.clear()
        self.events.clear()
        self.spending = Spending()
        self.issued = self.throws = 0

    def answer(self, call: Call) -> Answer:
        """Decide about one call and remember what follows from it."""
        self.throws += 1
        rolls, dice = NO_ROLLS, _NO_DICE
        if not self.persona.is_certain:
            dice = Random(self._throw)  # noqa: S311  it must repeat, nothing hangs on it being hard to guess  # nosec B311
            rolls = Rolls(dice.random(), dice.random(), dice.random(), dice.random(), dice.random())
        latency = self.persona.latency
        if call.kind == "webhook" and self.persona.webhook_latency is not None:
            latency = self.persona.webhook_latency
        delay, signature = seconds(latency, dice), self._signature(call)
        reply = self._personal(call) or self._failure(call, rolls) or self._genuine(call, signature, rolls, dice)
        is_test = call.values is not None and call.values.get("is_test") is True
        if delay or is_test or signature != "unchecked":
            return reply._replace(delay=delay, signature=signature, is_test=is_test)
        return reply

    @property
    def _throw(self) -> str:
        """What the chances of this call follow from, and nothing else."""
        return f"{self.id if self.persona.seed is None else self.persona.seed}/{self.throws}"

    def _personal(self, call: Call) -> Answer | None:
        """Refuse personal data in a ping, whatever the character: the platform must not have sent it."""
        if call.kind != "ping" or call.values is None:
            return None
        ours = self.persona.our_names
        found = [
            name
            for name, value in call.values.items()
            if value not in (None, "") and (ours.get(name, name).lower() in PII_FIELDS or looks_like_pii(value))
        ]
        if not found:
            return None
        found.sort()
        detail = f"A ping must not carry personal data: {', '.join(found)}"
        return answers.problem(422, "Personal data in a ping", detail, outcome="personal_data", fields=found)

    def _failure(self, call: Call, rolls: Rolls) -> Answer | None:
        persona = self.persona
        if persona.mode == "stall" or rolls.silence < persona.silence_rate:
            return answers.STALL
        if persona.mode == "break":
            return answers.BROKEN
        if persona.mode == "refuse":
            return self._refused(call, "this buyer was switched to refuse")
        if rolls.error < persona.error_rate:
            return answers.ERRORS[_chosen(persona.errors, rolls.pick)]
        if rolls.garbage < persona.garbage_rate:
            return answers.GARBAGE[_chosen(persona.garbage, rolls.pick)]
        return None

    def _refused(self, call: Call, why: str) -> Answer:
        if call.kind == "webhook":
            return answers.webhook_refused(422, why)
        return answers.refused(why, self.persona.answer_keys)

    def _genuine(self, call: Call, signature: str, rolls: Rolls, dice: Random) -> Answer:
        if call.kind == "webhook":
            return self._webhook(call, signature)
        if call.values is None:
            return answers.problem(400, "Unreadable request", call.fault)
        ours = self.persona.our_names
        values = {ours.get(name, name): value for name, value in call.values.items()} if ours else call.values
        if call.kind == "ping":
            return self._ping(values, call.now, dice)
        return self._post(values, call.now, rolls, dice)

    def _ping(self, values: Mapping[str, Any], now: datetime, dice: Random) -> Answer:
        keys = self.persona.answer_keys
        amount = quote(self.persona.price, values, dice)
        why = self._unwilling(values, self.persona.required_fields, now)
        if not why and amount is None:
            why = "no price for this lead"
        if why or amount is None:
            return answers.refused(why, keys)
        if why := self.spending.refuses(self.persona, amount, now):
            return answers.refused(why, keys)
        ping_id = self._issue(amount)
        return answers.accepted({"ping_id": ping_id, "bid": f"{amount:.2f}", "tcpa": self.persona.tcpa}, keys)

    def _post(self, values: Mapping[str, Any], now: datetime, rolls: Rolls, dice: Random) -> Answer:
        persona = self.persona
        amount = self._promised(values, dice)
        if isinstance(amount, str):
            return answers.refused(amount, persona.answer_keys)
        wanted = (*persona.required_fields, *persona.required_post_fields)
        why = self._unwilling(values, wanted, now) or self.spending.refuses(persona, amount, now)
        if not why and rolls.post_reject < persona.post_reject_rate:
            why = persona.post_reject_reason
        if why:
            return answers.refused(why, persona.answer_keys)
        self.spending.take(amount)
        return answers.accepted({"url": persona.redirect_url}, persona.answer_keys)

    def _promised(self, values: Mapping[str, Any], dice: Random) -> Decimal | str:
        """Return what the ping of this post promised, or why there is no promise; an offer is used up."""
        ping_id = str(values.get("ping_id", ""))
        if ping_id not in self.offers:
            if not self.persona.bypass_ping:
                return "unknown ping_id"
            amount = quote(self.persona.price, values, dice)
            return "no price for this lead" if amount is None else amount
        offer = self.offers[ping_id]
        if offer is None:
            return "ping_id was posted before"
        self.offers[ping_id] = None
        return offer

    def _issue(self, amount: Decimal) -> str:
        self.issued += 1
        ping_id = f"bp_{self.issued}_{blake2b(self._throw.encode(), digest_size=6).hexdigest()}"
        self.offers.add(ping_id, amount)
        return ping_id

    def _unwilling(self, values: Mapping[str, Any], wanted: tuple[str, ...], now: datetime) -> str:
        persona = self.persona
        missing = [name for name in wanted if values.get(name) in (None, "")]
        if missing:
            return f"missing {', '.join(missing)}"
        if persona.states and str(values.get("state", "")).strip().upper() not in persona.states:
            return "state not bought"
        if persona.zip_codes and not str(values.get("zip_code", "")).strip().startswith(persona.zip_codes):
            return "ZIP code not bought"
        if persona.hours is not None and not is_open(persona.hours, persona.timezone, now):
            return "closed at this hour"
        return ""

    def _webhook(self, call: Call, signature: str) -> Answer:
        if signature not in ("good", "unchecked"):
            return answers.invalid_signature(f"the signature is {signature}")
        if call.values is None:
            return answers.problem(400, "Unreadable request", call.fault)
        event = call.headers.get(EVENT_ID_HEADER, "")[:200]
        if event in self.events:
            return answers.received()._replace(duplicate=True)
        status = self.persona.webhook_status
        if not 200 <= status <= 299:
            return answers.webhook_refused(status, "this buyer answers webhooks so")
        if event:
            self.events.add(event, None)
        return answers.received()._replace(status=status)

    def _signature(self, call: Call) -> str:
        if call.kind != "webhook" or not self.persona.secret:
            return "unchecked"
        given = call.headers.get(SIGNATURE_HEADER, "")
        stamp = call.headers.get(TIMESTAMP_HEADER)
        if not given:
            return "missing"
        if stamp is None:
            return "good" if verify(self.persona.secret, call.raw, given) else "bad"
        if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 13):
            return "bad"
        if not verify(self.persona.secret, timestamped(int(stamp), call.raw), given):
            return "bad"
        late = abs(call.now.timestamp() - int(stamp))
        return "stale" if self.persona.replay_seconds and late > self.persona.replay_seconds else "good"


def _chosen(names: tuple[str, ...], throw: float) -> str:
    return names[int(throw * len(names))]
