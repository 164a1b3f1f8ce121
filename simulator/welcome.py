"""What a newcomer needs to send a first lead: addresses, ids, tokens, keys, and curls that work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from simulator.contract.account import Account, Source
from simulator.contract.model import Contract, Journey, Operation
from simulator.tenants import Tenant

# Inside single quotes these leave them, so that the shell fills them in.
_TXN = "'$TXN'"
_TODAY = "'$(date -u +%F)'"

Introduce = Callable[[str], dict[str, Any]]
"""Returns the welcome of a tenant, by its id."""


class Welcome:
    """Introduces one sandbox. Everything is read anew, so that regenerated credentials are the current ones."""

    def __init__(
        self, base_url: str, tenant: Tenant, contracts: Mapping[str, Contract], facts: Mapping[str, Any]
    ) -> None:
        self._base_url = base_url
        self._tenant = tenant
        self._contracts = contracts
        self._facts = facts

    def document(self) -> dict[str, Any]:
        accounts = self._tenant.accounts
        return {
            "base_url": self._base_url,
            "tenant": self._tenant.id,
            **self._facts,
            "platforms": {
                name: {contract.source_word: [_source(item) for item in accounts[name].sources.values()]}
                for name, contract in self._contracts.items()
            },
            "requests": [item for name in self._contracts for item in self._requests(name, accounts[name])],
        }

    def _requests(self, platform: str, account: Account) -> Iterator[dict[str, str]]:
        source = next(iter(account.sources.values()), None)
        contract = self._contracts[platform]
        for operation in contract.operations if source else ():
            assert source is not None  # the loop is empty without one
            yield {
                "platform": platform,
                "operation": operation.name,
                "curl": curl(self._base_url, contract, operation, source),
            }


def _source(source: Source) -> dict[str, Any]:
    return {
        "id": source.id,
        "name": source.name,
        "credentials": dict(source.credentials),
        "arguments": dict(source.arguments),
        "campaigns": list(source.terms),
        "test_mode": source.is_test,
    }


def path_of(operation: Operation, source: Source) -> str:
    """Return the path with the source's own ids; a place of which it knows nothing is the earlier lead's, `$TXN`."""
    return re.sub(r"<([^>]+)>", lambda place: source.arguments.get(place[1], _TXN), operation.path)


def example_of(operation: Operation, source: Source) -> dict[str, Any]:
    """Return the documented example with the source's own ids, and the day as the shell looks it up."""
    own = {name: source.arguments[argument] for name, argument in operation.fills.items()}
    return {**operation.example_on(_TODAY), **own}


def curl(base_url: str, contract: Contract, operation: Operation, source: Source) -> str:
    """Return the documented example as one shell command. What names an earlier lead needs `$TXN`: a ping sets it."""
    header = contract.admission.header(source, operation)
    headers = (f"-H '{header[0]}: {header[1]}'",) if header else ()
    url = base_url + path_of(operation, source)
    fields = example_of(operation, source)
    names_lead = bool(operation.link) and f"<{operation.link}>" not in operation.path
    if "POST" not in operation.methods:
        query = "&".join([urlencode(fields)] * bool(fields) + [f"{operation.link}={_TXN}"] * names_lead)
        return _lines(f"curl '{url}{'?' if query else ''}{query}'", *headers)
    body = json.dumps(fields)
    opening = "TXN=demo-$(date +%s)\n" if operation.journey is Journey.AUCTION else ""
    if names_lead:
        body = f'{body[:-1]}{", " if fields else ""}"{operation.link}": "{_TXN}"}}'
    return opening + _lines(f"curl -X POST '{url}'", *headers, "-H 'Content-Type: application/json'", f"-d '{body}'")


def _lines(*parts: str) -> str:
    return " \\\n  ".join(parts)


def text_of(document: Mapping[str, Any]) -> str:
    """Return the introduction as text for a terminal: one source's credentials per platform, of the others the ids."""
    lines = [f"leadsandbox {document['version']} is ready at {document['base_url']}"]
    lines += [f"In a browser: {document['base_url']}/__sandbox/"]
    for platform, sources in document["platforms"].items():
        for word, entries in sources.items():
            lines += ["", f"{platform} {word}", *_entries_lines(entries)]
    lines += ["", "All credentials: `leadsandbox up --json`, or GET /__sandbox/welcome"]
    lines += ["", "Try it (copy and paste; a post needs the ping before it):"]
    for item in document["requests"]:
        lines += ["", f"# {item['platform']} {item['operation']}", item["curl"]]
    lines += ["", f"mock buyers {document['mock_buyers'] or 'none'}", f"database    {document['database']}"]
    return "\n".join([*lines, "Ctrl-C stops it."])


def _entries_lines(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    widths = [max((len(_cells(entry)[column]) for entry in entries), default=0) for column in range(2)]
    for place, entry in enumerate(entries):
        cells = [cell.ljust(width) for cell, width in zip(_cells(entry), widths, strict=True) if width]
        mode = "  (test mode)" if entry["test_mode"] else ""
        yield f"  {'  '.join([*cells, ', '.join(entry['campaigns'])])}{mode}"
        if place == 0:
            yield from (f"    {kind:8} {value}" for kind, value in entry["credentials"].items())


def _cells(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return the id and the name, unless the name is the credential itself."""
    return entry["id"], "" if entry["name"] in entry["credentials"].values() else entry["name"]
