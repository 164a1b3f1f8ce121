"""A store that has seen many leads, made quickly: one is really ingested, SQL makes the others like it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
import urllib.request
from pathlib import Path

from simulator.store import Store
from tests.benchmarks.peers import CACHE
from tests.benchmarks.processes import PATIENCE, BenchError
from tests.benchmarks.sandboxes import sandbox

LEAD = {
    "flo_campaign_id": "campaign_bench",
    "flo_supplier_id": "supplier_1",
    "first_name": "John",
    "last_name": "Doe",
    "phone": "2019999999",
    "email": "first@example.com",
    "state": "TX",
    "zip_code": "77001",
    "case_type": "auto",
    "city": "Houston",
}
_SERIES = "WITH RECURSIVE series(serial) AS (SELECT 1 UNION ALL SELECT serial + 1 FROM series WHERE serial < :many) "
_PHONE = "'9' || printf('%09d', serial * 7919 % 1000000000)"
_EMAIL = "printf('%09d', serial * 7919 % 1000000000) || '@example.com'"
_LEAD_ID = "substr({0}, 1, 24) || printf('%012x', serial)"
_CHANGED = {
    "leads": {"id": _LEAD_ID.format("id"), "phone": _PHONE, "email": _EMAIL},
    "persons": {
        "lead_id": _LEAD_ID.format("lead_id"),
        "key": "substr(key, 1, 6) || printf('%010d', serial * 7919 % 10000000000)",
    },
    "outbox": {"lead_id": _LEAD_ID.format("lead_id"), "event_id": "substr(event_id, 1, 28) || printf('%012x', serial)"},
    "attempts": {"delivery_id": "delivery_id + serial"},
}
_NUMBERED = {"number", "id"}  # what the store numbers by itself, where it is an integer


def many_leads(path: Path, many: int) -> float:
    """Make a store with so many leads, from the cache where there is one; return its size in MiB."""
    cached = CACHE / f"leads-{many}-{_schema()}.db"
    if not cached.exists():
        for old in CACHE.glob(f"leads-{many}-*.db"):
            old.unlink()
        fresh = CACHE / "leads-fresh.db"
        for old in CACHE.glob("leads-fresh.db*"):
            old.unlink()
        _one_lead(fresh)
        _multiply(fresh, many)
        fresh.rename(cached)
    shutil.copyfile(cached, path)
    with path.open("rb") as copied:
        os.fsync(copied.fileno())  # now: the system would write it to the disk while others are measured
    return path.stat().st_size / 2**20


def _schema() -> str:
    """Return what changes with the tables, so that a store of other tables is made anew."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        Store.open(path).close()
        with contextlib.closing(sqlite3.connect(path)) as store:
            tables = store.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    return hashlib.sha256(repr(tables).encode()).hexdigest()[:12]


def _one_lead(path: Path) -> None:
    CACHE.mkdir(exist_ok=True)
    with sandbox("--direct", database=str(path)) as one:
        headers = {"Content-Type": "application/json", "x-api-key": "bench_key_1"}
        request = urllib.request.Request(f"{one.server.url}/api/v1/ingest", json.dumps(LEAD).encode(), headers)
        urllib.request.urlopen(request, timeout=PATIENCE).read()
        ends = time.monotonic() + PATIENCE
        while not _delivered(path):
            if time.monotonic() > ends:
                raise BenchError("the first lead's webhook was not delivered")
            time.sleep(0.05)


def _delivered(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path)) as store:
        return bool(store.execute("SELECT count(*) FROM attempts").fetchone()[0])


def _multiply(path: Path, many: int) -> None:
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode = DELETE")
    store.execute("PRAGMA journal_mode = OFF")  # a crash here costs nothing but time
    store.execute("PRAGMA synchronous = OFF")
    store.execute("PRAGMA cache_size = -500000")
    store.execute("BEGIN")
    for table, changed in _CHANGED.items():
        columns = [
            row[1]
            for row in store.execute(f"PRAGMA table_info({table})")
            if not (row[1] in _NUMBERED and row[2] == "INTEGER")
        ]
        values = [changed.get(name, name) for name in columns]
        store.execute(
            f"{_SERIES} INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {', '.join(values)} FROM (SELECT * FROM {table}), series",
            {"many": many},
        )
    store.execute("COMMIT")
    store.execute("PRAGMA journal_mode = WAL")
    store.close()
