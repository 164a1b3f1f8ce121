"""Lead Distro AI: ping, then ingest with the ping's token."""

from leadclient import calling


class LeadDistro:
    def __init__(self, base_url, api_key, campaign_id, supplier_id):
        self._base_url = base_url
        self._headers = {"x-api-key": api_key}
        self._ids = {"flo_campaign_id": campaign_id, "flo_supplier_id": supplier_id}

    def submit(self, lead):
        """Ping with what routes the lead, ingest it if it would be taken; return the status."""
        pinged = self._send("ping", {"state": lead["state"]})
        if not pinged.get("accepted"):
            return pinged.get("reason", "error")
        answer = self._send("ingest", {**lead, "flo_ping_id": pinged["ping_id"]})
        return answer["data"]["status"] if "data" in answer else answer["error"]

    def _send(self, operation, fields):
        return calling.post(f"{self._base_url}/api/v1/{operation}", self._headers, {**self._ids, **fields}).json()
