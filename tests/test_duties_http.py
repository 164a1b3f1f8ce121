"""The audit of a running sandbox: what a client sent over HTTP, graded, as JSON, HTML, lines and JUnit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from simulator.platforms import CONTRACTS
from tests.sandbox import Sandbox, eventually
from tests.tenant import TIMEOUT, Tenant

REQUEST_ID = "X-Sandbox-Request-Id"
NOTHING_WRONG: set[str] = set()


@pytest.fixture
def tenant(built_in: Sandbox) -> Iterator[Tenant]:
    made = Tenant(built_in.base_url)
    yield made
    made.control("DELETE", f"tenants/{made.name}")


class Client:
    """A client of one tenant that sends just what it is told to."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        [self.source, *_] = tenant.welcome["platforms"]["pingtree"]["sources"]
        [self.supplier, *_] = tenant.welcome["platforms"]["leaddistro"]["suppliers"]

    def pingtree(
        self, operation: str, values: Mapping[str, Any], token: str | None = None, **headers: str
    ) -> requests.Response:
        kind = "form" if operation == "add" else operation
        sent = {"Authorization": f"Bearer {token or self.source['credentials'][kind]}", **headers}
        return self._post(f"/api/lead/{operation}/{self.source['name']}", values, sent)

    def leaddistro(self, operation: str, values: Mapping[str, Any], **headers: str) -> requests.Response:
        ids = {"flo_campaign_id": "campaign_abc123", "flo_supplier_id": self.supplier["id"]}
        sent = {"x-api-key": self.supplier["credentials"]["api_key"], **headers}
        return self._post(f"/api/v1/{operation}", {**ids, **values}, sent)

    def _post(self, path: str, values: Mapping[str, Any], headers: Mapping[str, str]) -> requests.Response:
        return self.tenant.session.post(
            self.tenant.base + path, json=dict(values), headers=dict(headers), timeout=TIMEOUT
        )

    def read_the_text(self) -> None:
        assert self.tenant.control("POST", "clock", {"advance": "5 s"}).status_code == 200

    def audit(self, query: str = "") -> dict[str, dict[str, dict[str, Any]]]:
        """Return the verdict of each duty of each platform."""
        answer = self.tenant.control("GET", f"audit{query}")
        assert answer.status_code == 200, answer.text
        platforms = answer.json()["platforms"]
        return {name: {duty["duty"]: duty for duty in found["duties"]} for name, found in platforms.items()}


ATTRIBUTES = {"state": "CA", "zip_code": "90001", "loan_amount": 15000, "home_owner": True}
PERSON = {"first_name": "Jane", "last_name": "Doe", "email": "jane.doe@example.com", "mobile": "2125550123"}
CONSENT = {"tcpa_consent": "yes"}
NO_BID = {"X-Sandbox-Trigger": "no_bid"}


def name_of(answer: requests.Response) -> str:
    return str(answer.json()["data"]["transaction_id"])


def id_of(answer: requests.Response) -> str:
    return answer.headers[REQUEST_ID]


def broken(verdicts: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict["findings"]}


def consent(client: Client) -> dict[str, str]:
    now = client.tenant.control("GET", "clock").json()["now"]
    return {**CONSENT, "tcpa_consent_date": now[:10]}


def sold(client: Client, person: Mapping[str, Any]) -> None:
    """Sell one lead, and do everything right."""
    name = name_of(client.pingtree("ping", ATTRIBUTES))
    client.read_the_text()
    answer = client.pingtree("post", {**ATTRIBUTES, **person, **consent(client), "transaction_id": name})
    assert answer.json()["data"]["leadStatus"] == "accepted", answer.text


def test_a_well_behaved_client_has_no_finding_at_either_vendor(tenant: Tenant) -> None:
    client = Client(tenant)
    sold(client, PERSON)
    assert client.pingtree("ping", {**ATTRIBUTES, "zip_code": "90002"}, **NO_BID).status_code == 201
    lead = {"first_name": "Jane", "last_name": "Doe", "phone": "2125550124", "email": "j@example.com", "state": "TX"}
    assert client.leaddistro("ingest", lead).status_code == 201
    found = client.audit()
    assert broken(found["pingtree"]) == broken(found["leaddistro"]) == NOTHING_WRONG
    passed = {"D01", "D04", "D10", "D11", "D12", "D13", "D20", "D21", "D30", "D31", "D34", "D37", "D60", "D61"}
    assert {name for name in passed if found["pingtree"][name]["outcome"] == "pass"} == passed


