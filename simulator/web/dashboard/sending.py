"""A recorded request as a curl that sends it again, with a shell variable where its credential was masked."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from simulator.contract.model import Contract
from simulator.masking import HIDDEN, SECRET_HEADERS
from simulator.tenants import Tenant
from simulator.web.dashboard.wording import UNSEEN

_OF_THE_CONNECTION = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "transfer-encoding", "x-forwarded-for"}
)
_SCHEMES = ("Bearer ", "bearer ", "Token ", "Basic ")


def again(entry: Mapping[str, Any], origin: str) -> str:
    """Return the request as one shell command; `$TOKEN` stands for what is masked in a header.

    It sends what was recorded and nothing else: what curl would make of brackets, dots and `@` is switched off.
    A comment says what was not kept of the body.
    """
    sent = entry["request"]
    lines = [f"curl -g --path-as-is -X {_quoted(entry['method'])} {_quoted(origin + entry['path'])}"]
    lines += [f"-H {_header(name, value)}" for name, value in sent["headers"].items() if _is_wanted(name, value)]
    if sent["body"]:
        lines.append(f"--data-raw {_quoted(sent['body'])}")
    command = " \\\n  ".join(lines)
    lost = _lost(sent)
    return f"# {lost}\n{command}" if lost else command


def _lost(sent: Mapping[str, Any]) -> str:
    if sent.get("masked"):
        return "the values of the body were not kept, only its field names"
    if sent.get("body_truncated"):
        return f"the body had {sent['body_bytes']} bytes, and only its beginning was kept"
    return ""


def _is_wanted(name: str, value: str) -> bool:
    return name not in _OF_THE_CONNECTION and not (name in {"user-agent", "accept"} and len(value) < 40)


def _header(name: str, value: str) -> str:
    if name not in SECRET_HEADERS or HIDDEN not in value:
        return _quoted(f"{name}: {value}")
    scheme = next((item for item in _SCHEMES if value.startswith(item)), "")
    return f'"{name}: {scheme}$TOKEN"'


def _quoted(text: str) -> str:
    """Quote for a shell. What cannot be seen is spelled out, so that nobody pastes what they did not read."""
    if UNSEEN.search(text) is None:
        return shlex.quote(text)
    spelled = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + UNSEEN.sub(lambda mark: f"\\u{ord(mark[0]):04x}", spelled) + "'"


def credential_in_force(
    tenant: Tenant, contracts: Mapping[str, Contract], entry: Mapping[str, Any]
) -> dict[str, str] | None:
    """Return what `$TOKEN` has to be now for the same operation of the same source, None where nobody knows."""
    contract = contracts[entry["platform"]]
    operation = next((item for item in contract.operations if item.name == entry["operation"]), None)
    for source in tenant.accounts[contract.platform].sources.values():
        kind = operation.credential if operation else ""
        if source.id == entry["source_id"] and kind in source.credentials:
            return {"source": source.id, "kind": kind, "value": source.credentials[kind]}
    return None
