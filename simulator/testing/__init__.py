"""A sandbox as test code sees it: start one, make tenants, arm triggers, move clocks. Standard library only.

The pytest plugin and `leadsandbox rehearse` are built from it; so may a test suite that uses no pytest.
"""

from simulator.testing.calls import SandboxError
from simulator.testing.server import Server, StartError, started
from simulator.testing.tenant import Clock, Requests, Source, Tenant, Trigger

__all__ = ["Clock", "Requests", "SandboxError", "Server", "Source", "StartError", "Tenant", "Trigger", "started"]
