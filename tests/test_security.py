"""What SECURITY.md promises, a test for each promise. Where another file tests one already, SECURITY.md names it."""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import hmac
import http.server
import importlib.util
import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pycurl
import pytest
import requests

from simulator import masking, transfers
from simulator.buyers import BuyerCalls, Call
from simulator.platforms import CONTRACTS
from simulator.reach import HostError, reach
from tests.programs import missing, program
from tests.running import Running, environment, run, sandbox, written
from tests.tenant import Tenant

ROOT = Path(__file__).parent.parent
TIMEOUT = 30
TOKEN = "control-token-of-this-test"
LEAD = {"state": "CA", "zip_code": "90001"}


@pytest.fixture(scope="module")
def up() -> Iterator[Running]:
    with sandbox("--db", ":memory:") as running:
        yield running


@pytest.fixture(scope="module")
def guarded() -> Iterator[Running]:
    """A sandbox with a control token, which came by the environment."""
    with sandbox("--db", ":memory:", env=environment(LEADSANDBOX_CONTROL_TOKEN=TOKEN)) as running:
        yield running


def asked(url: str, method: str = "GET", **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, url, headers=named, timeout=TIMEOUT, allow_redirects=False)


def tenants(running: Running) -> list[str]:
    listed = asked(f"{running.base_url}/__sandbox/tenants").json()["tenants"]
    return [item["tenant"] for item in listed]


# --- the control API and web pages ----------------------------------------------------------------------------

FOREIGN_NAMES = ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "x", "1.2.3"]
OWN_NAMES = ["127.0.0.1", "127.0.0.1:1", "localhost:8080", "LOCALHOST", "[::1]:8080", "app.localhost", "192.0.2.7:80"]


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_a_name_that_a_name_server_was_asked_for_opens_no_control_api(up: Running, name: str) -> None:
    """DNS rebinding: a page's own name is made to mean 127.0.0.1, and the page then reads what it likes."""
    for place in (f"{up.base_url}/__sandbox/welcome", f"{up.welcome['mock_buyers']}/__buyers"):
        answer = asked(place, Host=name)
        assert answer.status_code == 403
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "use an IP address or localhost" in answer.json()["detail"]


@pytest.mark.parametrize("name", OWN_NAMES)
def test_addresses_and_names_of_this_machine_open_it(up: Running, name: str) -> None:
    for place in (f"{up.base_url}/__sandbox/welcome", f"{up.welcome['mock_buyers']}/__buyers"):
        assert asked(place, Host=name).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://", "http://localhost"]
)
def test_a_page_of_another_origin_can_change_nothing(up: Running, origin: str) -> None:
    before = tenants(up)
    for method, path in (("POST", "tenants"), ("POST", "reset"), ("DELETE", "requests"), ("PUT", "tenants/x")):
        answer = asked(f"{up.base_url}/__sandbox/{path}", method, Origin=origin, Content_Type="text/plain")
        assert answer.status_code in {403, 405}, (method, path)
    assert asked(f"{up.base_url}/__sandbox/tenants", "POST", Origin=origin).status_code == 403
    assert tenants(up) == before
    buyer = f"{up.welcome['mock_buyers']}/__buyers/pingtree/default/x/reset"
    assert asked(buyer, "POST", Origin=origin).status_code == 403


def test_the_sandbox_s_own_page_can(up: Running) -> None:
    answer = asked(f"{up.base_url}/__sandbox/reset", "POST", Origin=up.base_url, Sec_Fetch_Site="same-origin")
    assert answer.status_code == 200


