"""The dashboard in a real browser: what a visitor sees and does, and what no visitor can be made to."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect

from fixtures.leads import fake_leads
from simulator.testing import Server, Tenant
from tests import filling
from tests.browsing import NARROW, STOPWATCH, THEMES, WIDE, Theme, Visit, barriers, visiting
from tests.dashboard_pages import HOME, NAMES, UI, path_of
from tests.programs import program
from tests.running import PATIENCE, Running, sandbox, wait_until

pytestmark = pytest.mark.long

DOCS = Path(__file__).parent.parent / "docs" / "dashboard.md"
HOSTILE = """<script>window.pwned=1</script><img src=x onerror="window.pwned=1">"'\u202egnp.exe\u2066 & {{ 7*7 }}"""
STRICT = {
    "default-src": {"'none'"},
    "script-src": {"'self'"},
    "style-src": {"'self'"},
    "connect-src": {"'self'"},
    "base-uri": {"'none'"},
    "form-action": {"'self'"},
    "frame-ancestors": {"'none'"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with sandbox("--db", ":memory:") as running:
        yield running


@pytest.fixture
def tenant(server: Running) -> Iterator[Tenant]:
    made = Server(server.base_url).new_tenant()
    yield made
    made.delete()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """A visitor at a desk, who finds nothing to complain about."""
    with visiting(chromium) as found:
        yield found
        assert found.complaints == []


def address(tenant: Tenant, path: str = HOME) -> str:
    return f"{tenant.base_url}{path}?tenant={tenant.id}"


def rows(page: Page) -> Locator:
    return page.locator("#rows > tr")


def kept_at_most(page: Page) -> int:
    """Return how many rows a list keeps while it streams."""
    return int(page.locator("#traffic").get_attribute("data-keep") or "")


def live(page: Page) -> None:
    """Wait until the page's event stream is open."""
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def look_away(page: Page) -> None:
    """Do as when another tab is looked at."""
    page.evaluate(_SEEN, True)


def look_back(page: Page) -> None:
    page.evaluate(_SEEN, False)
    live(page)


_SEEN = """hidden => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def ping(tenant: Tenant, token: Any = "", **more: Any) -> requests.Response:
    source = tenant.source(platform="pingtree")
    body = {"state": "CA", "zip_code": "90001", "loan_amount": 15000, **more}
    headers = {"Authorization": f"Bearer {token or source.credentials['ping']}"}
    url = f"{tenant.base_url}/api/lead/ping/{source.name}"
    return requests.post(url, json=body, headers=headers, timeout=PATIENCE)


def post(tenant: Tenant, transaction: str) -> requests.Response:
    source = tenant.source(platform="pingtree")
    [lead] = fake_leads("pingtree", 1, 1)
    headers = {"Authorization": f"Bearer {source.credentials['post']}"}
    body = {**lead, "state": "CA", "zip_code": "90001", "loan_amount": 15000, "transaction_id": transaction}
    url = f"{tenant.base_url}/api/lead/post/{source.name}"
    return requests.post(url, json=body, headers=headers, timeout=PATIENCE)


def ingest(tenant: Tenant) -> None:
    supplier = tenant.source(platform="leaddistro")
    [lead] = fake_leads("leaddistro", 1, 1)
    body = {**lead, "state": "TX", "flo_campaign_id": supplier.campaign, "flo_supplier_id": supplier.id}
    headers = {"x-api-key": supplier.credentials["api_key"]}
    answer = requests.post(f"{tenant.base_url}/api/v1/ingest", json=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 201


# --- the first visit ------------------------------------------------------------------------------------------


def test_a_newcomer_runs_the_curl_that_the_page_shows_and_sees_the_request_come_in(visit: Visit) -> None:
    program("curl")
    with sandbox("--db", ":memory:") as fresh:
        page = visit.page
        page.goto(f"{fresh.base_url}/")
        assert page.url == f"{fresh.base_url}{HOME}"
        expect(page.locator("#empty")).to_be_visible()
        live(page)
        page.evaluate(STOPWATCH)
        for number, pasted in enumerate([page.locator(f"#first-{place}").inner_text() for place in (1, 2)], start=1):
            subprocess.run(["bash", "-euc", pasted], capture_output=True, check=True, timeout=PATIENCE)
            expect(rows(page)).to_have_count(number)
        # How soon is told here and bounded in tests/benchmarks/dashboard.py: a machine may be slow, a test may not.
        print(f"shown after {page.evaluate('shown')} ms")  # noqa: T201  pytest -rP tells it
        expect(page.locator("#empty")).to_have_count(0)
        assert visit.elsewhere(fresh.base_url) == []


def test_a_program_that_is_no_browser_gets_no_page_at_the_root(server: Running) -> None:
    answer = requests.get(f"{server.base_url}/", headers={"Accept": "*/*"}, timeout=PATIENCE, allow_redirects=False)
    assert answer.status_code == 404


def test_a_copy_button_copies_what_it_stands_beside(chromium: Browser, tenant: Tenant) -> None:
    with visiting(chromium, permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.page.goto(address(tenant))
        visit.page.click('[data-copy="first-1"]')
        copied = visit.page.evaluate("navigator.clipboard.readText()")
        assert copied == visit.page.locator("#first-1").text_content()


# --- live traffic ---------------------------------------------------------------------------------------------


def test_a_row_opens_the_explanation_of_its_request(visit: Visit, tenant: Tenant) -> None:
    ping(tenant, credit_score="brilliant")
    page = visit.page
    page.goto(address(tenant))
    rows(page).first.locator("a").click()
    for heading in ("What would have to change", "How it was decided", "Buyers", "Duties", "Request and answer"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(page.get_by_label("Request as it came in")).to_contain_text('"credit_score": "brilliant"')
    expect(page.get_by_label("Answer as it went out")).to_contain_text("invalidField")


def test_the_explanation_shows_each_buyer_with_its_bid_and_why_it_lost(visit: Visit, tenant: Tenant) -> None:
    ping(tenant)
    visit.page.goto(address(tenant))
    rows(visit.page).first.locator("a").click()
    lanes = visit.page.locator("ol.lanes > li.lane")
    expect(lanes).to_have_count(3)
    expect(lanes.filter(has=visit.page.get_by_role("link", name="xyz_lenders"))).to_contain_text("$45.00")
    expect(lanes.filter(has=visit.page.get_by_role("link", name="golden_bank"))).to_contain_text("loan_amount")


def test_no_credential_is_in_the_page_of_a_request_but_where_it_is_offered_for_copying(
    visit: Visit, tenant: Tenant
) -> None:
    token = tenant.source(platform="pingtree").credentials["ping"]
    ping(tenant, sub1=token)
    visit.page.goto(address(tenant))
    assert token not in visit.page.content()
    rows(visit.page).first.locator("a").click()
    visit.page.locator("#token").evaluate("item => item.remove()")
    assert token not in visit.page.content()


def test_the_curl_of_a_request_sends_it_again(visit: Visit, tenant: Tenant) -> None:
    ping(tenant, sub1='it\'s "quoted" & $HOME')
    page = visit.page
    page.goto(address(tenant))
    rows(page).first.locator("a").click()
    again = f"TOKEN={page.locator('#token').inner_text()}\n{page.locator('#again').inner_text()}"
    done = subprocess.run(["bash", "-euc", again], capture_output=True, check=True, timeout=PATIENCE)
    assert b"ping_accept" in done.stdout
    first, second = (tenant.requests.explain(item["id"])["request"]["body"] for item in tenant.requests)
    assert first == second


def test_a_filter_keeps_what_it_names_also_of_what_comes_later(visit: Visit, tenant: Tenant) -> None:
    ping(tenant)
    ping(tenant, credit_score="brilliant")
    page = visit.page
    page.goto(address(tenant))
    page.get_by_label("Status").fill("4xx")
    page.get_by_role("button", name="Filter").click()
    expect(rows(page)).to_have_count(1)
    live(page)
    ping(tenant)
    ping(tenant, credit_score="none")
    expect(rows(page)).to_have_count(2)
    expect(page.locator("#rows .status")).to_have_text(["400", "400"])


def test_a_filter_that_nobody_can_read_says_so_and_shows_nothing(chromium: Browser, tenant: Tenant) -> None:
    ping(tenant)
    with visiting(chromium) as visit:
        visit.page.goto(f"{address(tenant)}&http=many")
        expect(visit.page.locator(".problem")).to_contain_text("http")
        expect(rows(visit.page)).to_have_count(0)


def paused_with_one(page: Page, tenant: Tenant) -> Locator:
    """Pause the list of a tenant with one request in it; return the button."""
    ping(tenant)
    page.goto(address(tenant))
    live(page)
    pause = page.locator("#pause")
    pause.click()
    return pause


def test_a_paused_list_stands_still_and_resumes_with_what_came_meanwhile(visit: Visit, tenant: Tenant) -> None:
    page, pause = visit.page, paused_with_one(visit.page, tenant)
    ping(tenant)
    ping(tenant)
    expect(pause).to_contain_text("2 new")
    expect(rows(page)).to_have_count(1)
    pause.click()
    expect(rows(page)).to_have_count(3)


def test_a_paused_list_resumes_with_what_came_while_its_stream_was_closed_too(visit: Visit, tenant: Tenant) -> None:
    page, pause = visit.page, paused_with_one(visit.page, tenant)
    look_away(page)
    for _ in range(3):
        ping(tenant)
    look_back(page)
    expect(pause).to_contain_text("or more new")
    expect(rows(page)).to_have_count(1)
    pause.click()
    expect(rows(page)).to_have_count(4)


@pytest.mark.parametrize("before", [0, 103])
def test_older_requests_go_on_where_the_list_ends_however_many_came_since(
    visit: Visit, tenant: Tenant, before: int
) -> None:
    for _ in range(before):
        ping(tenant, state="")
    page = visit.page
    page.goto(address(tenant))
    live(page)
    older = page.get_by_role("link", name="Older requests")
    expect(older).to_have_count(1 if before else 0)
    for _ in range(kept_at_most(page) + 7 - before // 2):
        ping(tenant, state="")
    sent = [item["id"] for item in tenant.requests][::-1]
    expect(page.locator(f'#rows > tr[data-id="{sent[0]}"]')).to_be_visible()
    older.click()
    expect(rows(page).first).to_have_attribute("data-id", sent[100])
    expect(page.locator("#connection")).to_have_text("Live, but for this list")
    _open_to_all(visit)
    page.get_by_role("link", name="Back to the newest").click()
    expect(rows(page).first).to_have_attribute("data-id", sent[0])


def test_one_tenants_page_shows_nothing_of_anothers(visit: Visit, server: Running, tenant: Tenant) -> None:
    other = Server(server.base_url).new_tenant()
    visit.page.goto(address(tenant))
    live(visit.page)
    ping(other)
    ping(tenant, sub1="mine")
    expect(rows(visit.page)).to_have_count(1)
    visit.page.get_by_label("Tenant").select_option(other.id)
    expect(visit.page).to_have_url(re.compile(f"tenant={other.id}"))
    expect(rows(visit.page)).to_have_count(1)
    other.delete()


@pytest.mark.parametrize(("path", "nothing"), [("charts", "Nothing to draw yet"), ("duties", "No traffic to grade")])
def test_a_page_that_was_opened_empty_is_empty_no_more_when_something_came(
    visit: Visit, tenant: Tenant, path: str, nothing: str
) -> None:
    page = visit.page
    page.goto(address(tenant, f"{UI}/{path}"))
    live(page)
    empty = page.get_by_role("heading", name=nothing)
    expect(empty).to_be_visible()
    ping(tenant)
    expect(empty).to_have_count(0)
    expect(page.locator(".title p")).to_contain_text("1 request")
    tenant.reset("journal")
    expect(empty).to_be_visible()


@pytest.mark.parametrize("paused", [False, True])
def test_a_list_whose_requests_were_forgotten_elsewhere_is_empty(visit: Visit, tenant: Tenant, paused: bool) -> None:
    page = visit.page
    page.goto(address(tenant))
    live(page)
    ping(tenant)
    expect(rows(page)).to_have_count(1)
    if paused:
        page.locator("#pause").click()
    ping(tenant)  # told together with the reset
    tenant.reset("journal")
    expect(page.locator("#journal-size")).to_have_text("0 requests kept")
    if paused:
        expect(rows(page)).to_have_count(1)
        page.locator("#pause").click()
    expect(rows(page)).to_have_count(0)
    expect(page.locator("#empty")).to_be_visible()
    ping(tenant)
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#empty")).to_have_count(0)


def test_a_gauge_forgets_refusals_when_their_time_is_over_although_nothing_more_comes(
    visit: Visit, server: Running
) -> None:
    limited = {"id": "limited", "link_id": "lnk_limited", "limits": {"ping": {"rate": 1, "burst": 2, "seconds": 2}}}
    hurried = Server(server.base_url).new_tenant(
        sandbox={"pingtree": {"campaigns": [{"id": "c", "sources": [limited]}]}}
    )
    page = visit.page
    page.goto(address(hurried, f"{UI}/sources"))
    live(page)
    while ping(hurried).status_code != 429:
        pass
    told = page.locator("#gauges-pingtree-limited .refused")
    expect(told).to_have_text("1 answered 429")
    expect(told).to_have_count(0)
    hurried.delete()


def test_what_is_steered_elsewhere_is_seen_here(visit: Visit, tenant: Tenant) -> None:
    page = visit.page
    page.goto(address(tenant, f"{UI}/steering"))
    live(page)
    tenant.clock.freeze()
    expect(page.get_by_role("button", name="Let it run")).to_be_visible()
    tenant.control("POST", "snapshots", {"name": "before"})
    expect(page.get_by_role("button", name="Restore before")).to_be_visible()
    tenant.reset("clock")
    expect(page.get_by_role("button", name="Freeze")).to_be_visible()
    tenant.control("POST", "snapshots/before/restore")
    expect(page.locator("[data-clock] .tag:visible")).to_have_count(2)
    tenant.control("DELETE", "snapshots/before")
    expect(page.locator("#snapshots")).to_contain_text("None.")
    other = Server(tenant.base_url).new_tenant()
    expect(page.locator("#tenants").get_by_role("link", name=other.id)).to_have_count(1)
    other.delete()
    expect(page.locator("#tenants").get_by_role("link", name=other.id)).to_have_count(0)


@pytest.mark.parametrize("path", [HOME, f"{UI}/conformance"])
def test_every_page_tells_how_many_faults_are_armed_now(visit: Visit, tenant: Tenant, path: str) -> None:
    page = visit.page
    page.goto(address(tenant, path))
    live(page)
    armed = page.get_by_role("navigation").locator(".count")
    expect(armed).to_have_count(0)
    tenant.control("POST", "faults", {"trigger": "http_500", "count": 1})
    expect(armed).to_have_text("1")
    ping(tenant)
    expect(armed).to_have_count(0)


def test_a_slow_network_does_not_make_a_page_look_seldom(visit: Visit, tenant: Tenant) -> None:
    page = visit.page
    page.goto(address(tenant, f"{UI}/sources"))
    live(page)
    slow = {"offline": False, "latency": 2000, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    recent = page.locator("#recent-pingtree-src_abc123 .recent li")
    for number in (1, 2):
        ping(tenant)
        expect(recent).to_have_count(number)


def test_what_somebody_opened_goes_on_following_and_keeps_their_place(visit: Visit, tenant: Tenant) -> None:
    ping(tenant)
    page = visit.page
    page.goto(address(tenant, f"{UI}/charts"))
    live(page)
    numbers = page.locator("#t-rows")
    numbers.locator("summary").click()
    ping(tenant)
    expect(page.locator("#rows-chart .ranks .number")).to_have_text(["2"])
    expect(numbers).to_have_attribute("open", "")
    expect(numbers.locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    expect(numbers).not_to_have_attribute("open", "")


def test_a_button_that_somebody_is_on_stays_theirs_while_what_is_about_it_changes(visit: Visit, tenant: Tenant) -> None:
    for _ in range(2):
        tenant.control("POST", "faults", {"trigger": "http_500"})
    page = visit.page
    page.goto(address(tenant, f"{UI}/steering"))
    live(page)
    button = page.get_by_role("button", name="Disarm fault_2")
    button.focus()
    ping(tenant)
    expect(page.locator("#faults")).to_contain_text("fired 1 time")
    expect(button).to_be_focused()
    # Pressed and not let go yet: another in its place would not hear of it.
    button.hover()
    page.mouse.down()
    with page.expect_response(re.compile("/ui/steering")):
        ping(tenant)
    page.evaluate("() => new Promise(done => setTimeout(done, 100))")
    page.mouse.up()
    expect(done(page)).to_contain_text("fault_2 is disarmed")


# --- what a visitor does --------------------------------------------------------------------------------------


def done(page: Page) -> Locator:
    """Return what the page says of an action that worked."""
    return page.locator('.notice[role="status"]')


def refused(page: Page) -> Locator:
    return page.locator('.notice[role="alert"]')


def generate_new_token(page: Page, kind: str = "ping") -> None:
    page.get_by_role("button", name=f"Generate New Token ({kind}, src_abc123)").click()


def test_a_token_that_was_generated_anew_opens_and_the_old_one_does_not(chromium: Browser, tenant: Tenant) -> None:
    old = tenant.source(platform="pingtree").credentials["ping"]
    with visiting(chromium) as visit:
        page = visit.page
        page.goto(address(tenant, f"{UI}/sources"))
        shown = page.locator("#credential-pingtree-src_abc123-ping")
        expect(shown).to_have_text(old)
        generate_new_token(page)
        assert visit.complaints.pop().startswith("dialog: Make a new ping credential")  # dismissed: nothing happened
        expect(shown).to_have_text(old)
        page.remove_listener("dialog", visit.asked)
        page.once("dialog", lambda dialog: dialog.accept())
        generate_new_token(page)
        expect(done(page)).to_contain_text("The one before is refused")
        expect(shown).not_to_have_text(old)
        assert ping(tenant).status_code == 401
        assert ping(tenant, token=shown.inner_text()).status_code == 201
        assert visit.complaints == []


def test_an_armed_fault_fires_and_is_disarmed(visit: Visit, tenant: Tenant) -> None:
    page = visit.page
    page.goto(address(tenant, f"{UI}/steering"))
    form = page.locator("form", has=page.get_by_role("button", name="Arm", exact=True))
    form.get_by_label("Trigger").fill("http_500")
    form.get_by_label("Vendor").select_option("pingtree")
    form.get_by_label("How often").fill("2")
    form.get_by_text("curl", exact=True).click()
    typed = page.locator("#curl-arm").inner_text()
    form.get_by_role("button", name="Arm").click()
    expect(done(page)).to_contain_text("fault_1 is armed")
    live(page)
    assert ping(tenant).status_code == 500
    expect(page.locator("#faults")).to_contain_text("fired 1 time")
    page.get_by_role("button", name="Disarm fault_1").click()
    expect(page.locator("#faults")).to_contain_text("None is armed")
    assert ping(tenant).status_code == 201
    subprocess.run(["bash", "-euc", typed], capture_output=True, check=True, timeout=PATIENCE)
    [armed] = tenant.control("GET", "faults")["faults"]
    assert (armed["trigger"], armed["platform"], armed["left"]) == ("http_500", "pingtree", 2)


def test_what_cannot_be_armed_is_said_and_what_was_typed_stays(visit: Visit, tenant: Tenant) -> None:
    page = visit.page
    page.goto(address(tenant, f"{UI}/steering"))
    form = page.locator("form", has=page.get_by_role("button", name="Arm", exact=True))
    form.get_by_label("Trigger").fill("htp_500")
    form.get_by_role("button", name="Arm").click()
    expect(refused(page)).to_contain_text("htp_500")
    expect(form.get_by_label("Trigger")).to_have_value("htp_500")
    assert tenant.control("GET", "faults")["faults"] == []


def test_a_ping_expires_when_the_clock_is_advanced(visit: Visit, tenant: Tenant) -> None:
    transaction = ping(tenant).json()["data"]["transaction_id"]
    page = visit.page
    page.goto(address(tenant, f"{UI}/steering"))
    before = tenant.clock.now()
    page.get_by_label("Advance by", exact=True).last.fill("301 s")
    page.get_by_role("button", name="Advance", exact=True).click()
    expect(done(page)).to_contain_text("The clock shows")
    assert (tenant.clock.now() - before).total_seconds() >= 301
    answer = post(tenant, transaction)
    assert (answer.status_code, answer.json()["data"]["leadStatus"]) == (400, "rejected")
    page.get_by_role("link", name="Live traffic").click()
    expect(rows(page).first).to_contain_text("expired")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_after_a_button_the_page_stands_where_the_button_was_and_says_what_became_of_it(
    chromium: Browser, tenant: Tenant, scripts: bool
) -> None:
    with visiting(chromium, width=NARROW, scripts=scripts) as visit:
        page = visit.page
        page.goto(address(tenant, f"{UI}/steering"))
        page.get_by_label("Keep the state as").fill("here")
        page.get_by_role("button", name="Keep", exact=True).scroll_into_view_if_needed()
        section = page.locator("#h-state")
        before = section.bounding_box()
        page.get_by_role("button", name="Keep", exact=True).click()
        expect(done(page)).to_contain_text("kept as here")
        expect(done(page)).to_be_in_viewport()
        if scripts:  # which knows the very place; without, it is the top of the same section
            wait_until(lambda: _is_near(section.bounding_box(), before), "the section is where it was")
        else:
            expect(section).to_be_in_viewport()
        expect(page.get_by_role("heading", level=1)).not_to_be_in_viewport()
        done(page).get_by_role("link", name="Close").click()
        expect(done(page)).to_have_count(0)
        assert "notice=" not in page.url


def _is_near(one: Any, other: Any) -> bool:
    return bool(abs(one["y"] - other["y"]) < 3)


def test_a_filter_by_source_minds_capitals_also_of_what_comes_later(visit: Visit, server: Running) -> None:
    sources = [{"id": name, "link_id": f"lnk_{name}"} for name in ("WEB", "web")]
    capitals = Server(server.base_url).new_tenant(
        sandbox={"pingtree": {"campaigns": [{"id": "c", "sources": sources}]}}
    )
    page = visit.page
    page.goto(address(capitals))
    page.get_by_label("Source").fill("WEB")
    page.get_by_role("button", name="Filter").click()
    live(page)
    for name in ("web", "WEB", "web", "WEB"):
        source = capitals.source(f"lnk_{name}")
        headers = {"Authorization": f"Bearer {source.credentials['ping']}"}
        requests.post(f"{capitals.base_url}/api/lead/ping/{source.name}", json={}, headers=headers, timeout=PATIENCE)
    expect(page.locator(f'#rows > tr[data-id="{capitals.requests[-1]["id"]}"]')).to_be_visible()
    expect(page.locator("#rows .c-source")).to_have_text(["WEB", "WEB"])
    capitals.delete()


def test_a_buyer_that_is_told_to_refuse_refuses_until_it_is_let_go(visit: Visit, tenant: Tenant) -> None:
    page = visit.page
    page.goto(address(tenant, f"{UI}/buyers/pingtree/xyz_lenders"))
    page.get_by_role("button", name="Refuse").click()
    expect(done(page)).to_contain_text("refuses everything")
    assert ping(tenant).json()["data"]["amount"] == "5.00"
    page.get_by_role("button", name="Normal").click()
    expect(done(page)).to_contain_text("as its persona says")
    assert ping(tenant).json()["data"]["amount"] == "45.00"


def test_a_tenant_is_made_shown_and_deleted(chromium: Browser, server: Running) -> None:
    with visiting(chromium) as visit:
        page = visit.page
        page.remove_listener("dialog", visit.asked)
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{server.base_url}{UI}/steering")
        page.get_by_label("New tenant").fill("made-here")
        page.get_by_role("button", name="Make it").click()
        expect(page.get_by_label("Tenant", exact=True)).to_have_value("made-here")
        page.get_by_role("button", name="Delete made-here").click()
        expect(page.get_by_label("Tenant", exact=True)).to_have_value("default")
        names = [
            item["tenant"]
            for item in requests.get(f"{server.base_url}/__sandbox/tenants", timeout=PATIENCE).json()["tenants"]
        ]
        assert "made-here" not in names
        assert visit.complaints == []


def test_a_webhook_that_was_delivered_is_replayed(visit: Visit, tenant: Tenant) -> None:
    ingest(tenant)
    wait_until(lambda: tenant.deliveries(status="delivered"), "the webhook arrived")
    page = visit.page
    page.goto(address(tenant, f"{UI}/buyers/leaddistro/buyer_abc"))
    page.get_by_role("button", name=re.compile("replay|again", re.IGNORECASE)).first.click()
    expect(done(page)).to_contain_text("is sent again")
    [delivery] = tenant.deliveries()
    found = f"deliveries/{delivery['id']}"
    wait_until(lambda: tenant.control("GET", found)["tries"][1:], "it was sent again")


def test_every_form_works_without_scripts(chromium: Browser, tenant: Tenant) -> None:
    old = tenant.source(platform="pingtree").credentials["ping"]
    with visiting(chromium, scripts=False) as visit:
        page = visit.page
        page.goto(address(tenant, f"{UI}/sources"))
        generate_new_token(page)
        expect(done(page)).to_contain_text("The one before is refused")
        expect(page.locator("#credential-pingtree-src_abc123-ping")).not_to_have_text(old)
        page.goto(address(tenant, f"{UI}/steering"))
        page.get_by_label("Trigger", exact=True).fill("http_500")
        page.get_by_role("button", name="Arm", exact=True).click()
        page.get_by_role("button", name="Disarm fault_1").click()
        expect(done(page)).to_contain_text("fault_1 is disarmed")
        page.get_by_role("button", name="Freeze").click()
        expect(done(page)).to_contain_text("stands still")
        page.get_by_label("Keep the state as").fill("here")
        page.get_by_role("button", name="Keep").click()
        page.get_by_role("button", name="Restore here").click()
        expect(done(page)).to_contain_text("here")
        page.get_by_role("button", name="Reset").click()
        expect(done(page)).to_contain_text("Emptied")
        assert visit.complaints == []


# --- hostile leads --------------------------------------------------------------------------------------------


def test_a_hostile_lead_is_shown_and_does_nothing(visit: Visit, tenant: Tenant) -> None:
    page = visit.page
    ping(tenant)
    page.goto(address(tenant))
    live(page)
    width = page.locator("table").bounding_box()
    ping(tenant, sub1=HOSTILE, state=HOSTILE, first_name="n" * 10_000, **{HOSTILE: "x", "y" * 10_000: 1})
    requests.post(
        f"{tenant.base_url}/api/lead/ping/{tenant.source(platform='pingtree').name}/{'w' * 3000}<script>",
        headers={"User-Agent": "<script>window.pwned=1</script>"},
        timeout=PATIENCE,
    )
    expect(rows(page)).to_have_count(2)
    for _ in ("as it streamed in", "as it is served"):
        assert page.locator("table").bounding_box()["width"] == width["width"]  # type: ignore[index]
        _unharmed(visit)
        page.reload()
    rows(page).first.locator("a").click()
    expect(page.get_by_label("Request as it came in")).to_contain_text("<script>window.pwned=1</script>")
    _unharmed(visit)


def _unharmed(visit: Visit) -> None:
    assert visit.page.evaluate("window.pwned") is None
    assert visit.sticking_out() == []
    assert visit.page.locator("#main script, #main img, #main iframe").count() == 0


# --- what comes fast, what goes away --------------------------------------------------------------------------


SENT = 10_000
# One request a millisecond, as the clock says: what is late is sent at once until that has caught up. A count ends it,
# not a time, so that a slow machine sends as many and only takes longer.
LUA = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } moment; int clock_gettime(int clock, moment *found);")
local moment = ffi.new("moment")
local function now()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.s) * 1000 + tonumber(moment.ns) / 1e6
end
local began, due, sent = nil, 0, 0
function init(args) own = args[1] end
function delay()
  began = began or now()
  due = due + 1
  return math.max(0, began + due - now())
end
function request()
  sent = sent + 1
  local body = '{"flo_campaign_id": "' .. own .. '", "flo_supplier_id": "none", "note": "' .. sent .. '"}'
  return wrk.format("POST", "/api/v1/ping", {["x-api-key"] = "nobody", ["Content-Type"] = "application/json"}, body)
end
"""
# What a page goes through, told by the page: events that came and that it was told were left out, rows that it drew,
# and the longest time in which it drew no frame.
WITNESS = """
window.seen = {came: 0, left: 0, drawn: 0, gap: 0};
const Listening = window.EventSource;
window.EventSource = class extends Listening {
  constructor(...all) {
    super(...all);
    this.addEventListener("request", () => { seen.came += 1; });
    this.addEventListener("dropped", event => { seen.left += JSON.parse(event.data).events; });
  }
};
let last = 0;
requestAnimationFrame(function frame(now) {
  if (last) seen.gap = Math.max(seen.gap, now - last);
  last = now;
  requestAnimationFrame(frame);
});
addEventListener("DOMContentLoaded", () => {
  const rows = document.getElementById("rows");
  const count = changes => { for (const change of changes) seen.drawn += change.addedNodes.length; };
  if (rows) new MutationObserver(count).observe(rows, {childList: true});
});
"""
# Frames are 16 ms apart. A page that drew each request by itself would stand still nearly as long as they come; one on
# a machine that is busy with five other things may stand still for a second or two.
LONGEST_GAP = 0.6  # of the time in which they come


def test_a_thousand_requests_a_second_leave_the_page_responsive_and_bounded(visit: Visit, tmp_path: Path) -> None:
    wrk = program("wrk")
    (tmp_path / "hurry.lua").write_text(LUA)
    with sandbox("--db", ":memory:") as busy:
        page = visit.page
        page.add_init_script(WITNESS)
        page.goto(f"{busy.base_url}{HOME}")
        live(page)
        before = visit.heap()
        command = [
            wrk,
            "-t1",
            "-c20",
            "-d900s",
            "--timeout",
            "60s",
            "-s",
            str(tmp_path / "hurry.lua"),
            busy.base_url,
            "--",
            "c",
        ]
        began = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hurry:
            try:
                _use_it_while(page, lambda: hurry.poll() is None and _count(busy) < SENT)
            finally:
                took = time.monotonic() - began
                hurry.send_signal(signal.SIGINT)  # it would wait until its time is over
            assert hurry.stdout is not None
            assert "Socket errors" not in hurry.stdout.read()
        count = _count(busy)
        [newest] = requests.get(f"{busy.base_url}/__sandbox/requests?limit=1", timeout=PATIENCE).json()["requests"]
        expect(page.locator(f'#rows > tr[data-id="{newest["id"]}"]')).to_be_visible()
        seen = page.evaluate("seen")
        print(f"{count} requests sent; the page saw {seen}")  # noqa: T201  pytest -rP tells it
        assert seen["came"] + seen["left"] >= SENT, "each is shown or counted among those that were left out"
        assert seen["came"] >= SENT / 10
        told = page.locator("#left-out span").text_content() or ""
        assert told == (f"{seen['left']:,} requests" if seen["left"] else ""), "the page says how many it does not list"
        assert seen["drawn"] >= 5 * kept_at_most(page)
        assert seen["gap"] / 1000 < LONGEST_GAP * took
        assert rows(page).count() == kept_at_most(page)
        assert page.evaluate("document.getElementsByTagName('*').length") < 40 * kept_at_most(page)
        assert visit.heap() - before < 20 * 2**20
        rows(page).first.locator("a").click()
        expect(page.get_by_role("heading", name="How it was decided")).to_be_visible()


def _count(busy: Running) -> int:
    return int(requests.get(f"{busy.base_url}/__sandbox/requests/count", timeout=PATIENCE).json()["count"])


def _use_it_while(page: Page, coming: Callable[[], bool]) -> None:
    """Press what there is to press while requests come, which has to be answered each time."""
    pause = page.locator("#pause")
    while coming():
        for state in ("true", "false"):
            pause.click()
            expect(pause).to_have_attribute("aria-pressed", state)
        assert rows(page).count() <= kept_at_most(page) + 1


def test_a_row_that_somebody_stands_on_does_not_keep_the_others(visit: Visit, tenant: Tenant) -> None:
    page = visit.page
    ping(tenant)
    page.goto(address(tenant))
    live(page)
    rows(page).first.locator("a").focus()
    mine = rows(page).first.get_attribute("data-id")
    for _ in range(2 * kept_at_most(page)):
        ping(tenant, state="")
    expect(page.locator(f'#rows > tr[data-id="{tenant.requests[-1]["id"]}"]')).to_be_visible()
    assert rows(page).count() == kept_at_most(page) + 1
    expect(page.locator(f'#rows > tr[data-id="{mine}"] a')).to_be_focused()


def test_the_page_finds_a_sandbox_again_that_was_started_anew(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    with sandbox("--db", str(tmp_path / "one.db")) as first:
        page.goto(f"{first.base_url}{HOME}")
        live(page)
        ping(Server(first.base_url).tenant())
        expect(rows(page)).to_have_count(1)
        port = first.base_url.rpartition(":")[2]
    expect(page.locator("#connection")).to_have_attribute("data-state", "lost")
    with sandbox("--db", str(tmp_path / "one.db"), "--port", port) as second:
        live(page)
        ping(Server(second.base_url).tenant())
        ping(Server(second.base_url).tenant())
        expect(rows(page)).to_have_count(2)
        assert [line for line in visit.complaints if "ERR_" not in line] == []
        visit.complaints.clear()


# --- who may look ---------------------------------------------------------------------------------------------


def test_a_control_token_has_to_be_given_before_anything_is_shown(chromium: Browser) -> None:
    with sandbox("--db", ":memory:", "--control-token", "open sesame") as guarded, visiting(chromium) as visit:
        page = visit.page
        page.goto(f"{guarded.base_url}{UI}/sources")
        field = page.get_by_label("Control token")
        expect(field).to_be_focused()
        field.fill("open barley")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("not the control token")
        assert visit.complaints == [f"answer 403: {guarded.base_url}{UI}/login"]
        page.get_by_label("Control token").fill("open sesame")
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(f"{guarded.base_url}{UI}/sources")
        page.get_by_role("link", name="Live traffic").click()
        live(page)
        [cookie] = [one for one in page.context.cookies() if "theme" not in one["name"]]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert "sesame" not in cookie["value"]
        page.get_by_role("button", name="Log out").click()
        page.goto(f"{guarded.base_url}{HOME}")
        expect(page.get_by_label("Control token")).to_be_visible()


def test_the_login_leads_nowhere_but_to_the_dashboard() -> None:
    with sandbox("--db", ":memory:", "--control-token", "open sesame") as guarded:
        for wanted in (
            "https://example.com/",
            "//example.com/",
            "/\\\\example.com",
            "/__sandbox/../../x",
            "javascript:alert(1)",
        ):
            answer = requests.post(
                f"{guarded.base_url}{UI}/login",
                data={"token": "open sesame", "next": wanted},
                allow_redirects=False,
                timeout=PATIENCE,
            )
            assert answer.status_code == 303
            assert answer.headers["Location"].startswith("/__sandbox/"), wanted


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://example.com"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_a_form_of_another_site_changes_nothing(server: Running, headers: dict[str, str]) -> None:
    before = requests.get(f"{server.base_url}/__sandbox/clock", timeout=PATIENCE).json()
    for path, body in ((f"{UI}/do/advance", {"advance": "1 h"}), ("/__sandbox/clock", '{"advance": "1 h"}')):
        answer = requests.post(f"{server.base_url}{path}", data=body, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 403, path
    after = requests.get(f"{server.base_url}/__sandbox/clock", timeout=PATIENCE).json()
    passed = datetime.fromisoformat(after["now"]) - datetime.fromisoformat(before["now"])
    assert passed < timedelta(minutes=30), "it only went on"


# --- by keyboard, without scripts -----------------------------------------------------------------------------


def test_the_list_is_used_by_keyboard_alone(visit: Visit, tenant: Tenant) -> None:
    page = visit.page
    for _ in range(3):
        ping(tenant)
    page.goto(address(tenant))
    live(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(rows(page).first.locator("a")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#filters :focus")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="How it was decided")).to_be_visible()


FOCUS = """() => {
  const item = document.activeElement, style = getComputedStyle(item);
  const seen = item !== document.body && (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
    || style.boxShadow !== "none" || getComputedStyle(item, "::after").outlineStyle !== "none");
  return [item.outerHTML.slice(0, 100), seen];
}"""


def test_whoever_goes_by_tab_sees_where_they_are(visit: Visit, tenant: Tenant) -> None:
    ping(tenant)
    visit.page.goto(address(tenant))
    live(visit.page)
    for _ in range(25):
        visit.page.keyboard.press("Tab")
        where, seen = visit.page.evaluate(FOCUS)
        assert seen or where.startswith("<body"), where


def test_traffic_and_explanations_read_without_scripts(chromium: Browser, tenant: Tenant) -> None:
    ping(tenant, credit_score="brilliant")
    ping(tenant)
    with visiting(chromium, scripts=False) as visit:
        page = visit.page
        page.goto(address(tenant))
        expect(rows(page)).to_have_count(2)
        expect(page.locator("#pause")).to_be_hidden()
        page.get_by_label("Status").fill("400")
        page.get_by_role("button", name="Filter").click()
        expect(rows(page)).to_have_count(1)
        rows(page).first.locator("a").click()
        expect(page.get_by_role("heading", name="What would have to change")).to_be_visible()
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert visit.complaints == []


# --- every page -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A sandbox after a working day."""
    with sandbox("--db", ":memory:", "--config", str(filling.SANDBOX)) as running:
        tenant = Server(running.base_url).tenant()
        filling.Day(tenant).pass_by()
        report = filling.report(tmp_path_factory.mktemp("conform"))
        requests.put(f"{running.base_url}/__sandbox/conformance", data=report, timeout=PATIENCE).raise_for_status()
        yield tenant


LOOKS = [(width, theme) for width in (WIDE, NARROW) for theme in THEMES]


@pytest.mark.parametrize(("width", "theme"), LOOKS)
@pytest.mark.parametrize("name", NAMES)
def test_a_page_keeps_nobody_out_and_fits_its_window(
    chromium: Browser, filled: Tenant, name: str, width: int, theme: Theme
) -> None:
    with visiting(chromium, width=width, theme=theme) as visit:
        visit.page.goto(f"{filled.base_url}{path_of(name, filled)}")
        live(visit.page)
        _open_to_all(visit)
        visit.page.evaluate("() => document.querySelectorAll('details').forEach(item => { item.open = true })")
        _open_to_all(visit)
        assert visit.complaints == []
        assert visit.elsewhere(filled.base_url) == []


@pytest.mark.parametrize(("width", "theme"), LOOKS)
@pytest.mark.parametrize("path", [HOME, f"{UI}/charts", f"{UI}/conformance", f"{UI}/duties", f"{UI}/no-such-page"])
def test_a_page_with_nothing_on_it_keeps_nobody_out_either(
    chromium: Browser, tenant: Tenant, path: str, width: int, theme: Theme
) -> None:
    with visiting(chromium, width=width, theme=theme) as visit:
        visit.page.goto(address(tenant, path))
        _open_to_all(visit)


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_a_notice_and_what_was_refused_keep_nobody_out(
    chromium: Browser, tenant: Tenant, width: int, theme: Theme
) -> None:
    with visiting(chromium, width=width, theme=theme) as visit:
        visit.page.goto(address(tenant, f"{UI}/steering"))
        visit.page.get_by_role("button", name="Freeze").click()
        expect(done(visit.page)).to_contain_text("stands still")
        _open_to_all(visit)
        visit.page.get_by_label("Trigger", exact=True).fill("no_such_trigger")
        visit.page.get_by_role("button", name="Arm", exact=True).click()
        expect(refused(visit.page)).to_be_visible()
        _open_to_all(visit)


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_login_keeps_nobody_out_who_knows_the_token(chromium: Browser, width: int, theme: Theme) -> None:
    with (
        sandbox("--db", ":memory:", "--control-token", "open sesame") as guarded,
        visiting(chromium, width=width, theme=theme) as visit,
    ):
        visit.page.goto(f"{guarded.base_url}{HOME}")
        _open_to_all(visit)
        visit.page.get_by_label("Control token").fill("open barley")
        visit.page.get_by_role("button", name="Log in").click()
        expect(visit.page.get_by_role("alert")).to_be_visible()
        _open_to_all(visit)


def _open_to_all(visit: Visit) -> None:
    assert visit.sticking_out() == []
    assert barriers(visit.page) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_reads_without_scripts(chromium: Browser, filled: Tenant, name: str) -> None:
    address = f"{filled.base_url}{path_of(name, filled)}"
    with visiting(chromium) as scripted, visiting(chromium, scripts=False) as plain:
        for visit in (scripted, plain):
            visit.page.goto(address)
        live(scripted.page)
        headings = [
            visit.page.locator("#main :is(h1, h2, h3):visible").all_inner_texts() for visit in (scripted, plain)
        ]
        assert headings[0] == headings[1]
        assert plain.complaints == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_lets_no_script_style_or_frame_in_but_its_own(filled: Tenant, name: str) -> None:
    answer = requests.get(f"{filled.base_url}{path_of(name, filled)}", timeout=PATIENCE)
    told = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert {key: set(told[key].split()) for key in STRICT} == STRICT
    assert "unsafe" not in str(told)
    assert answer.headers["Content-Security-Policy"] in " ".join(DOCS.read_text().split())
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=", answer.text)
