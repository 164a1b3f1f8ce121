"""A source's client with the mistakes that sources make, one after the other. `rehearse` is tested against it.

Usage: python careless_client.py [MISTAKE …]; all of them without one.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Any

import requests

MISTAKES = {"pii", "posts_rejects", "ignores_retry_after", "retries_400", "drops_fields", "reuses_ids"}
ATTRIBUTES = {"state": "CA", "zip_code": "90001", "loan_amount": 15000}
PERSON = {"first_name": "Jane", "last_name": "Doe", "email": "jane@example.com", "mobile": "2125550123"}
ENV = os.environ


def send(url: str, headers: dict[str, str], body: dict[str, Any], *, again: set[int]) -> tuple[int, Any]:
    """Send at most three times, at once, while the status is one of `again`."""
    with requests.Session() as connection:  # a new one for each would give a slow machine time to wait after all
        for _ in range(3):
            answer = connection.post(url, json=body, headers=headers, timeout=30)
            if answer.status_code not in again:
                break
    return answer.status_code, answer.json()


def pingtree(mistakes: set[str]) -> None:
    again = {400} if "retries_400" in mistakes else set()

    def call(kind: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{ENV['PINGTREE_URL']}/api/lead/{kind}/{ENV['PINGTREE_SOURCE_UNIQUE_ID']}"
        token = ENV[f"PINGTREE_{kind.upper()}_TOKEN"]
        status, answer = send(url, {"Authorization": f"Bearer {token}"}, body, again=again)
        return {"http": status, **answer["data"]}

    pinged = call("ping", ATTRIBUTES | (PERSON if "pii" in mistakes else {}))
    if pinged["leadStatus"] != "ping_accept" and "posts_rejects" not in mistakes:
        return
    if "transaction_id" not in pinged:
        return
    consent = {"tcpa_consent": "yes", "tcpa_consent_date": datetime.now(UTC).date().isoformat()}
    lead = {**ATTRIBUTES, **PERSON, **consent, "transaction_id": pinged["transaction_id"]}
    if "drops_fields" in mistakes:
        del lead["loan_amount"]
    call("post", lead)
    if "reuses_ids" in mistakes:
        call("post", {**lead, "sub1": "again"})


def leaddistro(mistakes: set[str]) -> None:
    again = {429} if "ignores_retry_after" in mistakes else set()
    ids = {"flo_campaign_id": ENV["LEADDISTRO_CAMPAIGN_ID"], "flo_supplier_id": ENV["LEADDISTRO_SUPPLIER_ID"]}
    person = {**PERSON, "phone": PERSON["mobile"], "state": "CA"}
    del person["mobile"]
    headers = {"x-api-key": ENV["LEADDISTRO_API_KEY"]}
    send(f"{ENV['LEADDISTRO_URL']}/api/v1/ingest", headers, {**ids, **person}, again=again)


if __name__ == "__main__":
    chosen = set(sys.argv[1:]) or MISTAKES
    assert chosen <= MISTAKES, chosen
    pingtree(chosen)
    leaddistro(chosen)
