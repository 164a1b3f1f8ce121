"""The pytest plugin: a sandbox for the session, a tenant for each test. What they can do is `testing`'s.

Everything is imported when a test asks for it: a run that uses no fixture of these pays for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from simulator.testing import Clock, Server, Tenant

# What `pytest --fixtures` shows is a name's explanation, not an order.
# ruff: noqa: PLC0415, D401


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("leadsandbox", "sandbox of lead-distribution platforms")
    group.addoption("--leadsandbox-url", metavar="URL", help="a running sandbox to use, instead of starting one")
    group.addoption("--leadsandbox-control-token", metavar="TOKEN", default="", help="its control token, if it has one")
    group.addoption("--leadsandbox-config", metavar="FILE", help="sandbox file of the sandbox that is started")


@pytest.fixture(scope="session")
def leadsandbox_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running sandbox: the one of --leadsandbox-url, else one that is started for this session (or xdist worker)."""
    from simulator.testing import Server, StartError, started

    options = request.config.option
    if options.leadsandbox_url:
        server = Server(options.leadsandbox_url, options.leadsandbox_control_token)
        server.check()
        yield server
        return
    config = ["--config", options.leadsandbox_config] if options.leadsandbox_config else []
    try:
        with started(*config) as server:
            yield server
    except StartError as error:
        pytest.fail(f"the sandbox did not start:\n{error}", pytrace=False)


@pytest.fixture
def tenant(leadsandbox_server: Server) -> Iterator[Tenant]:
    """A tenant of the test's own: credentials, journal, triggers, clock. Deleted afterwards."""
    made = leadsandbox_server.new_tenant()
    yield made
    made.delete()


@pytest.fixture
def sandbox_clock(tenant: Tenant) -> Clock:
    """The clock of the test's tenant."""
    return tenant.clock
