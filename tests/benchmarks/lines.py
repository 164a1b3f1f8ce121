"""Lines over time as one SVG, a panel for each quantity. No measuring here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 170, 70, 150, 28, 24
COLOURS = ("#1b6ca8", "#c8553d", "#2e8b57", "#8a5aa8", "#b8860b", "#555555")

Panel = Mapping[str, Sequence[float | None]]
"""The values of each line, one for each moment; None where there is none."""


def svg(times: Sequence[float], panels: Mapping[str, Panel], marked: float) -> str:
    """Return the panels one under the other; `times` are seconds, what was before `marked` is shaded."""
    parts = [_panel(times, title, panel, n * HEIGHT, marked) for n, (title, panel) in enumerate(panels.items())]
    size = f'viewBox="0 0 {WIDTH} {len(panels) * HEIGHT + 10}"'
    style = 'font-family="sans-serif" font-size="11" fill="#333"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(parts) + "\n</svg>\n"


def _panel(times: Sequence[float], title: str, panel: Panel, offset: int, marked: float) -> str:
    top = max((value for line in panel.values() for value in line if value is not None), default=0.0) * 1.1 or 1.0
    span = max(times[-1], 1.0)

    def x(time: float) -> float:
        return LEFT + time / span * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return offset + HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    bottom, shaded = y(0), x(marked) - LEFT
    found = [
        f'<rect x="{LEFT}" y="{y(top):.1f}" width="{shaded:.1f}" height="{bottom - y(top):.1f}" fill="#eee"/>',
        f'<text x="{LEFT}" y="{offset + 16}" font-weight="bold">{escape(title)}</text>',
        f'<path d="M{LEFT} {y(top):.1f}V{bottom:.1f}H{WIDTH - RIGHT}" fill="none" stroke="#999"/>',
        *(
            f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,.4g}</text>'
            for value in (0, top / 2, top)
        ),
        *(
            f'<text x="{x(time):.1f}" y="{bottom + 14:.1f}" text-anchor="middle">{time / 60:.1f} min</text>'
            for time in (0, span / 2, span)
        ),
    ]
    for n, (name, line) in enumerate(panel.items()):
        points = [f"{x(at):.1f},{y(one):.1f}" for at, one in zip(times, line, strict=True) if one is not None]
        colour = COLOURS[n % len(COLOURS)]
        found += [
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.3"/>',
            f'<text x="{WIDTH - RIGHT + 8}" y="{offset + TOP + 14 * n + 8}" fill="{colour}">{escape(name)}</text>',
        ]
    return "\n".join(found)
