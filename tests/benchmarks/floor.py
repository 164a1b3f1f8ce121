"""The floor: a bare Flask application that echoes JSON. A script that serves it, or any WSGI application, with granian.

python tests/benchmarks/floor.py PORT THREADS [MODULE:APPLICATION]
"""

from __future__ import annotations

import sys
from typing import Any

from flask import Flask, jsonify, request
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

app = Flask("floor")


@app.post("/api/v1/ingest")
def echo() -> Any:
    return jsonify(request.get_json())


def main(port: int, threads: int, target: str) -> None:
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
