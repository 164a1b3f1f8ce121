"""The control API: tenants that never meet, credentials, resets, snapshots, hot reload, problem details."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.running import sandbox as started
from tests.sandbox import Sandbox, eventually, running
from tests.tenant import Tenant

TIMEOUT = 30
PROBLEM = "application/problem+json"


@pytest.fixture
def tenant(built_in: Sandbox) -> Iterator[Tenant]:
    fresh = Tenant(built_in.base_url)
    yield fresh
    fresh.control("DELETE", f"tenants/{fresh.name}")


def _status(answer: requests.Response) -> Any:
    document = answer.json()
    return document["data"].get("leadStatus") or document["data"]["status"]


def _journey(tenant: Tenant, n: int) -> int:
    """Ping, post, ingest, ingest again, and again a month later; return how many requests that were."""
    pinged = tenant.say("pingtree ping", sub1=f"{tenant.name}-{n}").json()["data"]
    assert pinged["leadStatus"] == "ping_accept"
    assert _status(tenant.say("pingtree post", transaction_id=pinged["transaction_id"])) == "accepted"
    phone = f"212555{n:04}"
    person = {"phone": phone, "email": f"same{n}@example.com"}
    assert [_status(tenant.say("leaddistro ingest", **person)) for _ in range(2)] == ["ACCEPTED", "DUPLICATE"]
    assert tenant.control("POST", "clock", {"advance": "31 days"}).status_code == 200
    assert _status(tenant.say("leaddistro ingest", **person)) == "ACCEPTED"
    return 5


def test_fifty_tenants_at_once_never_meet(built_in: Sandbox) -> None:
    def use(_: int) -> None:
        tenant = Tenant(built_in.base_url)
        sent = sum(_journey(tenant, n) for n in range(20))
        assert tenant.control("GET", "requests/count").json()["count"] == sent
        leads = tenant.control("GET", "leads?limit=1000").json()["leads"]
        assert len(leads) == 20 * 4
        sources = {lead["values"].get("sub1", "") for lead in leads}
        assert not {name for name in sources if name.startswith("t")} - {f"{tenant.name}-{n}" for n in range(20)}
        tenant.control("DELETE", f"tenants/{tenant.name}")

    with ThreadPoolExecutor(50) as threads:
        list(threads.map(use, range(50)))


def test_a_deleted_tenant_leaves_nothing_behind(built_in: Sandbox) -> None:
    tenant = Tenant(built_in.base_url)
    _journey(tenant, 0)
    assert tenant.control("DELETE", f"tenants/{tenant.name}").status_code == 200
    assert tenant.say("leaddistro ingest").status_code == 401
    assert tenant.control("GET", "leads").status_code == 404
    tables = ("leads", "pings", "persons", "caps", "outbox", "attempts", "credentials", "snapshots")
    rows = {name: built_in.query(f"SELECT count(*) FROM {name} WHERE tenant = ?", tenant.name) for name in tables}
    assert set(map(tuple, rows.values())) == {((0,),)}
    assert built_in.query("SELECT count(*) FROM tenants WHERE id = ?", tenant.name) == [(0,)]
    played = requests.get(f"{built_in.mock_buyers_url}/__buyers", timeout=TIMEOUT).json()
    assert tenant.name not in json.dumps(played)


def test_a_tenant_has_its_own_ids_tokens_and_keys(built_in: Sandbox, tenant: Tenant) -> None:
    other = Tenant(built_in.base_url)
    mine, theirs = (
        {value for sources in one.welcome["platforms"].values() for [*found] in sources.values()
         for item in found for value in (item["name"], *item["credentials"].values())}
        for one in (tenant, other)
    )  # fmt: skip
    assert not mine & theirs
    [source, *_] = other.welcome["platforms"]["pingtree"]["sources"]
    foreign = {"Authorization": f"Bearer {source['credentials']['ping']}"}
    assert tenant.say("pingtree ping", headers=foreign).status_code == 401


def test_a_named_tenant_exists_once(built_in: Sandbox) -> None:
    url = f"{built_in.base_url}/__sandbox/tenants"
    made = [requests.post(url, json={"name": "only-one"}, timeout=TIMEOUT).status_code for _ in range(2)]
    requests.delete(f"{url}/only-one", timeout=TIMEOUT)
    assert made == [201, 409]


@pytest.mark.parametrize(
    ("method", "path", "document", "status"),
    [
        ("POST", "tenants", {"name": "Not A Name"}, 400),
        ("POST", "tenants", {"sandbox": {"pingtree": {"campains": []}}}, 400),
        ("POST", "tenants", {"unknown": 1}, 400),
        ("GET", "tenants/nobody", None, 404),
        ("DELETE", "tenants/default", None, 409),
        ("POST", "clock", {"advance": "soon"}, 400),
        ("POST", "clock", {}, 400),
        ("POST", "clock", {"advance": 1, "reset": True}, 400),
        ("POST", "clock", {"advance": "9999999 days"}, 400),
        ("POST", "reset", {"scopes": ["everything"]}, 400),
        ("POST", "snapshots/none/restore", None, 404),
        ("POST", "credentials/regenerate", {"platform": "pingtree", "owner": "nobody"}, 404),
        ("POST", "credentials/regenerate", {"platform": "nothing", "owner": "x"}, 400),
        ("GET", "leads?limit=none", None, 400),
        ("GET", "leads/none", None, 404),
        ("POST", "deliveries/1000000/replay", None, 404),
        ("GET", "no/such/thing", None, 404),
        ("DELETE", "faults/none", None, 404),
    ],
)
def test_the_control_api_answers_errors_with_problem_details(
    tenant: Tenant, method: str, path: str, document: Any, status: int
) -> None:
    answer = tenant.control(method, path, document)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM), answer.text
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_a_bad_sandbox_names_the_key_that_was_meant(tenant: Tenant) -> None:
    answer = tenant.control("POST", "tenants", {"sandbox": {"pingtree": {"campains": []}}})
    assert 'did you mean "campaigns"?' in answer.json()["errors"][0]


def test_a_regenerated_token_replaces_the_old_one_at_once(tenant: Tenant) -> None:
    [source, *_] = tenant.welcome["platforms"]["pingtree"]["sources"]
    renewed = tenant.control(
        "POST", "credentials/regenerate", {"platform": "pingtree", "owner": source["id"], "kind": "ping"}
    ).json()
    assert tenant.say("pingtree ping").status_code == 401
    fresh = {"Authorization": f"Bearer {renewed['credential']}"}
    assert tenant.say("pingtree ping", headers=fresh).status_code == 201
    assert tenant.say("pingtree form").status_code == 201, "the other kinds stay"


def test_a_rotated_supplier_key_replaces_the_old_one_at_once(tenant: Tenant) -> None:
    [supplier, *_] = tenant.welcome["platforms"]["leaddistro"]["suppliers"]
    renewed = tenant.control(
        "POST", "credentials/regenerate", {"platform": "leaddistro", "owner": supplier["id"]}
    ).json()
    assert tenant.say("leaddistro ingest").status_code == 401
    assert tenant.say("leaddistro ingest", headers={"x-api-key": renewed["credential"]}).status_code == 201


def test_a_reset_empties_what_it_names_and_says_what_it_kept(tenant: Tenant) -> None:
    _journey(tenant, 1)
    done = tenant.control("POST", "reset", {"scopes": ["leads"]}).json()
    assert done["emptied"]["leads"] == 4
    assert {"pings", "caps", "deliveries", "journal", "clock"} <= set(done["kept"])
    assert tenant.control("GET", "leads").json()["leads"] == []
    assert len(tenant.control("GET", "pings").json()["pings"]) == 1
    tenant.control("POST", "reset")
    assert tenant.control("GET", "pings").json()["pings"] == []
    assert tenant.control("GET", "requests/count").json()["count"] == 0


def test_a_snapshot_brings_back_leads_clock_and_duplicates(tenant: Tenant) -> None:
    person = {"phone": "2125550177", "email": "kept@example.com"}
    assert _status(tenant.say("leaddistro ingest", **person)) == "ACCEPTED"
    tenant.control("POST", "clock", {"freeze": True})
    before = tenant.control("GET", "clock").json()["now"]
    assert tenant.control("POST", "snapshots", {"name": "one"}).status_code == 201
    tenant.control("POST", "reset")
    tenant.control("POST", "clock", {"advance": "90 days"})
    assert _status(tenant.say("leaddistro ingest", **person)) == "ACCEPTED"
    assert tenant.control("POST", "snapshots/one/restore").status_code == 200
    assert tenant.control("GET", "clock").json()["now"] == before
    assert _status(tenant.say("leaddistro ingest", **person)) == "DUPLICATE"


def test_every_request_leads_to_its_explanation(tenant: Tenant) -> None:
    answer = tenant.say("pingtree ping", headers={"X-Sandbox-Trigger": "PT-PING-400-RULE"})
    told = tenant.control("GET", f"requests/{answer.headers['X-Sandbox-Request-Id']}").json()
    assert "PT-PING-400-RULE" in json.dumps(told)
    assert "header: PT-PING-400-RULE" in json.dumps(told), "and what asked for it"


def test_a_sandbox_file_is_put_in_force_when_it_changes_and_a_bad_one_is_not(tmp_path: Path) -> None:
    config: dict[str, Any] = yaml.safe_load(Path("fixtures/sandboxes/built-in.yaml").read_text())
    with running(tmp_path, config) as sandbox:
        file = tmp_path / "sandbox.yaml"

        def outcome() -> Any:
            return requests.get(f"{sandbox.base_url}/healthz", timeout=TIMEOUT).json()["sandbox_file"]

        file.write_text("pingtree: {campains: []}")
        eventually(lambda: outcome()["errors"])
        assert "campains" in outcome()["errors"][0]
        assert sandbox.source().ping().status == 201, "the old sandbox stays in force"
        config["pingtree"]["campaigns"][0]["sources"][0]["link_id"] = "lnk_renamed"
        file.write_text(json.dumps(config))
        eventually(lambda: outcome()["reloads"] == 1)
        assert sandbox.source().ping().status == 401
        welcome = requests.get(f"{sandbox.base_url}/__sandbox/welcome", timeout=TIMEOUT).json()
        assert welcome["platforms"]["pingtree"]["sources"][0]["name"] == "lnk_renamed"


def test_a_control_token_closes_the_control_api_and_nothing_else() -> None:
    with started("--db", ":memory:", "--control-token", "not-a-secret", "--strict") as sandbox:
        url = f"{sandbox.base_url}/__sandbox/tenants"

        def status(**headers: str) -> int:
            return requests.get(url, headers=headers, timeout=TIMEOUT).status_code

        assert [status(), status(Authorization="Bearer wrong"), status(Authorization="not-a-secret")] == [401, 401, 401]
        assert status(Authorization="Bearer not-a-secret") == 200
        assert requests.get(f"{sandbox.base_url}/healthz", timeout=TIMEOUT).status_code == 200
        answer = requests.post(f"{sandbox.base_url}/api/v1/ping", json={}, timeout=TIMEOUT)
        assert answer.json()["error"] == "unauthorized", "the vendor's answer, not ours"
        assert not [name for name in answer.headers if name.lower().startswith("x-sandbox")], "a strict profile"
        listed = "\0".join(
            Path(f"/proc/{pid}/cmdline").read_text() for pid in sandbox.tree() if pid != sandbox.process.pid
        )
        assert "not-a-secret" not in listed


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_open_address_needs_a_control_token(host: str) -> None:
    command = [sys.executable, "-m", "simulator", "up", "--host", host, "--port", "0", "--db", ":memory:"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ended.returncode == 2
    assert "--control-token" in ended.stderr


def test_a_tenant_that_is_deleted_while_it_answers_leaves_nothing(built_in: Sandbox) -> None:
    buyer = {"id": "slow", "persona": {"persona": "slow", "latency": 1500}}
    source = {"id": "s", "link_id": "l"}
    sandbox = {"pingtree": {"campaigns": [{"id": "c", "sources": [source], "buyers": [buyer]}]}}
    tenant = Tenant(built_in.base_url, sandbox=sandbox)
    with ThreadPoolExecutor(1) as thread:
        pinged = thread.submit(tenant.say, "pingtree ping")
        played = f"{built_in.mock_buyers_url}/__buyers/pingtree/{tenant.name}/slow/received"
        eventually(lambda: requests.get(played, timeout=TIMEOUT).json().get("received"))
        assert tenant.control("DELETE", f"tenants/{tenant.name}").status_code == 200
        assert pinged.result().status_code == 201, "whoever is inside may finish"
    eventually(lambda: built_in.query("SELECT count(*) FROM pings WHERE tenant = ?", tenant.name) == [(0,)])
    assert built_in.query("SELECT count(*) FROM tenants WHERE id = ?", tenant.name) == [(0,)]


def test_a_fault_that_does_not_fit_is_kept_for_a_request_that_it_fits(tenant: Tenant) -> None:
    tenant.control("POST", "faults", {"trigger": "PT-PING-400-RULE", "count": 1})
    assert tenant.say("leaddistro ingest").status_code == 201
    asked = tenant.say("pingtree ping", headers={"X-Sandbox-Trigger": "no_bid"})
    assert asked.json()["data"]["leadStatus"] == "ping_reject"
    assert tenant.say("pingtree ping").status_code == 400
    assert tenant.say("pingtree ping").status_code == 201


def test_a_restored_clock_survives_a_restart(tmp_path: Path) -> None:
    for visit in range(2):
        with running(tmp_path) as sandbox:
            url = f"{sandbox.base_url}/__sandbox"
            if visit == 0:
                requests.post(f"{url}/clock", json={"set": "2030-01-01T00:00:00Z"}, timeout=TIMEOUT)
                requests.post(f"{url}/snapshots", timeout=TIMEOUT)
                requests.post(f"{url}/clock", json={"advance": "400 days"}, timeout=TIMEOUT)
                requests.post(f"{url}/snapshots/default/restore", timeout=TIMEOUT)
            assert requests.get(f"{url}/clock", timeout=TIMEOUT).json()["now"].startswith("2030-01-0")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "FOO", "OPTIONS"])
def test_the_control_api_answers_wrong_methods_itself(built_in: Sandbox, method: str) -> None:
    answer = requests.request(method, f"{built_in.base_url}/__sandbox/clock", timeout=TIMEOUT)
    assert (answer.status_code, answer.headers["Content-Type"]) == (405, PROBLEM)
    assert answer.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("path", ["leads?stat=x", "pings?after=1", "caps?x=1", "deliveries?state=pending"])
def test_a_filter_that_a_route_does_not_know_is_refused(tenant: Tenant, path: str) -> None:
    assert tenant.control("GET", path).status_code == 400
