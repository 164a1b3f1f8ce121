"""Drives Debian's Chromium as a visitor does, and remembers what each page complained about. No test lives here."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, Response, expect, sync_playwright

from tests.programs import program
from tests.running import PATIENCE

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# A browser of nobody's: no sandbox of its own where root runs it, no graphics card, no network but this machine's.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--enable-precise-memory-info",  # without it, a page's heap is told in steps of its own choosing
    "--js-flags=--expose-gc",  # what is only not collected yet is no leak
)
WIDE, NARROW = 1440, 360
GRAVE = frozenset({"serious", "critical"})
_STICKING_OUT = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const sticksOut = item => item.getBoundingClientRect().right > root.clientWidth;
  const wide = [...document.querySelectorAll("body *")].filter(sticksOut);
  return [`${root.scrollWidth} px wide`, ...wide.slice(0, 5).map(item => item.outerHTML.slice(0, 200))];
}"""
# Notes in the page, for each row that comes, how many milliseconds its request had been answered. Arrival and duration
# are the sandbox's own, so its clock has to be the machine's.
STOPWATCH = """() => {
  window.shown = [];
  const took = row => parseFloat(row.querySelector(".c-ms").textContent);
  const answered = row => Date.parse(row.querySelector("time").dateTime) + took(row);
  new MutationObserver(changes => {
    const now = Date.now();
    for (const change of changes) for (const row of change.addedNodes) shown.push(Math.round(now - answered(row)));
  }).observe(document.getElementById("rows"), {childList: true});
}"""
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")


@dataclass
class Visit:
    """One visitor with one page. `complaints` are script errors, policy violations, dialogs, answers from 400 on."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def elsewhere(self, base_url: str) -> list[str]:
        """Return what the page asked of anybody but the server at `base_url`."""
        return [url for url in self.fetched if not url.startswith((f"{base_url}/", "data:", "blob:"))]

    def sticking_out(self) -> list[str]:
        """Return what makes the page scroll sideways, and nothing where it does not. Works with scripts off too."""
        found: list[str] = self.page.evaluate(_STICKING_OUT)
        return found

    def heap(self) -> int:
        """Return the bytes that the page's scripts hold on to, after what they let go of was collected."""
        size: int = self.page.evaluate("() => { globalThis.gc?.(); return performance.memory.usedJSHeapSize }")
        return size

    def _listen(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script error: {error}"))
        self.page.on("dialog", self.asked)
        self.page.on("request", self._fetched)
        self.page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.complaints.append(f"console {message.type}: {message.text}")

    def asked(self, dialog: Dialog) -> None:
        """Say no, and complain. A test that says yes takes this off the page before."""
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _fetched(self, request: Request) -> None:
        self.fetched.append(request.url)

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"answer {response.status}: {response.url}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser for as long as the block takes; skips the test where there is none."""
    path = program(*CHROMIUM)
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def visiting(
    browser: Browser, *, width: int = WIDE, theme: Theme = "light", scripts: bool = True, **options: Any
) -> Iterator[Visit]:
    """Open a window of one's own, with its own cookies, for as long as the block takes."""
    context = browser.new_context(
        viewport={"width": width, "height": 900 if width > 600 else 740},
        color_scheme=theme,
        java_script_enabled=scripts,
        reduced_motion="reduce",
        **options,
    )
    context.set_default_timeout(PATIENCE * 1000)
    visit = Visit(context.new_page())
    visit._listen()
    yield visit
    context.close()


@functools.cache
def _axe() -> str:
    return importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def barriers(page: Page) -> list[str]:
    """Return what keeps people out of the page: what axe-core calls serious or critical, a line each."""
    page.evaluate(f"() => {{ {_axe()} }}")
    found: dict[str, Any] = page.evaluate("() => axe.run({resultTypes: ['violations']})")
    return [
        f"{item['impact']} {item['id']}: {node['target']} {node.get('failureSummary', '')}"
        for item in found["violations"]
        if item["impact"] in GRAVE
        for node in item["nodes"]
    ]
