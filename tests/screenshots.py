"""Takes pictures of the dashboard's pages for the documentation: `python -m tests.screenshots FOLDER`. A script.

The sandbox is filled with the same day each time, and its clock stands at the end of it.
"""

from __future__ import annotations

# ruff: noqa: T201  a script prints
import io
import sys
import tempfile
from pathlib import Path

import requests
from PIL import Image
from playwright.sync_api import Browser, Page

from simulator.testing import Server, Tenant, started
from tests import filling
from tests.browsing import NARROW, THEMES, WIDE, Theme, chromium, visiting
from tests.dashboard_pages import HOME, NAMES, path_of

COLOURS = 192  # a page has few, and with fewer its rare ones are lost
TALLEST = {WIDE: 1200, NARROW: 1500}  # pixels; what is below is more of the same
PORT = "8080"  # as everybody sees it who follows the README


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        with started("--port", PORT) as empty:
            _all_looks(browser, empty.tenant(), "empty", HOME, folder)
        with (
            tempfile.TemporaryDirectory() as place,
            started("--port", PORT, "--config", str(filling.SANDBOX)) as server,
        ):
            tenant = _filled(server, Path(place))
            for name in NAMES:
                _all_looks(browser, tenant, name, path_of(name, tenant), folder)


def _filled(server: Server, place: Path) -> Tenant:
    tenant = server.tenant()
    filling.Day(tenant).pass_by()
    report = f"{server.base_url}/__sandbox/conformance"
    requests.put(report, data=filling.report(place), timeout=60).raise_for_status()
    server.new_tenant(name="staging")
    server.new_tenant(name="ci-1482")
    return tenant


def _all_looks(browser: Browser, tenant: Tenant, name: str, path: str, folder: Path) -> None:
    for theme in THEMES:
        for width, word in ((WIDE, "wide"), (NARROW, "narrow")):
            _take(browser, f"{tenant.base_url}{path}", width, theme, folder / f"{name}-{theme}-{word}.png")


def _take(browser: Browser, address: str, width: int, theme: Theme, place: Path) -> None:
    with visiting(browser, width=width, theme=theme) as visit:
        visit.page.goto(address)
        visit.page.wait_for_selector('#connection[data-state="live"]')
        _write(_picture(visit.page, width), place)
        print(f"{place.name}  {place.stat().st_size // 1024} KiB")


def _picture(page: Page, width: int) -> bytes:
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(height, TALLEST[width])})
    return page.screenshot(animations="disabled", caret="hide")


def _write(picture: bytes, place: Path) -> None:
    drawn = Image.open(io.BytesIO(picture)).convert("RGB")
    drawn.quantize(COLOURS, dither=Image.Dither.NONE).save(place, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