def test_a_page_of_another_site_cannot_even_open_a_stream_and_its_links_lead_here(up: Running) -> None:
    url = f"{up.base_url}/__sandbox/docs"
    assert asked(url, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors").status_code == 403
    assert asked(url, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status_code == 200


def test_no_answer_invites_other_origins(up: Running) -> None:
    for path in ("/__sandbox/welcome", "/healthz", "/api/v1/ping"):
        answer = asked(f"{up.base_url}{path}", "GET", Origin=up.base_url)
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.long
def test_a_real_browser_on_a_real_page_changes_nothing(up: Running) -> None:
    chromium = program("chromium", "chromium-browser", "google-chrome")
    made = f"{up.base_url}/__sandbox/tenants"
    page = f"""<title>waiting</title><script>
      const options = {{method: "POST", mode: "no-cors", body: JSON.stringify({{name: "by-a-page"}})}};
      fetch("{made}", options).then(() => 0, () => 0).then(() => document.title = "it was sent");
    </script>"""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    with served(page.encode()) as url:
        shown = subprocess.run([chromium, *flags, url], capture_output=True, text=True, timeout=90, check=False).stdout
    assert "<title>it was sent</title>" in shown
    assert "by-a-page" not in tenants(up)
    assert asked(made, "POST", Content_Type="text/plain").status_code == 201, "it is the origin that is refused"


@contextlib.contextmanager
def served(page: bytes, status: int = 200, **headers: str) -> Iterator[str]:
    """Serve one page on a free port."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "text/html", "Content-Length": str(len(page)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(page)

        do_POST = do_GET  # noqa: N815  the name is the base class's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_vendors_endpoints_ask_for_their_credentials_and_nothing_else(up: Running) -> None:
    token = up.credentials("lnk_abc123xyz")["ping"]
    headers = {"Authorization": f"Bearer {token}", "Host": "api.pingtree.example", "Origin": "https://evil.example"}
    answer = requests.post(f"{up.base_url}/api/lead/ping/lnk_abc123xyz", json=LEAD, headers=headers, timeout=TIMEOUT)
    assert answer.status_code == 201


# --- the control token ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_off_loopback_there_is_no_sandbox_without_a_token(host: str) -> None:
    ended = run("up", "--host", host, "--port", "0", "--db", ":memory:")
    assert ended.returncode == 2
    assert "--control-token" in ended.stderr


@pytest.mark.parametrize(
    "wrong", ["", TOKEN, "Bearer", "Bearer ", f"bearer {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x",
              f"Bearer  {TOKEN}", f"Basic {TOKEN}", f"Bearer {TOKEN.upper()}", "Bearer \xe9"]
)  # fmt: skip
def test_only_the_token_itself_opens_the_control_api(guarded: Running, wrong: str) -> None:
    for path in ("welcome", "tenants", "metrics", "docs", "requests", "specs", "audit", "events", "openapi.json"):
        headers = {"Authorization": wrong.encode("latin-1")} if wrong else {}
        answer = requests.get(f"{guarded.base_url}/__sandbox/{path}", headers=headers, timeout=TIMEOUT)
        assert answer.status_code == 401, path


def test_with_a_token_the_name_does_not_matter(guarded: Running) -> None:
    answer = asked(f"{guarded.base_url}/__sandbox/tenants", Authorization=f"Bearer {TOKEN}", Host="sandbox.example.com")
    assert answer.status_code == 200


SECRET_WORDS = re.compile(r"token|secret|credential|signature|presented|authorization|api_key|\bmac\b", re.IGNORECASE)


def test_no_code_compares_a_secret_in_a_way_whose_time_tells_how_much_was_right() -> None:
    """Every `==` between two things of which one is named like a secret; a word of ours is no secret."""
    found = []
    for path in sorted([*ROOT.glob("simulator/**/*.py"), *ROOT.glob("mock_buyers/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Compare) and all(isinstance(item, ast.Eq | ast.NotEq) for item in node.ops):
                sides = [node.left, *node.comparators]
                words = [ast.unparse(side) for side in sides if not isinstance(side, ast.Constant)]
                if len(words) == len(sides) and any(SECRET_WORDS.search(word) for word in words):
                    found.append(f"{path.relative_to(ROOT)}: {ast.unparse(node)}")
    assert [item for item in found if item not in NO_SECRETS] == []


NO_SECRETS = {
    # which kind of credential, never its value
    "simulator/platforms/pingtree/admission.py: old.kind == operation.credential",
    "simulator/web/dashboard/sources.py: item.credential == kind",
    # of itself
    "simulator/platforms/pingtree/admission.py: token == token.strip()",
    # SQL, in a table that holds no credential
    "simulator/store/credentials.py: credentials.c.kind == bindparam('kind')",
    "simulator/store/credentials.py: credentials.c.owner == bindparam('owner')",
    "simulator/store/credentials.py: credentials.c.tenant == bindparam('tenant')",
}


# --- files ----------------------------------------------------------------------------------------------------

OUT = [
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2f..%2fetc%2fpasswd",
    "/%c0%ae/etc/passwd",
    "/....//....//etc/passwd",
    "/%2fetc%2fpasswd",
    "/..%5c..%5cetc%5cpasswd",
    "/etc/passwd%00.css",
]


@pytest.mark.parametrize("way", OUT)
@pytest.mark.parametrize("place", ["", "/__sandbox/docs", "/__sandbox/specs", "/__sandbox/tenants", "/api/lead/ping"])
def test_no_path_leads_out_of_what_is_served(up: Running, place: str, way: str) -> None:
    parts = urlsplit(up.base_url)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=TIMEOUT) as sock:
        sock.sendall(f"GET {place}{way} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert re.match(rb"HTTP/1\.1 4\d\d ", answer)
    assert b"root:" not in answer


@pytest.mark.parametrize("name", ["../people.csv", "/etc/passwd", "lists/../../people.csv", "link.csv"])
def test_a_sandbox_file_names_no_file_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "people.csv").write_text("phone\n2125550100\n")
    folder = tmp_path / "sandbox"
    folder.mkdir()
    (folder / "link.csv").symlink_to(tmp_path / "people.csv")
    ended = run("check", written(folder, suppressing(csv_file=name)))
    assert ended.returncode == 2
    assert "leads out of the folder" in ended.stderr


def test_a_tenant_that_comes_over_http_names_no_file_at_all(up: Running, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("phone\n2125550100\n")
    document = {"sandbox": suppressing(csv_file=str(tmp_path / "people.csv"))}
    answer = requests.post(f"{up.base_url}/__sandbox/tenants", json=document, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert "only a sandbox file can name other files" in answer.text


def suppressing(**more: str) -> dict[str, Any]:
    source = {"id": "s", "link_id": "lnk_listed", "suppressions": [{"field": "phone", **more}]}
    return {"pingtree": {"campaigns": [{"id": "c", "sources": [source]}]}}


# --- connections to others ------------------------------------------------------------------------------------

METADATA = "169.254.169.254"


@pytest.mark.parametrize(
    ("words", "host", "address", "allowed"),
    [
        ([], "localhost", "127.0.0.1", True),
        ([], "anything.example", "127.8.8.8", True),
        ([], "localhost", "::1", True),
        ([], "localhost", "::ffff:127.0.0.1", True),
        ([], "localhost", "93.184.216.34", False),
        ([], "buyer.example.com", "93.184.216.34", False),
        ([], "0.0.0.0", "0.0.0.0", False),
        (["buyer.example.com"], "buyer.example.com", "93.184.216.34", True),
        (["buyer.example.com"], "buyer.example.com", METADATA, False),
        (["buyer.example.com"], "buyer.example.com", "10.0.0.1", False),
        (["buyer.example.com"], "buyer.example.com", "::ffff:10.0.0.1", False),
        (["buyer.example.com"], "buyer.example.com", "64:ff9b::8.8.8.8", True),
        (["buyer.example.com"], "buyer.example.com", "2606:4700::1111", True),
        *(
            (["buyer.example.com"], "buyer.example.com", address, False)
            for address in (
                *("64:ff9b::169.254.169.254", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1", "2002:a9fe:a9fe::1"),
                *("2002:0808:0808::1", "2001:0:a9fe:a9fe::1", "::169.254.169.254", "::8.8.8.8", "::ffff:0:10.0.0.1"),
                *("fec0::1", "fc00::1", "fe80::1", "ff02::1", "::"),
            )
        ),
        (["buyer.example.com"], "buyer.example.com", "fd00::1", False),
        (["buyer.example.com"], "buyer.example.com", "fe80::1%eth0", False),
        (["buyer.example.com"], "buyer.example.com", "224.0.0.1", False),
        (["buyer.example.com"], "evil.buyer.example.com", "93.184.216.34", False),
        (["*.example.com"], "buyer.example.com", "93.184.216.34", True),
        (["*.example.com"], "example.com", "93.184.216.34", False),
        (["*"], "anything.example", "93.184.216.34", True),
        (["*"], "anything.example", METADATA, False),
        (["*"], "anything.example", "192.168.0.1", False),
        (["10.1.0.0/16"], "anything.example", "10.1.2.3", True),
        (["10.1.0.0/16"], "anything.example", "10.2.0.1", False),
        (["10.1.2.3"], "10.1.2.3", "10.1.2.3", True),
        (["[fd00::1]"], "fd00::1", "fd00::1", True),
        (["0.0.0.0/0"], "anything.example", METADATA, True),
    ],
)
def test_a_connection_stays_on_this_machine_unless_the_address_is_allowed(
    words: list[str], host: str, address: str, *, allowed: bool
) -> None:
    assert reach(words).allows(host, address) is allowed


@pytest.mark.parametrize("word", ["", "http://x", "a b", "10.0.0.0/99", "x:80", "*.*"])
def test_a_word_that_names_no_host_is_refused(word: str) -> None:
    with pytest.raises(HostError):
        reach([word])


@pytest.mark.parametrize("address", [METADATA, "10.0.0.1", "192.168.1.1", "172.17.0.1"])
def test_a_name_is_checked_by_what_it_means_when_the_connection_is_opened(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Whoever owns a name says where it points, also between two look-ups: libcurl is told as a name server would."""
    plain = transfers._handle

    def resolving() -> pycurl.Curl:
        handle = plain()
        handle.setopt(pycurl.RESOLVE, [f"buyer.example.com:80:{address}"])
        return handle

    monkeypatch.setattr(transfers, "_handle", resolving)
    calls = BuyerCalls(reach(["buyer.example.com", "*"]))
    [reply] = calls.send([Call("http://buyer.example.com/ping", b"{}", {}, 5.0)])
    assert reply.failure == "unreachable"
    assert f"buyer.example.com ({address}) is not this machine" in reply.detail


def test_a_redirect_is_not_followed(up: Running) -> None:
    with served(b"", 307, Location=f"{up.base_url}/healthz") as url:
        for method in ("GET", "POST"):
            [reply] = BuyerCalls(reach([])).send([Call(url, b"", {}, 5.0, method)])
            assert (reply.status, reply.body) == (307, b"")


def elsewhere(url: str) -> dict[str, Any]:
    buyer = {"id": "far", "url": {"ping": f"{url}/ping", "post": f"{url}/post"}}
    campaign = {"id": "c", "buyers": [buyer], "sources": [{"id": "s", "link_id": "lnk_far"}]}
    hook = {"id": "far", "price": 1, "webhook": {"url": f"{url}/hook"}}
    return {"pingtree": {"campaigns": [campaign]}, "leaddistro": {"campaigns": [{"id": "d", "buyers": [hook]}]}}


@pytest.mark.parametrize("url", ["http://192.0.2.1", f"http://{METADATA}/latest", "https://buyer.example.com"])
def test_a_sandbox_whose_buyers_are_elsewhere_does_not_start_by_mistake(tmp_path: Path, url: str) -> None:
    ended = run("up", "--port", "0", "--db", ":memory:", "--config", written(tmp_path, elsewhere(url)))
    assert ended.returncode == 3
    assert "--allow-host" in ended.stderr


def test_it_starts_when_they_are_allowed(tmp_path: Path) -> None:
    file = written(tmp_path, elsewhere("http://192.0.2.1"))
    with sandbox("--db", ":memory:", "--config", file, env=environment(LEADSANDBOX_ALLOW_HOST="192.0.2.0/24 *")) as far:
        assert far.credentials("lnk_far")


def test_a_tenant_that_comes_over_http_brings_no_address_of_others(up: Running) -> None:
    before = tenants(up)
    document = {"sandbox": elsewhere("http://192.0.2.1")}
    answer = requests.post(f"{up.base_url}/__sandbox/tenants", json=document, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert "--allow-host" in answer.json()["detail"]
    assert tenants(up) == before


# --- pages ----------------------------------------------------------------------------------------------------

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=alert(3)>"


def test_nothing_that_a_caller_sends_is_markup_on_the_page_of_duties(up: Running) -> None:
    tenant = Tenant(up.base_url)
    for fields in ({"sub1": MARKUP}, {"state": MARKUP}, {MARKUP: MARKUP}, {"transaction_id": MARKUP}):
        tenant.say("pingtree ping", headers={"User-Agent": "<script>agent</script>"}, **fields)
        tenant.say("leaddistro ping", **fields)
    wrong = {"flo_campaign_id": MARKUP, "flo_supplier_id": MARKUP}
    tenant.say("leaddistro ingest", **wrong)
    page = tenant.control("GET", "audit?format=html")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert "<svg" not in page.text


@pytest.mark.parametrize("path", ["docs", "specs/lnk_abc123xyz", "audit?format=html"])
def test_every_page_forbids_scripts_of_others_frames_and_guesses_of_its_type(up: Running, path: str) -> None:
    headers = asked(f"{up.base_url}/__sandbox/{path}").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/__sandbox/docs?platform=<script>", "/__sandbox/<script>", "/<script>alert(1)"])
def test_no_address_writes_itself_into_a_page(up: Running, path: str) -> None:
    answer = asked(f"{up.base_url}{path}")
    if answer.headers["Content-Type"].startswith("text/html"):
        assert "platform" not in answer.text
    else:
        assert answer.headers["Content-Type"] in {"application/json", "application/problem+json"}


# --- tokens ---------------------------------------------------------------------------------------------------


def unsigned(claims: dict[str, Any], algorithm: str, secret: bytes | None) -> str:
    parts = [{"alg": algorithm, "typ": "JWT"}, claims]
    text = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    mac = b"" if secret is None else hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "HS256", "RS256", "ES256", "HS512", ""])
@pytest.mark.parametrize("secret", [None, b"", b"secret", b"public-key"])
def test_a_token_that_was_not_signed_with_the_sandbox_s_secret_opens_nothing(
    up: Running, algorithm: str, secret: bytes | None
) -> None:
    good = up.credentials("lnk_abc123xyz")["ping"]
    claims = jwt.decode(good, options={"verify_signature": False})
    forged = unsigned(claims, algorithm, secret)
    for token in {forged, forged.rpartition(".")[0], f"{forged.rpartition('.')[0]}.{good.rpartition('.')[2]}"} - {good}:
        answer = requests.post(
            f"{up.base_url}/api/lead/ping/lnk_abc123xyz",
            json=LEAD,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
        )
        assert answer.status_code == 401


def test_no_credential_of_one_tenant_is_one_of_another(up: Running) -> None:
    """Of another kind of the same source: tests/test_pingtree.py."""
    one, other = Tenant(up.base_url), Tenant(up.base_url)
    secrets = [item for tenant in (one, other) for item in _credentials(tenant.welcome)]
    assert len(secrets) == len(set(secrets))
    for contract in CONTRACTS.values():
        for operation in contract.operations:
            theirs = _headers(other, contract.platform, operation.credential)
            if not theirs:
                continue
            answer = one.send(contract, operation, theirs)
            wanted = {401, 403} if "source_unique_id" in operation.path else {400, 401, 403, 404, 201, 200}
            assert answer.status_code in wanted, operation.name
            said = asked(f"{up.base_url}/__sandbox/requests/count?tenant={one.name}&http=2xx").json()["count"]
            assert said == 0, f"{operation.name} was done for the tenant whose credential it was not"


def _credentials(welcome: dict[str, Any]) -> list[str]:
    return [
        secret
        for platform in welcome["platforms"].values()
        for source in next(iter(platform.values()))
        for secret in source["credentials"].values()
    ]


def _headers(tenant: Tenant, platform: str, kind: str) -> dict[str, str]:
    [[source, *_]] = tenant.welcome["platforms"][platform].values()
    secret = source["credentials"].get(kind)
    if secret is None:
        return {}
    return {"x-api-key": secret} if kind == "api_key" else {"Authorization": f"Bearer {secret}"}


# --- secrets and the sandbox file ------------------------------------------------------------------------------


def test_no_yaml_of_anybody_s_is_read_by_a_loader_that_makes_objects() -> None:
    """What such a file is answered with, and one whose aliases multiply: tests/test_configuration_loading.py."""
    loaders = re.compile(r"yaml\.(unsafe_load|full_load|load_all|Loader|UnsafeLoader|FullLoader)\b")
    sources = [path for folder in ("simulator", "mock_buyers", "conformance", "loadtests", "fixtures")
               for path in ROOT.glob(f"{folder}/**/*.py")]  # fmt: skip
    assert sources
    assert [str(path) for path in sources if loaders.search(path.read_text("utf-8"))] == []


SECRET = "the-one-and-only-secret-of-this-sandbox-file"
HOOK = "whsec_of_this_test_0123456789"


def secretive() -> dict[str, Any]:
    hooked = {"id": "hooked", "price": 5, "webhook": {"url": "http://127.0.0.1:9/hook", "secret": HOOK}}
    supplier = {"id": "sup", "api_key": "key_of_this_test_0123456789", "campaigns": ["d"]}
    campaign = {"id": "c", "sources": [{"id": "s", "link_id": "lnk_secretive"}]}
    return {
        "secret": SECRET,
        "pingtree": {"campaigns": [campaign]},
        "leaddistro": {"suppliers": [supplier], "campaigns": [{"id": "d", "buyers": [hooked]}]},
    }


SAID = ["requests?limit=1000", "audit", "audit?format=html", "metrics", "leads?limit=100", "faults", "deliveries",
        "pings", "caps", "tenants", "clock", "requests/count", "openapi.json", "triggers", "nothing"]  # fmt: skip


def test_no_secret_is_in_a_log_a_journal_a_report_an_error_or_a_list_of_processes(tmp_path: Path) -> None:
    env = environment(LEADSANDBOX_CONTROL_TOKEN=TOKEN)
    file = written(tmp_path, secretive())
    with sandbox("--db", str(tmp_path / "sandbox.db"), "--config", file, env=env) as running:
        secrets = [SECRET, HOOK, TOKEN, *_credentials(running.welcome)]
        assert len(secrets) >= 8
        control = {"Authorization": f"Bearer {TOKEN}"}
        said = [*_misuse(running, secrets), *(_text(running, path, control) for path in SAID)]
        listed = requests.get(f"{running.base_url}/__sandbox/requests", headers=control, timeout=TIMEOUT).json()
        said += [_text(running, f"requests/{item['id']}", control) for item in listed["requests"]]
        said += [running.stderr, _command_lines(running)]
    assert len(said) > 100
    assert [secret for secret in secrets if any(secret in text for text in said)] == []
    database = b"".join(path.read_bytes() for path in tmp_path.glob("sandbox.db*"))
    assert [secret for secret in secrets if secret.encode() in database] == []


def test_a_key_at_the_end_of_a_sentence_is_hidden_too(tmp_path: Path) -> None:
    key = "key_of_this_test_0123456789"
    with sandbox("--db", ":memory:", "--config", written(tmp_path, secretive())) as running:
        notes = {"note": f"it is {key}.", "other": f"-{key}_, ({key})", "last": f"...{key}..."}
        answer = requests.post(f"{running.base_url}/nowhere/{key}.", json=notes, timeout=TIMEOUT)
        told = _text(running, f"requests/{answer.headers['X-Sandbox-Request-Id']}", {})
    assert "it is key_***6789." in told
    assert key not in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://user:pass@h/p", "http://***@h/p"),
        ("http://h/p?token=abc&plain=1", "http://h/p?token=***&plain=1"),
        ("http://h/p?sort=1;to%6ben=abc#access_token=abc", "http://h/p?sort=1;to%6ben=***#access_token=***"),
        ("http://h/p#api_key=abc", "http://h/p#api_key=***"),
        ("http://h/p?next=http://u:p@x/", "http://h/p?next=http://***@x/"),
        ("http://h/p?authorization=abc&Auth=d", "http://h/p?authorization=***&Auth=***"),
        ("http://h:8/p@q?state=2&x=a@b", "http://h:8/p@q?state=2&x=a@b"),
        ("http://h", "http://h"),
    ],
)
def test_a_url_is_told_without_what_is_secret_in_it(url: str, told: str) -> None:
    assert masking.url(url) == told


