"""What a mock buyer has bought so far, by day and in total. Prices do not live here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from mock_buyers.personas import Hours, Persona


@dataclass(slots=True)
class Spending:
    """Leads and US dollars. A call of another day empties the day's account."""

    day: date | None = None
    accepts: int = 0
    dollars: Decimal = Decimal(0)
    total: Decimal = Decimal(0)

    def refuses(self, persona: Persona, amount: Decimal, now: datetime) -> str:
        """Return why the buyer cannot buy for this amount, or ""."""
        self._turn_to(now.astimezone(persona.zone).date())
        if persona.max_accepts_per_day is not None and self.accepts >= persona.max_accepts_per_day:
            return "daily cap reached"
        if persona.budget is None:
            return ""
        spent = self.dollars if persona.budget.period == "day" else self.total
        return "budget spent" if spent + amount > persona.budget.amount else ""

    def take(self, amount: Decimal) -> None:
        self.accepts += 1
        self.dollars += amount
        self.total += amount

    def _turn_to(self, day: date) -> None:
        if day != self.day:
            self.day, self.accepts, self.dollars = day, 0, Decimal(0)


def is_open(hours: Hours, timezone: str, now: datetime) -> bool:
    """Whether the buyer buys at this moment; hours past midnight belong to the day on which they opened."""
    local = now.astimezone(ZoneInfo(timezone))
    minute, opens, closes = local.hour * 60 + local.minute, _minutes(hours.opens), _minutes(hours.closes)
    today = local.isoweekday() in hours.weekdays
    if opens < closes:
        return today and opens <= minute < closes
    yesterday = (local - timedelta(days=1)).isoweekday() in hours.weekdays
    return (today and minute >= opens) or (yesterday and minute < closes)


def _minutes(clock: str) -> int:
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)
