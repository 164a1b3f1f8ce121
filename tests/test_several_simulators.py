"""Several simulators of one sandbox, on one PostgreSQL: exact together, and each sees what the others changed.

What two workers of one `up` do together is in `test_exactness.py`.
"""

from __future__ import annotations

import http.server
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fixtures.leads import fake_leads
from simulator.sharing import Sharing
from simulator.store import Store
from tests.postgres import Postgres, postgres
from tests.running import PATIENCE, Answer, Request, all_at_once, run, wait_until, written
from tests.several import Simulator, simulators

pytestmark = pytest.mark.long

KEY = {"x-api-key": "key_exact"}
IDS = {"flo_supplier_id": "supplier_exact"}


def document(webhooks: str = "http://127.0.0.1:1/none") -> dict[str, Any]:
    return {
        "leaddistro": {
            "suppliers": [
                {
                    "id": "supplier_exact",
                    "api_key": "key_exact",
                    "limits": {"ingest": None, "ping": None},
                    "campaigns": ["person", "full", "told"],
                }
            ],
            "campaigns": [
                {"id": "person", "buyers": [{"id": "one", "price": 10}]},
                {"id": "full", "buyers": [{"id": "only", "price": 50, "caps": {"total": 50}}]},
                {"id": "told", "buyers": [{"id": "listener", "price": 10, "webhook": {"url": webhooks}}]},
            ],
        },
    }


@pytest.fixture
def database(postgres_server: Postgres) -> str:
    return postgres_server.database()


@pytest.fixture
def two(tmp_path: Path, database: str) -> Iterator[list[Simulator]]:
    """Two simulators, as two machines would have them."""
    with simulators(database, 2, "--config", written(tmp_path, document())) as started:
        yield started


def ingests(campaign: str, count: int) -> list[Request]:
    ids = {"flo_campaign_id": campaign, **IDS}
    return [("/api/v1/ingest", ids | lead, KEY) for lead in fake_leads("leaddistro", count, seed=7)]


def dealt(to: Sequence[Simulator], requests: Sequence[Request]) -> list[Answer]:
    """Deal the requests to the simulators, and send them all at once."""
    shares = [requests[n :: len(to)] for n in range(len(to))]
    with ThreadPoolExecutor(len(to)) as pool:
        answers = pool.map(lambda each, share: all_at_once(each.url, share, 100), to, shares)
        return [answer for share in answers for answer in share]


def answered(answers: Sequence[Answer]) -> Counter[tuple[int, str]]:
    return Counter((http, body["data"]["status"]) for http, body in answers)


# Exact together


def test_of_500_ingests_of_one_person_two_simulators_accept_one(two: list[Simulator]) -> None:
    [request] = ingests("person", 1)
    assert answered(dealt(two, [request] * 500)) == {(201, "ACCEPTED"): 1, (200, "DUPLICATE"): 499}


def test_of_10000_ingests_over_1000_persons_two_simulators_accept_1000(two: list[Simulator], database: str) -> None:
    requests = ingests("person", 1000) * 10
    random.Random(7).shuffle(requests)
    assert answered(dealt(two, requests)) == {(201, "ACCEPTED"): 1000, (200, "DUPLICATE"): 9000}
    recounted = run("check-state", "--db", database)
    assert recounted.returncode == 0, recounted.stdout + recounted.stderr


def test_2000_leads_at_two_simulators_fill_a_cap_of_50(two: list[Simulator]) -> None:
    found = Counter(body["data"]["status"] for _, body in dealt(two, ingests("full", 2000)))
    assert found == {"ACCEPTED": 50, "UNMATCHED": 1950}


def test_a_fault_armed_seven_times_fires_seven_times_over_both(two: list[Simulator]) -> None:
    two[0].control("POST", "faults", {"trigger": "LD-ING-503", "count": 7})
    answers = dealt(two, ingests("person", 60))
    assert Counter(http for http, _ in answers)[503] == 7
    assert [each.control("GET", "faults") for each in two] == [{"faults": []}] * 2


# Seen by all


def test_a_clock_moved_at_one_is_moved_at_the_other_when_the_call_returns(two: list[Simulator]) -> None:
    for each in range(6):
        mover, other = two[each % 2], two[1 - each % 2]
        moved = mover.control("POST", "clock", {"freeze": f"2030-01-0{each + 1}T12:00:00Z"})
        assert other.control("GET", "clock")["now"] == moved["now"]


def test_two_advances_at_once_move_the_clock_by_both(two: list[Simulator]) -> None:
    two[0].control("POST", "clock", {"freeze": "2030-01-01T00:00:00Z"})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: two[n % 2].control("POST", "clock", {"advance": "1 h"}), range(12)))
    assert {each.control("GET", "clock")["now"] for each in two} == {"2030-01-01T12:00:00+00:00"}


def test_a_tenant_made_at_one_works_at_the_other_until_it_is_deleted(two: list[Simulator]) -> None:
    one, other = two
    made = one.control("POST", "tenants", {"name": "guest"})
    supplier = made["platforms"]["leaddistro"]["suppliers"][0]
    [credential] = supplier["credentials"].values()
    assert "/api/v1/ping" in json.dumps(made)
    ask = {"flo_campaign_id": supplier["campaigns"][0], "flo_supplier_id": supplier["id"], "state": "TX"}
    assert other.vendor("/api/v1/ping", ask, {"x-api-key": credential})[0] == 200
    assert one.control("DELETE", "tenants/guest")["deleted"] == "guest"
    other.control("GET", "clock?tenant=guest", expect=404)
    assert other.vendor("/api/v1/ping", ask, {"x-api-key": credential})[0] == 401


