"""A start loads what answers requests, and nothing that only some of them need. How long it takes is `make bench`'s."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from werkzeug.routing import Map

from simulator.web.routes import Route

SPARED = {
    "simulator.cli": {"simulator.auditing_cli", "simulator.serving_cli", "simulator.scorecard", "importlib.metadata"},
    "simulator.serving": {
        "alembic", "flask_swagger_ui", "prometheus_client", "requests", "simulator.store.checking",
        "simulator.web.dashboard", "sqlalchemy.dialects.postgresql",
    },
    "conformance.cli": {"conformance.session", "jsonschema", "requests", "simulator"},
}  # fmt: skip


def loaded_by(module: str) -> set[str]:
    """Return what a process of its own has loaded after an import."""
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(run.stdout))


@pytest.mark.parametrize("module", SPARED)
def test_a_start_does_not_load(module: str) -> None:
    assert loaded_by(module) & SPARED[module] == set()


def test_an_application_that_serves_collects_garbage_again() -> None:
    program = "import gc; gc.disable(); from simulator import serving; serving._settle(); print(gc.isenabled())"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "True\n"


def test_a_route_writes_its_url_when_it_is_asked_for_it() -> None:
    routes = Map([Route("/of/<name>", endpoint="one"), Route("/every", endpoint="all")]).bind("example.com")
    assert routes.build("one", {"name": "a b"}) == "/of/a%20b"
    assert routes.build("one", {"name": "a", "more": "1"}, append_unknown=False) == "/of/a"
    assert routes.build("all", {"page": "2"}) == "/every?page=2"