def test_who_logs_in_with_a_url_is_not_told(tmp_path: Path) -> None:
    document = secretive()
    [hooked] = document["leaddistro"]["campaigns"][0]["buyers"]
    hooked["webhook"]["url"] = f"http://user:{HOOK}@127.0.0.1:9/hook?token={SECRET}&plain=told"
    with sandbox("--db", ":memory:", "--config", written(tmp_path, document)) as running:
        lead = {"first_name": "Jane", "last_name": "Doe", "phone": "2125550123", "email": "jane@example.com"}
        lead |= LEAD | {"flo_campaign_id": "d", "flo_supplier_id": "sup"}
        headers = {"x-api-key": "key_of_this_test_0123456789"}
        assert requests.post(f"{running.base_url}/api/v1/ingest", json=lead, headers=headers, timeout=TIMEOUT).ok
        said = [_text(running, path, {}) for path in ("deliveries", "deliveries/1", "buyers")]
    assert all("127.0.0.1:9/hook" in text and "plain=told" in text for text in said)
    assert [text for text in said if HOOK in text or SECRET in text] == []


def test_what_stands_in_the_environment_is_no_header_of_a_request() -> None:
    """A server hands an application its own environment too, where a proxy's password may be in HTTP_PROXY."""
    with sandbox("--db", ":memory:", env=environment(HTTP_X_MINE=TOKEN, CONTENT_TYPE=TOKEN)) as running:
        answer = asked(f"{running.base_url}/api/v1/leads", X_Theirs="sent")
        told = asked(f"{running.base_url}/__sandbox/requests/{answer.headers['X-Sandbox-Request-Id']}").text
    assert "x-theirs" in told
    assert "x-mine" not in told
    assert TOKEN not in told


