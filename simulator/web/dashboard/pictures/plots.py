"""Charts as geometry: rectangles and lines in a box of WIDTH by HEIGHT, with the words around them and the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

WIDTH = 1000
HEIGHT = 200
_GAP = 0.18  # of a bar's place

Words = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Rect:
    """One bar; `kind` is its style class, `says` what a pointer over it reads."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    says: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    points: str
    kind: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A level across the chart, with its label."""

    y: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One chart. `ticks` stand along the bottom, `head` and `rows` are the same numbers as a table."""

    top: str
    ticks: tuple[str, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    rects: tuple[Rect, ...] = ()
    lines: tuple[Line, ...] = ()
    marks: tuple[Mark, ...] = ()
    legend: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn of one kind: a number for each place along the bottom."""

    label: str
    kind: str
    values: Sequence[float]


def bars(
    places: Sequence[str],
    series: Sequence[Series],
    words: Words,
    levels: Sequence[tuple[float, str, str]] = (),
    ticks: Sequence[str] = (),
    least: float = 1.0,
) -> Plot:
    """Return stacked bars. `levels` are marks: value, kind, label; no bar is lower than `least`."""
    totals = [sum(values) for values in zip(*(item.values for item in series), strict=True)]
    top = max([*totals, *(value for value, _, _ in levels)], default=0.0) or 1.0
    step = WIDTH / max(1, len(places))
    rects: list[Rect] = []
    for place, name in enumerate(places):
        base = 0.0
        for item in series:
            value = item.values[place]
            if value > 0:
                y, height = _y(base + value, top), max(least, HEIGHT * value / top)
                says = f"{name}: {words(value)} {item.label}"
                rects.append(_bar(step * place, step, min(y, HEIGHT - height), height, item.kind, says))
            base += max(0.0, value)
    return Plot(
        top=words(top),
        ticks=tuple(ticks) or _ends(places),
        head=("", *(item.label for item in series)),
        rows=_table(places, series, words),
        rects=tuple(rects),
        marks=tuple(Mark(_y(value, top), kind, label) for value, kind, label in levels),
        legend=tuple((item.kind, item.label) for item in series) if len(series) > 1 else (),
    )


def _bar(x: float, step: float, y: float, height: float, kind: str, says: str) -> Rect:
    return Rect(round(x + step * _GAP / 2, 2), round(y, 2), round(step * (1 - _GAP), 2), round(height, 2), kind, says)


def lines(places: Sequence[str], series: Sequence[Series], words: Words, top: float | None = None) -> Plot:
    """Return lines over the places; a value that is not a number breaks off the line."""
    known = [value for item in series for value in item.values if value == value]  # noqa: PLR0124  not NaN
    high = top or max(known, default=0.0) or 1.0
    return Plot(
        top=words(high),
        ticks=_ends(places),
        head=("", *(item.label for item in series)),
        rows=_table(places, series, words),
        lines=tuple(Line(points, item.kind) for item in series for points in _runs(item.values, high)),
        legend=tuple((item.kind, item.label) for item in series) if len(series) > 1 else (),
    )


def _runs(values: Sequence[float], top: float) -> list[str]:
    """Return the points of each unbroken part; a lone value becomes a short dash."""
    step = WIDTH / max(1, len(values))
    runs: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value != value:  # noqa: PLR0124  not a number
            runs.append([])
            continue
        runs[-1].append(f"{step * (place + 0.5):.1f},{_y(value, top):.1f}")
    return [" ".join(_dash(run, step)) for run in runs if run]


def _dash(run: list[str], step: float) -> list[str]:
    if len(run) > 1:
        return run
    x, _, y = run[0].partition(",")
    reach = step / 3
    return [f"{float(x) - reach:.1f},{y}", f"{float(x) + reach:.1f},{y}"]


def _y(value: float, top: float) -> float:
    return round(HEIGHT * (1 - min(1.0, value / top)), 2)


def _ends(places: Sequence[str]) -> tuple[str, ...]:
    if len(places) < 3:
        return tuple(places)
    return places[0], places[len(places) // 2], places[-1]


def _table(places: Sequence[str], series: Sequence[Series], words: Words) -> tuple[tuple[str, ...], ...]:
    rows = ((name, *(item.values[place] for item in series)) for place, name in enumerate(places))
    return tuple((str(name), *(words(value) if value == value else "" for value in values)) for name, *values in rows)  # type: ignore[arg-type]  # noqa: PLR0124
