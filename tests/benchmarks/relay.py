"""What a relay of its own process costs: requests per second through it and without it, in turns. A script.

It is there on PostgreSQL only, so that is what the sandboxes have.

python -m tests.benchmarks.relay [rounds] [seconds]
"""

from __future__ import annotations

# ruff: noqa: T201  a script prints
import json
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from tests.postgres import postgres

CONNECTIONS = 16
REQUESTS = {
    "health": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "ping": b"",  # taken from the welcome's curl
}


@contextmanager
def sandbox(database: str, *arguments: str) -> Iterator[dict[str, object]]:
    command = [sys.executable, "-m", "simulator", "up", "--port", "0", "--db", database, "--json", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def example(welcome: dict[str, object]) -> bytes:
    """Return the first documented example of a ping as the bytes of a request."""
    curl = next(item["curl"] for item in welcome["requests"] if item["operation"] == "ping")  # type: ignore[attr-defined]
    path = urlsplit(re.search(r"'(http[^']+)'", curl)[1]).path  # type: ignore[index]
    headers = re.findall(r"-H '([^']+)'", curl)
    body = re.search(r"-d '(.*)'$", curl, re.DOTALL)[1].replace("'$TXN'", "bench")  # type: ignore[index]
    lines = [f"POST {path} HTTP/1.1", "Host: x", *headers, f"Content-Length: {len(body.encode())}", "", ""]
    return "\r\n".join(lines).encode() + body.encode()


def rate(address: tuple[str, int], message: bytes, seconds: float) -> float:
    """Return answers per second, each connection asking again as soon as it is answered."""
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for _ in range(CONNECTIONS):
            sock = stack.enter_context(socket.create_connection(address))
            selector.register(sock, selectors.EVENT_READ, sock)
            sock.sendall(message)
        answered, start = 0, time.monotonic()
        while time.monotonic() - start < seconds:
            for key, _ in selector.select(1.0):
                if not key.data.recv(65536):  # one answer each: they are far smaller than this
                    raise ConnectionError("the sandbox hung up")
                key.data.sendall(message)
                answered += 1
        return answered / (time.monotonic() - start)


def main(rounds: int = 3, seconds: float = 4.0) -> None:
    os.environ.pop("LEADSANDBOX_DIRECT", None)
    with (
        postgres() as server,
        sandbox(server.database(), "--direct") as direct,
        sandbox(server.database()) as relayed,
    ):
        for name, fixed in REQUESTS.items():
            pairs = []
            for _ in range(rounds):
                pair = []
                for welcome in (direct, relayed):
                    url = urlsplit(str(welcome["base_url"]))
                    message = fixed or example(welcome)
                    pair.append(rate((str(url.hostname), int(url.port or 0)), message, seconds))
                pairs.append(pair)
                print(f"{name}: direct {pair[0]:,.0f}/s, relayed {pair[1]:,.0f}/s, ratio {pair[1] / pair[0]:.2f}")
            print(f"{name}: median ratio {statistics.median(pair[1] / pair[0] for pair in pairs):.2f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