def _misuse(running: Running, secrets: list[str]) -> list[str]:
    """Put every secret where it does not belong; return what callers are told."""
    answers = []
    for secret in secrets[:2] + secrets[3:]:
        for path in ("/api/lead/ping/lnk_secretive", "/api/v1/ingest", "/api/v1/ping", f"/nowhere/{secret[:4]}"):
            for headers in ({"Authorization": f"Bearer {secret}"}, {"x-api-key": secret}, {"Cookie": secret}):
                answer = requests.post(f"{running.base_url}{path}", json=LEAD, headers=headers, timeout=TIMEOUT)
                answers.append(answer.text)
    return answers


def _text(running: Running, path: str, headers: dict[str, str]) -> str:
    return requests.get(f"{running.base_url}/__sandbox/{path}", headers=headers, timeout=TIMEOUT).text


def _command_lines(running: Running) -> str:
    if not Path("/proc/self/cmdline").exists():
        missing("this system does not list command lines")
    return "\n".join(Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in running.tree())


@pytest.mark.parametrize("change", ["list", "short", "key", "repeated key", "hook"])
def test_a_fault_in_the_sandbox_file_repeats_no_secret(tmp_path: Path, change: str) -> None:
    document = secretive()
    supplier, campaign = document["leaddistro"]["suppliers"][0], document["leaddistro"]["campaigns"][0]
    if change == "list":
        document["secret"] = [SECRET]
    elif change == "short":
        document["secret"] = SECRET[:20]
    elif change == "key":
        supplier["api_key"] = [supplier["api_key"]]
    elif change == "repeated key":
        document["leaddistro"]["suppliers"].append(supplier | {"id": "other"})
    else:
        campaign["buyers"][0]["webhook"]["secret"] = {"value": HOOK}
    ended = run("check", written(tmp_path, document))
    assert ended.returncode == 2
    assert [word for word in (SECRET[:20], HOOK, "key_of_this_test") if word in ended.stderr] == []


