"""What one request costs the load generator: `python tests/benchmarks/load_generator.py`. A script, not a test.

Processor time of Locust's process from the first ticket to the last answer, per request, against a server that does
next to nothing. A generator is late when this, times the rate, comes near one core.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

from loadtests.figures import MS, percentiles
from loadtests.plan import Plan
from loadtests.requesting import Callers, Supplier
from loadtests.run import Engine, Run
from loadtests.scenarios import Scenario

ACCEPTED = b'{"success":true,"lead_id":"lead_abcdef","status":"accepted"}'
REFUSED = b'{"error":"rate_limited","message":"Rate limit exceeded","retry_after":1}'
ANSWERS = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ACCEPTED) + ACCEPTED,
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 1\r\nretry_after: 1\r\n"
    b"Content-Length: %d\r\n\r\n" % len(REFUSED) + REFUSED,
)
PLANS: dict[str, tuple[int, list[dict[str, float]]]] = {
    "100 requests/s": (32, [{"rate": 100, "seconds": 4}]),
    "1,100 requests/s": (128, [{"rate": 1100, "seconds": 4}]),
    "300 at once": (300, [{"count": 300}]),
}


class Answering(asyncio.Protocol):
    """Answers 201 and 429 in turn."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, _ = self._buffer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0] or 0)
        if found and len(self._buffer) >= len(head) + 4 + length:
            self._buffer = b""
            self._count += 1
            assert self._transport is not None
            self._transport.write(ANSWERS[self._count % 2])


def serve(pipe: Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def measure(name: str, port: int) -> None:
    connections, phases = PLANS[name]
    stream = {"endpoint": "ingest", "key": "a", "plan": phases}
    scenario = Scenario.model_validate({"title": name, "connections": connections, "streams": [stream]})
    plan = Plan(name, scenario, Callers({"a": Supplier("k", "s", "c")}, {}), 1, 0, f"http://127.0.0.1:{port}")
    with tempfile.TemporaryDirectory() as folder, Run(plan, Engine(), Path(folder), None) as run:
        outcome = run.outcome(lambda *_: None)
    late = percentiles([(record.send - record.due) / MS for record in outcome.log])
    cpu = outcome.cpu / len(outcome.log) * 1e6
    sys.stdout.write(
        f"{name:20} {cpu:6.0f} µs of the processor, late p50 {late['p50']:.1f} ms, p99 {late['p99']:.1f} ms\n"
    )


def main() -> None:
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    for name in PLANS:
        measure(name, port)
    server.terminate()


if __name__ == "__main__":
    main()