def test_a_careless_client_is_told_each_fault_once_with_the_right_requests(tenant: Tenant) -> None:
    client = Client(tenant)
    sold(client, PERSON)
    expected: dict[str, list[str]] = {}

    told = client.pingtree("ping", {**ATTRIBUTES, "zip_code": "90003", "email": "jo@example.com"})
    expected["D01"] = [id_of(told)]

    refused = client.pingtree("ping", {**ATTRIBUTES, "zip_code": "90004"}, **NO_BID)
    after = {**ATTRIBUTES, **PERSON, **consent(client), "zip_code": "90004", "transaction_id": name_of(refused)}
    expected["D10"] = [id_of(refused), id_of(client.pingtree("post", {**after, "mobile": "2125550130"}))]

    wrong = [client.pingtree("ping", {"zip_code": "90005"}) for _ in range(2)]
    expected["D04"] = expected["D41"] = [id_of(answer) for answer in wrong]

    ping = client.pingtree("ping", {**ATTRIBUTES, "zip_code": "90006"})
    client.read_the_text()
    dropped = {**ATTRIBUTES, **PERSON, **consent(client), "zip_code": "90006", "transaction_id": name_of(ping)}
    del dropped["loan_amount"]
    other = {"mobile": "2125550131", "email": "other@example.com"}
    first = client.pingtree("post", {**dropped, **other})
    expected["D20"] = [id_of(ping), id_of(first)]

    again = client.pingtree("post", {**dropped, **other, "loan_amount": 15000})
    expected["D18"] = [id_of(first), id_of(again)]

    person = {"first_name": "Jane", "last_name": "Doe", "phone": "2125550132", "email": "k@example.com", "state": "TX"}
    limited = client.leaddistro("ingest", person, **{"X-Sandbox-Trigger": "rate_limited"})
    hasty = client.leaddistro("ingest", person)

    found = client.audit()
    seen = {name: verdict["findings"] for name, verdict in found["pingtree"].items() if verdict["findings"]}
    assert {name: [one["requests"] for one in findings] for name, findings in seen.items()} == {
        name: [ids] for name, ids in expected.items()
    }
    [finding] = found["leaddistro"]["D42"]["findings"]
    assert finding["requests"] == [id_of(limited), id_of(hasty)]
    assert broken(found["leaddistro"]) == {"D42"}


def test_token_duties_are_told_without_the_token(tenant: Tenant) -> None:
    client = Client(tenant)
    old = client.source["credentials"]["ping"]
    document = {"platform": "pingtree", "owner": client.source["name"], "kind": "ping"}
    renewed = tenant.control("POST", "credentials/regenerate", document).json()["credential"]
    stale = client.pingtree("ping", ATTRIBUTES, old)
    swapped = client.pingtree("ping", {**ATTRIBUTES, "zip_code": "90002"}, client.source["credentials"]["post"])
    spelled = client.pingtree("ping", ATTRIBUTES, Authorization=f"bearer {renewed}")
    leaked = client.pingtree("ping", {**ATTRIBUTES, "api_note": renewed}, renewed)
    text = tenant.control("GET", "audit").text
    found = client.audit()["pingtree"]
    asked = {"D32": stale, "D30": swapped, "D31": spelled, "D33": leaked}
    assert {name: found[name]["findings"][0]["requests"] for name in asked} == {
        name: [id_of(answer)] for name, answer in asked.items()
    }
    assert old not in text
    assert renewed not in text


def test_a_slow_clients_post_after_the_lifetime_is_found_by_the_sandbox_clock(tenant: Tenant) -> None:
    client = Client(tenant)
    name = name_of(client.pingtree("ping", ATTRIBUTES))
    tenant.control("POST", "clock", {"advance": "10 min"})
    post = client.pingtree("post", {**ATTRIBUTES, **PERSON, **consent(client), "transaction_id": name})
    found = client.audit()["pingtree"]
    assert broken(found) == {"D13"}
    assert found["D13"]["findings"][0]["requests"][-1] == id_of(post)


def test_severities_can_be_set_and_bad_ones_are_refused(tenant: Tenant) -> None:
    client = Client(tenant)
    client.pingtree("ping", {**ATTRIBUTES, "date_of_birth": "1986-05-04"})
    assert client.audit()["pingtree"]["D02"]["outcome"] == "warn"
    session, url = tenant.session, f"{tenant.base}/__sandbox/audit"
    chosen = {"tenant": tenant.name, "severity": ["D02:fail", "D34:off"]}
    duties = session.get(url, params=chosen, timeout=TIMEOUT).json()["platforms"]["pingtree"]["duties"]
    outcomes = {duty["duty"]: duty["outcome"] for duty in duties}
    assert (outcomes["D02"], outcomes["D34"]) == ("fail", "off")
    for wrong in (
        {"severity": "D99:off"},
        {"severity": "D01:maybe"},
        {"format": "pdf"},
        {"tenants": "x"},
        {"tenant": "x"},
    ):
        answer = session.get(url, params=wrong, timeout=TIMEOUT)
        assert answer.status_code == (404 if "tenant" in wrong else 400), wrong
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_page_shows_what_callers_sent_as_text(tenant: Tenant) -> None:
    client = Client(tenant)
    client.pingtree("ping", {**ATTRIBUTES, "<script>x</script>": "jane@example.com"})
    answer = tenant.session.get(
        f"{tenant.base}/__sandbox/audit", params={"tenant": tenant.name, "format": "html"}, timeout=TIMEOUT
    )
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script>" not in answer.text
    assert "&lt;script&gt;x&lt;/script&gt;" in answer.text


