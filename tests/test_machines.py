"""Two simulators as on two machines, on one PostgreSQL and one Redis: claims and limits are exact over both."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fixtures.leads import fake_leads
from tests.postgres import Postgres
from tests.running import Answer, Request, run, wait_until, written
from tests.several import Simulator, simulators
from tests.test_outages import redis
from tests.test_several_simulators import dealt

pytestmark = pytest.mark.long

ROOM = 60  # what passes at once
LIMIT = {"rate": 1, "burst": ROOM + 1, "seconds": 1}  # then one a second
SENT = 240


def document() -> dict[str, Any]:
    limits = {"ingest": LIMIT, "ping": None}
    buyers = [{"id": "only", "price": 50, "caps": {"total": 40}}]
    return {
        "leaddistro": {
            "suppliers": [{"id": "sup", "api_key": "key_machines", "limits": limits, "campaigns": ["sold"]}],
            "campaigns": [{"id": "sold", "buyers": buyers}],
        }
    }


def ingests(count: int, seed: int = 7) -> list[Request]:
    ids = {"flo_campaign_id": "sold", "flo_supplier_id": "sup"}
    leads = fake_leads("leaddistro", count, seed=seed)
    return [("/api/v1/ingest", ids | lead, {"x-api-key": "key_machines"}) for lead in leads]


class Machines:
    """Two simulators, and the Redis that they share, which can be taken away and given back."""

    def __init__(self, at: Path) -> None:
        self._at = at
        self._redis = ExitStack()
        self.two: list[Simulator] = []
        self.full_since = 0.0

    def start_redis(self) -> None:
        self.full_since = time.monotonic()  # an empty Redis knows nobody, so that everybody is rested
        self._redis.enter_context(redis(self._at))

    def kill_redis(self) -> None:
        self._redis.close()

    def passed(self, requests: list[Request]) -> list[Answer]:
        """Send the requests; return the answers to those that the limit let pass, which are no more than it says."""
        answers = dealt(self.two, requests)
        found = [(http, body) for http, body in answers if http != 429]
        assert len(answers) == SENT
        assert ROOM <= len(found) <= ROOM + (time.monotonic() - self.full_since) + 1
        return found


@pytest.fixture
def machines(tmp_path: Path, postgres_server: Postgres) -> Iterator[Machines]:
    at = tmp_path / "redis"
    found, database = Machines(at), postgres_server.database()
    options = ("--config", written(tmp_path, document()), "--redis", f"unix://{at}")
    try:
        found.start_redis()
        with simulators(database, 2, *options) as found.two:
            yield found
    finally:
        found.kill_redis()
    ended = run("check-state", "--db", database)
    assert ended.returncode == 0, ended.stdout


def test_of_many_ingests_of_one_person_the_limit_passes_its_room_and_one_is_accepted(machines: Machines) -> None:
    told = Counter(body["data"]["status"] for _, body in machines.passed(ingests(1) * SENT))
    assert told["ACCEPTED"] == 1
    assert set(told) == {"ACCEPTED", "DUPLICATE"}


def test_a_cap_is_filled_to_the_last_lead_by_what_the_limit_passes_at_both(machines: Machines) -> None:
    told = Counter(body["data"]["status"] for _, body in machines.passed(ingests(SENT)))
    assert told["ACCEPTED"] == 40
    assert set(told) == {"ACCEPTED", "UNMATCHED"}


def test_without_redis_nothing_passes_and_with_it_the_limit_holds_again(machines: Machines) -> None:
    one, other = machines.two
    assert [each.vendor(*request)[0] for each, request in zip(machines.two, ingests(2), strict=True)] == [201, 201]
    machines.kill_redis()
    refused = dealt(machines.two, ingests(40, seed=8))
    assert {(http, body["error"]) for http, body in refused} == {(503, "service_unavailable")}
    assert len(one.control("GET", "leads")["leads"]) == 2, "what was refused left nothing"
    assert {each.control("GET", "health")["status"] for each in machines.two} == {"ready"}
    machines.start_redis()
    [first, second] = ingests(2, seed=9)
    wait_until(lambda: one.vendor(*first)[0] in {200, 201}, "one is back")
    wait_until(lambda: other.vendor(*second)[0] in {200, 201}, "the other is back")
    answers = dealt(machines.two, ingests(SENT, seed=10))
    passed = sum(http != 429 for http, _ in answers)
    assert {http for http, _ in answers} == {200, 201, 429}, "refused by the cap, accepted, refused by the limit"
    assert ROOM - 2 <= passed <= ROOM + (time.monotonic() - machines.full_since) + 1
