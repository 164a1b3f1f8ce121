"""What one request costs the simulator's process, without a server. A script.

python tests/benchmarks/request_cost.py

Processor time per request of the thread that answers (the median of hundreds of short runs), and of the whole process,
which after an ingest also delivers its webhook. It stands still where requests/s does not.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from simulator.app import create
from simulator.settings import Settings
from tests.benchmarks.floor import app as floor
from tests.benchmarks.sandboxes import CONFIG, INGEST, PRECHECK

Application = Callable[..., Iterable[bytes]]
RUNS, REQUESTS = 60, 100  # a short run is disturbed less often


def environ(path: str, number: int) -> dict[str, Any]:
    supplier, person = number % 4 + 1, number * 7919 % 10_000_000
    body = (
        f'{{"flo_campaign_id":"campaign_bench","flo_supplier_id":"supplier_{supplier}","first_name":"John",'
        f'"last_name":"Doe","phone":"212{person:07d}","email":"john.{person}@example.com","state":"TX",'
        f'"zip_code":"77001","case_type":"auto","city":"Houston"}}'
    ).encode()
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "127.0.0.1:8080",
        "HTTP_X_API_KEY": f"bench_key_{supplier}",
    }


def answered(status: str, _headers: object, _error: object = None) -> None:
    if not status.startswith("2"):
        raise SystemExit(f"a request was answered with {status}: it is no work")


def measure(name: str, app: Application, path: str, numbers: Iterator[int]) -> None:
    costs = []
    began = time.process_time()
    for _ in range(RUNS):
        requests = [environ(path, next(numbers)) for _ in range(REQUESTS)]
        before = time.thread_time()
        for request in requests:
            b"".join(app(request, answered))
        costs.append((time.thread_time() - before) / REQUESTS * 1e6)
    settle()
    whole = (time.process_time() - began) / RUNS / REQUESTS * 1e6
    sys.stdout.write(f"{name:20} {statistics.median(costs):6.0f} µs, the whole process {whole:6.0f} µs\n")


def settle() -> None:
    """Wait until the courier has nothing left."""
    used = -1.0
    while time.process_time() - used > 0.01:
        used = time.process_time()
        time.sleep(0.3)


@contextlib.contextmanager
def mock_buyers() -> Iterator[str]:
    command = [sys.executable, "-m", "mock_buyers", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        try:
            yield json.loads(running.stdout.readline())["url"]
        finally:
            running.terminate()


def main() -> None:
    with mock_buyers() as url, tempfile.TemporaryDirectory() as folder:
        app = create(Settings(database=f"{folder}/store.db", config=CONFIG, mock_buyers_url=url))
        numbers = iter(range(10_000_000))
        for name, target, path in (
            ("a bare echo", floor, INGEST.path),
            ("Lead Distro ping", app, PRECHECK.path),
            ("ingest", app, INGEST.path),
        ):
            measure(name, target, path, numbers)


if __name__ == "__main__":
    main()