def test_of_two_tenants_of_one_name_made_at_once_one_is_made(two: list[Simulator]) -> None:
    barrier = threading.Barrier(2)

    def make(each: Simulator) -> int:
        barrier.wait()
        return each.answer("POST", "tenants", {"name": "wanted"}).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(make, two)) == [201, 409]


def test_a_credential_made_anew_at_one_is_the_only_good_one_at_the_other(two: list[Simulator]) -> None:
    wanted = {"platform": "leaddistro", "owner": "supplier_exact"}
    renewed = two[0].control("POST", "credentials/regenerate", wanted)["credential"]
    [request] = ingests("person", 1)
    assert two[1].vendor(request[0], request[1], KEY)[0] == 401
    assert two[1].vendor(request[0], request[1], {"x-api-key": renewed})[0] == 201


# Webhooks, and the work of the dead


class Receiver:
    """Counts what it receives, by event."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.hold = threading.Event()
        self.hold.set()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.events[json.dumps(json.loads(body), sort_keys=True)] += 1
                receiver.hold.wait(30)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 256

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"


@contextmanager
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    thread = threading.Thread(target=started.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield started
    finally:
        started.hold.set()
        started.server.shutdown()
        started.server.server_close()
        thread.join()


def delivered(each: Simulator) -> int:
    return len(each.control("GET", "deliveries?status=delivered&limit=1000")["deliveries"])


def test_each_webhook_is_delivered_once_by_one_of_them(tmp_path: Path, database: str) -> None:
    with receiver() as listening:
        config = written(tmp_path, document(listening.url))
        with simulators(database, 2, "--config", config) as two:
            dealt(two, ingests("told", 200))
            wait_until(lambda: delivered(two[0]) == 200, "all are delivered")
        assert len(listening.events) == 200
        assert set(listening.events.values()) == {1}


def test_what_a_killed_simulator_was_sending_is_sent_by_another(tmp_path: Path, database: str) -> None:
    with receiver() as listening:
        config = written(tmp_path, document(listening.url))
        with simulators(database, 2, "--config", config) as (victim, heir):
            listening.hold.clear()  # the receiver takes a webhook and does not answer
            [request] = ingests("told", 1)
            assert victim.vendor(*request)[0] == 201
            wait_until(lambda: listening.events, "it is on its way")
            victim.kill()
            listening.hold.set()
            wait_until(lambda: delivered(heir) == 1, "the heir delivered it")


def test_many_tenants_made_and_moved_at_once_wait_for_each_other_and_none_fails(two: list[Simulator]) -> None:
    def live(n: int) -> list[int]:
        mover, other = two[n % 2], two[1 - n % 2]
        calls = [
            mover.answer("POST", "tenants", {"name": f"t{n}"}),
            other.answer("POST", f"clock?tenant=t{n}", {"freeze": "2030-01-01T00:00:00Z"}),
            mover.answer("POST", f"clock?tenant=t{n}", {"advance": "1 d"}),
            other.answer("GET", f"clock?tenant=t{n}"),
        ]
        assert calls[-1].json()["now"] == "2030-01-02T00:00:00+00:00"
        return [call.status_code for call in calls]

    with ThreadPoolExecutor(30) as pool:
        assert list(pool.map(live, range(60))) == [[201, 200, 200, 200]] * 60


def test_a_database_that_is_killed_is_answered_for_and_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    first, second, third = ingests("person", 3)
    with postgres() as own, simulators(own.database(), 2, "--config", written(tmp_path, document())) as two:
        assert [each.vendor(*first)[0] for each in two] == [201, 200]
        own.kill()
        for each in two:
            http, body = each.vendor(*second)
            assert (http, body["error"]) == (503, "service_unavailable")
            each.control("POST", "reset", {"scopes": ["caps"]}, expect=503)
        own.start()
        assert [each.vendor(*third)[0] for each in two] == [201, 200]
        assert [each.vendor(*second)[0] for each in two] == [201, 200]
        assert len(two[1].control("GET", "leads")["leads"]) == 6


def test_a_sign_of_life_that_is_under_way_does_not_bring_back_who_leaves(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def are_there() -> bool:
        return postgres_server.query(url, "SELECT id FROM simulators") != []

    url = postgres_server.database()
    store = Store.open(url)
    sharing = Sharing(store, {}, lambda _tenant: None)
    sharing.join()
    assert are_there()
    looks, goes_on, read = threading.Event(), threading.Event(), store.changes_since

    def changes_since(seen: int) -> Any:
        looks.set()
        goes_on.wait(PATIENCE)
        return read(seen)

    monkeypatch.setattr(store, "changes_since", changes_since, raising=False)
    beat = threading.Thread(target=sharing.catch_up)
    beat.start()
    looks.wait(PATIENCE)
    sharing.leave()
    goes_on.set()
    beat.join(PATIENCE)
    wait_until(lambda: not are_there(), "it has left", 10)
    store.close()
