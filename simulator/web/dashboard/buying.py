"""Buyers: how they behave, what they may still take, what they received, and the webhooks sent to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Blueprint, Response

from simulator.store import DeliveryRecord
from simulator.tenants import Tenant
from simulator.web.buyers import filled, named, path_of, standing
from simulator.web.dashboard.frame import UI, Frame
from simulator.web.dashboard.parts import Parts
from simulator.web.dashboard.wording import dollars
from simulator.web.problems import ProblemError

RECEIVED = 25
DELIVERIES = 25
MODES = (
    ("", "Normal", "as its persona says"),
    ("refuse", "Refuse", "refuses every lead"),
    ("stall", "Stall", "never answers"),
    ("break", "Break", "answers HTTP 500"),
)
_ELSEWHERE = frozenset({"description", "mode", "secret"})
_ONLY_WITH = {
    "errors": "error_rate",
    "garbage": "garbage_rate",
    "post_reject_reason": "post_reject_rate",
    "timezone": "hours",
}


def add(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    @pages.get(f"{UI}/buyers")
    def buyers() -> Response:
        tenant = parts.tenant()
        found, problem = _standing(parts, tenant)
        return frame.page(
            "buyers.html.jinja",
            "buyers",
            "Buyers",
            groups=[
                {"title": contract.title, "buyers": [item for item in found if item["platform"] == name]}
                for name, contract in parts.contracts.items()
            ],
            problem=problem,
            modes=MODES,
        )

    @pages.get(f"{UI}/buyers/<platform>/<buyer_id>")
    def buyer(platform: str, buyer_id: str) -> Response:
        tenant = parts.tenant()
        played, received, problem = _asked(parts, tenant, platform, buyer_id)
        return frame.page(
            "buyer.html.jinja",
            "buyers",
            buyer_id,
            platform=platform,
            contract=parts.contracts[platform],
            buyer=named(tenant, platform, buyer_id),
            caps=filled(tenant, parts.store, platform, named(tenant, platform, buyer_id)),
            played=played,
            character=_character(played),
            received=received,
            problem=problem,
            deliveries=_deliveries(parts, tenant, platform, buyer_id),
            modes=MODES,
        )


def _standing(parts: Parts, tenant: Tenant) -> tuple[list[dict[str, Any]], str]:
    """Return every buyer, and what is wrong with the mock buyers if they do not answer."""
    try:
        return standing(tenant, parts.store, parts.mock_buyers), ""
    except ProblemError as error:
        return standing(tenant, parts.store, type(parts.mock_buyers)("", parts.mock_buyers.calls)), error.detail


def _asked(parts: Parts, tenant: Tenant, platform: str, buyer_id: str) -> tuple[Any, list[dict[str, Any]], str]:
    if not parts.mock_buyers.plays(named(tenant, platform, buyer_id)):
        return None, [], ""
    path = path_of(tenant, platform, buyer_id)
    try:
        played = parts.mock_buyers.ask("GET", path)
        received = parts.mock_buyers.ask("GET", f"{path}/received")["received"]
    except ProblemError as error:
        return None, [], error.detail
    return played, [_readable(item) for item in received[: -RECEIVED - 1 : -1]], ""


def _readable(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "body": _text(item["body"]), "answer": _text(item["answered"]["body"])}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _character(played: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what the persona sets that makes a difference."""
    resolved = played["resolved"] if played else {}
    return {
        name: _worded(value)
        for name, value in resolved.items()
        if value and name not in _ELSEWHERE and resolved.get(_ONLY_WITH.get(name, name)) and not _is_nothing(value)
    }


def _is_nothing(value: Any) -> bool:
    return bool(value in (200, {"kind": "fixed", "ms": 0.0}))


def _worded(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(_worded(item) for item in value)
    if isinstance(value, dict):
        fixed = value.get("kind") == "fixed"
        if fixed and "amount" in value:
            return dollars(value["amount"])
        return ", ".join(f"{name} {_worded(item)}" for name, item in value.items() if item)
    return f"{value}"


def _deliveries(parts: Parts, tenant: Tenant, platform: str, buyer_id: str) -> list[dict[str, Any]]:
    found = parts.store.latest_deliveries(tenant.id, platform, buyer_id, DELIVERIES)
    return [_delivery(parts, tenant, item) for item in found]


def _delivery(parts: Parts, tenant: Tenant, item: DeliveryRecord) -> dict[str, Any]:
    return {
        "record": item,
        "body": item.body.decode("utf-8", "replace"),
        "tries": parts.store.attempts(tenant.id, item.id),
    }
