"""The interactive documentation in a real browser without a network: it shows every operation, and calls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.platforms import CONTRACTS
from simulator.testing import Server, Tenant
from tests.browsing import Browser, browser
from tests.running import wait_until
from tests.sandbox import Sandbox
from tests.test_documents import got

pytestmark = pytest.mark.long

BLOCKS = "[...document.querySelectorAll('.opblock')].map(item => item.id)"
# React looks at what a person types, not at what a script assigns, and the page takes it when the field is left.
TYPED = """
(item, text) => {
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(item), "value").set.call(item, text);
  item.dispatchEvent(new Event("input", {bubbles: true}));
  item.dispatchEvent(new FocusEvent("focusout", {bubbles: true}));
}
"""


class Page:
    """The page of a tenant in a browser, clicked and typed into."""

    def __init__(self, chromium: Browser, base_url: str, tenant: str) -> None:
        self.chromium = chromium
        chromium.open(f"{base_url}/__sandbox/docs?tenant={tenant}")
        self.wait("document.querySelector('.opblock') !== null", "operations are shown")

    def wait(self, expression: str, what: str) -> None:
        wait_until(lambda: self.chromium.says(expression), what)

    def click(self, selector: str) -> None:
        self.wait(f"document.querySelector({json.dumps(selector)}) !== null", f"{selector} is there")
        self.chromium.says(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, selector: str, text: str) -> None:
        self.wait(f"document.querySelector({json.dumps(selector)}) !== null", f"{selector} is there")
        self.chromium.says(f"({TYPED})(document.querySelector({json.dumps(selector)}), {json.dumps(text)})")

    def authorize(self, scheme: str, credential: str) -> None:
        """Type a credential into the dialog, at the scheme with this name."""
        self.click("button.authorize")
        self.wait("document.querySelector('.dialog-ux .auth-container') !== null", "the dialog is open")
        self.chromium.says(
            "[...document.querySelectorAll('.dialog-ux .auth-container')]"
            f".find(item => item.innerText.includes({json.dumps(scheme)})).id = 'wanted'"
        )
        self.type("#wanted input", credential)
        self.click("#wanted .modal-btn.authorize")
        self.wait("document.querySelector('#wanted input') === null", "the credential was taken")
        self.click(".dialog-ux .close-modal")

    def unfold(self, block: str) -> None:
        """Show an operation. It is drawn anew when references are resolved, and what was done before that is lost."""
        self.click(f"#{block} .opblock-summary-control")
        self.wait(f"document.querySelector('#{block} textarea')?.value?.includes('{{')", "the example is filled in")

    def execute(self, block: str) -> tuple[str, str]:
        """Send the operation with its example; return the status and the body that the page shows."""
        self.click(f"#{block} .execute")
        live = f"document.querySelector('#{block} .live-responses-table .response')"
        self.wait(f"{live} !== null", "an answer is shown")
        status = self.chromium.says(f"{live}.querySelector('.response-col_status').innerText")
        body = self.chromium.says(f"{live}.querySelector('.highlight-code code').innerText")
        return str(status).strip(), str(body)


@pytest.fixture
def tenant(built_in: Sandbox) -> Iterator[Tenant]:
    made = Server(built_in.base_url).new_tenant()
    yield made
    made.delete()


@pytest.fixture
def page(tenant: Tenant, tmp_path: Path) -> Iterator[Page]:
    with browser(tmp_path / "profile") as chromium:
        yield Page(chromium, tenant.base_url, tenant.id)


def test_every_operation_is_shown_and_nothing_is_fetched_from_elsewhere(page: Page, tenant: Tenant) -> None:
    shown = " ".join(page.chromium.says(BLOCKS))
    for contract in CONTRACTS.values():
        for operation in contract.operations:
            assert f"{contract.platform}_{operation.name}" in shown
    assert page.chromium.complaints() == []
    allowed = (f"{tenant.base_url}/", "data:image/svg+xml")
    assert [address for address in page.chromium.fetched() if not address.startswith(allowed)] == []


def test_try_it_out_sends_a_lead_that_the_sandbox_takes(page: Page, tenant: Tenant) -> None:
    block = "operations-leaddistro-leaddistro_ingest_post"
    page.authorize("leaddistro_api_key", tenant.source(platform="leaddistro").credentials["api_key"])
    page.unfold(block)
    status, body = page.execute(block)
    assert status == "201"
    assert json.loads(body)["data"]["status"] == "ACCEPTED"
    assert [entry["row_id"] for entry in tenant.requests] == ["LD-ING-201-ACCEPTED"]
    assert page.chromium.complaints() == []


def test_try_it_out_fills_the_path_in_and_sends_the_token_of_its_kind(page: Page, tenant: Tenant) -> None:
    block = "operations-pingtree-pingtree_ping_post"
    source = tenant.source(platform="pingtree")
    page.authorize("pingtree_ping", source.credentials["ping"])
    page.unfold(block)
    assert page.chromium.says(f"document.querySelector('#{block} .parameters input').value") == source.name
    status, body = page.execute(block)
    assert status == "201"
    assert json.loads(body)["data"]["leadStatus"] == "ping_accept"
    assert page.chromium.complaints() == []


def test_the_scorecard_and_a_specification_are_drawn_as_their_policies_allow(tenant: Tenant, tmp_path: Path) -> None:
    source = tenant.source(platform="pingtree")
    with browser(tmp_path / "profile") as chromium:
        for path, word in (
            (f"audit?format=html&tenant={tenant.id}", "D01"),
            (f"specs/{source.id}?tenant={tenant.id}", "lnk"),
        ):
            chromium.open(f"{tenant.base_url}/__sandbox/{path}")
            wait_until(lambda word=word: word in str(chromium.says("document.body.innerText")), "it is drawn")  # type: ignore[misc]
            assert chromium.says("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"
        assert [said for said in chromium.complaints() if "favicon" not in str(said)] == []


def test_the_policy_keeps_the_page_from_speaking_to_anybody_else(page: Page, built_in: Sandbox) -> None:
    assert "connect-src 'self'" in got(built_in, "docs").headers["Content-Security-Policy"]
    page.chromium.says("fetch('http://127.0.0.1:9/').catch(() => { window.refused = true })")
    page.wait("window.refused === true", "the browser refused")
    assert any("Content Security Policy" in str(said) for said in page.chromium.complaints())
