"""The floor: a bare Flask application that echoes JSON. A script that serves it as the sandbox is, or by granian.

python tests/benchmarks/floor.py PORT THREADS [MODULE:APPLICATION]

THREADS 0 is the sandbox's own server, which answers on one thread; more are granian's. APPLICATION is for granian.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from flask import Flask, jsonify, request
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from simulator.addresses import listening
from simulator.gateway import Gateway
from simulator.wire.patience import Deadlines
from simulator.wire.program import most_connections, told_to_stop
from simulator.wire.relay import Relay

app = Flask("floor")


@app.post("/api/v1/ingest")
def echo() -> Any:
    return jsonify(request.get_json())


async def as_the_sandbox(port: int) -> None:
    sock = listening("127.0.0.1", port)
    loop = asyncio.get_running_loop()
    gateway = Gateway(app, lambda _: True, 1, ("127.0.0.1", port), loop)
    relay = Relay(sock, gateway.connect, most_connections(), Deadlines())
    relay.start()
    await told_to_stop(None)
    await relay.stop(1.0)


def main(port: int, threads: int, target: str) -> None:
    if not threads:
        asyncio.run(as_the_sandbox(port))
        return
    # As `simulator/serving.py` has it.
    Granian(
        target,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=threads,
        blocking_threads_idle_timeout=600,
        log_level=LogLevels.error,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "tests.benchmarks.floor:app")
