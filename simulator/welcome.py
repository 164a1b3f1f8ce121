"""What a newcomer needs to send a first lead: addresses, ids, tokens, keys, and curls that work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from simulator.contract.account import Account, Source
from simulator.contract.model import Contract, Journey, Operation
from simulator.tenants import Tenant


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
        "campaigns": list(source.terms),
        "test_mode": source.is_test,
    }


def path_of(operation: Operation, source: Source) -> str:
    return re.sub(r"<[^>]+>", source.name, operation.path)


def curl(base_url: str, contract: Contract, operation: Operation, source: Source) -> str:
    """Return the documented example as one shell command. A post needs `$TXN`, which its ping's command sets."""
    name, value = contract.admission.header(source, operation)
    body = json.dumps(operation.example)
    opening = ""
    if operation.journey is Journey.AUCTION:
        opening = "TXN=demo-$(date +%s)\n"
    if operation.journey in {Journey.AUCTION, Journey.REDEEM}:
        body = body[:-1] + ', "transaction_id": "\'$TXN\'"}'
    return (
        f"{opening}curl -X POST '{base_url}{path_of(operation, source)}' "
        f"-H '{name}: {value}' -H 'Content-Type: application/json' -d '{body}'"
    )


def text_of(document: Mapping[str, Any]) -> str:
    """Return the introduction as text for a terminal."""
    lines = [f"leadsandbox {document['version']} is ready at {document['base_url']}", ""]
    for platform, sources in document["platforms"].items():
        for word, entries in sources.items():
            lines.append(f"{platform} {word}")
            for entry in entries:
                lines += _entry_lines(entry)
    lines += ["", "Try it (copy and paste):"]
    for item in document["requests"]:
        lines += ["", f"# {item['platform']}: {item['operation']}", item["curl"]]
    lines += ["", f"mock buyers {document['mock_buyers'] or 'none'}, database {document['database']}", "Ctrl-C stops it."]
    return "\n".join(lines)


def _entry_lines(entry: Mapping[str, Any]) -> list[str]:
    mode = " (test mode)" if entry["test_mode"] else ""
    lines = [f"  {entry['id']}  {entry['name']}  {', '.join(entry['campaigns'])}{mode}"]
    return [*lines, *(f"    {kind:8} {value}" for kind, value in entry["credentials"].items())]
