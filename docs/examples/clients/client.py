"""Ping, post and ingest one lead, as a source should. Python 3.9 or newer, with requests.

Ids and credentials come from the environment, as `leadsandbox rehearse -- python client.py` sets them.
"""

import json
import os
import random
import sys
import time
from datetime import datetime, timezone

import requests

TIMEOUT = 30  # seconds: longer than any auction
ATTEMPTS = 4
ATTRIBUTES = {"state": "CA", "zip_code": "90001", "loan_amount": 15000, "sub1": "example"}
PERSON = {"first_name": "Jane", "last_name": "Doe", "email": "jane@example.com"}
PHONE = "2125550123"


def call(url, headers, body):
    """Send JSON; after 429, 500 and 503 wait, and send it again. Return HTTP status and answer."""
    for attempt in range(1, ATTEMPTS + 1):
        answer = requests.post(url, json=body, headers=headers, timeout=TIMEOUT)
        if answer.status_code not in (429, 500, 503) or attempt == ATTEMPTS:
            return answer.status_code, answer.json()
        time.sleep(pause(answer.headers.get("Retry-After", ""), attempt))


def pause(asked, attempt):
    """Return the seconds that the platform asks for, else a back-off that triples, with jitter."""
    return float(asked) if asked.isdigit() else 0.2 * 3**attempt * random.uniform(0.9, 1.1)


def pingtree(env):
    """Ping without what names the consumer; post only if a buyer wants the lead."""

    def send(kind, body):
        url = f"{env['PINGTREE_URL']}/api/lead/{kind}/{env['PINGTREE_SOURCE_UNIQUE_ID']}"
        token = env[f"PINGTREE_{kind.upper()}_TOKEN"]
        status, answer = call(url, {"Authorization": f"Bearer {token}"}, body)
        return {"http": status, **answer["data"]}

    pinged = send("ping", ATTRIBUTES)
    if pinged["leadStatus"] != "ping_accept":  # HTTP 201 says nothing: accept and reject both have it
        return pinged
    lead = {**ATTRIBUTES, **PERSON, "mobile": PHONE, "transaction_id": pinged["transaction_id"]}
    if "buyerTcpa" in pinged:  # the consumer reads this text, and agrees
        time.sleep(float(env.get("READING_TIME", "3")))
        lead["tcpa_consent"] = "yes"
        lead["tcpa_consent_date"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return send("post", lead)


def leaddistro(env):
    """Ping; ingest with the ping's token if the lead would be taken."""
    ids = {"flo_campaign_id": env["LEADDISTRO_CAMPAIGN_ID"], "flo_supplier_id": env["LEADDISTRO_SUPPLIER_ID"]}
    lead = {**ids, **PERSON, "phone": PHONE, "state": ATTRIBUTES["state"]}

    def send(operation, body):
        url = f"{env['LEADDISTRO_URL']}/api/v1/{operation}"
        status, answer = call(url, {"x-api-key": env["LEADDISTRO_API_KEY"]}, body)
        return {"http": status, **answer}

    pinged = send("ping", {**ids, "phone": PHONE, "state": lead["state"]})
    if not pinged.get("accepted"):
        return pinged
    return send("ingest", {**lead, "flo_ping_id": pinged["ping_id"]})


def main(env):
    outcomes = {"pingtree": pingtree(env), "leaddistro": leaddistro(env)}
    print(json.dumps(outcomes))
    return int(any(outcome["http"] in (429, 500, 503) for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main(os.environ))
