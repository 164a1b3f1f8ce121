"""The commands that start programs: `up` and `serve`. What they start is `supervisor.py`'s and `serving.py`'s."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from simulator.leaving import CANNOT_START, fail, leave, refuse

F = TypeVar("F", bound=Callable[..., Any])

# Imports stand inside the commands: `leadsandbox --help` and `up` should not wait for what they do not use.
# ruff: noqa: PLC0415


_ADDRESS = [
    click.option("--config", type=click.Path(path_type=Path), envvar="LEADSANDBOX_CONFIG", show_envvar=True,
                 help="Sandbox file. Default: the built-in sandbox."),
    click.option("--host", default="127.0.0.1", show_default=True, envvar="LEADSANDBOX_HOST", show_envvar=True,
                 help="Address to listen on."),
    click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True,
                 envvar="LEADSANDBOX_PORT", show_envvar=True, help="Port to listen on; 0 takes a free one."),
]  # fmt: skip

_SHARING = [
    click.option("--db", envvar="LEADSANDBOX_DB", show_envvar=True, default="",
                 help="Database file, :memory:, or a postgresql:// URL, which several simulators can share. "
                 "Default: a private file in the platform's state folder."),
    click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True,
                 envvar="LEADSANDBOX_WORKERS", show_envvar=True,
                 help="Simulator processes side by side; more than one need PostgreSQL."),
    click.option("--threads", type=click.IntRange(1, 1024), default=32, show_default=True,
                 envvar="LEADSANDBOX_THREADS", show_envvar=True,
                 help="Control requests, pages and streams at once; on PostgreSQL or with Redis also vendors' calls, "
                 "each of which may wait for buyers."),
    click.option("--limits-state", envvar="LEADSANDBOX_LIMITS_STATE", show_envvar=True, default="",
                 help="File in which the simulators of one machine share rate limits. Default: workers do so by "
                 "themselves."),
    click.option("--redis", envvar="LEADSANDBOX_REDIS", show_envvar=True, default="",
                 help="redis:// URL, for the rate limits of simulators on several machines."),
]  # fmt: skip

_JOURNAL = [
    click.option("--journal-entries", type=click.IntRange(min=1), default=10_000, show_default=True,
                 envvar="LEADSANDBOX_JOURNAL_ENTRIES", show_envvar=True,
                 help="Requests that the journal of a tenant keeps."),
    click.option("--journal-bytes", type=click.IntRange(min=1), default=33_554_432, show_default=True,
                 envvar="LEADSANDBOX_JOURNAL_BYTES", show_envvar=True,
                 help="Bytes that the journal of a tenant keeps; all of a process keep eight times as many."),
    click.option("--mask-bodies", is_flag=True, envvar="LEADSANDBOX_MASK_BODIES", show_envvar=True,
                 help="Keep the field names of leads in the journal, and no values."),
]  # fmt: skip

_MANNERS = [
    click.option("--allow-host", "allow_hosts", multiple=True, envvar="LEADSANDBOX_ALLOW_HOST", show_envvar=True,
                 help="Host name or network, besides this machine, that buyers and receivers of webhooks may be "
                 "at. Repeat it, or separate by spaces in the environment; * is every public address."),
    click.option("--stop-timeout", type=click.FloatRange(1, 600), default=8.0, show_default=True,
                 envvar="LEADSANDBOX_STOP_TIMEOUT", show_envvar=True,
                 help="Seconds from SIGTERM or Ctrl-C to the end; requests that came get their answers in them."),
    click.option("--strict", is_flag=True, envvar="LEADSANDBOX_STRICT", show_envvar=True,
                 help="Add no header of the sandbox's own to a vendor's answer."),
    click.option("--conformance-report", type=click.Path(path_type=Path, dir_okay=False),
                 envvar="LEADSANDBOX_CONFORMANCE_REPORT", show_envvar=True,
                 help="report.json of `leadsandbox conform` that the dashboard shows; it may be written later."),
    click.option("--control-token", default="", envvar="LEADSANDBOX_CONTROL_TOKEN", show_envvar=True,
                 help="Bearer token of the control API. Required on any address but loopback; better given by the "
                 "environment, which other users cannot read."),
]  # fmt: skip


def _server_options(command: F) -> F:
    for option in reversed([*_ADDRESS, *_SHARING, *_JOURNAL, *_MANNERS]):
        command = option(command)
    return command


@click.command()
@_server_options
@click.option("--direct", is_flag=True, envvar="LEADSANDBOX_DIRECT", show_envvar=True,
              help="On PostgreSQL or with Redis, leave out the relay: faster; resets and hangs are then approximated, "
              "and a body that never comes holds a thread for ever.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything a script needs as one JSON line.")
@click.option("--until-stdin-ends", is_flag=True, hidden=True)
def up(*, config: Path | None, host: str, port: int, db: str, threads: int, as_json: bool, **more: Any) -> None:
    """Start the simulator and its mock buyers, and keep them running until Ctrl-C.

    Prints the base URL, every id, token and key, and one curl per endpoint.
    """
    from simulator import supervisor
    from simulator.addresses import CannotStartError, listening, reserve
    from simulator.settings import is_alone

    programs = supervisor.Supervisor()
    if more.pop("until_stdin_ends"):
        supervisor.end_with_stdin()
    with supervisor.signals_as_interrupts():
        try:
            reserves = more["direct"] or is_alone(db, more["redis"])
            with reserve(host, port) if reserves else listening(host, port) as public:
                settings = _settings(config, host, public.getsockname()[1], db, threads, **more)
                with _waiting("starting the sandbox", quiet=as_json):
                    welcome = programs.start(settings, public)
                _show(welcome, as_json=as_json)
                programs.wait()
        except KeyboardInterrupt:
            if not as_json:
                click.echo("\nstopping", err=True)
        except supervisor.ChildError as error:
            leave(error.code, error.said)
        except CannotStartError as error:
            fail(CANNOT_START, str(error))
        finally:
            if not programs.stop(more["stop_timeout"]):
                click.echo("ended at once; answers under way were cut", err=True)


@click.command()
@_server_options
@click.option("--mock-buyers-url", default="", help="Where the mock buyers of this sandbox are.")
def serve(*, config: Path | None, host: str, port: int, db: str, threads: int, **more: Any) -> None:
    """Run the simulator alone, without mock buyers. Most users want `up`.

    On PostgreSQL or with Redis it has no relay, and a body that never comes holds a thread for ever: put a proxy in
    front where strangers may call.
    """
    from simulator.addresses import reserve

    _load_quickly()
    with _failures_as_exit_codes(), reserve(host, port) as held:
        _serve(_settings(config, host, held.getsockname()[1], db, threads, **more))


@click.command("serve-supervised", hidden=True)
def serve_supervised() -> None:
    """Run the simulator for `up`, with the settings that stand on its standard input, until that ends."""
    from simulator.settings import Settings

    _load_quickly()
    with _failures_as_exit_codes():
        _serve(Settings.from_json(sys.stdin.readline()), parent_fd=sys.stdin.fileno())


def _load_quickly() -> None:
    """Load what follows without two searches that find nothing."""
    gc.disable()  # of what is loaded nothing is garbage; `serving.py` turns it on again
    # Plugins of pydantic that are installed by chance are not ours; it would look into every package for one.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _serve(settings: Any, parent_fd: int | None = None) -> None:
    from simulator import serving

    serving.serve(settings, parent_fd)


@contextmanager
def _failures_as_exit_codes() -> Iterator[None]:
    from simulator.addresses import CannotStartError
    from simulator.configuration.loading import ConfigurationError
    from simulator.store import StoreError

    try:
        yield
    except ConfigurationError as error:
        refuse(error.problems)
    except (StoreError, CannotStartError) as error:
        fail(CANNOT_START, str(error))


def _settings(config: Path | None, host: str, port: int, db: str, threads: int, **more: Any) -> Any:
    from simulator.settings import LOOPBACK, Settings, default_database

    _check_hosts(more.get("allow_hosts", ()))
    given = {name: value for name, value in more.items() if value}
    _check_sharing(db, given)
    if redis := given.pop("redis", ""):
        given["limits_state"] = redis
    if not str(given.get("control_token", "")).isascii():
        raise click.UsageError("the control token travels in a header: use ASCII characters only")
    if host not in LOOPBACK and not given.get("control_token"):
        raise click.UsageError(f"on {host} everybody could use the control API: give it a --control-token")
    try:
        database = db or str(default_database())
    except OSError as error:
        fail(CANNOT_START, f"cannot make {error.filename}: {error.strerror}; name a file with --db")
    return Settings(host=host, port=port, database=database, config=config, threads=threads, **given)


def _check_sharing(db: str, given: dict[str, Any]) -> None:
    if given.get("workers", 1) > 1 and not db.startswith("postgresql"):
        raise click.UsageError("several workers share one sandbox in PostgreSQL: give --db a postgresql:// URL")
    if "://" in given.get("limits_state", ""):
        raise click.UsageError("--limits-state names a file; a Redis is named by --redis")
    if given.get("redis") and given.get("limits_state"):
        raise click.UsageError("rate limits are kept in one place: give --redis or --limits-state")


def _check_hosts(words: Sequence[str]) -> None:
    from simulator.reach import HostError, reach

    try:
        reach(words)
    except HostError as error:
        raise click.UsageError(str(error)) from None


@contextmanager
def _waiting(what: str, *, quiet: bool) -> Iterator[None]:
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def _show(welcome: dict[str, Any], *, as_json: bool) -> None:
    import json

    if as_json:
        click.echo(json.dumps(welcome))
        return
    from simulator.welcome import text_of

    click.echo(text_of(welcome))
