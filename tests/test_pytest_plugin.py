"""The pytest plugin as a project outside this repository uses it: with the wheel, in parallel, free if unused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.testing import SandboxError, Server, Tenant, started
from tests.running import alive, descendants, environment, wait_until
from tests.sandbox import Sandbox
from tests.wheel import built, installed, quietly

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "pytest_project"
PATIENCE = 180.0


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreter that has the wheel, pytest and pytest-xdist, and nothing of this repository."""
    wheel = built(tmp_path_factory.mktemp("dist"))
    return installed(tmp_path_factory.mktemp("environment"), wheel, "pytest", "pytest-xdist", "requests") / "python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the example project, in a place that knows nothing of this repository."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project"))


def pytest_in(folder: Path, python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments],
        cwd=folder,
        env=environment(PYTHONPATH=""),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def passed(done: subprocess.CompletedProcess[str]) -> int:
    [number] = re.findall(r"(\d+) passed", done.stdout) or ["0"]
    return int(number)


def test_the_example_project_passes_in_parallel_with_only_the_wheel(python: Path, project: Path) -> None:
    done = pytest_in(project, python, "-n", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert passed(done) == 16


def test_tests_in_parallel_never_see_each_others_leads_also_in_one_sandbox(
    python: Path, project: Path, built_in: Sandbox
) -> None:
    (project / "tests" / "test_many.py").write_text(
        """
import pytest

@pytest.mark.parametrize("n", range(40))
def test_mine_alone(pingtree, leaddistro, tenant, lead, consent, sandbox_clock, n):
    lead["sub1"] = str(n)
    before = sandbox_clock.now()
    assert pingtree.submit(lead, consent).status == "accepted"
    person = {"first_name": "A", "last_name": "B", "phone": "2125550125", "email": "a@example.com", "state": "TX"}
    assert leaddistro.submit(person) == "ACCEPTED"
    sandbox_clock.advance(f"{n} days")
    assert n - 1 < (sandbox_clock.now() - before).total_seconds() / 86400 < n + 1
    tenant.trigger("http_500", operation="ping", count=1)
    assert [kept["values"].get("sub1") for kept in tenant.leads() if kept["platform"] == "pingtree"] == [str(n)]
    assert [entry["http"] for entry in tenant.requests] == [201, 201, 200, 201]
    assert tenant.requests.count() == 4
"""
    )
    done = pytest_in(project, python, "-n", "4", "--leadsandbox-url", built_in.base_url, "tests/test_many.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert passed(done) == 40


def test_a_broken_duty_fails_the_test_and_the_message_names_it(python: Path, tmp_path: Path, built_in: Sandbox) -> None:
    (tmp_path / "test_it.py").write_text(
        """
import requests

def test_pii(tenant):
    source = tenant.source("lnk_abc123xyz")
    url = f"{tenant.base_url}/api/lead/ping/{source.name}"
    token = {"Authorization": f"Bearer {source.credentials['ping']}"}
    requests.post(url, json={"state": "CA", "zip_code": "90001", "email": "jane@example.com"}, headers=token)
    tenant.assert_duties_met()

def test_nothing_sent(tenant):
    tenant.assert_duties_met()

def test_unknown_trigger(tenant):
    tenant.trigger("no such word")
"""
    )
    done = pytest_in(tmp_path, python, "--leadsandbox-url", built_in.base_url)
    assert done.returncode == 1
    assert "3 failed" in done.stdout
    assert "pingtree D01: fail" in done.stdout
    assert "in the ping: email" in done.stdout
    assert "got no request" in done.stdout
    assert "is no trigger" in done.stdout


def test_the_plugin_comes_from_the_wheel_and_from_nowhere_else(python: Path) -> None:
    script = (
        "import importlib.metadata as m\n"
        "for one in m.distributions():\n"
        "    for point in one.entry_points:\n"
        "        if point.group == 'pytest11': print(one.name, point.name, point.value, one.locate_file(''))\n"
    )
    told = [line.split(maxsplit=3) for line in quietly(python, "-c", script, cwd=python.parent).splitlines()]
    [own] = [line for line in told if line[0] == "leadsandbox"]
    assert own[1:3] == ["leadsandbox", "simulator.pytest_plugin"]
    assert Path(own[3]).is_relative_to(python.parent.parent)


def imported(folder: Path, python: Path, *arguments: str) -> set[str]:
    """Return every module that a run of pytest has imported in the end."""
    (folder / "test_it.py").write_text("def test_it():\n    pass\n")
    (folder / "conftest.py").write_text(
        "import pathlib, sys\n\n"
        "def pytest_unconfigure():\n"
        "    pathlib.Path('modules').write_text('\\n'.join(sys.modules))\n"
    )
    done = pytest_in(folder, python, *arguments)
    assert (done.returncode, passed(done)) == (0, 1), done.stdout + done.stderr
    return set((folder / "modules").read_text().splitlines())


def test_a_run_that_uses_no_fixture_imports_the_plugin_and_nothing_else(python: Path, tmp_path: Path) -> None:
    with_it, without = imported(tmp_path, python), imported(tmp_path, python, "-p", "no:leadsandbox")
    assert "_pytest.main" in without
    assert with_it - without == {"simulator", "simulator.pytest_plugin"}


def test_a_sandbox_that_does_not_answer_is_an_error_that_says_so(python: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(tenant):\n    pass\n")
    done = pytest_in(tmp_path, python, "--leadsandbox-url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "no sandbox answers at http://127.0.0.1:9" in done.stdout
    done = pytest_in(tmp_path, python, "--leadsandbox-config", "nothing.yaml")
    assert "the sandbox did not start" in done.stdout
    assert "nothing.yaml" in done.stdout


def test_a_sandbox_ends_with_the_process_that_started_it_however_that_ends() -> None:
    script = (
        "import os, sys, time\nfrom simulator.testing import started\n"
        "with started():\n    print('up', flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment(), cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        children = descendants(process.pid)
        assert len(children) >= 3
        process.kill()
    wait_until(lambda: not alive(children), "the sandbox has ended")


# --- what the fixtures give -----------------------------------------------------------------------------------


@pytest.fixture
def fresh(built_in: Sandbox) -> Iterator[Tenant]:
    made = Server(built_in.base_url).new_tenant()
    yield made
    made.delete()


def test_a_source_is_found_by_its_id_and_by_its_link_id_without_the_tenants_suffix(fresh: Tenant) -> None:
    by_id, by_link = fresh.source("src_abc123"), fresh.source("lnk_abc123xyz")
    assert by_id == by_link == fresh.source(by_id.name) == fresh.source(platform="pingtree")
    assert by_id.name == f"lnk_abc123xyz.{fresh.id}"
    assert fresh.source("supplier_xyz789").campaign == "campaign_abc123"
    with pytest.raises(LookupError):
        fresh.source("nobody")


def test_the_environment_has_every_id_and_credential_under_the_vendors_own_words(fresh: Tenant) -> None:
    found = fresh.environment()
    source, supplier = fresh.source("src_abc123"), fresh.source("supplier_xyz789")
    expected = {
        "LEADSANDBOX_URL": fresh.base_url,
        "LEADSANDBOX_TENANT": fresh.id,
        "PINGTREE_URL": fresh.base_url,
        "PINGTREE_SOURCE_ID": "src_abc123",
        "PINGTREE_SOURCE_UNIQUE_ID": source.name,
        "PINGTREE_CAMPAIGN_ID": source.arguments["campaign_id"],
        "PINGTREE_PING_TOKEN": source.credentials["ping"],
        "PINGTREE_POST_TOKEN": source.credentials["post"],
        "PINGTREE_FORM_TOKEN": source.credentials["form"],
        "LEADDISTRO_URL": fresh.base_url,
        "LEADDISTRO_SUPPLIER_ID": "supplier_xyz789",
        "LEADDISTRO_CAMPAIGN_ID": "campaign_abc123",
        "LEADDISTRO_API_KEY": supplier.credentials["api_key"],
    }
    assert expected.items() <= found.items()


def sent(tenant: Tenant, **fields: Any) -> int:
    import requests

    source = tenant.source("lnk_abc123xyz")
    token = {"Authorization": f"Bearer {source.credentials['ping']}"}
    lead = {"state": "CA", "zip_code": "90001", **fields}
    return requests.post(
        f"{tenant.base_url}/api/lead/ping/{source.name}", json=lead, headers=token, timeout=30
    ).status_code


def test_the_journal_is_oldest_first_and_can_be_narrowed_explained_and_cleared(fresh: Tenant) -> None:
    assert [sent(fresh), sent(fresh, zip_code="bad"), sent(fresh)] == [201, 400, 201]
    assert [entry["http"] for entry in fresh.requests] == [201, 400, 201]
    [bad] = fresh.requests.where(operation="ping").where(http="4xx")
    assert fresh.requests.explain(bad["id"])["explanation"]["accepted"] is False
    assert fresh.requests[-1]["http"] == 201
    fresh.requests.clear()
    assert len(fresh.requests) == fresh.requests.count() == 0


def test_more_requests_than_one_page_holds_are_all_there(fresh: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.testing.tenant.MOST", 2)
    for number in range(5):
        sent(fresh, sub1=str(number))
    assert len({entry["id"] for entry in fresh.requests}) == 5


def test_a_trigger_fires_once_as_often_as_it_is_told_or_until_it_is_disarmed(fresh: Tenant) -> None:
    fresh.trigger("http_500", operation="ping")
    assert [sent(fresh), sent(fresh)] == [500, 201]
    fresh.trigger("http_500", count=2)
    assert [sent(fresh), sent(fresh), sent(fresh)] == [500, 500, 201]
    with fresh.trigger("http_500", count=None):
        assert [sent(fresh), sent(fresh)] == [500, 500]
    assert sent(fresh) == 201
    spent = fresh.trigger("http_500")
    assert sent(fresh) == 500
    spent.disarm()


def test_the_clock_moves_freezes_and_goes_back(fresh: Tenant) -> None:
    fresh.clock.freeze()
    start = fresh.clock.now()
    assert fresh.clock.advance(timedelta(hours=2)) == start + timedelta(hours=2)
    assert fresh.clock.advance("3 days") == start + timedelta(days=3, hours=2)
    assert fresh.clock.advance(30) == fresh.clock.now() == start + timedelta(days=3, hours=2, seconds=30)
    assert fresh.clock.set(start + timedelta(days=9)) == start + timedelta(days=9)
    fresh.clock.unfreeze()
    assert fresh.clock.reset() < start + timedelta(days=1)


def test_a_reset_empties_and_a_deleted_tenant_is_gone(fresh: Tenant, built_in: Sandbox) -> None:
    sent(fresh)
    fresh.reset("journal")
    assert len(fresh.requests) == 0
    fresh.delete()
    with pytest.raises(SandboxError) as refused:
        Server(built_in.base_url).tenant(fresh.id)
    assert refused.value.status == 404


def test_a_tenant_of_a_sandbox_of_ones_own_has_what_stands_in_it(built_in: Sandbox) -> None:
    document = {"pingtree": {"campaigns": [{"id": "c", "sources": [{"id": "mine", "link_id": "lnk_mine"}]}]}}
    made = Server(built_in.base_url).new_tenant(document, name="of-my-own")
    assert [item.id for item in made.sources] == ["mine"]
    assert "LEADDISTRO_API_KEY" not in made.environment()
    made.delete()


def test_a_project_with_a_fixtures_folder_of_its_own_gets_a_sandbox_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "__init__.py").write_text("raise RuntimeError('not yours')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])))
    with started() as server:
        assert server.new_tenant().source("src_abc123").credentials
