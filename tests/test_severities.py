"""Severities in the sandbox file: checked with line numbers, and in force wherever duties are graded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from simulator.platforms import CONTRACTS
from simulator.testing import SandboxError, Server, Tenant
from tests.running import Running, environment, run, sandbox
from tests.tenant import TIMEOUT

pytestmark = pytest.mark.long

FILE = """\
pingtree:
  severities: {D02: fail, D01: off}
  campaigns:
    - id: cmp_own
      buyers: [{id: buyer_own}]
      sources:
        - id: src_own
          link_id: lnk_own
          suppressions: [{name: do not call, field: mobile, csv_file: people.csv}]
leaddistro:
  severities: {D03: warn}
  suppliers: [{id: supplier_own, api_key: own_supplier_key, campaigns: [campaign_own]}]
  campaigns: [{id: campaign_own, buyers: [{id: buyer_own}]}]
"""
SUPPRESSED = "2125550199"
ATTRIBUTES = {"state": "CA", "zip_code": "90001"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("severities")
    (folder / "people.csv").write_text(f"phone\n{SUPPRESSED}\n")
    path = folder / "sandbox.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def up(file: Path) -> Iterator[Running]:
    with sandbox("--config", str(file), "--db", str(file.with_name("state.db"))) as running:
        yield running


@pytest.fixture
def tenant(up: Running) -> Iterator[Tenant]:
    made = Server(up.base_url).new_tenant()
    yield made
    made.delete()


def ping(tenant: Tenant, **more: Any) -> requests.Response:
    source = tenant.source("src_own")
    return requests.post(
        f"{tenant.base_url}/api/lead/ping/{source.name}",
        json={**ATTRIBUTES, **more},
        headers={"Authorization": f"Bearer {source.credentials['ping']}"},
        timeout=TIMEOUT,
    )


def outcomes(card: dict[str, Any], platform: str = "pingtree") -> dict[str, str]:
    return {duty["duty"]: duty["outcome"] for duty in card["platforms"][platform]["duties"]}


def test_the_file_says_how_bad_it_is_and_a_query_overrides_it(tenant: Tenant) -> None:
    ping(tenant, date_of_birth="1986-05-04", email="jo@example.com")
    assert (outcomes(tenant.audit())["D02"], outcomes(tenant.audit())["D01"]) == ("fail", "off")
    asked = outcomes(tenant.audit(severity=["D02:info", "D01:warn"]))
    assert (asked["D02"], asked["D01"]) == ("info", "warn")
    with pytest.raises(AssertionError, match="pingtree D02: fail"):
        tenant.assert_duties_met()
    tenant.assert_duties_met(severity=["D02:warn"])


def test_each_platform_has_severities_of_its_own(tenant: Tenant) -> None:
    supplier = tenant.source("supplier_own")
    body = {"flo_campaign_id": supplier.campaign, "flo_supplier_id": supplier.id, "first_name": "Jo"}
    headers = {"x-api-key": supplier.credentials["api_key"]}
    answer = requests.post(f"{tenant.base_url}/api/v1/ping", json=body, headers=headers, timeout=TIMEOUT)
    assert answer.status_code == 200, answer.text
    assert outcomes(tenant.audit(), "leaddistro")["D03"] == "warn"


def test_the_command_goes_by_the_file_and_its_option_overrides_it(tenant: Tenant) -> None:
    ping(tenant, date_of_birth="1986-05-04")
    words = ("audit", "--url", tenant.base_url, "--tenant", tenant.id)
    assert "pingtree D02: fail" in run(*words).stderr
    assert run(*words, "--severity", "D02:warn").returncode == 0


def test_findings_in_the_event_stream_go_by_the_file(tenant: Tenant) -> None:
    asked = {"tenant": tenant.id, "kinds": "finding"}
    with requests.get(f"{tenant.base_url}/__sandbox/events", params=asked, stream=True, timeout=TIMEOUT) as stream:
        lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(lines) == ": listening"
        ping(tenant, email="jo@example.com")  # D01, which is off
        ping(tenant, date_of_birth="1986-05-04")
        found = json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))
    assert (found["duty"], found["severity"]) == ("D02", "fail")


def test_the_plugins_tenant_is_of_the_servers_own_file(up: Running, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        """
import requests

