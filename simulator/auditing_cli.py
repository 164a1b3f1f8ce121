"""`leadsandbox audit`: the scorecard of a running sandbox, for people at a terminal and for CI. No rule lives here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from simulator import scorecard
from simulator.leaving import FAILED, NOTHING_RAN, UNREACHABLE, USAGE, fail, leave
from simulator.reporting import Report, graded

# `requests` is imported where it is used: no other command should wait for it.
# ruff: noqa: PLC0415

TIMEOUT = 60  # seconds


@click.command()
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, envvar="LEADSANDBOX_URL", show_envvar=True,
              help="Base URL of a running sandbox.")  # fmt: skip
@click.option("--control-token", default="", envvar="LEADSANDBOX_CONTROL_TOKEN", show_envvar=True,
              help="Its control token, if it asks for one.")  # fmt: skip
@click.option("--tenant", default="default", show_default=True, help="Whose traffic.")
@graded
def audit(*, url: str, control_token: str, tenant: str, **wanted: Any) -> None:
    """Grade what was sent to a running sandbox against the documented duties of a source.

    Prints a scorecard: each duty that was seen, the findings with their requests, and what to do. A duty that
    nothing exercised is "not seen", which is no pass.
    """
    report = Report(**wanted)
    card = _fetched(url, control_token, {"tenant": tenant, "severity": list(report.severity)})
    failures = report.failures(card)
    faults = report.write(card, url.rstrip("/"))  # before it is shown: who reads it may hang up
    for line in scorecard.lines(card):
        click.echo(line)
    for line in [*failures, *faults]:
        click.echo(f"leadsandbox: {line}", err=True)
    if faults or failures:
        leave(USAGE if faults else FAILED)
    if not card["requests"]:
        fail(NOTHING_RAN, f"tenant {card['tenant']} got no request, so nothing was graded")


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
