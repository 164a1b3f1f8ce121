"""The reference for a ping's fan-out: a plain pool of threads that post to each buyer with requests. A script.

python tests/benchmarks/fanout.py URL BUYERS SECONDS [CALLERS]

Prints fan-outs a second. There is no server in front of it and nothing is stored, which flatters it.
"""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

FIELDS = {"state": "TX", "zip_code": "77001", "loan_amount": 15000, "credit_score": "good", "home_owner": True}


def fan_outs(urls: list[str], seconds: float, callers: int) -> float:
    """Return how many times a second all buyers were asked at once, by so many callers side by side."""
    local = threading.local()
    done = [0] * callers

    def ask(url: str) -> None:
        session = getattr(local, "session", None)
        if session is None:
            session = local.session = requests.Session()
        session.post(url, json=FIELDS, timeout=5).raise_for_status()

    def call(place: int, ends: float) -> None:
        while time.monotonic() < ends:
            list(pool.map(ask, urls))
            done[place] += 1

    with ThreadPoolExecutor(callers * len(urls)) as pool:
        began = time.monotonic()
        threads = [threading.Thread(target=call, args=(place, began + seconds)) for place in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(done) / (time.monotonic() - began)


def main(url: str, buyers: str, seconds: str, callers: str = "16") -> None:
    urls = [f"{url}/pingtree/default/{buyer}/ping" for buyer in buyers.split(",")]
    fan_outs(urls, 1.0, int(callers))
    print(round(fan_outs(urls, float(seconds), int(callers)), 1))  # noqa: T201  a script prints


if __name__ == "__main__":
    main(*sys.argv[1:])
