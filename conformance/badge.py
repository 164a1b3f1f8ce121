"""The badge: how many rows a complete run asserted, as SVG. A partial run gets none."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import click

from conformance.results import Exit, RunResult

_GREEN, _AMBER, _RED = "#1a7f45", "#9a6700", "#b3261e"
_LABEL = "documented answers"
_WIDTH = 6.6  # of a letter at 11 px, on average: a badge is set in whatever font the reader has


class PartialRunError(click.UsageError):
    """A badge was asked of a run that did not ask everything."""


def write(run: RunResult, path: Path) -> None:
    """Write the badge of a complete run. Raises OSError, and PartialRunError for a partial one."""
    drawn = svg(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(drawn, "utf-8")


def svg(run: RunResult) -> str:
    """Return the badge. Raises PartialRunError."""
    if not run.complete:
        raise PartialRunError("only a complete run has a badge; leave out --only")
    words, colour = message(run)
    left, right = _pixels(_LABEL), _pixels(words)
    title = escape(f"{_LABEL}: {words}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#444c56"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14">{escape(_LABEL)}</text>'
        f'<text x="{left + right / 2:g}" y="14">{escape(words)}</text></g></svg>\n'
    )


def message(run: RunResult) -> tuple[str, str]:
    """Return what the badge says, and its colour. Possible and achieved are never added up to one number."""
    counted = f"{run.achieved}/{len(run.rows)} asserted"
    if run.exit_code is Exit.ALL_GREEN:
        return counted, _GREEN
    if run.exit_code is Exit.INCOMPLETE:
        return f"{counted}, {run.possible} possible", _AMBER
    return f"{counted}, failing", _RED


def _pixels(words: str) -> int:
    return round(len(words) * _WIDTH) + 14
