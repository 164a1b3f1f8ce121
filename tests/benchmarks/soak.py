"""A long run at a steady share of the ceiling: do memory, descriptors, threads, latency and the outbox stay flat?

python -m tests.benchmarks.soak [--minutes 30] [--share 0.5] [--out build/soak] [--db FILE or URL]

Writes soak.csv and soak.svg; says for each quantity whether it stayed flat after the warm-up, the first fifth of the
run. Exit code 1 when one did not. `docs/reliability.md` says how to read it.
"""

from __future__ import annotations

# ruff: noqa: T201  a script prints
import argparse
import csv
import itertools
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.lines import Panel, svg
from tests.running import Client, Running, run, sandbox, wait_until, written

SENDERS = 16
CALIBRATION = 10.0  # seconds in which the ceiling is found
WARM_UP = 0.2  # of the run: caches and journals fill up
FULL = 0.5  # of the run, after which memory is judged: by then mock buyers remember as many leads as each may
MOST_GROWTH = 0.05  # of the memory, per hour
LONG_ENOUGH = 600  # seconds after which a growth per hour means something
MOST_MORE = 2  # descriptors or threads, from the first quarter to the last
MOST_SLOWER = 1.5  # times, from the first quarter to the last
FEW_PENDING = 1000  # webhooks on their way at the end
MOST_SAMPLES = 360  # of a run, whatever it takes; each at least one second
KEY = {"x-api-key": "key_soak"}
IDS = {"flo_campaign_id": "sold", "flo_supplier_id": "sup"}
FIELDS = [{"name": "state", "type": "state", "required": ["ping", "post"]}]
CAPS = {"total": 10**9}

SANDBOX: dict[str, Any] = {
    "leaddistro": {
        "suppliers": [{"id": "sup", "api_key": "key_soak", "limits": {"ingest": None}, "campaigns": ["sold"]}],
        "campaigns": [
            {
                "id": "sold",
                "distribution": "round_robin",
                "duplicates": {"fields": ["email"]},
                "buyers": [{"id": name, "price": 1, "caps": CAPS} for name in ("first", "second")],
            }
        ],
    },
    "pingtree": {
        "campaigns": [
            {
                "id": "auction",
                "sources": [{"id": "src", "link_id": "lnk_soak", "fields": FIELDS, "caps": CAPS}],
                "buyers": [{"id": f"buyer_{n}", "persona": {"price": 50 + n}, "caps": CAPS} for n in range(3)],
            }
        ]
    },
}


@dataclass
class Sample:
    """One look: what each process used, how long answers took since the look before, what waits to be delivered."""

    at: float
    memory: dict[str, float]  # MiB by program
    descriptors: dict[str, float]
    threads: dict[str, float]
    rate: float
    p50: float | None  # ms
    p99: float | None
    pending: float


@dataclass
class Senders:
    """Threads that send one exchange after the other, or at a fixed rate when `pace` is set; late ones catch up."""

    up: Running
    latencies: deque[float] = field(default_factory=deque)
    failures: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    pace: float = 0.0  # seconds between two exchanges of one thread; 0: as fast as it is answered
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, seconds: float, pace: float = 0.0) -> list[threading.Thread]:
        """Start them; they end by themselves."""
        self.pace, ends = pace, time.monotonic() + seconds
        threads = [threading.Thread(target=self._send, args=(n, ends), daemon=True) for n in range(SENDERS)]
        for thread in threads:
            thread.start()
        return threads

    def _send(self, number: int, ends: float) -> None:
        client = Client(self.up.base_url)
        due = time.monotonic() + self.pace * number / SENDERS
        try:
            while (now := time.monotonic()) < ends and not self.stopped.is_set():
                if self.pace and now < due:
                    time.sleep(min(due - now, 0.2))
                    continue
                # From when it was due: an answer that holds up the next one counts for both.
                self._exchange(client, due if self.pace else now)
                due += self.pace
        except Exception as failure:  # noqa: BLE001  the verdict tells it
            self.failures.append(repr(failure))
        finally:
            client.close()

    def _exchange(self, client: Client, since: float) -> None:
        number = next(self.numbers)
        if number % 4:
            person = {"first_name": "Jane", "last_name": "Doe", "phone": "2125550123", "state": "NY"}
            answer = client.post("/api/v1/ingest", {**IDS, **person, "email": f"p{number}@example.com"}, KEY)
        else:
            tokens = self.up.credentials("lnk_soak")
            ping = {"transaction_id": f"txn-{number}", "state": "CA"}
            client.post("/api/lead/ping/lnk_soak", ping, {"Authorization": f"Bearer {tokens['ping']}"})
            answer = client.post("/api/lead/post/lnk_soak", ping, {"Authorization": f"Bearer {tokens['post']}"})
        self.latencies.append((time.monotonic() - since) * 1000)
        if answer[0] != 201:
            self.failures.append(str(answer))


