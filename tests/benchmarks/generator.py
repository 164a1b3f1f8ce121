"""Load by wrk, which is written in C: it leaves the processors to the servers. What is measured is not chosen here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.processes import BenchError, Server

SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Work:
    """One kind of request. `body` is a name in `load.lua`."""

    body: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """What one run saw; `cpu_us` is processor time of the server per request."""

    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    requests: int


def load(
    server: Server, work: Work, *, run: int, seconds: float, connections: int = 16, pause_ms: float = 0.0
) -> Sample:
    """Send requests for some seconds. Raises BenchError when any was refused: a refusal is no work.

    `run` is between 10 and 99; the leads of two runs with different numbers differ.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise BenchError("wrk is not installed")
    headers = [f"{name}={value}" for name, value in work.headers.items()]
    command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(SCRIPT), server.url, "--"]
    before = server.cpu()
    done = subprocess.run(
        [*command, work.body, work.path, str(run), f"{pause_ms:.3f}", *headers],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    used = server.cpu() - before
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if found is None:
        raise BenchError(f"wrk: {(done.stderr or done.stdout)[:300]}")
    said = json.loads(found[1])
    if said["bad"] or not said["requests"]:
        raise BenchError(f"{work.path}: {said['bad']} of {said['requests']} requests failed")
    rate = said["requests"] / said["seconds"]
    return Sample(rate, used / said["requests"] * 1e6, said["p50_ms"], said["p99_ms"], said["requests"])
