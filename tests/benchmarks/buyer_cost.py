"""What one ping costs the process of the mock buyers, beside the least that a Python server can do. A script.

python tests/benchmarks/buyer_cost.py [--rounds N] [--seconds N] [--connections N] [FOLDER ...]

Processor time, user and system, per ping, and its ratio to a bare asyncio protocol that parses nothing and always says
the same. Each FOLDER is another checkout, whose mock buyers are measured in the same turns. Needs wrk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from tests.benchmarks.processes import PATIENCE, ROOT, BenchError, Server

SCRIPT = Path(__file__).with_suffix(".lua")
BUYERS = ("a", "b", "c")
FLOOR = "bare protocol"
BID = b'{"accepted":true,"ping_id":"bp_1_123456789012","bid":"45.00"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BID), BID)


class Bare(asyncio.Protocol):
    """Takes whatever comes in one piece for a request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, _data: bytes) -> None:
        self.transport.write(ANSWER)


async def serve_bare() -> None:
    sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = await asyncio.get_running_loop().create_server(Bare, sock=sock)
    print(json.dumps({"url": f"http://127.0.0.1:{sock.getsockname()[1]}"}), flush=True)  # noqa: T201  the ready line
    await server.serve_forever()


@contextmanager
def running(folder: Path, *command: str) -> Iterator[Server]:
    """Run a program of one checkout that prints its URL when it answers."""
    here = {**os.environ, "PYTHONPATH": str(folder)}
    with subprocess.Popen([sys.executable, *command], cwd=folder, env=here, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            yield Server(json.loads(program.stdout.readline())["url"], [program.pid])
        finally:
            program.terminate()
            program.wait(PATIENCE)


def ping(server: Server, seconds: int, connections: int) -> tuple[float, float]:
    """Return pings a second, and processor time per ping in µs. Raises BenchError when one was refused."""
    paths = [f"/pingtree/bench/{name}/ping" for name in BUYERS]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(SCRIPT), server.url, "--", *paths]
    before = server.cpu()
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + PATIENCE)
    used = server.cpu() - before
    found = re.search(r"^RESULT (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if found is None or int(found[3]) or not int(found[1]):
        raise BenchError(f"wrk: {done.stdout[-300:]}")
    return int(found[1]) / int(found[2]) * 1e6, used / int(found[1]) * 1e6


def compare(servers: dict[str, Server], rounds: int, seconds: int, connections: int) -> None:
    costs: dict[str, list[float]] = {name: [] for name in servers}
    rates: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(rounds + 1):  # the first round warms up
        for name, server in servers.items():
            rate, cost = ping(server, seconds, connections)
            if number:
                costs[name].append(cost)
                rates[name].append(rate)
    floor = statistics.median(costs[FLOOR])
    for name, found in costs.items():
        cost = statistics.median(found)
        sys.stdout.write(
            f"{name:40} {cost:6.1f} µs ({min(found):.1f} to {max(found):.1f}), {cost / floor:5.2f} times the floor's, "
            f"{statistics.median(rates[name]):8,.0f}/s\n"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    chosen = parser.parse_args(arguments)
    with ExitStack() as stack:
        bare = "import asyncio; from tests.benchmarks.buyer_cost import serve_bare; asyncio.run(serve_bare())"
        servers = {FLOOR: stack.enter_context(running(ROOT, "-c", bare))}
        for folder in (ROOT, *chosen.folders):
            one = stack.enter_context(running(folder.resolve(), "-m", "mock_buyers", "--port", "0"))
            for name in BUYERS:
                requests.put(f"{one.url}/__buyers/pingtree/bench/{name}", json={"price": 45}, timeout=PATIENCE)
            servers[str(folder)] = one
        compare(servers, chosen.rounds, chosen.seconds, chosen.connections)


if __name__ == "__main__":
    main()
