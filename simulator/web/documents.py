"""`/__sandbox/openapi.json`, `docs` and `specs/{name}`: what may be sent, for people and for tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from importlib.resources import files
from mimetypes import guess_type

from flask import Blueprint, Response, request

from simulator import posting, specs
from simulator.contract.account import Account
from simulator.contract.model import Contract
from simulator.contract.openapi import Subject, document
from simulator.tenants import Tenant, Tenants
from simulator.web.control import PREFIX
from simulator.web.pages import NOTHING, guarded, only_style
from simulator.web.problems import ProblemError, as_json, tenant_of

_ASSETS = "flask_swagger_ui"  # a package, which is loaded when one of its files is asked for
_READABLE = files("simulator.web").joinpath("docs.css")
_SERVED = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
# Swagger UI sets styles on elements it makes, from a script of its own origin; nothing of it comes from elsewhere.
_POLICY = f"{NOTHING}; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
_PAGE = f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>leadsandbox: the APIs it plays</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{PREFIX}/docs/swagger-ui.css">
<link rel="stylesheet" href="{PREFIX}/docs/readable.css">
<link rel="icon" href="{PREFIX}/docs/favicon-32x32.png">
</head>
<body>
<main id="swagger-ui"></main>
<script src="{PREFIX}/docs/swagger-ui-bundle.js"></script>
<script src="{PREFIX}/docs/start.js"></script>
</body>
</html>
"""
# `validatorUrl` would send the document's address to a server on the internet. There is one server only, so no
# choice of it is shown; a body's field gets the name that a screen reader says.
_START = f"""\
const NAME = {{"aria-label": "Request body"}};
const named = (Field, system) => (props) => system.React.createElement(Field, {{...NAME, ...props}});
SwaggerUIBundle({{
  url: "{PREFIX}/openapi.json" + window.location.search,
  dom_id: "#swagger-ui",
  validatorUrl: null,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  plugins: [() => ({{wrapComponents: {{ServersContainer: () => () => null, TextArea: named}}}})],
}});
"""


def blueprint(tenants: Tenants, contracts: Mapping[str, Contract]) -> Blueprint:
    documents = Blueprint("documents", __name__)

    @documents.get(f"{PREFIX}/openapi.json")
    def openapi() -> Response:
        tenant = tenant_of(tenants)
        subjects = [_subject(item, tenant.accounts[item.platform], _day(tenant)) for item in _wanted(contracts)]
        return as_json(document(subjects, title="leadsandbox", version=version("leadsandbox"), server="/"))

    @documents.get(f"{PREFIX}/docs")
    def page() -> Response:
        return guarded(_PAGE, "text/html", _POLICY)

    @documents.get(f"{PREFIX}/docs/<name>")
    def asset(name: str) -> Response:
        if name == "start.js":
            return Response(_START, content_type="text/javascript; charset=utf-8")
        if name == "readable.css":
            return Response(_READABLE.read_bytes(), content_type="text/css; charset=utf-8")
        if name not in _SERVED:
            raise ProblemError(404, "Not found", f"The page has no file {name[:100]!r}")
        return Response(files(_ASSETS).joinpath("dist", name).read_bytes(), content_type=guess_type(name)[0])

    @documents.get(f"{PREFIX}/specs")
    def listed() -> Response:
        return as_json({"specs": _listed(tenant_of(tenants))})

    @documents.get(f"{PREFIX}/specs/<name>")
    def spec(name: str) -> Response:
        return _specification(tenant_of(tenants), name)

    return documents


def _day(tenant: Tenant) -> str:
    return tenant.clock.now().date().isoformat()


def _subject(contract: Contract, account: Account, day: str) -> Subject:
    """Return a platform as the tenant has it, with the ids of its first source to try."""
    source = next(iter(account.sources.values()), None)
    return Subject(contract, account.words, day, samples=source.arguments if source else {})


def _wanted(contracts: Mapping[str, Contract]) -> Iterable[Contract]:
    name = request.args.get("platform")
    if name is None:
        return contracts.values()
    if name not in contracts:
        raise ProblemError(400, "Bad request", f"platform must be one of {', '.join(contracts)}")
    return [contracts[name]]


def _listed(tenant: Tenant) -> list[dict[str, str]]:
    found = {(item.contract.platform, item.source.id) for item in posting.of(tenant.accounts)}
    return [{"platform": platform, "id": name, "url": f"{PREFIX}/specs/{name}"} for platform, name in sorted(found)]


def _specification(tenant: Tenant, name: str) -> Response:
    form = request.args.get("format", "html")
    if form not in specs.FORMATS:
        raise ProblemError(400, "Bad request", f"format must be one of {', '.join(specs.FORMATS)}, not {form[:50]!r}")
    wanted = posting.named(posting.of(tenant.accounts), name)
    if not wanted:
        raise ProblemError(404, "Not found", f"No source or supplier is called {name[:100]!r}; see {PREFIX}/specs")
    media_type, _ = specs.FORMATS[form]
    # Whoever asks has reached the sandbox at this address, which a mapped port makes another than its own.
    text = specs.rendered(wanted, form, request.host_url.rstrip("/"), _day(tenant))
    return guarded(text, media_type, only_style(specs.style()))
