"""The sandbox's own side, `/__sandbox/*`: what it is, whether it serves. Never imitates a vendor."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from simulator.welcome import Welcome


def blueprint(welcome: Welcome, nonce: str) -> Blueprint:
    """Build the control API. `nonce` identifies this very process, so that nobody mistakes another for it."""
    control = Blueprint("control", __name__)

    def health() -> Response:
        return jsonify({"status": "ready", "boot": nonce})

    for path in ("/__sandbox/health", "/healthz", "/readyz"):
        control.add_url_rule(path, path, health)

    @control.get("/__sandbox/welcome")
    def introduce() -> Any:
        return jsonify(welcome.document())

    @control.route("/__sandbox/", defaults={"anything": ""})
    @control.route("/__sandbox/<path:anything>")
    def nothing(anything: str) -> tuple[Response, int]:
        return problem(404, "Not found", f"The control API has nothing at /__sandbox/{anything[:200]}")

    return control


def problem(status: int, title: str, detail: str) -> tuple[Response, int]:
    """Return problem details (RFC 9457)."""
    response = jsonify({"type": "about:blank", "title": title, "status": status, "detail": detail})
    response.content_type = "application/problem+json"
    return response, status
