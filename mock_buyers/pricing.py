"""What a mock buyer pays for a lead: fixed, by table, by curve, with jitter. Budgets do not live here."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, DecimalException
from itertools import pairwise
from random import Random
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
_CENT = Decimal("0.01")


class _Price(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    jitter: float = Field(
        default=0.0, ge=0, le=1, description="Share by which a bid may stray, up or down; 0.1 is 10 %."
    )


class FixedPrice(_Price):
    """The same for every lead."""

    kind: Literal["fixed"] = "fixed"
    amount: Dollars = Field(description="US dollars.")


class TablePrice(_Price):
    """By the lead's state or ZIP code."""

    kind: Literal["table"] = "table"
    by: Literal["state", "zip_code"] = Field(default="state", description="Which field the table is for.")
    amounts: dict[str, Dollars] = Field(description="US dollars for each value of the field.")
    default: Dollars | None = Field(default=None, description="For every other value; without it, no bid.")


class CurvePrice(_Price):
    """By a number in the lead: straight lines between the points, level beyond the first and the last."""

    kind: Literal["curve"] = "curve"
    field: str = Field(description="The lead's field that holds the number.")
    points: tuple[tuple[Decimal, Dollars], ...] = Field(
        min_length=1, max_length=100, description="Pairs of number and US dollars, numbers rising."
    )
    default: Dollars | None = Field(default=None, description="When the number is missing; without it, no bid.")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(left[0] >= right[0] for left, right in pairwise(self.points)):
            raise ValueError("the numbers of a curve's points must rise")
        return self


Price = Annotated[FixedPrice | TablePrice | CurvePrice, Field(discriminator="kind")]


def quote(price: FixedPrice | TablePrice | CurvePrice, values: Mapping[str, Any], dice: Random) -> Decimal | None:
    """Return what the buyer bids in dollars and cents, or None when it has no price for this lead."""
    listed = _listed(price, values)
    if listed is None:
        return None
    if price.jitter:
        listed *= Decimal(str(round(1 + dice.uniform(-price.jitter, price.jitter), 6)))
    amount = listed.quantize(_CENT, rounding=ROUND_HALF_EVEN)
    return amount if amount > 0 else None


def _listed(price: FixedPrice | TablePrice | CurvePrice, values: Mapping[str, Any]) -> Decimal | None:
    if isinstance(price, FixedPrice):
        return price.amount
    if isinstance(price, TablePrice):
        return price.amounts.get(str(values.get(price.by, "")).strip().upper(), price.default)
    at = _number(values.get(price.field))
    return price.default if at is None else _on_curve(price.points, at)


def _on_curve(points: tuple[tuple[Decimal, Decimal], ...], at: Decimal) -> Decimal:
    if at <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return points[-1][1]


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 40:
        return None
    try:
        number = Decimal(str(value))
    except DecimalException:
        return None
    return number if number.is_finite() else None
