"""A recorded request as a curl that sends it again, with a shell variable where its credential was masked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from simulator.contract.model import Contract
from simulator.masking import HIDDEN, SECRET_HEADERS
from simulator.tenants import Tenant
from simulator.web.dashboard.wording import UNSEEN

_OF_THE_CONNECTION = frozenset(
    {"accept-encoding", "connection", "content-length", "cookie", "host", "transfer-encoding", "x-forwarded-for"}
)  # and a cookie is none of a vendor's
_IN_A_QUERY = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "#")
_SCHEMES = ("Bearer ", "bearer ", "Token ", "Basic ")


def again(entry: Mapping[str, Any], origin: str) -> str:
    """Return the request as one shell command; `$TOKEN` stands for what is masked in a header.

    It sends what was recorded and nothing else: what curl would make of brackets, dots and `@` is switched off.
    Comments say what was not kept.
    """
    sent = entry["request"]
    lines = [f"curl -g --path-as-is -X {_quoted(entry['method'])} {_quoted(origin + _target(entry['path']))}"]
    lines += [f"-H {_header(name, value)}" for name, value in sent["headers"].items() if _is_wanted(name, value)]
    if sent["body"]:
        lines.append(f"--data-raw {_quoted(sent['body'])}")
    return "\n".join([*(f"# {lost}" for lost in _lost(entry["path"], sent)), " \\\n  ".join(lines)])


def _target(path: str) -> str:
    """Return a path with its query as it travels. The journal's is decoded, but for `%`, `?` and `#`."""
    path, mark, query = path.partition("?")
    return quote(path, safe="/%:@!$&'()*+,;=") + mark + quote(query, safe=_IN_A_QUERY, encoding="latin-1")


def _lost(path: str, sent: Mapping[str, Any]) -> Iterator[str]:
    if HIDDEN in path:
        yield "secrets in the address are hidden"
    body = sent["body"]
    kept = len(body.encode())
    if sent.get("masked"):
        yield "the values of the body were not kept, only its field names"
    elif sent.get("body_truncated"):
        yield f"the body had {sent['body_bytes']} bytes, and only its beginning was kept"
    elif kept != sent["body_bytes"]:
        what = "secrets in it are hidden" if HIDDEN in body else "bytes that are no UTF-8 are replaced"
        yield f"the body had {sent['body_bytes']} bytes, and this has {kept}: {what}"
    if "\0" in body:
        yield "the body goes on behind a NUL, where a shell ends it"


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
    return "$'" + UNSEEN.sub(_bytes_of, spelled) + "'"


def _bytes_of(mark: re.Match[str]) -> str:
    # As bytes, which mean the same in every locale.
    return "".join(f"\\x{byte:02x}" for byte in mark[0].encode())


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
