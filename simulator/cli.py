"""The `leadsandbox` command group. Each command only reads options and words results; the work is elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from simulator.leaving import UNREACHABLE, USAGE, fail, refuse, stopped, writing

COMMANDS = "leadsandbox.commands"
ELSEWHERE = {
    "audit": "simulator.auditing_cli:audit",
    "check-state": "simulator.checking_cli:check_state",
    "explain": "simulator.observing_cli:explain",
    "logs": "simulator.observing_cli:logs",
    "rehearse": "simulator.rehearsing_cli:rehearse",
    "serve": "simulator.serving_cli:serve",
    "serve-supervised": "simulator.serving_cli:serve_supervised",
    "up": "simulator.serving_cli:up",
}
"""The commands that have modules of their own, and where they are: who runs one of them waits for no other."""

F = TypeVar("F", bound=Callable[..., Any])

# Imports stand inside the commands: `leadsandbox --help` and `up` should not wait for what they do not use.
# ruff: noqa: PLC0415


class _Group(click.Group):
    """Loads commands when they are used, those of the other programs too, and ends each in the same way."""

    def main(self, *args: Any, **extra: Any) -> Any:
        with writing():
            return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # click would call it aborted, and failed
            stopped()

    def list_commands(self, ctx: click.Context) -> list[str]:
        from importlib.metadata import entry_points

        others = (item.name for item in entry_points(group=COMMANDS))
        return sorted({*super().list_commands(ctx), *ELSEWHERE, *others})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        if place := ELSEWHERE.get(cmd_name):
            module, _, name = place.partition(":")
            elsewhere: click.Command = getattr(import_module(module), name)
            return elsewhere
        from importlib.metadata import entry_points

        for item in entry_points(group=COMMANDS, name=cmd_name):
            loaded: click.Command = item.load()
            return loaded
        return None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """A self-hosted sandbox for the ping/post/ingest APIs of lead-distribution platforms.

    \b
    First steps:
      leadsandbox up              start everything and print curls that work
      leadsandbox send ping       send a fake lead to it
      leadsandbox spec            what a source may send
      leadsandbox check FILE      check a sandbox file of your own
      leadsandbox logs            what was asked and answered
      leadsandbox explain ID      why a request got its answer
      leadsandbox rehearse -- CMD run your client through what a platform may do
      leadsandbox audit           what your own requests get wrong
      leadsandbox check-state     whether what a sandbox stored contradicts itself

    \b
    Exit codes: 0 fine, 1 checks failed, 2 usage, sandbox file or output that cannot be written,
    3 cannot start, 4 target unreachable, 5 nothing ran, 130 stopped by Ctrl-C, 141 nobody read on.
    """  # noqa: D301, D401  click reads the backslashes, people a title


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a sandbox file: every error with its line, its key and what was probably meant."""
    from simulator import posting
    from simulator.configuration.loading import ConfigurationError

    try:
        posting.checked(file)
    except ConfigurationError as error:
        refuse(error.problems)
    click.echo(f"{file}: fine")


@main.command()
def schema() -> None:
    """Print the JSON Schema of the sandbox file, for your editor."""
    import json

    from simulator.configuration.loading import schema as schema_of
    from simulator.configuration.model import Sandbox

    click.echo(json.dumps(schema_of(Sandbox), indent=2))


@main.command()
@click.argument("name", required=False)
@click.option("--config", type=click.Path(path_type=Path), envvar="LEADSANDBOX_CONFIG", help="Sandbox file.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "html", "schema", "openapi", "curl"]),
    default="markdown",
    show_default=True,
    help="How to write it.",
)
@click.option("--schema", "form", flag_value="schema", help="The same as `--format schema`: one object by operation.")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, envvar="LEADSANDBOX_URL", show_envvar=True,
              help="Base URL that its curls and its OpenAPI document name.")  # fmt: skip
def spec(*, name: str | None, config: Path | None, form: str, url: str) -> None:
    """Print the posting specification of a source or supplier: what it must and may send.

    NAME is its id or link id; without it, all are listed. It says what the sandbox file says; a running sandbox
    serves the same at /__sandbox/specs/NAME, with the credentials in force.
    """
    from simulator import posting, specs
    from simulator.clock import Clock
    from simulator.configuration.loading import ConfigurationError

    try:
        specifications = posting.checked(config)
    except ConfigurationError as error:
        refuse(error.problems)
    if name is None:
        click.echo(posting.listing(specifications))
        return
    wanted = posting.named(specifications, name)
    if not wanted:
        fail(USAGE, f"no source or supplier is called {name!r}; `leadsandbox spec` lists them")
    click.echo(specs.rendered(wanted, form, url.rstrip("/"), Clock().now().date().isoformat()))


@main.command()
@click.argument("operation", type=click.Choice(["ping", "post", "form", "ingest"]))
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, envvar="LEADSANDBOX_URL", show_envvar=True,
              help="Base URL of a running sandbox.")  # fmt: skip
@click.option("--control-token", default="", envvar="LEADSANDBOX_CONTROL_TOKEN", show_envvar=True,
              help="Its control token, if it asks for one.")  # fmt: skip
@click.option("--platform", type=click.Choice(["pingtree", "leaddistro"]), help="Needed for `ping` at Lead Distro AI.")
@click.option("--count", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How many leads.")
@click.option("--seed", type=int, help="Make the same leads again.")
@click.option("--reading-time", type=click.FloatRange(0, 3600), default=2.5, show_default=True,
              help="Seconds that a consumer has for the text which a ping returned, before the post.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON line per answer.")
def send(
    *,
    operation: str,
    url: str,
    control_token: str,
    platform: str | None,
    count: int,
    seed: int | None,
    reading_time: float,
    as_json: bool,
) -> None:
    """Send fake leads to a running sandbox and print its answers.

    The leads use only reserved phone numbers (555-01xx) and example domains. `post` pings first, and posts with
    the evidence of consent once the consumer has had time to read; what is printed has the order of the answers.
    """
    from simulator import sending

    if operation not in sending.operations(platform):
        raise click.UsageError(f"{platform} has no operation {operation!r}; leave out --platform, or choose the other")
    try:
        sender = sending.Sender(url, operation, platform, control_token, reading_time)
        with _progress(count, quiet=as_json) as step:
            for line in sender.lines(count, seed, as_json=as_json):
                step()
                click.echo(line)
    except sending.UnreachableError as error:
        fail(UNREACHABLE, str(error))
    except sending.RefusedError as error:
        fail(USAGE, str(error))
    click.echo(sender.summary(), err=True)


@main.command("version")
def show_version() -> None:
    """Print the version."""
    from importlib.metadata import version

    click.echo(f"leadsandbox {version('leadsandbox')}")


@contextmanager
def _progress(count: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    if quiet or count < 20 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task("sending", total=count)
        yield lambda: progress.advance(task)
