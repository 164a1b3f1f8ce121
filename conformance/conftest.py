"""`pytest conformance`: every case and journey as a test, against a sandbox of its own or `--conform-target`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance import session


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--conform-target",
        default=os.environ.get("LEADSANDBOX_TARGET", ""),
        help="URL of a running leadsandbox, or a target file; default: a sandbox started for the run",
    )


@pytest.fixture(scope="session")
def opened(pytestconfig: pytest.Config) -> Iterator[session.Session]:
    """Give the target, open and found to be the right one."""
    target = str(pytestconfig.getoption("--conform-target"))
    if not target:
        context = session.own()
    elif target.startswith(("http://", "https://")):
        context = session.at_url(target, control_token=os.environ.get("LEADSANDBOX_CONTROL_TOKEN", ""))
    else:
        context = session.from_file(Path(target), os.environ)
    with context as found:
        yield found