class Refusing(BaseHTTPRequestHandler):
    """A webhook receiver that takes no signature for good."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    server.shutdown()
    server.server_close()


def test_a_receiver_of_ones_own_that_refuses_good_signatures_is_found(built_in: Sandbox, receiver: str) -> None:
    section = {
        "suppliers": [{"id": "supplier_own", "api_key": "own_supplier_key", "campaigns": ["campaign_abc123"]}],
        "campaigns": [{"id": "campaign_abc123", "buyers": [{"id": "buyer_own", "webhook": {"url": receiver}}]}],
    }
    tenant = Tenant(built_in.base_url, sandbox={"leaddistro": section, "pingtree": pingtree_section()})
    client = Client(tenant)
    lead = {"first_name": "Jane", "last_name": "Doe", "phone": "2125550124", "email": "j@example.com"}
    assert client.leaddistro("ingest", lead).status_code == 201
    finding = eventually(lambda: client.audit()["leaddistro"]["D71"]["findings"])[0]
    [delivery] = tenant.control("GET", "deliveries").json()["deliveries"]
    assert set(finding["requests"]) == {f"deliveries/{delivery['id']}"}
    assert finding["detail"] == "a good signature was answered 401"
    tenant.control("DELETE", f"tenants/{tenant.name}")


def pingtree_section() -> dict[str, Any]:
    return {"campaigns": [{"id": "cmp_own", "sources": [{"id": "src_own", "link_id": "lnk_own"}]}]}


# --- the command ----------------------------------------------------------------------------------------------


def run(tenant: Tenant, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulator", "audit", "--url", tenant.base, "--tenant", tenant.name, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_exits_0_for_a_good_client_1_for_a_bad_one_and_5_for_none(tenant: Tenant, tmp_path: Path) -> None:
    assert run(tenant).returncode == 5
    client = Client(tenant)
    sold(client, PERSON)
    good = run(tenant)
    assert good.returncode == 0, good.stderr
    assert "pass      D12" in good.stdout
    client.pingtree("ping", {**ATTRIBUTES, "first_name": "Jo"})
    bad = run(tenant, "--json", str(tmp_path / "card.json"), "--html", str(tmp_path / "card.html"))
    assert bad.returncode == 1
    assert "pingtree D01: fail" in bad.stderr
    assert "in the ping: first_name" in bad.stdout
    assert json.loads((tmp_path / "card.json").read_text())["summary"]["fail"] == 1
    page = (tmp_path / "card.html").read_text()
    assert page.startswith("<!doctype html>")
    [link] = set(re.findall(r'href="([^"]*)"', page))  # in a file, a path alone would lead nowhere
    assert tenant.session.get(link, timeout=TIMEOUT).json()["row_id"] == "PT-PING-201-ACCEPT"
    assert run(tenant, "--severity", "D01:off").returncode == 0


def test_a_file_that_is_full_in_the_end_loses_no_scorecard(tenant: Tenant, tmp_path: Path) -> None:
    Client(tenant).pingtree("ping", {**ATTRIBUTES, "first_name": "Jo"})
    done = run(tenant, "--json", "/dev/full", "--junit", str(tmp_path / "duties.xml"))
    assert done.returncode == 2
    assert "cannot write /dev/full" in done.stderr
    assert (tmp_path / "duties.xml").exists()
    assert "pingtree D01: fail" in done.stderr
    assert "in the ping: first_name" in done.stdout


@pytest.mark.long
def test_a_warning_fails_when_asked_and_so_does_a_required_duty_that_was_not_seen(
    tenant: Tenant, tmp_path: Path
) -> None:
    client = Client(tenant)
    client.pingtree("ping", {**ATTRIBUTES, "date_of_birth": "1986-05-04"})
    assert run(tenant).returncode == 0
    assert run(tenant, "--fail-on", "warn").returncode == 1
    assert run(tenant, "--require", "D01,D02").returncode == 0
    file = tmp_path / "junit.xml"
    missing = run(tenant, "--require", "D01,D42", "--junit", str(file))
    assert missing.returncode == 1
    assert "D42: not seen, and required" in missing.stderr
    cases = {
        case.get("name", "")[:3]: case for case in ET.parse(file).iter("testcase") if "leaddistro" in str(case.attrib)
    }
    assert cases["D42"].find("failure") is not None
    assert cases["D38"].find("skipped") is not None
    duties = CONTRACTS["leaddistro"].duties
    assert duties is not None
    assert len(cases) == len(duties.catalogue)
    assert run(tenant, "--require", "D99").returncode == 2
    assert run(tenant, "--severity", "D99:off").returncode == 2


def test_the_command_says_where_no_sandbox_answers() -> None:
    command = [sys.executable, "-m", "simulator", "audit", "--url", "http://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 4
    assert "no sandbox answers" in done.stderr
