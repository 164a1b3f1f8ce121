"""What every page has around it: navigation, tenant, clock, notices; and how templates become answers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from flask import Response, request
from jinja2 import Environment, PackageLoader, StrictUndefined

from simulator.tenants import DEFAULT
from simulator.web import entrance
from simulator.web.control import PREFIX
from simulator.web.dashboard import assets, notices, wording
from simulator.web.dashboard.notices import Notice
from simulator.web.dashboard.parts import Parts, named_tenant

UI = entrance.UI
THEMES = ("auto", "light", "dark")
THEME_COOKIE = "leadsandbox_theme"
MOST_TENANTS_LISTED = 200
NAVIGATION = (
    ("traffic", "Live traffic", f"{PREFIX}/"),
    ("sources", "Sources & suppliers", f"{UI}/sources"),
    ("buyers", "Buyers", f"{UI}/buyers"),
    ("steering", "Clock, faults, tenants", f"{UI}/steering"),
    ("charts", "Charts", f"{UI}/charts"),
    ("duties", "Duties", f"{UI}/duties"),
    ("conformance", "Conformance", f"{UI}/conformance"),
)


class Frame:
    """Turns templates into pages. Safe between threads."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.context: dict[str, Any] = {}

    def page(self, template: str, active: str, title: str, *, status: int = 200, **more: Any) -> Response:
        """Render a page. `active` is the key of its entry in the navigation, "" for none."""
        text = _templates().get_template(template).render(**self._around(active, title), **self.context, **more)
        return Response(text, status=status, content_type="text/html; charset=utf-8")

    def failure(self, status: int, title: str, detail: str) -> Response:
        """Return a page that says what happened."""
        return self.page("failure.html.jinja", "", title, status=status, code=status, detail=detail)

    def _around(self, active: str, title: str) -> dict[str, Any]:
        name = named_tenant()
        tenant = self.parts.tenants.get(name or DEFAULT)
        notice = notices.given()
        return {
            "active": active,
            "title": title,
            "navigation": NAVIGATION,
            "url": url,
            "asset": assets.url,
            "curl": self.curl,
            "was": lambda action, name, default="": _was(notice, action, name, default),
            "vendors": tuple(self.parts.contracts.values()),
            "tenant": tenant.id if tenant else name,
            "tenants": [item.id for item in self.parts.tenants][:MOST_TENANTS_LISTED],
            "now": tenant.clock.now() if tenant else None,
            "frozen": tenant.clock.is_frozen if tenant else False,
            "faults_armed": len(tenant.faults.armed(tenant.clock.now())) if tenant else 0,
            "theme": theme(),
            "guarded": bool(self.parts.token),
            "notice": notice,
            "here": here(),
            "origin": origin(),
            "version": self.parts.version,
            "prefix": PREFIX,
            "ui": UI,
        }

    def curl(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, tenant: bool = True) -> str:
        """Return the shell command that does the same as a form of a page."""
        address = f"{origin()}{PREFIX}{path}"
        name = named_tenant()
        if tenant and name:
            address += f"?tenant={quote(name, safe='')}"
        words = ["curl", *(["-X", method] if method != "GET" else []), shlex.quote(address)]
        if self.parts.token:
            words += ["-H", '"Authorization: Bearer $LEADSANDBOX_CONTROL_TOKEN"']
        if body:
            words += ["-d", shlex.quote(orjson.dumps(body).decode())]
        return " ".join(words)


def url(path: str, **arguments: Any) -> str:
    """Return the address of a page or action for the tenant that is looked at."""
    query = {"tenant": named_tenant(), **arguments}
    text = urlencode({name: value for name, value in query.items() if value not in {"", None}})
    return f"{path}?{text}" if text else path


def origin() -> str:
    """Return where the reader reached the sandbox, which a mapped port makes another than its own address."""
    return request.host_url.rstrip("/")


def here() -> str:
    """Return the address of this page without its notice, for coming back to it after an action."""
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != notices.PARAMETER]
    return f"{request.path}?{urlencode(kept)}" if kept else request.path


def theme() -> str:
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "auto"


def _was(notice: Notice | None, action: str, name: str, default: str) -> str:
    return notice.typed.get(name, default) if notice is not None and notice.action == action else default


@cache
def _templates() -> Environment:
    found = Environment(
        loader=PackageLoader("simulator.web.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= wording.FILTERS
    found.globals |= wording.GLOBALS
    return found
