"""What a scorecard of a full journal costs: `python -m tests.benchmarks.grading [requests]`. A script, not a test.

Pings with personal data, posts, posts of rejected pings and repeated posts, in turn; then the scorecard, several times.
"""

from __future__ import annotations

# ruff: noqa: T201  a script prints
import statistics
import sys
import time
from typing import Any

from tests.benchmarks.processes import Server
from tests.running import Client, Running, descendants, sandbox

REQUESTS = 10_000
ROUNDS = 5
AT_ONCE = 100  # numbers of leads before the names repeat


def fill(running: Running, count: int) -> None:
    """Send so many requests as a careless source would."""
    source = running.credentials("lnk_abc123xyz")
    headers = {kind: {"Authorization": f"Bearer {source[kind]}"} for kind in ("ping", "post")}
    client = Client(running.base_url)
    sent = 0
    while sent < count:
        lead = _lead(sent)
        _, answer = client.post("/api/lead/ping/lnk_abc123xyz", lead, headers["ping"])
        post = {**lead, "transaction_id": answer["data"].get("transaction_id", "none")}
        for _ in range(3):
            client.post("/api/lead/post/lnk_abc123xyz", post, headers["post"])
        sent += 4
    client.close()


def _lead(number: int) -> dict[str, Any]:
    return {
        "state": "CA",
        "zip_code": "90001",
        "loan_amount": 15000,
        "first_name": "Jane",
        "last_name": "Doe",
        "email": f"jane{number}@example.com",
        "mobile": f"21255501{number % AT_ONCE:02}",
    }


def main(count: int) -> None:
    with sandbox("--db", ":memory:", "--direct") as running:
        fill(running, count)
        server = Server(running.base_url, descendants(running.process.pid))
        client = Client(running.base_url)
        walls, costs = [], []
        for _ in range(ROUNDS):
            before, start = server.cpu(), time.perf_counter()
            status, card = client.get("/__sandbox/audit")
            walls.append(time.perf_counter() - start)
            costs.append(server.cpu() - before)
            assert status == 200, card
    graded = sum(item["requests"] for item in card["platforms"].values())
    print(f"{graded} requests graded in {statistics.median(walls):.2f} s (median of {ROUNDS}; "
          f"{min(walls):.2f} to {max(walls):.2f}), {statistics.median(costs):.2f} s of the processor")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS)
