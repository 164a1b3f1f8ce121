"""A stand-in for a vendor, with a limiter of its own, and `leadsandbox load` run against it. No test lives here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from loadtests.law import Limit
from loadtests.rehearsal import Limiter, Reply
from loadtests.schedule import Ticket
from tests.running import alive, descendants

BOOK = """
[limits]
lookup = {rate = 10, burst = 20, seconds = 5}
ingest = {rate = 100, burst = 200, seconds = 10}
[valid]
lateness_p99_ms = 1000
[scenario.short]
title = "forty at once"
checks = ["retry-after", "carriers"]
streams = [{endpoint = "lookup", key = "a", plan = [{count = 40}], pressed = {ceiling = 2, refused = 10}}]
[scenario.gentle]
title = "too little to show anything"
streams = [{endpoint = "lookup", key = "a", plan = [{rate = 5, seconds = 1}], pressed = {bucket = 4}}]
[scenario.both]
title = "two endpoints, a rate, and leads"
streams = [
  {endpoint = "ingest", key = "a", plan = [{rate = 100, seconds = 3}]},
  {endpoint = "lookup", key = "b", plan = [{rate = 15, seconds = 3}], retry = "each", retries = 1},
]
[scenario.slow]
title = "one connection, which has to wait for the answer before"
connections = 1
streams = [{endpoint = "lookup", key = "a", plan = [{count = 3}]}]
[scenario.apart]
title = "two parts that may share one key"
independent = true
streams = [
  {endpoint = "lookup", key = "a", plan = [{count = 3}]},
  {endpoint = "lookup", key = "b", plan = [{count = 3}]},
]
"""
# Every server of these tests is new, so that nobody can have used its keys before: no need to wait for them.
PROGRAM = """
from loadtests.cli import load
from loadtests.telling import Teller
Teller.pause = lambda *_: None
load()
"""
LIMITS = {"lookup": Limit(10, 20, 5), "ingest": Limit(100, 200, 10)}


class Server(ThreadingHTTPServer):
    """A stand-in for a vendor: supplier keys `k0` to `k9`, and the limiter that it is given."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, limiter: Limiter) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.limiter = limiter
        self.lock = threading.Lock()
        self.seen: list[tuple[str, str, str]] = []
        self.answer_as = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def decide(self, key: str, endpoint: str, body: str) -> Reply:
        with self.lock:
            self.seen.append((key, endpoint, body))
            if self.answer_as:
                return Reply(self.answer_as)
            return self.limiter(Ticket(0, 0, 0, endpoint, key), time.monotonic_ns())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        if self.path == "/__sandbox/welcome":
            suppliers = [{"id": f"s{n}", "campaigns": ["c"], "credentials": {"api_key": f"k{n}"}} for n in range(10)]
            self._send(Reply(200), {"platforms": {"leaddistro": {"suppliers": suppliers}}})
        else:
            self._decided("lookup", self.path)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._decided(self.path.rpartition("/")[2], body)

    def _decided(self, endpoint: str, body: str) -> None:
        reply = self.server.decide(self.headers.get("x-api-key", ""), endpoint, body)
        refusal = {"error": "rate_limited", "message": "slower", "retry_after": int(reply.carriers[2] or 0)}
        self._send(reply, refusal if reply.status == 429 else {"status": "ok"})

    def _send(self, reply: Reply, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(reply.status)
        for name, value in zip(("Retry-After", "retry_after"), reply.carriers, strict=False):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def serving(limiter: Limiter) -> Iterator[Server]:
    server = Server(limiter)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def load(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; `more` is for subprocess.run."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, **more)


@contextmanager
def loading(said: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command beside the test, which writes to the file `said`; whatever is left of it is killed."""
    with said.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=file, stderr=file)
    try:
        yield process
    finally:
        victims = [process.pid, *descendants(process.pid)] if process.poll() is None else []
        for pid in alive(victims):
            os.kill(pid, signal.SIGKILL)
        process.wait(60)