def test_mine(tenant):
    source = tenant.source("src_own")
    url = f"{tenant.base_url}/api/lead/ping/{source.name}"
    token = {"Authorization": f"Bearer {source.credentials['ping']}"}
    requests.post(url, json={"state": "CA", "zip_code": "90001", "date_of_birth": "1986-05-04"}, headers=token)
    tenant.assert_duties_met()
"""
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--leadsandbox-url", up.base_url]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "pingtree D02: fail" in done.stdout


CLIENT = """
import os, requests
url = f"{os.environ['PINGTREE_URL']}/api/lead/ping/{os.environ['PINGTREE_SOURCE_UNIQUE_ID']}"
token = {"Authorization": f"Bearer {os.environ['PINGTREE_PING_TOKEN']}"}
requests.post(url, json={"state": "CA", "zip_code": "90001", "date_of_birth": "1986-05-04"}, headers=token)
"""


def test_a_rehearsal_goes_by_the_file_and_its_option_overrides_it(up: Running, file: Path) -> None:
    words = ("rehearse", "--situation", "accept")
    command = ("--", sys.executable, "-c", CLIENT)
    for where in (("--url", up.base_url), ("--config", str(file))):
        done = run(*words, *where, *command)
        assert done.returncode == 1, done.stderr
        assert "pingtree D02: fail" in done.stderr
    assert run(*words, "--url", up.base_url, "--severity", "D02:warn", *command).returncode == 0
    wrong = run(*words, "--url", up.base_url, "--severity", "D99:warn", *command)
    assert wrong.returncode == 2
    assert "accept" not in wrong.stderr
    assert run(*words, "--url", up.base_url, "--config", str(file), *command).returncode == 2
    assert run(*words, "--config", "nothing.yaml", *command).returncode == 2


def test_check_names_a_duty_that_is_none_and_a_severity_that_is_none_with_their_lines(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("pingtree:\n  severities:\n    D99: off\n    D02: severe\nleaddistro:\n  severities: {D01: off}\n")
    ended = run("check", str(bad))
    assert ended.returncode == 2
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if "bad.yaml:" in line]
    assert [line.split("bad.yaml:")[1].split(":")[0] for line in lines] == ["3", "4", "6"]
    assert "D99" in lines[0]
    assert "must be one of fail, warn, info, off" in lines[1]
    assert "D01" in lines[2]  # a ping with an e-mail is as it should be there (C25)


def test_the_published_schema_has_a_key_for_each_duty_with_its_rule_and_severity() -> None:
    definitions = json.loads(run("schema").stdout)["$defs"]
    for name, title in (("pingtree", "PingtreeSeverities"), ("leaddistro", "LeadDistroSeverities")):
        duties = CONTRACTS[name].duties
        assert duties is not None
        told = definitions[title]["properties"]
        assert {key: (item["description"], item["default"]) for key, item in told.items()} == {
            duty.id: (duty.rule, duty.severity.value) for duty in duties.catalogue
        }


# --- tenants like another -----------------------------------------------------------------------------------------


def form(tenant: Tenant, mobile: str) -> int:
    source = tenant.source("src_own")
    person = {"first_name": "Jo", "last_name": "Doe", "email": "jo@example.com", "mobile": mobile}
    return requests.post(
        f"{tenant.base_url}/api/lead/add/{source.name}",
        json={**ATTRIBUTES, **person},
        headers={"Authorization": f"Bearer {source.credentials['form']}"},
        timeout=TIMEOUT,
    ).status_code


def test_a_tenant_like_another_has_its_sandbox_with_the_lists_that_stand_in_files(file: Path) -> None:
    database = str(file.with_name("kept.db"))
    with sandbox("--config", str(file), "--db", database) as running:
        made = Server(running.base_url).new_tenant(name="kept")
        assert (form(made, SUPPRESSED), form(made, "2125550101")) == (400, 201)
        assert outcomes(made.audit())["D01"] == "off"
    with sandbox("--config", str(file), "--db", database) as running:
        assert form(Server(running.base_url).tenant("kept"), SUPPRESSED) == 400


def test_like_names_a_tenant_that_is_there_and_goes_with_no_document(up: Running) -> None:
    for document, status in (({"like": "nobody"}, 404), ({"like": "default", "sandbox": {}}, 400), ({"like": 1}, 400)):
        answer = requests.post(f"{up.base_url}/__sandbox/tenants", json=document, timeout=TIMEOUT)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    with pytest.raises(SandboxError, match="nobody"):
        Server(up.base_url).tenant("nobody")
