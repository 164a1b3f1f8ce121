"""`leadsandbox audit`: the scorecard of a running sandbox, for people at a terminal and for CI. No rule lives here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from simulator import scorecard
from simulator.leaving import FAILED, NOTHING_RAN, UNREACHABLE, USAGE, fail

# `requests` is imported where it is used: no other command should wait for it.
# ruff: noqa: PLC0415

TIMEOUT = 60  # seconds

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, envvar="LEADSANDBOX_URL", show_envvar=True,
              help="Base URL of a running sandbox.")  # fmt: skip
@click.option("--control-token", default="", envvar="LEADSANDBOX_CONTROL_TOKEN", show_envvar=True,
              help="Its control token, if it asks for one.")  # fmt: skip
@click.option("--tenant", default="default", show_default=True, help="Whose traffic.")
@click.option("--fail-on", type=click.Choice(["fail", "warn"]), default="fail", show_default=True,
              help="The least severe outcome that fails.")  # fmt: skip
@click.option("--require", default="", metavar="D10,D42", help="Duties that must have been seen; not seen fails.")
@click.option("--severity", multiple=True, metavar="D05:off",
              help="Another severity of a duty: fail, warn, info or off. May be given again.")  # fmt: skip
@click.option("--junit", type=_FILE, help="Write JUnit XML to this file.")
@click.option("--json", "json_file", type=_FILE, help="Write the scorecard as JSON to this file.")
@click.option("--html", "html_file", type=_FILE, help="Write the scorecard as one HTML page to this file.")
def audit(
    *,
    url: str,
    control_token: str,
    tenant: str,
    fail_on: str,
    require: str,
    severity: tuple[str, ...],
    junit: Path | None,
    json_file: Path | None,
    html_file: Path | None,
) -> None:
    """Grade what was sent to a running sandbox against the documented duties of a source.

    Prints a scorecard: each duty that was seen, the findings with their requests, and what to do. A duty that
    nothing exercised is "not seen", which is no pass.
    """
    required = [name.strip() for name in require.split(",") if name.strip()]
    card = _fetched(url, control_token, {"tenant": tenant, "severity": list(severity)})
    failures = scorecard.failures(card, fail_on, required)
    _show(card, failures)
    _write(junit, scorecard.junit(card, fail_on, required))
    _write(json_file, json.dumps(card, indent=2) + "\n")
    _write(html_file, scorecard.html(card, url.rstrip("/")))
    _end(card, failures)


def _show(card: Mapping[str, Any], failures: Sequence[str]) -> None:
    """Print it all before any file is written, so that one which cannot be written loses nothing."""
    for line in scorecard.lines(card):
        click.echo(line)
    for line in failures:
        click.echo(f"leadsandbox: {line}", err=True)


def _end(card: Mapping[str, Any], failures: Sequence[str]) -> None:
    if failures:
        raise SystemExit(FAILED)
    if not card["requests"]:
        fail(NOTHING_RAN, f"tenant {card['tenant']} got no request, so nothing was graded")


def _write(file: Path | None, text: str) -> None:
    if file is None:
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(USAGE, f"cannot write {file}: {error.strerror}")


def _fetched(url: str, control_token: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    import requests

    with requests.Session() as session:
        session.trust_env = False  # to the sandbox, through no proxy
        if control_token:
            session.headers["Authorization"] = f"Bearer {control_token}"
        try:
            answer = session.get(f"{url.rstrip('/')}/__sandbox/audit", params=wanted, timeout=TIMEOUT)
            found = answer.json()
        except (requests.RequestException, ValueError):
            fail(UNREACHABLE, f"no sandbox answers at {url}; start one with `leadsandbox up`")
    if not isinstance(found, dict) or not ("platforms" in found or "detail" in found):
        fail(UNREACHABLE, f"what answers at {url} is no sandbox")
    if answer.status_code >= 400:
        fail(USAGE if answer.status_code < 500 else FAILED, str(found.get("detail", found)))
    return dict(found)
