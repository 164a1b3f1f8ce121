"""What the dashboard costs the vendor endpoints: ingests per second while nobody looks and while some do, in turns.

python -m tests.benchmarks.dashboard [rounds] [seconds] [viewers]
python -m tests.benchmarks.dashboard shown [requests]

A viewer loads the traffic page, reads the event stream that it names, loads the page once more when that is open, and
then again and again what the page names for its live regions, as the page's script does. It draws nothing: what a
browser costs the machine that it runs on is no cost of the sandbox. Processor time is told beside throughput, since
other work on the machine takes from the latter only. Needs wrk and curl.
It exits with 1 when the viewers took more than a twentieth of the throughput. With `shown`, Chromium tells how soon
after its answer a request stands on the page, which has to be within a second.
"""

from __future__ import annotations

# ruff: noqa: T201  a script prints
import html
import json
import os
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
from dataclasses import dataclass
from pathlib import Path

from tests.browsing import STOPWATCH, chromium, visiting

CONNECTIONS = 16
HOME = "/__sandbox/"
SOON = 1000  # milliseconds
LEAST_LEFT = 0.95  # of the throughput while some look; run it on a quiet machine
LEAST, SHARE = 5.0, 50  # as on the traffic page: seconds between two looks, and how often as long as a page took
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
  local body = string.format('{"flo_campaign_id": "c", "flo_supplier_id": "s", "first_name": "Jane",'
    .. ' "last_name": "Doe", "phone": "2125550123", "state": "TX", "email": "p%s-%d@example.com"}', run, n)
  return wrk.format("POST", nil, {["x-api-key"] = "k", ["Content-Type"] = "application/json"}, body)
end
"""


@dataclass(frozen=True)
class Running:
    base_url: str
    pid: int

    def processor(self) -> float:
        """Return the seconds of processor time that the sandbox's processes have used."""
        ticks = 0
        for pid in (self.pid, *_children(self.pid)):
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(after_name[11]) + int(after_name[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [[int(word) for word in line.split()] for line in listed.stdout.splitlines()]
    found = [pid]
    for parent in found:
        found += [child for child, its in pairs if its == parent]
    return found[1:]


@contextmanager
def sandbox(folder: Path) -> Iterator[Running]:
    config = folder / "sandbox.yaml"
    config.write_text(json.dumps(SANDBOX))
    arguments = ["up", "--port", "0", "--db", ":memory:", "--config", str(config), "--json"]
    process = subprocess.Popen([sys.executable, "-m", "simulator", *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Running(json.loads(process.stdout.readline())["base_url"], process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def viewer(base_url: str) -> Iterator[None]:
    """Look at the traffic page for as long as the block takes."""
    page = _loaded(f"{base_url}{HOME}")
    listening = subprocess.Popen(["curl", "-sN", "-o", "/dev/null", f"{base_url}{_named(page, 'events')}"])
    over = threading.Event()
    looking = threading.Thread(target=_look, args=(base_url, _named(page, "again"), over))
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
        listening.terminate()
        listening.wait()


def _named(page: str, what: str) -> str:
    """Return an address that the page gives to its script."""
    return html.unescape(re.search(rf'data-{what}="([^"]+)"', page)[1])  # type: ignore[index]


def _look(base_url: str, again: str, over: threading.Event) -> None:
    _loaded(f"{base_url}{HOME}")  # for what came before the stream was open
    while not over.is_set():
        began = time.monotonic()
        _loaded(f"{base_url}{again}")
        over.wait(max(LEAST, SHARE * (time.monotonic() - began)))


def _loaded(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as page:
        return str(page.read().decode())


def measured(sandbox: Running, script: Path, seconds: float, run: str) -> tuple[float, float]:
    """Return ingests per second, and the milliseconds of processor time that each cost the sandbox.

    Raises ValueError when one was not answered with a 2xx.
    """
    settle(sandbox.base_url)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(script)]
    before = sandbox.processor()
    told = subprocess.run(
        [*command, f"{sandbox.base_url}/api/v1/ingest", "--", run], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise ValueError(told)
    settle(sandbox.base_url)
    answered = int(re.search(r"(\d+) requests in", told)[1])  # type: ignore[index]
    spent = sandbox.processor() - before
    return float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1]), 1000 * spent / answered  # type: ignore[index]


def settle(base_url: str) -> None:
    """Wait until every webhook of the run before has been delivered, so that no run pays for another."""
    waiting = f"{base_url}/__sandbox/deliveries?status=pending&limit=1"
    while True:
        with urllib.request.urlopen(waiting, timeout=30) as answer:
            if not json.load(answer)["deliveries"]:
                return
        time.sleep(0.2)


def main(rounds: int = 5, seconds: float = 5.0, viewers: int = 3) -> None:
    with tempfile.TemporaryDirectory() as place, sandbox(Path(place)) as running:
        script = Path(place) / "ingest.lua"
        script.write_text(LUA)
        measured(running, script, 1, "warm")
        ratios = []
        for number in range(rounds):
            alone = measured(running, script, seconds, f"{number}a")
            with ExitStack() as stack:
                for _ in range(viewers):
                    stack.enter_context(viewer(running.base_url))
                watched = measured(running, script, seconds, f"{number}b")
            ratios.append((watched[0] / alone[0], watched[1] / alone[1]))
            told = f"nobody {alone[0]:,.0f}/s at {alone[1]:.2f} ms, viewers {watched[0]:,.0f}/s at {watched[1]:.2f} ms"
            print(f"{told}; ratios {ratios[-1][0]:.3f} and {ratios[-1][1]:.3f}", flush=True)
        throughput, cost = (statistics.median(column) for column in zip(*ratios, strict=True))
        print(f"median ratios: throughput {throughput:.3f}, processor time of an ingest {cost:.3f}")
        if throughput < LEAST_LEFT:
            sys.exit(f"viewers took more than {1 - LEAST_LEFT:.0%} of the throughput")


def shown(count: int = 50) -> None:
    """Send leads one by one, and print how long after its answer each was on the page. Exits with 1 above SOON."""
    with (
        tempfile.TemporaryDirectory() as place,
        sandbox(Path(place)) as running,
        chromium() as browser,
        visiting(browser) as visit,
    ):
        page = visit.page
        page.goto(f"{running.base_url}{HOME}")
        page.wait_for_selector('#connection[data-state="live"]')
        page.evaluate(STOPWATCH)
        for number in range(count):
            _ingest(running.base_url, f"one-{number}@example.com")
            page.wait_for_function("number => shown.length > number", arg=number)
        times = sorted(page.evaluate("shown"))
    print(f"{count} requests; shown after {statistics.median(times):.0f} ms in the middle, {times[-1]} ms at most")
    if times[-1] > SOON:
        sys.exit(f"one was not shown within {SOON} ms")


def _ingest(base_url: str, email: str) -> None:
    lead = {"flo_campaign_id": "c", "flo_supplier_id": "s", "first_name": "Jane", "last_name": "Doe", "state": "TX"}
    body = json.dumps({**lead, "phone": "2125550123", "email": email}).encode()
    headers = {"x-api-key": "k", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{base_url}/api/v1/ingest", body, headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        answer.read()


if __name__ == "__main__":
    if sys.argv[1:2] == ["shown"]:
        shown(*map(int, sys.argv[2:3]))
    else:
        main(*(int(argument) for argument in sys.argv[1:4]))
