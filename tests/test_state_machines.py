"""Requests in any order, with the clock and resets between them, agree with a small model of each platform.

`make fuzz` makes a long run of it, by LEADSANDBOX_FUZZ_EXAMPLES.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from simulator.store.checking import check
from tests.sandbox import Answer, Sandbox, Source, Supplier, readings_of, running
from tests.tenant import Tenant

pytestmark = pytest.mark.long

EXAMPLES = int(os.environ.get("LEADSANDBOX_FUZZ_EXAMPLES", "12"))
STEPS = 30
SETTINGS = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
)
START = datetime(2026, 1, 5, 12, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
WINDOW = timedelta(days=30)
PEOPLE = st.integers(0, 4)
PAUSES = st.sampled_from([timedelta(seconds=1), timedelta(seconds=301), timedelta(days=1), timedelta(days=30)])


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("machines")) as started:
        yield started


class Machine(RuleBasedStateMachine):
    """A tenant of its own with a frozen clock, and what the model remembers: persons, and who bought when."""

    box: ClassVar[Sandbox]
    document: ClassVar[dict[str, Any]]

    def __init__(self) -> None:
        super().__init__()
        self.tenant = Tenant(self.box.base_url, sandbox=self.document, seed=1)
        self.now = START
        self._said("clock", {"freeze": START.isoformat()})
        self.own = Sandbox(self.tenant.welcome, self.box.database, Path(), readings_of(self.document))
        self.empty()

    def empty(self) -> None:
        self.persons: dict[int, datetime] = {}
        self.sales: list[tuple[str, datetime]] = []
        self.ends: Counter[str] = Counter()

    def _said(self, path: str, document: Any) -> Any:
        answer = self.tenant.control("POST", path, document)
        assert answer.ok, answer.text
        return answer.json()

    @rule(pause=PAUSES)
    def time_passes(self, pause: timedelta) -> None:
        self.now += pause
        self._said("clock", {"advance": pause.total_seconds()})

    def reset(self) -> None:
        self._said("reset", {"scopes": ["leads", "pings", "caps", "deliveries"]})
        self.empty()

    def today(self, moment: datetime) -> bool:
        return moment.astimezone(NEW_YORK).date() == self.now.astimezone(NEW_YORK).date()

    def bought(self, who: str, *, today: bool = False) -> int:
        return sum(buyer == who and (not today or self.today(at)) for buyer, at in self.sales)

    def is_duplicate(self, person: int) -> bool:
        return person in self.persons and self.persons[person] > self.now - WINDOW

    @invariant()
    def the_store_has_as_many_leads_as_the_model(self) -> None:
        found = self.tenant.control("GET", "leads?limit=1000").json()["leads"]
        assert Counter(lead["status"] for lead in found) == +self.ends

    def teardown(self) -> None:
        try:
            assert check(self.box.database, always=("default",)).contradictions == ()
        finally:
            self.tenant.control("DELETE", f"tenants/{self.tenant.name}")
            self.tenant.session.close()


# --- Lead Distro AI -------------------------------------------------------------------------------------------


class LeadDistro(Machine):
    """A waterfall of two capped buyers. A ping promises a buyer, an ingest may redeem the promise once."""

    document: ClassVar[dict[str, Any]] = {
        "leaddistro": {
            "suppliers": [
                {"id": "sup", "api_key": "key_any", "limits": {"ingest": None, "ping": None}, "campaigns": ["cmp"]}
            ],
            "campaigns": [
                {
                    "id": "cmp",
                    "buyers": [
                        {"id": "first", "price": 10, "priority": 1, "caps": {"total": 2}},
                        {"id": "second", "price": 20, "priority": 2, "caps": {"day": 2, "dollars": {"total": 70}}},
                    ],
                }
            ],
        }
    }
    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        [entry] = self.tenant.welcome["platforms"]["leaddistro"]["suppliers"]
        campaign = "cmp"
        self.supplier = Supplier(self.own, entry["id"], entry["credentials"]["api_key"], campaign)

    def empty(self) -> None:
        super().empty()
        self.redeemed: set[str] = set()

    def has_room(self, buyer: str) -> bool:
        if buyer == "first":
            return self.bought("first") < 2
        return self.bought("second", today=True) < 2 and self.bought("second") < 3

    def buyers(self, promised: str = "") -> list[str]:
        order = sorted(("first", "second"), key=lambda buyer: buyer != promised)
        return [buyer for buyer in order if self.has_room(buyer)]

    def person(self, number: int) -> dict[str, Any]:
        return {"phone": f"2125550{100 + number}", "email": f"p{number}@example.com", "state": "TX"}

    @rule(person=PEOPLE, target=tokens)
    def ping(self, person: int) -> tuple[str, str, datetime]:
        answer = self.supplier.ping(self.person(person))
        if self.is_duplicate(person):
            expected = "LD-PING-200-DUPLICATE"
        else:
            expected = "LD-PING-200-ACCEPTED" if self.buyers() else "LD-PING-200-NO-BUYER"
        assert expected in answer.rows, answer
        if not answer.body["accepted"]:
            return "", "", self.now
        return answer.body["ping_id"], self.buyers()[0], self.now + timedelta(seconds=1800)

    @rule(person=PEOPLE)
    def ingest(self, person: int) -> None:
        self.taken(self.send(person), person, "")

    @rule(person=PEOPLE, token=tokens)
    def ingest_with_ping(self, person: int, token: tuple[str, str, datetime]) -> None:
        ping_id, promised, expires = token
        if not ping_id:
            return
        answer = self.send(person, flo_ping_id=ping_id)
        if self.now >= expires:
            assert "LD-ING-PING-EXPIRED" in answer.rows, answer
        elif ping_id in self.redeemed:
            assert "LD-ING-PING-REUSED" in answer.rows, answer
        else:
            self.redeemed.add(ping_id)
            self.taken(answer, person, promised)

    def send(self, person: int, **more: str) -> Answer:
        names = {"first_name": "Jane", "last_name": "Doe"}
        return self.supplier.ingest({**names, **self.person(person)}, **more)

    def taken(self, answer: Answer, person: int, promised: str) -> None:
        if self.is_duplicate(person):
            assert "LD-ING-200-DUPLICATE" in answer.rows, answer
            self.ends["DUPLICATE"] += 1
            return
        self.persons[person] = self.now
        if not (buyers := self.buyers(promised)):
            assert "LD-ING-200-UNMATCHED" in answer.rows, answer
            self.ends["UNMATCHED"] += 1
            return
        assert "LD-ING-201-ACCEPTED" in answer.rows, answer
        assert answer.data["buyer_id"] == buyers[0]
        self.sales.append((buyers[0], self.now))
        self.ends["ACCEPTED"] += 1

    @rule()
    @precondition(lambda self: len(self.sales) > 3)
    def start_anew(self) -> None:
        self.reset()


# --- Pingtree -------------------------------------------------------------------------------------------------

FIELDS = [{"name": "state", "type": "state", "required": ["ping", "post", "form"]}]


class Pingtree(Machine):
    """A capped source, one buyer that refuses every post, and two that buy until they are full."""

    document: ClassVar[dict[str, Any]] = {
        "pingtree": {
            "campaigns": [
                {
                    "id": "cmp",
                    "sources": [
                        {
                            "id": "src",
                            "link_id": "lnk",
                            "fields": FIELDS,
                            "caps": {"day": 3},
                            "duplicates": {"fields": ["email"], "days": 30},
                        }
                    ],
                    "buyers": [
                        {"id": "refuses", "persona": "two_faced"},
                        {"id": "high", "persona": {"price": 60}, "caps": {"total": 2}},
                        {"id": "low", "persona": {"price": 5}, "caps": {"day": 1, "dollars": {"total": 15}}},
                    ],
                }
            ]
        }
    }
    transactions = Bundle("transactions")

    def __init__(self) -> None:
        super().__init__()
        [entry] = self.tenant.welcome["platforms"]["pingtree"]["sources"]
        self.source = Source(self.own, entry["name"], entry["credentials"], entry["arguments"])
        self.made = 0

    def empty(self) -> None:
        super().empty()
        self.open: dict[str, tuple[datetime, list[str]]] = {}  # until when, and whose bids it has
        self.posted: dict[str, str] = {}  # how it ended

    def has_room(self, buyer: str) -> bool:
        if buyer == "high":
            return self.bought("high") < 2
        return buyer == "refuses" or (self.bought("low", today=True) < 1 and self.bought("low") < 3)

    def bidders(self) -> list[str]:
        return [buyer for buyer in ("refuses", "high", "low") if self.has_room(buyer)]

    @property
    def is_full(self) -> bool:
        return sum(self.today(at) for _, at in self.sales) >= 3

    def sold(self, bidders: list[str]) -> bool:
        """Sell to the highest bidder that buys and still has room."""
        for buyer in bidders:
            if buyer != "refuses" and self.has_room(buyer):
                self.sales.append((buyer, self.now))
                return True
        return False

    @rule(target=transactions)
    def ping(self) -> str:
        self.made += 1
        name = f"txn-{self.made}"
        self.pinged(name)
        return name

    @rule(name=transactions)
    def ping_again(self, name: str) -> None:
        self.pinged(name)

    def pinged(self, name: str) -> None:
        answer = self.source.send("ping", {"transaction_id": name, "state": "CA"})
        if self.is_full or name in self.posted:
            assert answer.status == 400, answer
        else:
            assert "PT-PING-201-ACCEPT" in answer.rows, answer
            self.open[name] = (self.now + timedelta(seconds=300), self.bidders())

    @rule(name=transactions, person=PEOPLE)
    def post(self, name: str, person: int) -> None:
        answer = self.send("post", name, person)
        refused = name not in self.open or name in self.posted or self.now >= self.open[name][0] or self.is_full
        if refused:
            assert answer.status == 400, answer
            return
        self.ended(answer, name, person, self.open[name][1], "POST")

    @rule(person=PEOPLE, target=transactions)
    def form(self, person: int) -> str:
        self.made += 1
        name = f"txn-{self.made}"
        answer = self.send("form", name, person)
        if self.is_full:
            assert answer.status == 400, answer
        else:
            self.ended(answer, name, person, self.bidders(), "FORM")
        return name

    def send(self, operation: str, name: str, person: int) -> Answer:
        fields = {"transaction_id": name, "state": "CA", "email": f"p{person}@example.com"}
        return self.source.send(operation, fields)

    def ended(self, answer: Answer, name: str, person: int, bidders: list[str], operation: str) -> None:
        if self.is_duplicate(person):
            end, row = "DUPLICATE", "DUPLICATE"
        else:
            self.persons[person] = self.now
            end, row = ("ACCEPTED", "ACCEPTED") if self.sold(bidders) else ("UNSOLD", "UNSOLD")
        assert f"PT-{operation}-201-{row}" in answer.rows, answer
        self.posted[name] = end
        self.ends[end] += 1

    @rule(name=transactions)
    def update(self, name: str) -> None:
        answer = self.source.send("update", {"transaction_id": name, "city": "Fresno"})
        if name not in self.posted:
            assert answer.status == 400, answer
            return
        if self.posted[name] == "UNSOLD" and not self.is_full and self.sold(self.bidders()):
            self.posted[name] = "ACCEPTED"
            self.ends.update({"UNSOLD": -1, "ACCEPTED": 1})
        expected = "PT-UPD-201-ACCEPTED" if self.posted[name] == "ACCEPTED" else "PT-UPD-201-UNSOLD"
        assert expected in answer.rows, answer

    @rule()
    @precondition(lambda self: len(self.sales) > 3)
    def start_anew(self) -> None:
        self.reset()


@pytest.mark.parametrize("machine", [LeadDistro, Pingtree])
def test_requests_in_any_order_agree_with_the_model(box: Sandbox, machine: type[Machine]) -> None:
    machine.box = box
    run_state_machine_as_test(machine, settings=SETTINGS)
