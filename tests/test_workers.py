"""The workers of one sandbox keep a journal each, and whoever is asked answers for all of them."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from simulator.metrics import summed
from tests.postgres import Postgres
from tests.running import (
    PATIENCE,
    Request,
    Running,
    alive,
    all_at_once,
    descendants,
    environment,
    run,
    sandbox,
    wait_until,
)
from tests.several import control, simulator


class Asked(NamedTuple):
    """A tenant, and how many requests it was asked."""

    name: str
    requests: int


@pytest.fixture(scope="module")
def up(postgres_server: Postgres) -> Iterator[Running]:
    with sandbox("--db", postgres_server.database(), "--workers", "3") as running:
        yield running


@pytest.fixture
def tenant(up: Running) -> Iterator[Asked]:
    """A tenant of which every worker answered some requests."""
    made = control(up.base_url, "POST", "tenants", {})
    name = str(made["tenant"])
    link = made["platforms"]["pingtree"]["sources"][0]["name"]
    listed = asked_of_several(up, name, [(f"/api/lead/ping/{link}", {"n": n}, {}) for n in range(40)])
    yield Asked(name, len(listed))
    control(up.base_url, "DELETE", f"tenants/{name}")


def asked_of_several(up: Running, tenant: str, requests_: Sequence[Request]) -> list[dict[str, Any]]:
    """Send the requests again and again, until more than one worker answered; return the journal."""
    listed: list[dict[str, Any]] = []

    def several() -> bool:
        all_at_once(up.base_url, requests_, len(requests_))
        listed[:] = control(up.base_url, "GET", f"requests?tenant={tenant}&limit=1000")["requests"]
        return len(journals(listed)) > 1

    wait_until(several, "several workers answered")
    return listed


def journals(entries: list[dict[str, Any]]) -> set[str]:
    return {entry["id"].split("_")[1] for entry in entries}


@pytest.mark.long
def test_any_worker_lists_counts_and_verifies_what_all_of_them_answered(up: Running, tenant: Asked) -> None:
    for _ in range(6):  # whichever worker takes the connection
        listed = control(up.base_url, "GET", f"requests?tenant={tenant.name}&limit=1000")
        assert len(listed["requests"]) == listed["journal"]["entries"] == tenant.requests
        assert control(up.base_url, "GET", f"requests/count?tenant={tenant.name}")["count"] == tenant.requests
        assert control(up.base_url, "POST", f"requests/verify?tenant={tenant.name}", {"count": tenant.requests})[
            "verified"
        ]
        assert control(up.base_url, "GET", f"audit?tenant={tenant.name}")["requests"] == tenant.requests


@pytest.mark.long
def test_pages_over_all_workers_miss_nothing_and_repeat_nothing(up: Running, tenant: Asked) -> None:
    seen: list[str] = []
    after = ""
    while True:
        page = control(up.base_url, "GET", f"requests?tenant={tenant.name}&limit=7&after={after}")
        seen += [entry["id"] for entry in page["requests"]]
        after = page["next"]
        if not after:
            break
    assert len(seen) == len(set(seen)) == tenant.requests


@pytest.mark.long
def test_any_worker_explains_what_another_answered_and_clears_all(up: Running, tenant: Asked) -> None:
    listed = control(up.base_url, "GET", f"requests?tenant={tenant.name}&limit=1000")["requests"]
    one_of_each = {entry["id"].split("_")[1]: entry["id"] for entry in listed}
    for request_id in one_of_each.values():
        for _ in range(4):
            assert control(up.base_url, "GET", f"requests/{request_id}")["tenant"] == tenant.name
    answer = requests.delete(f"{up.base_url}/__sandbox/requests?tenant={tenant.name}", timeout=PATIENCE)
    assert answer.status_code == 204
    for _ in range(6):
        assert control(up.base_url, "GET", f"requests?tenant={tenant.name}")["requests"] == []


@pytest.mark.long
def test_metrics_are_those_of_all_workers(up: Running, tenant: Asked) -> None:
    text = requests.get(f"{up.base_url}/__sandbox/metrics", timeout=PATIENCE).text
    [total] = [line for line in text.splitlines() if line.startswith("leadsandbox_journal_entries ")]
    assert float(total.split()[1]) >= tenant.requests
    assert text.count("# TYPE leadsandbox_requests_total counter") == 1


@pytest.mark.long
def test_a_killed_worker_is_started_again_and_the_sandbox_says_so(postgres_server: Postgres) -> None:
    with sandbox("--db", postgres_server.database(), "--workers", "2") as running:
        for kills in (1, 2):
            victim = workers(running)[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(partial(said, running, kills), "it is said")
            assert not alive([victim])
        wait_until(lambda: len(workers(running)) == 2, "both are there")
        assert control(running.base_url, "GET", "requests")["requests"] == []
        served = all_at_once(running.base_url, [("/api/v1/ingest", {}, {})] * 40, 20)
        assert {http for http, _ in served} == {401}


def said(running: Running, times: int) -> bool:
    return running.stderr.count("a worker ended and was started again") == times


def workers(running: Running) -> list[int]:
    """Return the process ids of those that serve: they are nobody's parents."""
    leaves = [pid for pid in running.tree() if not descendants(pid)]
    return [pid for pid in leaves if "serve-supervised" in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.mark.parametrize("command", ["up", "serve"])
@pytest.mark.parametrize("database", [[], ["--db", ":memory:"], ["--db", "some.db"]])
def test_several_workers_on_sqlite_are_refused_in_one_line(command: str, database: list[str]) -> None:
    ended = run(command, "--workers", "2", "--port", "0", *database)
    assert ended.returncode == 2
    assert "give --db a postgresql:// URL" in ended.stderr


def test_rate_limits_are_kept_in_one_place() -> None:
    both = run("up", "--redis", "redis://127.0.0.1:1", "--limits-state", "file")
    assert (both.returncode, "one place" in both.stderr) == (2, True)
    url = run("up", "--limits-state", "redis://127.0.0.1:1")
    assert (url.returncode, "--redis" in url.stderr) == (2, True)


def test_sums_of_metrics_name_each_family_once() -> None:
    one = b'# HELP a_total x\n# TYPE a_total counter\na_total{k="1"} 2.0\n# TYPE b gauge\nb 1.0\n'
    two = b'# HELP a_total x\n# TYPE a_total counter\na_total{k="1"} 3.0\na_total{k="2"} 1.0\n# TYPE b gauge\nb 4.0\n'
    added = summed([one, two]).decode().splitlines()
    assert added == [
        *("# HELP a_total x", "# TYPE a_total counter", 'a_total{k="1"} 5.0', 'a_total{k="2"} 1.0'),
        *("# TYPE b gauge", "b 5.0"),
    ]


def test_a_simulator_alone_starts_without_mock_buyers() -> None:
    with simulator(":memory:") as started:
        assert started.control("GET", "health")["status"] == "ready"


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder in whose path a socket has room: pytest's own may be too long, and another would be taken."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.long
def test_the_folder_of_a_sandbox_that_was_killed_is_cleared_away_by_the_next(
    short_path: Path, postgres_server: Postgres
) -> None:
    """It is there where a relay speaks to the simulator."""
    own = environment(TMPDIR=str(short_path))
    with sandbox("--db", postgres_server.database(), env=own) as killed:
        [left] = short_path.glob("leadsandbox-*")
        killed.kill()
    assert left.exists()
    databases = (postgres_server.database(), postgres_server.database())
    with sandbox("--db", databases[0], env=own) as first, sandbox("--db", databases[1], env=own) as second:
        assert not left.exists()
        assert len(list(short_path.glob("leadsandbox-*"))) == 2, "those that are held stay"
        assert first.base_url != second.base_url
    assert list(short_path.glob("leadsandbox-*")) == []
