"""The floor: a bare Flask application that echoes JSON. A script that serves it with the sandbox's own server.

python -m tests.benchmarks.floor PORT
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from flask import Flask, jsonify, request

from simulator.addresses import listening
from simulator.gateway import Gateway
from simulator.wire.patience import Deadlines
from simulator.wire.program import most_connections, told_to_stop
from simulator.wire.relay import Relay

app = Flask("floor")


@app.post("/api/v1/ingest")
def echo() -> Any:
    return jsonify(request.get_json())


async def main(port: int) -> None:
    sock = listening("127.0.0.1", port)
    loop = asyncio.get_running_loop()
    gateway = Gateway(app, lambda _: True, 1, ("127.0.0.1", port), loop)
    relay = Relay(sock, gateway.connect, most_connections(), Deadlines())
    relay.start()
    await told_to_stop(None)
    await relay.stop(1.0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
