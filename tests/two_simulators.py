"""Two simulators that share one limiter state behind one address. `python -m tests.two_simulators` runs them alone."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import requests
import yaml

from loadtests.target import sandbox_document
from tests.running import environment, wait_until

HOST = "127.0.0.1"
SUPPLIERS = 60


@contextmanager
def two_simulators() -> Iterator[str]:
    """Start both, and a relay that deals connections to them in turn; return its URL."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "sandbox.yaml"
        config.write_text(yaml.safe_dump(sandbox_document(SUPPLIERS, 1.0)))
        ports = [stack.enter_context(_simulator(config, folder / "limits")) for _ in range(2)]
        yield stack.enter_context(_dealing(ports))


@contextmanager
def _simulator(config: Path, limits: Path) -> Iterator[int]:
    port = free_port()
    options = ["--db", ":memory:", "--config", str(config), "--limits-state", str(limits), "--port", str(port)]
    command = [sys.executable, "-m", "simulator", "serve", *options]
    process = subprocess.Popen(command, env=environment(), stdout=sys.stderr)  # ours says where both are
    try:
        wait_until(lambda: answers(port), "a simulator that answers")
        yield port
    finally:
        process.terminate()
        process.wait(15)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"http://{HOST}:{port}/healthz", timeout=5).ok
    return False


@contextmanager
def _dealing(ports: list[int]) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    turns = itertools.cycle(ports)
    server = loop.run_until_complete(
        asyncio.start_server(lambda reader, writer: _relay(reader, writer, next(turns)), HOST, 0, backlog=1024)
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    with suppress(OSError):
        back_reader, back_writer = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_pump(reader, back_writer), _pump(back_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that both end with it
    with suppress(KeyboardInterrupt), two_simulators() as url:
        sys.stdout.write(json.dumps({"url": url}) + "\n")
        sys.stdout.flush()
        threading.Event().wait()
