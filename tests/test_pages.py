"""The pages besides the dashboard in a real browser: nobody is kept out, nothing is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browsing import NARROW, THEMES, Theme, barriers, visiting
from tests.sandbox import Sandbox
from tests.tenant import Tenant

pytestmark = pytest.mark.long

PAGES = ("docs", "specs/src_abc123", "specs/supplier_xyz789", "audit?format=html")


@pytest.fixture(scope="module")
def tenant(built_in: Sandbox) -> Iterator[Tenant]:
    """A tenant with some traffic."""
    made = Tenant(built_in.base_url)
    for name in ("pingtree ping", "leaddistro ingest"):
        made.say(name)
    yield made
    made.control("DELETE", f"tenants/{made.name}")


def address(tenant: Tenant, page: str) -> str:
    return f"{tenant.base}/__sandbox/{page}{'&' if '?' in page else '?'}tenant={tenant.name}"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_keeps_nobody_out_fits_a_telephone_and_fetches_nothing_from_elsewhere(
    chromium: Browser, tenant: Tenant, page: str, theme: Theme
) -> None:
    with visiting(chromium, width=NARROW, theme=theme) as visit:
        visit.page.goto(address(tenant, page))
        expect(visit.page.locator("h1, h2").first).to_be_visible()
        assert visit.complaints == []
        assert barriers(visit.page) == []
        assert visit.sticking_out() == []
        assert visit.elsewhere(tenant.base) == []


def test_the_checker_of_barriers_finds_one_that_is_there(chromium: Browser) -> None:
    with visiting(chromium) as visit:
        visit.page.set_content("<!doctype html><html lang=en><title>x</title><main><h1>x</h1><img src='data:,'></main>")
        assert [line.split(":")[0] for line in barriers(visit.page)] == ["critical image-alt"]
