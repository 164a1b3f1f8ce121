"""Pingtree: ask with what names nobody, and only for an accepted ping send the rest."""

from dataclasses import dataclass

from leadclient import calling

PERSONAL = {"first_name", "last_name", "email", "mobile", "address", "city", "date_of_birth"}


@dataclass(frozen=True)
class Outcome:
    status: str
    amount: str | None = None
    redirect_url: str | None = None


class Pingtree:
    def __init__(self, base_url, link_id, ping_token, post_token):
        self._base_url = base_url
        self._link_id = link_id
        self._tokens = {"ping": ping_token, "post": post_token}

    def submit(self, lead, consent=None):
        """Ping, and post if a buyer wants the lead. `consent` is what the consumer agreed to, and when."""
        attributes = {name: value for name, value in lead.items() if name not in PERSONAL}
        pinged = self._send("ping", attributes)
        if pinged["leadStatus"] != "ping_accept":
            return Outcome(pinged["leadStatus"])
        full = {**lead, **(consent or {}), "transaction_id": pinged["transaction_id"]}
        posted = self._send("post", full)
        return Outcome(posted["leadStatus"], pinged["amount"], posted.get("redirect_url"))

    def _send(self, kind, body):
        headers = {"Authorization": f"Bearer {self._tokens[kind]}"}
        answer = calling.post(f"{self._base_url}/api/lead/{kind}/{self._link_id}", headers, body)
        return answer.json()["data"]
