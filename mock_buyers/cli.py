"""The command `buyers`: options and exit codes. What it starts lives in `serving.py` and `app.py`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("buyers")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8701,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--fd", type=click.IntRange(0), help="Serve on this inherited listening socket instead.")
@click.option(
    "--personas",
    "personas_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with personas of your own, beside the built-in ones.",
)
@click.option("--parent-fd", type=click.IntRange(0), help="Stop when this pipe reaches its end.")
@click.option(
    "--control-token",
    envvar="LEADSANDBOX_BUYERS_CONTROL_TOKEN",
    default="",
    help="Bearer token that /__buyers asks for; required on any address but loopback.",
)
def buyers(
    *,
    host: str,
    port: int,
    fd: int | None,
    personas_file: Path | None,
    parent_fd: int | None,
    control_token: str,
) -> None:
    """Run the mock buyers, until Ctrl-C or SIGTERM.

    Prints one JSON line with the URL when they answer. Exit codes: 0 stopped, 2 usage or personas file,
    3 cannot start.
    """
    _run(personas_file, (host, port, fd), parent_fd, control_token)


def _run(
    personas_file: Path | None, address: tuple[str, int, int | None], parent_fd: int | None, control_token: str
) -> None:
    # Imported late: `leadsandbox --help` should not wait for an HTTP server.
    from mock_buyers.app import answering  # noqa: PLC0415
    from mock_buyers.personas import BUILT_IN, PersonaError, load  # noqa: PLC0415
    from mock_buyers.registry import Registry  # noqa: PLC0415
    from mock_buyers.serving import CannotStartError, is_loopback, listening, run  # noqa: PLC0415

    try:
        personas = load(BUILT_IN)
        if personas_file is not None:
            personas = load(personas_file, personas)
        sock = listening(*address)
        if not control_token and not is_loopback(sock):
            raise click.UsageError("on any address but loopback, --control-token is required")
        run(answering(Registry(personas), control_token), sock, parent_fd)
    except PersonaError as bad:
        _leave(2, *bad.reasons)
    except CannotStartError as why:
        _leave(3, str(why))


def _leave(code: int, *lines: str) -> None:
    for line in lines:
        click.echo(line, err=True)
    raise SystemExit(code)
