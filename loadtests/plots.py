"""Plots of a run as SVG text, drawn here: they need no library and no script in the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from loadtests import judge
from loadtests.figures import MS, percentiles
from loadtests.law import SECOND, Limit, Reference
from loadtests.log import Record

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 760, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 76, 30, 52
# Okabe and Ito's colours, which colour-blind readers tell apart; `ink` is the page's own.
_BLUE, _GREEN, _ORANGE, _INK = "#0072b2", "#009e73", "#d55e00", "currentColor"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot: figures of whole seconds, drawn as steps. `dash` is SVG's stroke-dasharray."""

    name: str
    colour: str
    points: Points
    dash: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """A level line across the plot, named at its right end."""

    name: str
    value: float


def plots(log: Sequence[Record], limits: Mapping[str, Limit]) -> Iterator[str]:
    """Yield the plots of a run: requests per second against the law by key and endpoint, lateness, latency."""
    grouped: dict[tuple[str, str], list[Record]] = {}
    for record in log:
        grouped.setdefault((record.endpoint, record.key), []).append(record)
    for (endpoint, key), records in sorted(grouped.items()):
        title = f"{endpoint}, {f'key {key}' if key else 'no key'}: requests per second"
        limit = limits.get(endpoint) if key else None
        yield chart(title, _rates(records, limit), _bounds(limit) if limit else ())
    lateness = {"p50": _BLUE, "p99": _ORANGE, "max": _INK}
    yield chart("Lateness of sending, ms", _by_second(log, lambda record: (record.send - record.due) / MS, lateness))
    answered = [record for record in log if not record.unanswered]
    latency = {"p50": _BLUE, "p95": _GREEN, "p99": _ORANGE}
    yield chart("Latency, ms", _by_second(answered, lambda record: (record.receive - record.send) / MS, latency))


def _rates(records: Sequence[Record], limit: Limit | None) -> list[Line]:
    answered = [record for record in records if not record.unanswered]
    lines = [
        Line("offered", _BLUE, _per_second(record.due for record in records)),
        Line("accepted", _GREEN, _per_second(record.receive for record in answered if judge.was_accepted(record))),
        Line("429", _ORANGE, _per_second(record.receive for record in answered if record.refused)),
    ]
    if limit is None:
        return lines
    return [*lines, Line("the law would accept", _INK, _per_second(_lawful(answered, limit)), "2 3")]


def _bounds(limit: Limit) -> list[Bound]:
    return [Bound(f"rate {limit.rate}", limit.rate), Bound(f"burst {limit.burst}", limit.burst)]


def _lawful(records: Iterable[Record], limit: Limit) -> Iterator[int]:
    """Yield when the law would have accepted, had each decision fallen in the middle of its interval."""
    reference = Reference(limit)
    for moment in sorted((record.send + record.receive) // 2 for record in records):
        if not reference.wait(max(0, moment)):
            yield moment


def _per_second(moments: Iterable[int]) -> Points:
    counted = Counter(moment // SECOND for moment in moments)
    if not counted:
        return [(0.0, 0.0)]
    return [(float(second), float(counted[second])) for second in range(min(0, *counted), max(counted) + 1)]


def _by_second(records: Iterable[Record], value: Callable[[Record], float], shown: Mapping[str, str]) -> list[Line]:
    seconds: dict[int, list[float]] = {}
    for record in records:
        seconds.setdefault(record.due // SECOND, []).append(value(record))
    found = {second: percentiles(values) for second, values in sorted(seconds.items())}
    return [
        Line(name, colour, [(float(second), figures[name]) for second, figures in found.items()] or [(0.0, 0.0)])
        for name, colour in shown.items()
    ]


def chart(title: str, lines: Sequence[Line], bounds: Sequence[Bound] = ()) -> str:
    """Return one plot over seconds, as an SVG element that takes its ink from the page."""
    last = max(1.0, *(x + 1 for line in lines for x, _ in line.points))
    highest = max(1.0, *(y for line in lines for _, y in line.points), *(bound.value for bound in bounds))
    top = 4 * _round_up(1.05 * highest / 4)  # with some room, so that no line runs along the edge

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        return _LEFT + across * max(0.0, x) / last, _TOP + up * (1 - max(0.0, y) / top)

    drawn = [*_grid(place, last, top), *(_level(bound, place) for bound in bounds)]
    drawn += [*(_path(line, place) for line in lines), *_legend(lines)]
    label = escape(title, quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" font-family="sans-serif" font-size="11">'
        f'<text x="{_LEFT}" y="16" font-size="13" font-weight="bold" fill="currentColor">{escape(title)}</text>'
        + "".join(drawn)
        + "</svg>"
    )


Place = Callable[[float, float], tuple[float, float]]


def _grid(place: Place, last: float, top: float) -> Iterator[str]:
    for n in range(5):
        x, y = place(0, top * n / 4)
        yield (
            f'<line x1="{x}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity=".15"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="currentColor">{top * n / 4:g}</text>'
        )
    step = _round_up(last / 8)
    for n in range(int(last / step) + 1):
        x, y = place(n * step, 0)
        text = f'<text x="{x:.1f}" y="{y + 15:.1f}" text-anchor="middle" fill="currentColor">{n * step:g} s</text>'
        yield text


def _level(bound: Bound, place: Place) -> str:
    x, y = place(0, bound.value)
    return (
        f'<line x1="{x}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" stroke-dasharray="8 4"/>'
        f'<text x="{WIDTH - _RIGHT + 6}" y="{y + 4:.1f}" fill="currentColor">{escape(bound.name)}</text>'
    )


def _path(line: Line, place: Place) -> str:
    steps = (corner for x, y in line.points for corner in ((x, y), (x + 1, y)))
    points = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in steps)
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    return f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="1.6"{dash}/>'


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    x, y = float(_LEFT), HEIGHT - 14
    for line in lines:
        dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
        yield (
            f'<line x1="{x}" x2="{x + 22}" y1="{y - 4}" y2="{y - 4}" stroke="{line.colour}" stroke-width="2"{dash}/>'
            f'<text x="{x + 28}" y="{y}" fill="currentColor">{escape(line.name)}</text>'
        )
        x += 46 + 6.2 * len(line.name)


def _round_up(value: float) -> float:
    """Return the next number above the value that reads well on an axis."""
    size = 10.0 ** len(str(int(value))) / 10
    while size > value:
        size /= 10
    return next(size * step for step in (1, 2, 2.5, 3, 4, 5, 6, 8, 10) if size * step >= value)
