"""What all tests share: the built-in sandbox, started once per process, and hypothesis without deadlines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

from tests.postgres import Postgres, postgres
from tests.sandbox import Sandbox, running

# How long an example takes says nothing on machines that do other work as well.
settings.register_profile("sandbox", deadline=None)
settings.load_profile("sandbox")


@pytest.fixture(scope="session")
def built_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox that `leadsandbox up` starts with when no file is named."""
    with running(tmp_path_factory.mktemp("built_in")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real browser. It ends with the module: while it runs, its thread has an event loop, and can start no other."""
    from tests.browsing import chromium as browser

    with browser() as running_:
        yield running_


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server for the tests of this process; `database()` makes an empty database in it."""
    with postgres() as server:
        yield server
