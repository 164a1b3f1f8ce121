"""Calls that wait and try again where a platform asks for it, and nowhere else."""

import random
import time

import requests

ATTEMPTS = 4
TIMEOUT = 30  # seconds: longer than any auction


def post(url, headers, body, *, attempts=ATTEMPTS):
    """Send JSON; after 429, 500 and 503 wait and send it again. Return the last answer."""
    for attempt in range(attempts):
        answer = requests.post(url, json=body, headers=headers, timeout=TIMEOUT)
        if answer.status_code not in {429, 500, 503} or attempt == attempts - 1:
            break
        time.sleep(_pause(answer, attempt))
    return answer


def _pause(answer, attempt):
    """Return how long the platform asks to wait, else a back-off that triples, with jitter."""
    asked = answer.headers.get("Retry-After", "")
    if asked.isdecimal():
        return float(asked)
    return 0.3 * 3**attempt * random.uniform(0.8, 1.2)
