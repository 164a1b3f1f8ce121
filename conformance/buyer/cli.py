"""`leadsandbox conform buyer`: reads options and words the outcome. The work is done in `examining.py`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import click

from conformance import junit, page, report
from conformance.buyer import examining
from conformance.preflight import UnreachableError
from conformance.results import CaseResult, Exit, RunResult, Verdict

_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.ERROR: "red", Verdict.NOT_APPLICABLE: "bright_black"}
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--url", required=True, help="The webhook receiver, or the ping endpoint (…/ping; …/post is beside it).")
@click.option("--post-url", default="", help="The post endpoint, where it is not beside the ping endpoint.")
@click.option(
    "--platform",
    type=click.Choice(list(examining.CHECKS)),
    help="Whose buyer it is. Default: leaddistro with --secret, else pingtree.",
)
@click.option(
    "--secret",
    default="",
    envvar=examining.SECRET_NAME,
    show_envvar=True,
    help="The receiver's webhook secret: without it nothing can be signed.",
)
@click.option("--timestamped", is_flag=True, help="The receiver expects a signed timestamp (the blog's model, C8).")
@click.option("--junit", "junit_file", type=_FILE, help="Write JUnit XML.")
@click.option("--json", "json_file", type=_FILE, help="Write report.json.")
@click.option("--html", "html_file", type=_FILE, help="Write a single-file HTML report.")
@click.pass_context
def buyer(
    ctx: click.Context,
    url: str,
    post_url: str,
    platform: str | None,
    secret: str,
    timestamped: bool,
    junit_file: Path | None,
    json_file: Path | None,
    html_file: Path | None,
) -> None:
    """Send a buyer's own endpoints what a platform would send them, and grade the answers.

    Good and bad signatures, altered bytes, repeated, late and reordered deliveries go to a webhook receiver; pings and
    posts go to a bidder. All people are made up.

    \b
    Exit codes: 0 fine (warnings included), 1 failed, 2 usage, 4 nothing answers, 5 nothing ran,
    10 fine as far as it could be asked.
    """  # noqa: D301  click wants the backspace
    chosen = platform or ("leaddistro" if secret else "pingtree")
    urls = addresses(chosen, url, post_url)
    try:
        now = datetime.now(UTC)  # noqa: TID251  the edge
        run = examining.examine(chosen, urls, now, secret=secret, timestamped=timestamped)
    except UnreachableError as error:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        ctx.exit(Exit.UNREACHABLE)
    for line in lines(run):
        click.echo(line)
    try:
        _write(run, junit_file, json_file, html_file)
    except OSError as error:
        click.echo(f"Error: {error.filename}: {error.strerror}", err=True)
        ctx.exit(Exit.USAGE)
    ctx.exit(run.exit_code)


def addresses(platform: str, url: str, post_url: str) -> dict[str, str]:
    """Return the addresses by kind. Raises click.UsageError."""
    for given in filter(None, (url, post_url)):
        if urlsplit(given).scheme not in {"http", "https"} or not urlsplit(given).hostname:
            raise click.UsageError(f"{given!r} is no http(s) address")
    if platform != "pingtree":
        return {"webhook": url}
    parts = urlsplit(url)
    folder, _, last = parts.path.rstrip("/").rpartition("/")
    stem = folder if last == "ping" else parts.path.rstrip("/")
    ping = url if last == "ping" else urlunsplit(parts._replace(path=f"{stem}/ping"))
    post = post_url or urlunsplit(parts._replace(path=f"{stem}/post"))
    if urlsplit(post)[:2] != parts[:2]:
        raise click.UsageError("--url and --post-url must be on one host")
    return {"ping": ping, "post": post}


def _write(run: RunResult, junit_file: Path | None, json_file: Path | None, html_file: Path | None) -> None:
    for path, write in ((junit_file, junit.write), (json_file, report.write), (html_file, page.write)):
        if path:
            write(run, path)


def lines(run: RunResult) -> Iterator[str]:
    """Yield what the terminal shows: a line per check, and why for each that is not fine."""
    for result in run.results:
        duty = result.verifies[0] if result.verifies[0] != result.id else ""
        word = click.style(f"{result.verdict.replace('_', ' '):<15}", fg=_COLOURS.get(result.verdict, "yellow"))
        yield f"  {word} {duty:<4} {result.id:<24} {result.title}"
    for result in run.results:
        if result.verdict not in {Verdict.PASS, Verdict.NOT_APPLICABLE}:
            yield from _why(result)
    counted = {verdict: run.count(verdict) for verdict in Verdict if run.count(verdict)}
    yield ""
    yield f"{run.target['name']} at {run.target['base_url']}: " + ", ".join(
        f"{n} {verdict}" for verdict, n in counted.items()
    )
    yield f"{run.requests} requests in {run.seconds:.1f} s"


def _why(result: CaseResult) -> Iterator[str]:
    yield from ("", f"{result.verdict} {result.id}: {result.title}", f"  {result.detail}")
    for finding in result.findings:
        yield f"  documented  {finding.documented} [{', '.join(finding.source)}]"
        if finding.curl:
            yield f"  try         {finding.curl}"
