"""A reset in the middle of a sale: the sale ends in peace, and gives back only what is still its own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.store.checking import check
from tests.running import wait_until
from tests.sandbox import Answer, Sandbox, running

pytestmark = pytest.mark.long

UNSETTLED = "SELECT 1 FROM pings WHERE transaction_id = ? AND claimed_at IS NOT NULL AND answer_json IS NULL"
OFFERED = "SELECT 1 FROM pings WHERE transaction_id = ? AND holding_json LIKE '%buyer:%'"
FIELDS = [{"name": "state", "type": "state", "required": ["ping", "post", "form"]}]
SLOW = {"latency": 400}  # milliseconds
CONFIG: dict[str, Any] = {
    "pingtree": {
        "campaigns": [
            {
                "id": "cmp",
                "sources": [
                    {
                        "id": "src",
                        "link_id": "lnk",
                        "fields": FIELDS,
                        "caps": {"total": 100},
                        "duplicates": {"fields": ["email"]},
                    }
                ],
                "buyers": [
                    {"id": "refuses", "persona": {"persona": "two_faced", **SLOW}, "caps": {"total": 100}},
                    {"id": "buys", "persona": {"price": 5, **SLOW}, "caps": {"total": 100}},
                ],
            }
        ]
    }
}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("in_sale"), CONFIG) as started:
        yield started


def sold_during(box: Sandbox, moment: str, scopes: list[str]) -> Answer:
    """Post, and reset as soon as the sale has got as far as `moment`; return the answer to the post."""
    source, name = box.source("lnk"), f"txn-{next(_numbers)}"
    source.send("ping", {"transaction_id": name, "state": "CA"})
    answers: list[Answer] = []

    def post() -> None:
        answers.append(
            source.send("post", {"transaction_id": name, "state": "CA", "email": f"{name}@example.com"}),
        )

    thread = threading.Thread(target=post)
    thread.start()
    try:
        wait_until(lambda: box.query(moment, name), "the sale is in flight")
        box.control("reset", {"scopes": scopes})
    finally:
        thread.join()
    return answers[0]


@pytest.mark.parametrize("moment", [UNSETTLED, OFFERED], ids=["claimed", "offered"])
@pytest.mark.parametrize(
    "scopes", [["all"], ["caps"], ["pings"], ["leads"], ["leads", "pings"], ["caps", "leads"]], ids="+".join
)
def test_a_reset_in_the_middle_of_a_sale_leaves_no_contradiction(box: Sandbox, moment: str, scopes: list[str]) -> None:
    box.control("reset", {"scopes": ["all"]})
    assert box.source("lnk").form().lead_status == "accepted"
    assert sold_during(box, moment, scopes).lead_status == "accepted"
    assert box.query(UNSETTLED.replace("transaction_id = ?", "1")) == []
    report = check(Path(box.database), always=("default",))
    assert report.contradictions == ()


def test_after_a_reset_of_everything_a_sale_in_flight_is_forgotten_with_the_rest(box: Sandbox) -> None:
    sold_during(box, OFFERED, ["all"])
    assert {name: count for name, count in box.stored().items() if count} == {}


def test_after_a_reset_of_the_caps_a_sale_in_flight_counts_for_nothing(box: Sandbox) -> None:
    box.control("reset", {"scopes": ["all"]})
    sold_during(box, UNSETTLED, ["caps"])
    counted = dict(box.query("SELECT scope, used FROM caps WHERE used > 0"))
    assert set(counted) <= {"pingtree:buyer:buys:total:leads"}  # taken after the reset, if at all
    assert box.source("lnk").form().lead_status == "accepted"
    again = dict(box.query("SELECT scope, used FROM caps WHERE used > 0"))
    assert again["pingtree:source:src:cmp:total:leads"] == 1
    assert again["pingtree:buyer:buys:total:leads"] == counted.get("pingtree:buyer:buys:total:leads", 0) + 1
