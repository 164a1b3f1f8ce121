"""Serves a WSGI application as granian does with the settings that the sandbox has for its workers. A script.

python tests/benchmarks/on_granian.py PORT THREADS MODULE:APPLICATION

Nothing of ours is imported: peers run it in an environment of their own.
"""

from __future__ import annotations

import sys

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels


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
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
