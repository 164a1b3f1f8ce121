"""`leadsandbox logs` and `leadsandbox explain`: the journal of a running sandbox, for people at a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import quote

import click

from simulator.leaving import FAILED, UNREACHABLE, USAGE, fail

if TYPE_CHECKING:
    import requests

# `requests` and the words of explanations are imported where they are used: no other command should wait for them.
# ruff: noqa: PLC0415

TIMEOUT = 30  # seconds

_Events = Iterator[tuple[str, dict[str, Any]]]

F = TypeVar("F", bound=Callable[..., Any])


def _where(command: F) -> F:
    options = [
        click.option("--url", default="http://127.0.0.1:8080", show_default=True, envvar="LEADSANDBOX_URL",
                     show_envvar=True, help="Base URL of a running sandbox."),
        click.option("--control-token", default="", envvar="LEADSANDBOX_CONTROL_TOKEN", show_envvar=True,
                     help="Its control token, if it asks for one."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_where
@click.option("--tenant", default="default", show_default=True, help="Whose journal.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes in, until Ctrl-C.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many at most.")
@click.option("--platform", help="Only of this platform.")
@click.option("--operation", help="Only of this operation, such as ping.")
@click.option("--source", help="Only of this source or supplier.")
@click.option("--row", help="Only what this row answered, such as PT-PING-201-ACCEPT.")
@click.option("--http", help="Only with this HTTP status, such as 400 or 4xx.")
@click.option("--method", help="Only with this HTTP method.")
@click.option("--since", help="Only from this sandbox time on (ISO 8601 with a zone).")
@click.option("--until", help="Only before this sandbox time.")
def logs(url: str, control_token: str, tenant: str, *, follow: bool, as_json: bool, **wanted: Any) -> None:
    """Show what a running sandbox was asked and answered, oldest first, a line each."""
    sandbox = _Sandbox(url, control_token)
    asked = {name: value for name, value in wanted.items() if value is not None} | {"tenant": tenant}
    # Listening begins before the list is asked for, so that nothing falls between the two.
    listening: AbstractContextManager[_Events] = sandbox.events(tenant) if follow else nullcontext(iter(()))
    with listening as events:
        page = sandbox.get("requests", asked, "requests")
        for entry in reversed(page["requests"]):
            _show(entry, as_json=as_json)
        newest = page["requests"][0]["id"] if page["requests"] else ""
        with suppress(KeyboardInterrupt):
            for entry in _new(events, newest, wanted):
                _show(entry, as_json=as_json)


@click.command()
@click.argument("request_id", metavar="ID")
@_where
def explain(request_id: str, url: str, control_token: str, *, as_json: bool) -> None:
    """Say why a request got its answer: the row, the rules, the buyers, and what would have to change.

    ID is the X-Sandbox-Request-Id of the answer; `leadsandbox logs --json` lists them.
    """
    found = _Sandbox(url, control_token).get(f"requests/{quote(request_id, safe='')}", {}, "text")
    click.echo(json.dumps(found) if as_json else found["text"])


class _Sandbox:
    """The control API of a running sandbox. What it refuses ends the command."""

    def __init__(self, url: str, control_token: str) -> None:
        import requests

        self._failure = requests.RequestException
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # to the sandbox, through no proxy
        if control_token:
            self._session.headers["Authorization"] = f"Bearer {control_token}"

    def get(self, path: str, parameters: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Return the document at a path, which has at least this key."""
        answer = self._ask(path, parameters)
        self._raise_for(answer)
        try:
            found = answer.json()
        except ValueError:
            self._leave_unreachable()
        if not isinstance(found, dict) or key not in found:
            self._leave_no_sandbox()
        return found

    def _raise_for(self, answer: requests.Response) -> None:
        """End the command when the sandbox refuses, or what answers is none."""
        if answer.status_code < 400:
            return
        try:
            detail = answer.json()["detail"]
        except (LookupError, TypeError, ValueError):
            self._leave_no_sandbox()
        fail(USAGE if answer.status_code < 500 else FAILED, str(detail))

    def _ask(self, path: str, parameters: Mapping[str, Any], *, stream: bool = False) -> requests.Response:
        try:
            return self._session.get(f"{self._url}/__sandbox/{path}", params=parameters, timeout=TIMEOUT, stream=stream)
        except self._failure:
            self._leave_unreachable()

    def _leave_unreachable(self) -> NoReturn:
        fail(UNREACHABLE, f"no sandbox answers at {self._url}; start one with `leadsandbox up`")

    def _leave_no_sandbox(self) -> NoReturn:
        fail(UNREACHABLE, f"what answers at {self._url} is no sandbox")

    @contextmanager
    def events(self, tenant: str) -> Iterator[_Events]:
        """Listen; what happens between this and the first read waits. The heartbeat keeps the timeout away."""
        answer = self._ask("events", {"tenant": tenant, "kinds": "request"}, stream=True)
        self._raise_for(answer)
        with answer:
            yield self._events(answer)

    def _events(self, answer: requests.Response) -> _Events:
        kind = ""
        try:
            for text in answer.iter_lines(chunk_size=1, decode_unicode=True):
                if text.startswith("event: "):
                    kind = text.removeprefix("event: ")
                elif text.startswith("data: "):
                    yield kind, json.loads(text.removeprefix("data: "))
        except self._failure:
            fail(UNREACHABLE, f"the sandbox at {self._url} stopped answering")


def _new(events: _Events, newest: str, wanted: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return requests that were not listed before; say on stderr how many were lost."""
    seen = _number(newest)
    for kind, entry in events:
        if kind == "dropped":
            click.echo(f"leadsandbox: {entry['events']} requests came too fast to be shown", err=True)
        elif kind == "request" and _number(entry["id"]) > seen and _matches(entry, wanted):
            yield entry


def _number(request_id: str) -> int:
    return int(request_id.rpartition("_")[2] or -1)


def _matches(entry: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    named = {"source": "source_id", "row": "row_id"}
    for name in ("platform", "operation", "source", "row", "method"):
        if wanted[name] is not None and entry[named.get(name, name)] != wanted[name]:
            return False
    http = (wanted["http"] or "").lower()
    return not http or str(entry["http"]) == http or f"{entry['http'] // 100}xx" == http


def _show(entry: Mapping[str, Any], *, as_json: bool) -> None:
    from simulator.explaining import line

    click.echo(json.dumps(entry) if as_json else line(entry))
