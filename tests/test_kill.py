"""Killed at any moment under load, the sandbox keeps what it acknowledged and leaves no process behind.

`make reliability` makes a long run of it, by LEADSANDBOX_KILL_ROUNDS and LEADSANDBOX_KILL_SEED.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from fixtures.leads import fake_lead
from tests.running import Client, Running, alive, run, running_as, sandbox, wait_until, written

pytestmark = pytest.mark.long

ROUNDS = int(os.environ.get("LEADSANDBOX_KILL_ROUNDS", "4"))
SEED = int(os.environ.get("LEADSANDBOX_KILL_SEED", "9"))
MOST_PER_ROUND = 150  # acknowledged leads after which a round is killed at the latest
UNSETTLED = "SELECT transaction_id FROM pings WHERE claimed_at IS NOT NULL AND answer_json IS NULL"
PENDING = "SELECT event_id FROM outbox WHERE status != 'delivered'"
KEY = {"x-api-key": "key_kill"}
IDS = {"flo_campaign_id": "sold", "flo_supplier_id": "supplier_kill"}


def sandbox_file(webhooks: str) -> dict[str, Any]:
    field_ = {"name": "state", "type": "state", "required": ["ping", "post"]}
    return {
        "leaddistro": {
            "suppliers": [
                {"id": "supplier_kill", "api_key": "key_kill", "limits": {"ingest": None}, "campaigns": ["sold"]}
            ],
            "campaigns": [
                {
                    "id": "sold",
                    "distribution": "round_robin",
                    "buyers": [
                        {
                            "id": name,
                            "price": 12.5,
                            "webhook": {"url": f"{webhooks}/{name}"},
                            "caps": {"total": 10**9, "dollars": {"total": 1_000_000}},
                        }
                        for name in ("first", "second")
                    ],
                }
            ],
        },
        "pingtree": {
            "campaigns": [
                {
                    "id": "auction",
                    "sources": [
                        {
                            "id": "src_kill",
                            "link_id": "lnk_kill",
                            "fields": [field_],
                            "caps": {"total": 10**9},
                            "duplicates": {"fields": ["email"]},
                        }
                    ],
                    "buyers": [
                        {"id": "refuses", "persona": {"persona": "two_faced"}, "caps": {"total": 10**9}},
                        {"id": "buys", "persona": "eager", "caps": {"total": 10**9, "dollars": {"total": 1_000_000}}},
                    ],
                }
            ]
        },
    }


@contextmanager
def receiver() -> Iterator[tuple[str, Counter[str]]]:
    """Serve webhooks; yield the address and how often each event id came."""
    events: Counter[str] = Counter()

    class Webhook(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            events[self.headers["X-LeadDistro-Event-Id"]] += 1
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            pass  # a killed sender resets its connections

    server = Server(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", events
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Load:
    """Sources that send until the sandbox is gone, and what they were told.

    `posted` are the transaction ids of answered posts, each with whether the lead was sold.
    """

    up: Running
    numbers: Iterator[int]
    leads: list[str] = field(default_factory=list)
    pings: list[str] = field(default_factory=list)
    posted: list[tuple[str, bool]] = field(default_factory=list)
    surprises: list[object] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        return len(self.leads) + len(self.posted)

    def run(self, stop: Callable[[], None]) -> None:
        """Send from eight threads; `stop` ends the sandbox under them."""
        work = [self._ingest] * 4 + [self._ping_and_post] * 4
        threads = [threading.Thread(target=self._until_gone, args=(one,)) for one in work]
        for thread in threads:
            thread.start()
        stop()
        for thread in threads:
            thread.join()

    def _until_gone(self, work: Callable[[Client], None]) -> None:
        client = Client(self.up.base_url)
        try:
            while True:
                work(client)
        except (OSError, HTTPException, ValueError):
            client.close()  # a killed server breaks off anywhere, in the middle of a body too

    def _ingest(self, client: Client) -> None:
        lead = fake_lead("leaddistro", seed=next(self.numbers))
        http, body = client.post("/api/v1/ingest", IDS | lead, KEY)
        if http in {200, 201}:
            self.leads.append(body["data"]["id"])
        else:
            self.surprises.append((http, body))

    def _ping_and_post(self, client: Client) -> None:
        number = next(self.numbers)
        tokens = self.up.credentials("lnk_kill")
        ping = {"transaction_id": f"txn-{number}", "state": "CA"}
        _, told = client.post("/api/lead/ping/lnk_kill", ping, {"Authorization": f"Bearer {tokens['ping']}"})
        if told["data"]["leadStatus"] == "ping_reject":
            return  # the mock buyers died first
        self.pings.append(f"txn-{number}")
        post = ping | {"email": f"person.{number}@example.com"}
        http, told = client.post("/api/lead/post/lnk_kill", post, {"Authorization": f"Bearer {tokens['post']}"})
        if http == 201:
            self.posted.append((f"txn-{number}", told["data"]["leadStatus"] == "accepted"))
        else:
            self.surprises.append(told)


@pytest.fixture(params=["sqlite", "postgresql", "postgresql, two workers"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    """How a sandbox is started: on a file, or on a database of a PostgreSQL server."""
    if request.param == "sqlite":
        return "--db", str(tmp_path / "sandbox.db")
    more = ("--workers", "2") if "workers" in request.param else ()
    return "--db", str(request.getfixturevalue("postgres_server").database()), *more


def rows(database: str, sql: str) -> list[Any]:
    """Return the first column, or whole rows where there are more."""
    url = database.replace("postgresql:", "postgresql+psycopg:") if "://" in database else f"sqlite:///{database}"
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return [row[0] if len(row) == 1 else tuple(row) for row in connection.execute(text(sql)).fetchall()]


def kill_as(up: Running, victim: int) -> None:
    """Kill all of it, or one process of it and then what goes on without it: 1 is the command itself."""
    tree = up.tree()
    victim %= len(tree) + 1
    if victim:
        os.kill(tree[victim - 1], signal.SIGKILL)
        wait_until(lambda: not alive(tree[1:]) or answers(up), "the others end, or go on", 20)
    if up.process.poll() is None:
        up.kill()
    wait_until(lambda: not alive(tree), f"no orphan is left of {tree}", 20)


def answers(up: Running) -> bool:
    """Whether it can be used, after whatever was killed."""
    try:
        with closing(Client(up.base_url)) as client:
            return client.get("/healthz")[0] == 200
    except (OSError, HTTPException, ValueError):
        return False


def contradictions(database: str) -> str:
    """Return what `check-state` has to say against the store; "" when it finds nothing."""
    ended = run("check-state", "--db", database)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def lost(database: str, loads: list[Load]) -> set[object]:
    """Return what was acknowledged and is not in the store."""
    told: set[object] = {item for load in loads for item in (*load.leads, *load.pings, *load.posted)}
    kept = (
        rows(database, "SELECT id FROM leads")
        + rows(database, "SELECT transaction_id FROM pings WHERE accepted = 1")
        + rows(database, "SELECT transaction_id, buyer_id != '' FROM leads")
    )
    return told - set(kept)


def taken(database: str) -> dict[str, int]:
    return dict(rows(database, "SELECT scope, used FROM caps WHERE used > 0"))


def sold_by_scope(database: str) -> dict[str, int]:
    """Return what the caps must hold if each counts the leads that were sold, and no other."""
    bought = rows(
        database,
        "SELECT platform, buyer_id, count(*), sum(price_cents) FROM leads WHERE buyer_id != '' GROUP BY 1, 2",
    )
    found = {f"{platform}:buyer:{buyer}:total:leads": count for platform, buyer, count, _ in bought}
    found |= {f"{platform}:buyer:{buyer}:total:money": cents for platform, buyer, _, cents in bought}
    [posts] = rows(database, "SELECT count(*) FROM leads WHERE platform = 'pingtree' AND buyer_id != ''")
    return found | {"pingtree:source:src_kill:auction:total:leads": posts}


def test_after_kill_9_of_any_process_under_load_nothing_acknowledged_is_lost(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    database = options[1]
    loads: list[Load] = []
    numbers = itertools.count()
    dice = random.Random(SEED)
    with receiver() as (webhooks, events):
        arguments = ("--config", written(tmp_path, sandbox_file(webhooks)), *options)
        for _ in range(ROUNDS):
            with sandbox(*arguments) as up:
                nothing_is_wrong(database, loads)
                loads.append(Load(up, numbers))
                enough, victim = dice.randint(20, MOST_PER_ROUND), dice.randrange(100)
                loads[-1].run(lambda: kill_after(up, loads[-1], enough, victim))  # noqa: B023  called at once
            assert contradictions(database) == ""
        with sandbox(*arguments):
            nothing_is_wrong(database, loads)
            wait_until(lambda: not rows(database, PENDING), "the outbox is empty")
            assert set(rows(database, "SELECT event_id FROM outbox")) <= set(events)
        assert contradictions(database) == ""
        assert taken(database) == sold_by_scope(database)
    assert [load.surprises for load in loads if load.surprises] == []
    assert any(sold for load in loads for _, sold in load.posted)
    assert sum(load.acknowledged for load in loads) >= 20 * ROUNDS


def nothing_is_wrong(database: str, loads: list[Load]) -> None:
    """What was acknowledged is there, and what a killed simulator had begun is given back."""
    assert lost(database, loads) == set()
    wait_until(lambda: not rows(database, UNSETTLED), "sales that nobody will finish are given back")
    assert contradictions(database) == ""


def kill_after(up: Running, load: Load, acknowledged: int, victim: int) -> None:
    wait_until(lambda: load.acknowledged >= acknowledged, f"{acknowledged} leads are acknowledged")
    kill_as(up, victim)


def test_whichever_process_is_killed_the_others_end_and_the_file_is_free(tmp_path: Path) -> None:
    arguments = ("--db", str(tmp_path / "sandbox.db"))
    for victim in itertools.count(1):
        with sandbox(*arguments) as up:
            tree = [pid for pid in up.tree() if pid not in started_again(up)]
            if victim > len(tree):
                break
            others = [pid for pid in up.tree() if pid != up.process.pid]
            os.kill(tree[victim - 1], signal.SIGKILL)
            whose = f"{tree[victim - 1]} of {tree} leaves no orphan"
            wait_until(lambda: not alive(others), whose)  # noqa: B023  called at once
            wait_until(lambda: up.process.poll() is not None, "the command ends")
            assert up.process.returncode == (-signal.SIGKILL if victim == 1 else 3)
            assert "Traceback" not in up.stderr
            said = up.stderr.splitlines()
            assert len(said) == (0 if victim == 1 else 1)
            assert all("ended unexpectedly" in line or "start" in line for line in said), said


def started_again(up: Running) -> list[int]:
    """Return the processes whose death ends no other: `test_started_again.py` is about them."""
    return [*running_as(up, "mock_buyers"), *running_as(up, "simulator.wire")]