def look(up: Running, senders: Senders, start: float, before: float) -> Sample:
    """Take a sample. What was measured since the last one is taken away from the senders."""
    took = sorted(senders.latencies.popleft() for _ in range(len(senders.latencies)))
    now = time.monotonic()
    programs = {pid: _program(pid) for pid in up.tree()}
    return Sample(
        now - start,
        _by_program(programs, lambda pid: _status(pid, "VmRSS") / 1024),
        _by_program(programs, lambda pid: len(list(Path(f"/proc/{pid}/fd").iterdir()))),
        _by_program(programs, lambda pid: _status(pid, "Threads")),
        len(took) / max(now - before, 0.001),
        took[len(took) // 2] if took else None,
        took[len(took) * 99 // 100] if took else None,
        _pending(up),
    )


def _program(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    known = {"mock_buyers": "mock buyers", "simulator.wire": "relay", "serve-supervised": "simulator", "up": "command"}
    return next((name for word, name in known.items() if word in words), "simulator's worker")


def _status(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def _by_program(programs: dict[int, str], measure: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for pid, name in programs.items():
        found[name] = found.get(name, 0.0) + measure(pid)
    return found


def _pending(up: Running) -> float:
    client = Client(up.base_url)
    try:
        _, found = client.get("/__sandbox/deliveries?status=pending&limit=1000")
        return float(len(found["deliveries"]))
    finally:
        client.close()


def soak(up: Running, minutes: float, share: float) -> tuple[list[Sample], Senders]:
    """Find the ceiling, then send at a share of it. What the ceiling's leads have to deliver is delivered first."""
    senders = Senders(up)
    for thread in senders.run(CALIBRATION):
        thread.join()
    ceiling = len(senders.latencies) / CALIBRATION
    senders.latencies.clear()
    print(f"ceiling of this generator: {ceiling:,.0f} exchanges/s; now {ceiling * share:,.0f}/s", flush=True)
    wait_until(lambda: not _pending(up), "what is pending is delivered", 600)
    start = before = time.monotonic()
    threads = senders.run(minutes * 60, SENDERS / (ceiling * share))
    pause, samples = max(1.0, minutes * 60 / MOST_SAMPLES), []
    while any(thread.is_alive() for thread in threads):
        time.sleep(pause)
        if all(thread.is_alive() for thread in threads):  # else it is at its end, and no sample of the run
            samples.append(look(up, senders, start, before))
            before = time.monotonic()
    return samples, senders


def slope_per_hour(samples: Sequence[Sample], values: Sequence[float]) -> float:
    """Return how much of their mean the values grow in an hour."""
    if len(values) < 3:
        return 0.0
    line = statistics.linear_regression([sample.at / 3600 for sample in samples], values)
    return line.slope / statistics.fmean(values)


def verdict(samples: Sequence[Sample], senders: Senders) -> list[tuple[bool, str]]:
    """Return what stayed flat and what did not, in words."""
    flat = [sample for sample in samples if sample.at >= samples[-1].at * WARM_UP]
    quarter = max(1, len(flat) // 4)
    first, last = flat[:quarter], flat[-quarter:]
    found = [(not senders.failures, f"{len(senders.failures)} answers were not what they should be")]
    full = [sample for sample in samples if sample.at >= samples[-1].at * FULL]
    for name in flat[0].memory:
        values = [sample.memory[name] for sample in full]
        growth = slope_per_hour(full, values)
        said = f"memory of the {name}: {values[0]:.1f} to {values[-1]:.1f} MiB"
        told = samples[-1].at >= LONG_ENOUGH
        said += f", {growth:+.1%} of it per hour" if told else "; too short a run to judge"
        found.append((not told or growth <= MOST_GROWTH, said))
        for what in ("descriptors", "threads"):
            most = [max(getattr(sample, what)[name] for sample in part) for part in (first, last)]
            found.append((most[1] <= most[0] + MOST_MORE, f"{what} of the {name}: {most[0]:.0f} to {most[1]:.0f}"))
    for what in ("p50", "p99"):
        took = [statistics.median(getattr(sample, what) or 0.0 for sample in part) for part in (first, last)]
        said = f"{what} of an exchange: {took[0]:.2f} to {took[1]:.2f} ms"
        found.append((took[1] <= took[0] * MOST_SLOWER, said))
    pending = flat[-1].pending
    return [*found, (pending < FEW_PENDING, f"webhooks on their way at the end: {pending:.0f}")]


def written_down(samples: Sequence[Sample], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = list(samples[0].memory)
    columns = [f"{what} {name}" for what in ("memory_mib", "descriptors", "threads") for name in names]
    with (folder / "soak.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seconds", "exchanges_per_second", "p50_ms", "p99_ms", "pending", *columns])
        for one in samples:
            used = [part.get(name, "") for part in (one.memory, one.descriptors, one.threads) for name in names]
            writer.writerow([round(one.at, 1), round(one.rate, 1), one.p50, one.p99, one.pending, *used])
    times = [sample.at for sample in samples]
    panels: dict[str, Panel] = {
        "memory, MiB": {name: [sample.memory.get(name) for sample in samples] for name in names},
        "descriptors": {name: [sample.descriptors.get(name) for sample in samples] for name in names},
        "threads": {name: [sample.threads.get(name) for sample in samples] for name in names},
        "latency, ms": {"p50": [sample.p50 for sample in samples], "p99": [sample.p99 for sample in samples]},
        "exchanges/s": {"rate": [sample.rate for sample in samples]},
        "webhooks pending": {"pending": [sample.pending for sample in samples]},
    }
    (folder / "soak.svg").write_text(svg(times, panels, times[-1] * WARM_UP))


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--share", type=float, default=0.5, help="of the ceiling")
    parser.add_argument("--out", type=Path, default=Path("build/soak"))
    parser.add_argument("--db", default="", help="database file or URL; default: a file that is deleted afterwards")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = given.db or f"{folder}/sandbox.db"
        with sandbox("--config", written(Path(folder), SANDBOX), "--db", database) as up:
            samples, senders = soak(up, given.minutes, given.share)
        written_down(samples, given.out)
        ended = run("check-state", "--db", database)
    found = [*verdict(samples, senders), (ended.returncode == 0, f"check-state: {ended.stdout.strip()}")]
    for holds, said in found:
        print(f"{'fine' if holds else 'NOT FLAT'}: {said}")
    print(f"see {given.out / 'soak.csv'} and {given.out / 'soak.svg'}")
    return 0 if all(holds for holds, _ in found) else 1


if __name__ == "__main__":
    sys.exit(main())
