"""The interactive documentation in a real browser without a network: it shows every operation, and calls them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from simulator.platforms import CONTRACTS
from simulator.testing import Server, Tenant
from tests.browsing import Visit, barriers, visiting
from tests.running import wait_until
from tests.sandbox import Sandbox
from tests.test_documents import got

pytestmark = pytest.mark.long


@pytest.fixture
def tenant(built_in: Sandbox) -> Iterator[Tenant]:
    made = Server(built_in.base_url).new_tenant()
    yield made
    made.delete()


@pytest.fixture
def visit(chromium: Browser, tenant: Tenant) -> Iterator[Visit]:
    with visiting(chromium) as found:
        found.page.goto(f"{tenant.base_url}/__sandbox/docs?tenant={tenant.id}")
        expect(found.page.locator(".opblock").first).to_be_visible()
        yield found


def authorize(page: Page, scheme: str, credential: str) -> None:
    """Type a credential into the dialog, at the scheme with this name."""
    page.locator("button.authorize").click()
    wanted = page.locator(".dialog-ux .auth-container").filter(has=page.get_by_text(re.compile(rf"^{scheme}\b")))
    wanted.locator("input").fill(credential)
    wanted.locator(".modal-btn.authorize").click()
    expect(wanted.locator("input")).to_have_count(0)
    page.locator(".dialog-ux .close-modal").click()


def opened(page: Page, name: str) -> Locator:
    """Open an operation; return its block, drawn anew when references are resolved: what is done before is lost."""
    block = page.locator(f"#operations-{name}")
    block.locator(".opblock-summary-control").click()
    expect(block.get_by_role("textbox", name="Request body")).to_have_value(re.compile("{"))
    return block


def executed(block: Locator) -> tuple[str, str]:
    """Send the operation with its example; return the status and the body that the page shows."""
    block.locator(".execute").click()
    live = block.locator(".live-responses-table .response")
    body = live.locator(".highlight-code code").first.inner_text()
    return live.locator(".response-col_status").inner_text().strip(), body


def test_every_operation_is_shown_and_nothing_is_fetched_from_elsewhere(visit: Visit, tenant: Tenant) -> None:
    shown = " ".join(item.get_attribute("id") or "" for item in visit.page.locator(".opblock").all())
    for contract in CONTRACTS.values():
        for operation in contract.operations:
            assert f"{contract.platform}_{operation.name}" in shown
    assert visit.complaints == []
    assert visit.elsewhere(tenant.base_url) == []


def test_try_it_out_sends_a_lead_that_the_sandbox_takes(visit: Visit, tenant: Tenant) -> None:
    authorize(visit.page, "leaddistro_api_key", tenant.source(platform="leaddistro").credentials["api_key"])
    block = opened(visit.page, "leaddistro-leaddistro_ingest_post")
    assert barriers(visit.page) == []
    status, body = executed(block)
    assert status == "201"
    assert json.loads(body)["data"]["status"] == "ACCEPTED"
    assert [entry["row_id"] for entry in tenant.requests] == ["LD-ING-201-ACCEPTED"]
    assert visit.complaints == []


def test_try_it_out_fills_the_path_in_and_sends_the_token_of_its_kind(visit: Visit, tenant: Tenant) -> None:
    source = tenant.source(platform="pingtree")
    authorize(visit.page, "pingtree_ping", source.credentials["ping"])
    block = opened(visit.page, "pingtree-pingtree_ping_post")
    expect(block.locator(".parameters input")).to_have_value(source.name)
    status, body = executed(block)
    assert status == "201"
    assert json.loads(body)["data"]["leadStatus"] == "ping_accept"
    assert visit.complaints == []


def test_the_policy_keeps_the_page_from_speaking_to_anybody_else(visit: Visit, built_in: Sandbox) -> None:
    assert "connect-src 'self'" in got(built_in, "docs").headers["Content-Security-Policy"]
    refused = "fetch('http://127.0.0.1:9/').then(() => false, () => true)"
    assert visit.page.evaluate(refused)
    wait_until(lambda: any("Content Security Policy" in said for said in visit.complaints), "it was told why")
