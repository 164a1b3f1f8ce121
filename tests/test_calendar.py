"""Thirty days in a millisecond: lifetimes, windows and calendars at the minute before and the minute after.

A whole tenant in this process: exchange, store, courier and clock, with a buyer and a webhook receiver over HTTP.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from simulator.buyers import BuyerCalls
from simulator.clock import Clock
from simulator.configuration.loading import read
from simulator.configuration.model import Sandbox, findings
from simulator.contract.account import Received
from simulator.dice import Dice
from simulator.exchange import Answer, Exchange
from simulator.limits import MemoryLimiter
from simulator.platforms import CONTRACTS
from simulator.store import DeliveryStatus, Store
from simulator.tenants import Tenant, Tenants
from simulator.timekeeping import Fired, advance, advance_to
from simulator.webhooks import Courier

ZONE = "America/New_York"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_numbers = itertools.count()


def local(text: str, *, second_time: bool = False) -> datetime:
    """Return a moment on New York's wall clock; the hour that autumn repeats has a second time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE), fold=int(second_time))


def phone() -> str:
    """Return a number that was not used before: 555-01xx, in one area code after the other."""
    number = next(_numbers)
    return f"{201 + number // 100}55501{number % 100:02}"


@dataclass
class Partner:
    """A buyer that bids 45 dollars and buys, and a webhook receiver that takes whatever comes."""

    url: str = ""
    posts: list[dict[str, Any]] = field(default_factory=list)
    webhooks: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def partner() -> Iterator[Partner]:
    known = Partner()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 5

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/ping":
                (known.posts if self.path == "/post" else known.webhooks).append(body)
            answer = json.dumps({"accepted": True, "bid": 45, "ping_id": "p1"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    known.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield known
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class World:
    """A tenant of the default name, with everything that decides about its leads."""

    tenant: Tenant
    store: Store
    courier: Courier
    exchange: Exchange

    def to(self, at: datetime) -> Fired:
        return advance_to(self.tenant, at, self.courier, self.store)

    def advance(self, by: timedelta) -> Fired:
        return advance(self.tenant, by, self.courier, self.store)

    def _ask(self, platform: str, operation: str, name: str, fields: Mapping[str, Any]) -> Answer:
        contract = CONTRACTS[platform]
        wanted = next(each for each in contract.operations if each.name == operation)
        source = self.tenant.accounts[platform].sources[name]
        header, credential = contract.admission.header(source, wanted) or ("", "")
        headers = {header.lower(): credential, "content-type": "application/json"}
        received = Received(
            method="POST",
            path=wanted.path,
            arguments={"source_unique_id": name},
            headers=headers,
            query=b"",
            body=json.dumps(fields).encode(),
        )
        return self.exchange.answer(contract, wanted, received)

    def pingtree(self, operation: str, **fields: Any) -> Answer:
        who = {} if operation == "ping" else {"mobile": phone()}
        return self._ask("pingtree", operation, "lnk_1", {"state": "NY", **who, **fields})

    def leaddistro(self, operation: str, **fields: Any) -> Answer:
        ids = {"flo_campaign_id": "campaign_1", "flo_supplier_id": "supplier_1"}
        named = {"first_name": "Ann", "last_name": "Doe", "email": f"ann{next(_numbers)}@example.com"}
        who = {"phone": phone(), "state": "NY", **(named if operation == "ingest" else {})}
        return self._ask("leaddistro", operation, "key_1", {**ids, **who, **fields})

    def ingest(self, **fields: Any) -> str:
        """Return the row that answers an ingest."""
        return self.leaddistro("ingest", **fields).row.id

    def post(self, ping: Answer) -> str:
        return self.pingtree("post", transaction_id=ping.decision.transaction_id).row.id


ACCEPTED, FULL, DUPLICATE = "LD-ING-201-ACCEPTED", "LD-ING-200-UNMATCHED", "LD-ING-200-DUPLICATE"


@pytest.fixture
def make(partner: Partner) -> Iterator[Any]:
    """Return what makes a world that is frozen at a moment, from what its one source, campaign and buyers say."""
    made: list[World] = []

    def world(
        at: datetime,
        *,
        source: Mapping[str, Any] | None = None,
        campaign: Mapping[str, Any] | None = None,
        buyer: Mapping[str, Any] | None = None,
    ) -> World:
        document = {
            "timezone": ZONE,
            "pingtree": {
                "campaigns": [
                    {
                        "id": "cmp_1",
                        "sources": [{"id": "src_1", "link_id": "lnk_1", **(source or {})}],
                        "buyers": [
                            {"id": "bidder", "url": {"ping": f"{partner.url}/ping", "post": f"{partner.url}/post"}}
                        ],
                    }
                ]
            },
            "leaddistro": {
                "suppliers": [{"id": "supplier_1", "api_key": "key_1", "campaigns": ["campaign_1"]}],
                "campaigns": [
                    {
                        "id": "campaign_1",
                        "buyers": [
                            {"id": "taker", "price": 10, "webhook": {"url": f"{partner.url}/hook"}, **(buyer or {})}
                        ],
                        **(campaign or {}),
                    }
                ],
            },
        }
        sandbox = read(json.dumps(document), name="test", model=Sandbox, checks=findings)
        store, calls = Store.open(":memory:"), BuyerCalls()
        tenants = Tenants("", lambda _tenant: {})
        tenant = Tenant("default", sandbox, at, Clock(frozen_at=at), Dice(1), lambda name: name)
        tenants.add(tenant)
        courier = Courier(tenants, store, calls, CONTRACTS)
        exchange = Exchange(tenants, store, calls, MemoryLimiter(), courier.announce, CONTRACTS.values())
        made.append(World(tenant, store, courier, exchange))
        return made[-1]

    yield world
    for each in made:
        each.store.close()


NOON = local("2026-01-05T12:00")


# Lifetimes


@pytest.mark.parametrize(
    ("seconds", "row"), [(299, "PT-POST-201-ACCEPTED"), (300, "expired"), (301, "expired"), (3000, "expired")]
)
def test_a_pingtree_post_301_seconds_after_the_ping_is_too_late(
    make: Any, partner: Partner, seconds: int, row: str
) -> None:
    here = make(NOON)
    ping = here.pingtree("ping")
    assert ping.row.id == "PT-PING-201-ACCEPT"
    here.advance(timedelta(seconds=seconds))
    posts = len(partner.posts)
    answer = here.pingtree("post", transaction_id=ping.decision.transaction_id)
    if row == "expired":
        assert (answer.row.http, answer.decision.reason.value) == (400, "ping_expired")
    else:
        assert answer.row.id == row
    assert len(partner.posts) - posts == (row != "expired"), "nobody is offered what came too late"


@pytest.mark.parametrize(("minutes", "row"), [(29, ACCEPTED), (30, "LD-ING-PING-EXPIRED"), (31, "LD-ING-PING-EXPIRED")])
def test_a_flo_ping_id_is_good_for_29_minutes_and_not_for_31(make: Any, minutes: int, row: str) -> None:
    here = make(NOON, campaign={"routing": "ping_post"})
    ping = here.leaddistro("ping", phone="2125550123")
    here.advance(minutes * MINUTE)
    assert here.ingest(phone="2125550123", flo_ping_id=ping.decision.ping_token) == row


def test_lifetimes_can_be_configured_and_end_where_they_say(make: Any) -> None:
    here = make(NOON, source={"ping_lifetime": 60}, campaign={"routing": "ping_post", "ping_lifetime": 120})
    pings = [here.pingtree("ping") for _ in range(2)]
    tokens = [here.leaddistro("ping").decision.ping_token for _ in range(2)]
    here.advance(timedelta(seconds=59))
    assert here.post(pings[0]) == "PT-POST-201-ACCEPTED"
    here.advance(timedelta(seconds=2))
    assert here.post(pings[1]) != "PT-POST-201-ACCEPTED"
    here.advance(timedelta(seconds=58))
    assert here.ingest(flo_ping_id=tokens[0]) == ACCEPTED
    here.advance(timedelta(seconds=2))
    assert here.ingest(flo_ping_id=tokens[1]) == "LD-ING-PING-EXPIRED"


# Windows


def test_a_person_is_a_duplicate_for_29_days_23_hours_and_new_after_30_days_1_hour(make: Any) -> None:
    here = make(NOON)
    assert here.ingest(phone="2125550123") == ACCEPTED
    here.advance(29 * DAY + 23 * HOUR)
    assert here.ingest(phone="2125550123") == DUPLICATE
    here.advance(2 * HOUR)
    assert here.ingest(phone="2125550123") == ACCEPTED, "the refused duplicate has not begun the window anew"
    here.advance(29 * DAY + 23 * HOUR)
    assert here.ingest(phone="2125550123") == DUPLICATE, "the accepted one has"


def test_the_duplicate_window_is_30_times_24_hours_also_when_a_night_is_longer_or_shorter(make: Any) -> None:
    for start in ("2026-10-15T12:00", "2026-02-20T12:00"):
        here = make(local(start))
        here.ingest(phone="2125550123")
        here.advance(30 * DAY - MINUTE)
        assert here.ingest(phone="2125550123") == DUPLICATE
        here.advance(2 * MINUTE)
        assert here.ingest(phone="2125550123") == ACCEPTED


def test_pingtrees_duplicates_follow_the_window_of_their_source(make: Any) -> None:
    here = make(NOON, source={"duplicates": {"fields": ["mobile"], "days": 30}})

    def form() -> str:
        return str(here.pingtree("form", mobile="2125550123").row.id)

    assert form() == "PT-FORM-201-ACCEPTED"
    here.advance(29 * DAY + 23 * HOUR)
    assert form() == "PT-FORM-201-DUPLICATE"
    here.advance(2 * HOUR)
    assert form() == "PT-FORM-201-ACCEPTED"


def test_suppression_by_days_ends_when_the_days_are_full_and_suppression_for_ever_does_not(make: Any) -> None:
    lists = [
        {"name": "ninety", "field": "phone", "values": ["2125550123"], "days": 90},
        {"name": "ever", "field": "phone", "values": ["2125550124"], "days": 0},
    ]
    here = make(NOON, campaign={"suppression": lists, "duplicates": {"days": 0.001}})
    here.advance(89 * DAY + 23 * HOUR)
    assert here.ingest(phone="2125550123") == "LD-ING-422-SUPPRESS"
    here.advance(2 * HOUR)
    assert here.ingest(phone="2125550123") == ACCEPTED
    here.to(local("2099-12-31T12:00"))
    assert here.ingest(phone="2125550124") == "LD-ING-422-SUPPRESS"


def test_pingtrees_suppression_by_days_ends_too(make: Any) -> None:
    listed = {"name": "listed", "field": "mobile", "values": ["2125550123"], "days": 30}
    here = make(NOON, source={"suppressions": [listed]})
    here.advance(29 * DAY + 23 * HOUR)
    assert here.pingtree("form", mobile="2125550123").row.id == "PT-FORM-REJ-SUPPRESS"
    here.advance(2 * HOUR)
    assert here.pingtree("form", mobile="2125550123").row.id == "PT-FORM-201-ACCEPTED"


# Calendars of caps


def fills(here: World, first: str, still_full: str, open_again: str) -> None:
    """Check that a cap of one is filled, still full, and empty again, at these moments of New York's clock."""
    here.to(local(first))
    assert here.ingest() == ACCEPTED
    assert here.ingest() == FULL
    here.to(local(still_full))
    assert here.ingest() == FULL
    here.to(local(open_again))
    assert here.ingest() == ACCEPTED
    assert here.ingest() == FULL


@pytest.mark.parametrize(
    ("before", "night"),
    [
        ("2026-10-31", "2026-11-01"),  # the day after has 25 hours
        ("2026-11-01", "2026-11-02"),  # the day before had 25 hours
        ("2026-03-07", "2026-03-08"),  # the day after has 23 hours
        ("2026-03-08", "2026-03-09"),  # the day before had 23 hours
        ("2026-06-30", "2026-07-01"),
        ("2026-12-31", "2027-01-01"),
    ],
)
def test_a_daily_cap_is_full_at_2359_and_empty_at_0001_of_the_accounts_zone(make: Any, before: str, night: str) -> None:
    here = make(local(f"{before}T00:00"), buyer={"caps": {"day": 1}})
    fills(here, f"{before}T00:01", f"{before}T23:59", f"{night}T00:01")


def test_a_day_of_25_hours_and_one_of_23_are_one_day_each(make: Any) -> None:
    here = make(local("2026-10-31T23:59"), buyer={"caps": {"day": 1}})
    assert here.ingest() == ACCEPTED
    for night in ("2026-11-01T00:01", "2026-11-02T00:01"):
        here.to(local(night) - 2 * MINUTE)
        assert here.ingest() == FULL
        here.to(local(night))
        assert here.ingest() == ACCEPTED
    assert local("2026-11-02T00:01").timestamp() - local("2026-11-01T00:01").timestamp() == 25 * 3600


def test_the_repeated_hour_of_autumn_is_two_hours_for_an_hourly_cap(make: Any) -> None:
    here = make(local("2026-11-01T01:30"), buyer={"caps": {"hour": 1}})
    assert [here.ingest(), here.ingest()] == [ACCEPTED, FULL]
    here.to(local("2026-11-01T01:30", second_time=True))
    assert [here.ingest(), here.ingest()] == [ACCEPTED, FULL]
    here.to(local("2026-11-01T02:00"))
    assert here.ingest() == ACCEPTED


def test_a_weekly_cap_is_full_until_sunday_2359_and_empty_on_monday_0001(make: Any) -> None:
    # The Sundays of both time changes, and one that is ordinary.
    for monday, sunday, next_monday in (
        ("2026-10-26", "2026-11-01", "2026-11-02"),
        ("2026-03-02", "2026-03-08", "2026-03-09"),
        ("2026-06-08", "2026-06-14", "2026-06-15"),
    ):
        here = make(local(f"{monday}T00:00"), buyer={"caps": {"week": 1}})
        fills(here, f"{monday}T00:01", f"{sunday}T23:59", f"{next_monday}T00:01")


def test_a_monthly_cap_is_full_until_the_last_2359_and_empty_on_the_1st_0001(make: Any) -> None:
    for first, last, following in (
        ("2026-10-01", "2026-10-31", "2026-11-01"),
        ("2026-11-01", "2026-11-30", "2026-12-01"),
        ("2026-03-01", "2026-03-31", "2026-04-01"),
        ("2028-02-01", "2028-02-29", "2028-03-01"),
    ):
        here = make(local(f"{first}T00:00"), buyer={"caps": {"month": 1}})
        fills(here, f"{first}T00:01", f"{last}T23:59", f"{following}T00:01")


def test_a_total_cap_is_never_emptied_by_time(make: Any) -> None:
    here = make(NOON, buyer={"caps": {"total": 1}})
    assert here.ingest() == ACCEPTED
    here.to(local("2099-01-01T00:01"))
    assert here.ingest() == FULL


def test_pingtrees_source_cap_follows_the_same_midnight(make: Any) -> None:
    here = make(local("2026-11-01T00:01"), source={"caps": {"day": 1}})
    assert here.pingtree("form").row.id == "PT-FORM-201-ACCEPTED"
    here.to(local("2026-11-01T23:59"))
    assert here.pingtree("ping").row.id == "PT-PING-400-RULE"
    here.to(local("2026-11-02T00:01"))
    assert here.pingtree("ping").row.id == "PT-PING-201-ACCEPT"


def test_going_back_to_a_day_that_was_full_finds_it_full(make: Any) -> None:
    here = make(local("2026-11-01T12:00"), buyer={"caps": {"day": 1}})
    assert here.ingest() == ACCEPTED
    here.to(local("2026-11-02T12:00"))
    assert here.ingest() == ACCEPTED
    here.to(local("2026-11-01T18:00"))
    assert here.ingest() == FULL


# Opening hours, and what else the clock moves


def test_a_buyer_opens_at_nine_by_the_wall_clock_before_and_after_the_time_change(make: Any) -> None:
    here = make(local("2026-10-30T08:59"), buyer={"hours": [{"from": "09:00", "to": "17:00"}]})
    for day in ("2026-10-30", "2026-11-01", "2026-11-02"):
        here.to(local(f"{day}T08:59"))
        assert here.ingest() == FULL
        here.to(local(f"{day}T09:01"))
        assert here.ingest() == ACCEPTED
        here.to(local(f"{day}T17:01"))
        assert here.ingest() == FULL


def test_the_webhooks_of_thirty_days_of_leads_arrive_while_the_clock_advances(make: Any, partner: Partner) -> None:
    here = make(NOON)
    fired = 0
    for _ in range(30):
        assert here.ingest() == ACCEPTED
        fired += here.advance(DAY).delivered
    assert fired == 30
    assert {each.status for each in here.store.deliveries("default")} == {DeliveryStatus.DELIVERED}
    created = [datetime.fromisoformat(each["created_at"]) for each in partner.webhooks[-30:]]
    assert created == [NOON + n * DAY for n in range(30)]
