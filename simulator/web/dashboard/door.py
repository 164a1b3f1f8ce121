"""Who may look at the pages, and the headers that each of them carries. No page lives here but the login."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, request

from simulator.web import sessions
from simulator.web.control import PREFIX
from simulator.web.dashboard.frame import Frame
from simulator.web.visitors import stranger

LOGIN = f"{PREFIX}/ui/login"
OPEN = (LOGIN, f"{PREFIX}/ui/static/")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def guard(pages: Blueprint, frame: Frame, token: str) -> None:
    """Let in whoever has logged in, or everybody where there is no control token."""

    @pages.before_request
    def refuse() -> Response | None:
        if said := stranger(request.method, request.headers, named=bool(token)):
            return frame.failure(403, "Forbidden", said)
        if not token or request.path.startswith(OPEN) or sessions.has_session(token):
            return None
        if sessions.is_token(request.headers.get("Authorization", ""), f"Bearer {token}"):
            return None
        if request.method == "GET":
            return _to(f"{LOGIN}?{urlencode({'next': request.full_path.rstrip('?')})}")
        return _to(f"{LOGIN}?{urlencode({'next': local(request.form.get('back', '')), 'undone': 1})}")

    @pages.after_request
    def harden(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Cache-Control", "no-store")  # pages show credentials
        headers["Content-Security-Policy"] = POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        # Not `no-referrer`: with it a browser sends `Origin: null` with the pages' own forms.
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response


def add_login(pages: Blueprint, frame: Frame, token: str) -> None:
    @pages.get(LOGIN)
    def ask() -> Response:
        wanted, undone = local(request.args.get("next", "")), "undone" in request.args
        return frame.page("login.html.jinja", "", "Log in", wrong=False, next=wanted, undone=undone)

    @pages.post(LOGIN)
    def login() -> Response:
        wanted = local(request.form.get("next", ""))
        if token and not sessions.is_token(request.form.get("token", ""), token):
            return frame.page("login.html.jinja", "", "Log in", status=403, wrong=True, next=wanted, undone=False)
        response = _to(wanted)
        if token:
            sessions.begin(response, token)
        return response

    @pages.post(f"{PREFIX}/ui/logout")
    def logout() -> Response:
        response = _to(LOGIN)
        sessions.end(response)
        return response


def local(address: str) -> str:
    """Return an address of the dashboard's own pages; its front page for any other."""
    fine = address.startswith(f"{PREFIX}/") and "\\" not in address and address.isprintable()
    return address if fine else f"{PREFIX}/"


def _to(address: str) -> Response:
    response = Response(status=303)
    response.headers["Location"] = redirect(address).headers["Location"]
    return response
