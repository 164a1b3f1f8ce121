"""What the dashboard costs the vendor endpoints: ingests per second while nobody looks and while some do, in turns.

python tests/benchmarks/dashboard.py [rounds] [seconds] [viewers]

A viewer loads the traffic page again and again and reads the event stream as it comes, as the page's script does. It
draws nothing: what a browser costs the machine that it runs on is no cost of the sandbox. Needs wrk and curl.
"""

from __future__ import annotations

# ruff: noqa: T201  a script prints
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 16
LOOKS_EVERY = 1.0  # seconds between two loads of the page by one viewer, as often as its script does at most
UNBOUNDED = {"rate": 4000, "burst": 4096, "seconds": 1}  # far above what one machine answers
SANDBOX = {
    "leaddistro": {
        "suppliers": [
            {"id": "s", "api_key": "k", "campaigns": ["c"], "limits": {"ingest": UNBOUNDED, "ping": UNBOUNDED}}
        ],
        "campaigns": [{"id": "c", "duplicates": {"fields": ["email"]}, "buyers": [{"id": "b", "price": 45}]}],
    }
}
# Every lead is another person, in every run: a duplicate would be answered sooner.
LUA = """
local run, n = "", 0
function init(args) run = args[1] end
function request()
  n = n + 1
  local body = string.format('{"flo_campaign_id": "c", "flo_supplier_id": "s", "first_name": "Jane", "last_name": "Doe",'
    .. ' "phone": "2125550123", "state": "TX", "email": "p%s-%d@example.com"}', run, n)
  return wrk.format("POST", nil, {["x-api-key"] = "k", ["Content-Type"] = "application/json"}, body)
end
"""


@contextmanager
def sandbox(folder: Path) -> Iterator[str]:
    config = folder / "sandbox.yaml"
    config.write_text(json.dumps(SANDBOX))
    arguments = ["up", "--port", "0", "--db", ":memory:", "--config", str(config), "--json"]
    process = subprocess.Popen([sys.executable, "-m", "simulator", *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["base_url"]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def viewer(base_url: str) -> Iterator[None]:
    """Look at the traffic page for as long as the block takes."""
    listening = subprocess.Popen(["curl", "-sN", "-o", "/dev/null", f"{base_url}/__sandbox/events"])
    over = threading.Event()
    looking = threading.Thread(target=_look, args=(base_url, over))
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
        listening.terminate()
        listening.wait()


def _look(base_url: str, over: threading.Event) -> None:
    while not over.is_set():
        with urllib.request.urlopen(f"{base_url}/__sandbox/", timeout=30) as page:  # noqa: S310  our own sandbox
            page.read()
        over.wait(LOOKS_EVERY)


def rate(base_url: str, script: Path, seconds: float, run: str) -> float:
    """Return ingests per second. Raises ValueError when one was not answered with a 2xx."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(script)]
    told = subprocess.run(
        [*command, f"{base_url}/api/v1/ingest", "--", run], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise ValueError(told)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])  # type: ignore[index]


def settle(base_url: str) -> None:
    """Wait until every webhook of the run before has been delivered, so that no run pays for another."""
    waiting = f"{base_url}/__sandbox/deliveries?status=pending&limit=1"
    while True:
        with urllib.request.urlopen(waiting, timeout=30) as answer:  # noqa: S310
            if not json.load(answer)["deliveries"]:
                return
        time.sleep(0.2)


def main(rounds: int = 5, seconds: float = 5.0, viewers: int = 3) -> None:
    with tempfile.TemporaryDirectory() as place, sandbox(Path(place)) as base_url:
        script = Path(place) / "ingest.lua"
        script.write_text(LUA)
        rate(base_url, script, 1, "warm")
        ratios = []
        for number in range(rounds):
            settle(base_url)
            alone = rate(base_url, script, seconds, f"{number}a")
            settle(base_url)
            with ExitStack() as stack:
                for _ in range(viewers):
                    stack.enter_context(viewer(base_url))
                watched = rate(base_url, script, seconds, f"{number}b")
            ratios.append(watched / alone)
            print(f"nobody {alone:,.0f}/s, {viewers} viewers {watched:,.0f}/s, ratio {ratios[-1]:.3f}", flush=True)
        print(f"median ratio {statistics.median(ratios):.3f} ({urlsplit(base_url).netloc}, {rounds} rounds)")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