# --- known vulnerabilities of others -----------------------------------------------------------------------------


def auditing() -> Any:
    spec = importlib.util.spec_from_file_location("audit_dependencies", ROOT / ".ci" / "audit_dependencies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FINE = {"name": "one", "version": "1", "vulns": []}
BAD = {"name": "two", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "three", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([FINE], 0, "none of 1 packages has a known vulnerability"),
        ([FINE, BAD], 1, "two 2: CVE-1, mended in: 3"),
        ([BAD, SKIPPED], 1, "NOT AUDITED: 1 others. For example: not found"),
        ([SKIPPED], 0, "NOT AUDITED: known vulnerabilities could not be looked up here. For example: not found"),
        ([], 0, "NOT AUDITED: known vulnerabilities could not be looked up here. no network"),
    ],
)
def test_what_could_not_be_looked_up_is_not_called_fine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], packages: list[Any], code: int, said: str
) -> None:
    module = auditing()
    monkeypatch.setattr(module, "looked_up", lambda: (packages, "" if packages else "no network"))
    assert module.main() == code
    told = capsys.readouterr().out
    assert said in told
    assert ("has a known" in told) is (packages == [FINE])


def test_every_promise_names_the_test_that_holds_it() -> None:
    promises = [line for line in (ROOT / "SECURITY.md").read_text("utf-8").splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(tests/\w+\.py)`", line) for line in promises]
    assert len(promises) >= 10
    assert all(named)
    assert [name for names in named for name in names if not (ROOT / name).is_file()] == []
