"""Pingtree after the sale, over HTTP: update, fetch, list, events, click listing, click URL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.sandbox import Answer, Sandbox, Source, encoded, marker, number, person, phone, running
from tests.tenant import Tenant

FIELDS = [
    {"name": "state", "type": "state", "required": ["ping", "post", "form"]},
    {"name": "income", "type": "integer"},
    {"name": "employer", "required": []},
    {"name": "credit_score", "acceptable": ["good", "bad"]},
]
SOURCES = [
    {"id": "src", "link_id": "lnk", "fields": FIELDS},
    {"id": "other", "link_id": "lnk_other", "fields": FIELDS, "duplicates": {"fields": ["mobile"], "days": 30}},
    {"id": "idle", "link_id": "lnk_idle", "fields": FIELDS, "active": False},
    {
        "id": "strict",
        "link_id": "lnk_strict",
        "fields": [*FIELDS, {"name": "ssn", "required": ["update"]}],
        "conditions": [{"name": "an income", "field": "income", "operator": ">=", "value": 10}],
    },
]
EVENTS = [{"id": "sale", "conversion": True}, {"id": "signup"}, {"id": "visit", "is_duplicate": True}]
OFFERS = [
    {
        "id": "cl_1",
        "title": "One",
        "description": "The first",
        "logo_url": "https://one.example.com/logo.png",
        "call_to_action": "Go",
        "url": "https://one.example.com/?a=1&b=2",
    },
    {"id": "cl_2", "title": "Two", "device": "mobile", "url": "https://two.example.com/"},
]
CAMPAIGNS = [
    {
        "id": "cmp",
        "sources": SOURCES,
        "events": EVENTS,
        "offers": OFFERS,
        "buyers": [
            {
                "id": "choosy",
                "persona": {"price": 45, "redirect_url": "https://choosy.example.com/next"},
                "filters": [{"field": "state", "operator": "==", "value": "CA"}],
            },
            {
                "id": "rich_only",
                "persona": {"price": 90},
                "caps": {"day": 3},
                "filters": [{"field": "income", "operator": ">=", "value": 1000}],
            },
        ],
    },
    {
        "id": "cmp_2",
        "sources": [{"id": "src", "link_id": "lnk_2"}],
        "events": [{"id": "own"}],
        "buyers": [{"id": "taker", "persona": {"price": 10}}],
    },
]
CONFIG = {"pingtree": {"org_id": "org", "campaigns": CAMPAIGNS}}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("more"), CONFIG) as started:
        yield started
        assert started.log.read_text() == ""


@pytest.fixture
def source(box: Sandbox) -> Source:
    return box.source("lnk")


def sold(source: Source, **more: Any) -> str:
    answer = source.form(**more)
    assert answer.lead_status == "accepted", answer
    return str(answer.data["transaction_id"])


def unsold(source: Source, **more: Any) -> str:
    answer = source.form(state="NY", **more)
    assert answer.lead_status == "unsold", answer
    return str(answer.data["transaction_id"])


def get(box: Sandbox, path: str, auth: dict[str, str] | None = None, **query: Any) -> Answer:
    return box.call("GET", f"{path}?{urlencode(query)}" if query else path, auth)


def update(source: Source, transaction_id: str | None, **fields: Any) -> Answer:
    named = {} if transaction_id is None else {"transaction_id": transaction_id}
    return source.send("update", {**named, **fields})


def fetch(source: Source, transaction_id: str) -> Answer:
    return get(
        source.sandbox, "/api/lead/fetch/" + source.ids["source_id"], source.auth("api"), transaction_id=transaction_id
    )


def fire(box: Sandbox, *, cid: str | None = "cmp", path: str = "/api/event/trigger", **fields: Any) -> Answer:
    headers, body = encoded({**({"cid": cid} if cid else {}), **fields})
    return box.call("POST", path, headers, body)


def stored(box: Sandbox, transaction_id: str) -> tuple[Any, ...]:
    [row] = box.query(
        "SELECT status, buyer_id, price_cents, values_json FROM leads WHERE transaction_id = ?", transaction_id
    )
    return row


# --- update ---------------------------------------------------------------------------------------------------


def test_an_update_writes_only_what_it_names(box: Sandbox, source: Source) -> None:
    who = person()
    own = sold(source, first_name="Jane", city="Oakland", email=who["email"])
    answer = update(source, own, city="Fresno", income=5)
    assert answer.rows == {"PT-UPD-201-ACCEPTED"}
    assert (answer.lead_status, answer.data["transaction_id"]) == ("accepted", own)
    *_, values = stored(box, own)
    for part in ('"city":"Fresno"', '"income":5', '"first_name":"Jane"', who["email"]):
        assert part in values


def test_a_lead_that_nobody_bought_is_sold_when_an_update_makes_it_worth_it(box: Sandbox, source: Source) -> None:
    own = unsold(source)
    assert update(source, own, city="Albany").rows == {"PT-UPD-201-UNSOLD"}
    assert stored(box, own)[:2] == ("UNSOLD", "")
    answer = update(source, own, income=5000)
    assert answer.rows == {"PT-UPD-201-ACCEPTED"}
    assert stored(box, own)[:3] == ("ACCEPTED", "rich_only", 9000)
    assert fetch(source, own).data["leadStatus"] == "accepted"


def test_a_sold_lead_is_never_offered_again(box: Sandbox, source: Source) -> None:
    own = sold(source)
    mark = marker()
    assert update(source, own, income=9000, sub1=mark).lead_status == "accepted"
    assert box.received("pingtree", "rich_only", "ping", sub1=mark) == []
    assert stored(box, own)[1] == "choosy"


def test_many_updates_at_once_sell_an_unsold_lead_once(box: Sandbox, source: Source) -> None:
    box.control("reset", {"scopes": ["caps"]})
    own = unsold(source)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: update(source, own, income=2000, sub2=f"s{n}"), range(8)))
    assert {answer.status for answer in answers} == {201}
    assert "accepted" in {answer.lead_status for answer in answers}
    assert stored(box, own)[1] == "rich_only"
    [(used,)] = box.query("SELECT used FROM caps WHERE scope LIKE '%rich_only%'")
    assert used == 1


def test_an_unsold_lead_stays_unsold_when_the_buyer_is_full(box: Sandbox, source: Source) -> None:
    box.control("reset", {"scopes": ["caps"]})
    assert [update(source, unsold(source), income=2000).lead_status for _ in range(4)] == ["accepted"] * 3 + ["unsold"]
    box.control("reset", {"scopes": ["caps"]})


def test_a_duplicate_is_updated_and_stays_unsold(box: Sandbox) -> None:
    source, who = box.source("lnk_other"), person()
    source.form(who)
    repeated = source.form(who)
    assert repeated.lead_status == "duplicate"
    assert update(source, repeated.data["transaction_id"], income=5000).rows == {"PT-UPD-201-UNSOLD"}


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ({"mobile": "555"}, "PT-UPD-400-INVALID"),
        ({"date_of_birth": "02/28/1990"}, "PT-UPD-400-INVALID"),
        ({"income": "much"}, "PT-UPD-400-INVALID"),
        ({"credit_score": "superb"}, "PT-UPD-400-ENUM"),
    ],
)
def test_a_bad_value_changes_nothing(box: Sandbox, source: Source, fields: dict[str, Any], row: str) -> None:
    own = sold(source)
    before = stored(box, own)
    assert row in update(source, own, city="Fresno", **fields).rows
    assert stored(box, own) == before


def test_an_update_without_its_transaction_id_is_a_missing_field(source: Source) -> None:
    answer = update(source, None, city="Fresno")
    assert answer.rows == {"PT-UPD-400-MISSING"}
    assert answer.body["message"] == "Missing required field: transaction_id"


def test_an_enrichment_field_may_be_required(box: Sandbox) -> None:
    strict = box.source("lnk_strict")
    own = sold(strict, income=20)
    assert update(strict, own, city="Fresno").rows == {"PT-UPD-400-MISSING"}
    assert update(strict, own, ssn="x").lead_status == "accepted"


def test_a_rule_of_the_source_rejects_an_update_and_nothing_is_written(box: Sandbox) -> None:
    strict = box.source("lnk_strict")
    own = sold(strict, income=20)
    assert update(strict, own, ssn="x", income=5).rows == {"PT-UPD-400-REJECTED"}
    assert '"income":20' in stored(box, own)[3]


def test_a_lead_of_another_source_or_of_nobody_is_not_found(box: Sandbox, source: Source) -> None:
    foreign = sold(box.source("lnk_other"))
    for unknown in (foreign, "txn_of_nobody"):
        assert update(source, unknown, city="Fresno").rows == {"PT-UPD-400-REJECTED"}


@pytest.mark.parametrize("kind", ["ping", "post", "form", "api"])
def test_an_update_takes_the_enrichment_token_only(source: Source, kind: str) -> None:
    headers, body = encoded({"transaction_id": "x"})
    answer = source.sandbox.call("POST", source.path("update"), source.auth(kind) | headers, body)
    assert answer.rows == {"PT-UPD-401-AUTH"}


def test_an_enrichment_token_is_no_good_for_another_campaign(box: Sandbox, source: Source) -> None:
    headers, body = encoded({"transaction_id": "x"})
    for campaign in ("cmp_2", "cmp_of_nobody"):
        path = f"/api/lead/update/{campaign}"
        assert box.call("POST", path, source.auth("update") | headers, body).rows == {"PT-UPD-401-AUTH"}


def test_a_regenerated_enrichment_token_takes_the_old_one_s_place(box: Sandbox) -> None:
    idle = box.source("lnk_idle")
    own = sold(idle)
    made = box.control("credentials/regenerate", {"platform": "pingtree", "owner": "idle", "kind": "update"})
    assert update(idle, own, city="Fresno").rows == {"PT-UPD-401-AUTH"}
    headers, body = encoded({"transaction_id": own, "city": "Fresno"})
    renewed = {"Authorization": f"Bearer {made['credential']}"} | headers
    assert box.call("POST", idle.path("update"), renewed, body).rows == {"PT-UPD-201-ACCEPTED"}


# --- fetch ----------------------------------------------------------------------------------------------------


def test_a_fetch_tells_how_the_lead_ended_and_where_its_consumer_goes(source: Source) -> None:
    own = sold(source)
    answer = fetch(source, own)
    assert answer.rows == {"PT-FETCH-200-FOUND"}
    assert answer.body["status"] == 200
    told = {key: value for key, value in answer.data.items() if key != "createdAt"}
    assert told == {
        "transaction_id": own,
        "leadStatus": "accepted",
        "redirect_url": "https://choosy.example.com/next",
        "isDeDupe": False,
        "cid": "cmp",
        "pid": "src",
    }


def test_a_fetch_of_a_posted_lead_answers_as_the_post_did(source: Source) -> None:
    own = source.accepted_ping()
    posted = source.post(own)
    assert fetch(source, own).data["redirect_url"] == posted.data["redirect_url"]


def test_a_fetch_of_an_unsold_lead_and_of_a_duplicate_say_so(box: Sandbox, source: Source) -> None:
    assert fetch(source, unsold(source)).data["leadStatus"] == "unsold"
    other, who = box.source("lnk_other"), person()
    other.form(who)
    repeated = fetch(other, other.form(who).data["transaction_id"])
    assert repeated.rows == {"PT-FETCH-200-DUP"}
    assert repeated.data["isDeDupe"] is True


def test_a_ping_that_was_never_posted_is_no_lead(source: Source) -> None:
    assert "PT-FETCH-400" in fetch(source, source.accepted_ping()).rows


def test_a_fetch_without_a_transaction_or_of_a_foreign_one_is_a_400(box: Sandbox, source: Source) -> None:
    assert get(box, "/api/lead/fetch/src", source.auth("api")).rows == {"PT-FETCH-400"}
    assert fetch(source, sold(box.source("lnk_other"))).rows == {"PT-FETCH-400"}


@pytest.mark.parametrize("path", ["/api/lead/fetch/other", "/api/lead/fetch-response/cmp_2", "/api/lead/fetch/lnk"])
def test_an_api_token_is_no_good_where_the_path_names_somebody_else(box: Sandbox, source: Source, path: str) -> None:
    assert get(box, path, source.auth("api"), transaction_id=sold(source)).rows == {"PT-FETCH-401"}


def test_a_fetch_wants_the_api_token(box: Sandbox, source: Source) -> None:
    for auth in ({}, source.auth("update"), {"Authorization": "Bearer nonsense"}):
        assert get(box, "/api/lead/fetch/src", auth, transaction_id="x").rows == {"PT-FETCH-401"}


# --- list -----------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(box: Sandbox) -> Source:
    box.control("reset")
    return box.source("lnk")


def listed(source: Source, path: str = "/api/lead/list/org/cmp", **query: Any) -> Answer:
    return get(source.sandbox, path, source.auth("api"), **query)


def ids(answer: Answer) -> list[str]:
    assert answer.rows == {"PT-LIST-200"}
    return [lead["transaction_id"] for lead in answer.data["leads"]]


def test_a_list_pages_through_a_campaign_newest_first(fresh: Source) -> None:
    sent = [sold(fresh) for _ in range(12)]
    first, second = listed(fresh), listed(fresh, page=2)
    assert (ids(first), ids(second)) == (sent[:1:-1], sent[1::-1])
    assert first.data["total"] == 12
    assert ids(listed(fresh, page=3)) == []
    assert ids(listed(fresh, limit=5, order="asc", page=2)) == sent[5:10]


def test_a_list_has_the_leads_of_every_source_of_its_campaign_and_of_no_other(fresh: Source) -> None:
    mine, theirs = sold(fresh), sold(fresh.sandbox.source("lnk_other"))
    elsewhere = sold(fresh.sandbox.source("lnk_2"))
    assert ids(listed(fresh)) == [theirs, mine]
    assert ids(listed(fresh, pid="other")) == [theirs]
    assert ids(listed(fresh.sandbox.source("lnk_2"), "/api/lead/list/org/cmp_2")) == [elsewhere]


def test_a_list_filters_by_lead_status(fresh: Source) -> None:
    good, bad = sold(fresh), unsold(fresh)
    found = {
        status: ids(listed(fresh, leadStatus=status)) for status in ("accepted", "unsold", "duplicate", "rejected")
    }
    assert found == {"accepted": [good], "unsold": [bad], "duplicate": [], "rejected": []}


def test_a_list_is_searched_by_email_mobile_and_name(fresh: Source) -> None:
    who = phone()
    wanted = sold(fresh, first_name="Ann-Sofie", last_name="O'Hara", email=f"ann.{who}@example.com", mobile=who)
    sold(fresh)
    for text in (f"ANN.{who}@", who, f"({who[:3]}) {who[3:6]}-{who[6:]}", "ann-sofie", "Sofie O'Hara"):
        found = listed(fresh, search=text)
        assert ids(found) == [wanted], text
        assert found.data["total"] == 1
    assert ids(listed(fresh, search="nobody at all")) == []


def test_a_list_knows_whole_days_in_utc(box: Sandbox, fresh: Source) -> None:
    box.control("clock", {"freeze": "2026-03-01T23:59:59Z"})
    late = sold(fresh)
    box.control("clock", {"freeze": "2026-03-02T00:00:00Z"})
    early = sold(fresh)
    box.control("clock", {"reset": True})
    assert ids(listed(fresh, to="2026-03-01")) == [late]
    assert ids(listed(fresh, **{"from": "2026-03-02"})) == [early]
    assert ids(listed(fresh, **{"from": "2026-03-01"}, to="2026-03-02", sort="createdAt")) == [early, late]


@pytest.mark.parametrize(
    "query",
    [
        {"page": 0},
        {"page": "x"},
        {"limit": 101},
        {"limit": 0},
        {"order": "sideways"},
        {"from": "03/01/2026"},
        {"to": "2026-02-30"},
        {"leadStatus": "sold"},
        {"sort": "mood"},
    ],
)
def test_a_list_with_a_bad_parameter_is_a_400(source: Source, query: dict[str, Any]) -> None:
    assert listed(source, **query).rows == {"PT-LIST-400"}


@pytest.mark.parametrize("path", ["/api/lead/list/org_of_nobody/cmp", "/api/lead/list/org/x"])
def test_a_list_of_ids_that_nobody_has_is_a_400(source: Source, path: str) -> None:
    assert listed(source, path).rows == {"PT-LIST-400"}


def test_a_list_of_another_campaign_than_the_token_s_is_a_401(source: Source) -> None:
    assert listed(source, "/api/lead/list/org/cmp_2").rows == {"PT-LIST-401"}


def test_a_list_wants_the_api_token(box: Sandbox, source: Source) -> None:
    for auth in ({}, source.auth("form"), {"Authorization": "Bearer nonsense"}):
        assert get(box, "/api/lead/list/org/cmp", auth).rows == {"PT-LIST-401"}


# --- events ---------------------------------------------------------------------------------------------------


def message(answer: Answer) -> str:
    return str(answer.body["message"])


def test_an_event_is_fired_once(box: Sandbox, source: Source) -> None:
    own = sold(source)
    first = fire(box, event_id="signup", transaction_id=own)
    assert first.rows == {"PT-EVT-200-FIRED"}
    assert first.body["status"] == "200"
    assert first.data == {"event_id": "signup", "transaction_id": own}
    box.control("clock", {"advance": "3 s"})
    again = fire(box, event_id="signup", transaction_id=own)
    assert (again.status, message(again)) == (400, "This event of this transaction was fired before")
    assert fire(box, event_id="visit", transaction_id=own).status == 200, "another event of the same lead"
    assert fire(box, event_id="signup", transaction_id=sold(source)).status == 200, "the same event of another lead"


def test_an_event_that_may_repeat_is_locked_for_a_moment_of_sandbox_time(box: Sandbox, source: Source) -> None:
    own = sold(source)
    box.control("clock", {"freeze": True})
    seen = []
    for pause in (0, 1.9, 0.2, 0):
        if pause:
            box.control("clock", {"advance": pause})
        seen.append(fire(box, event_id="visit", transaction_id=own).status)
    box.control("clock", {"reset": True})
    assert seen == [200, 403, 200, 403]


def test_an_event_that_is_repeated_at_once_is_a_403_and_not_a_400(box: Sandbox, source: Source) -> None:
    own = sold(source)
    answers = [fire(box, event_id="signup", transaction_id=own) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 403]


@pytest.mark.parametrize("event_id", ["signup", "visit"])
def test_of_many_equal_events_at_once_one_is_fired(box: Sandbox, source: Source, event_id: str) -> None:
    own = sold(source)
    gate = threading.Barrier(12)

    def send(_: int) -> int:
        gate.wait()
        return fire(box, event_id=event_id, transaction_id=own).status

    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(send, range(12))) == [200] + [403] * 11


def test_a_conversion_needs_its_revenue_and_a_refused_one_locks_nothing(box: Sandbox, source: Source) -> None:
    own = sold(source)
    refused = fire(box, event_id="sale", transaction_id=own)
    assert (refused.status, message(refused)) == (400, "sale is a conversion: revenue is required")
    assert fire(box, event_id="sale", transaction_id=own, revenue=0).status == 200


def test_revenue_may_be_called_amount_and_all_of_it_stand_in_the_url(box: Sandbox, source: Source) -> None:
    assert fire(box, event_id="sale", transaction_id=sold(source), amount=12.5).status == 200
    query = urlencode({"cid": "cmp", "event_id": "sale", "transaction_id": sold(source), "revenue": "12.50"})
    assert box.call("POST", f"/api/event/trigger?{query}").status == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"event_id": ""}, "event_id is required"),
        ({"event_id": "unheard"}, "No event 'unheard' is configured"),
        ({"event_id": "own"}, "No event 'own' is configured"),
        ({"transaction_id": ""}, "transaction_id is required"),
        ({"transaction_id": "txn_x"}, "No lead has the transaction_id 'txn_x'"),
        ({"cid": ""}, "No campaign is named that exists: cid"),
        ({"cid": "cmp_x"}, "No campaign is named that exists: cid"),
        ({"cid": 5}, "No campaign is named that exists: cid"),
        ({"revenue": "much"}, "Revenue must be US dollars; required for a conversion"),
        ({"revenue": -1}, "Revenue must be US dollars; required for a conversion"),
        ({"cost_operation": "multiply"}, "Cost operation must be add, substract (as the page spells it) or override"),
    ],
)
def test_an_event_with_a_fault_is_a_400_that_names_it(
    box: Sandbox, source: Source, change: dict[str, Any], said: str
) -> None:
    fields = {"event_id": "signup", "transaction_id": sold(source), **change}
    before = box.query("SELECT count(*) FROM events")
    answer = fire(box, **fields)
    assert (answer.status, message(answer)) == (400, said)
    assert box.query("SELECT count(*) FROM events") == before


def test_an_event_of_a_lead_of_another_campaign_is_refused(box: Sandbox) -> None:
    elsewhere = sold(box.source("lnk_2"))
    assert fire(box, event_id="signup", transaction_id=elsewhere).status == 400
    assert fire(box, cid="cmp_2", event_id="own", transaction_id=elsewhere).status == 200


def test_an_inactive_source_fires_no_events_and_its_leads_are_taken(box: Sandbox, source: Source) -> None:
    own = sold(box.source("lnk_idle"))
    refused = fire(box, event_id="signup", transaction_id=own, pid="idle")
    assert (refused.status, message(refused)) == (403, "The source 'idle' is inactive")
    assert fire(box, event_id="signup", transaction_id=own).status == 200, "without pid it is organic traffic"
    assert fire(box, event_id="signup", transaction_id=sold(source), pid="unheard of").status == 200


def test_the_playground_s_path_names_the_campaign(box: Sandbox, source: Source) -> None:
    own = sold(source)
    assert fire(box, cid=None, path="/api/event/cmp", event_id="signup", transaction_id=own).status == 200
    assert fire(box, cid=None, path="/api/event/cmp_x", event_id="signup", transaction_id=own).status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"cid": "cmp", "cid": "cmp"}', b'{"cid": ["cmp"]}', b"\xff"])
def test_an_event_that_cannot_be_read_is_a_400(box: Sandbox, body: bytes) -> None:
    for path in ("/api/event/trigger", "/api/event/cmp", "/api/event/global/org"):
        assert box.call("POST", path, {"Content-Type": "application/json"}, body).status == 400


@pytest.mark.parametrize(
    "path", ["/api/event/trigger", "/api/event/cmp", "/api/event/global/org", "/api/click/list/a/b"]
)
def test_another_method_is_a_405(box: Sandbox, path: str) -> None:
    answer = box.call("PUT", path)
    assert answer.status == 405
    assert answer.headers["allow"] == ("GET" if "click" in path else "POST")


def everywhere(box: Sandbox, **fields: Any) -> Answer:
    return fire(box, cid=None, path="/api/event/global/org", **fields)


def test_a_global_event_finds_its_campaign_by_the_lead(box: Sandbox, source: Source) -> None:
    here, there = sold(source), sold(box.source("lnk_2"))
    assert everywhere(box, event_id="signup", transaction_id=here).rows == {"PT-GEVT-200"}
    assert everywhere(box, event_id="own", transaction_id=there).rows == {"PT-GEVT-200"}
    assert everywhere(box, event_id="signup", transaction_id=there).status == 400, "an event of the other campaign"


def test_a_global_event_is_the_same_event_as_its_campaign_s(box: Sandbox, source: Source) -> None:
    own = sold(source)
    assert fire(box, event_id="signup", transaction_id=own).status == 200
    assert everywhere(box, event_id="signup", transaction_id=own).status == 403


def test_a_global_event_keeps_the_rules_of_its_campaign(box: Sandbox, source: Source) -> None:
    own = sold(source)
    assert everywhere(box, event_id="sale", transaction_id=own).status == 400
    assert everywhere(box, event_id="sale", transaction_id=own, revenue=1, pid="idle").status == 403
    assert everywhere(box, event_id="signup").status == 400
    assert everywhere(box, transaction_id=own).status == 400


def test_a_global_event_without_a_lead_or_of_an_unknown_account_is_a_400(box: Sandbox, source: Source) -> None:
    said = everywhere(box, event_id="signup", transaction_id="txn_x")
    assert (said.status, message(said)) == (400, "No lead has the transaction_id 'txn_x'")
    unknown = fire(box, cid=None, path="/api/event/global/org_x", event_id="signup", transaction_id=sold(source))
    assert unknown.status == 400


# --- clicks ---------------------------------------------------------------------------------------------------


def clicks(box: Sandbox, transaction_id: str, campaign: str = "cmp", **query: Any) -> Answer:
    return get(box, f"/api/click/list/{campaign}/{transaction_id}", **query)


def test_the_consumer_of_a_sold_lead_is_shown_the_offers(box: Sandbox, source: Source) -> None:
    own = sold(source)
    answer = clicks(box, own)
    assert answer.rows == {"PT-CLICK-200-OFFERS"}
    first, second = answer.data["offers"]
    assert first == {
        "clickListingId": "cl_1",
        "title": "One",
        "description": "The first",
        "logoUrl": "https://one.example.com/logo.png",
        "clickUrl": f"{box.base_url}/api/click/cl_1/cmp/src/{own}",
        "callToAction": "Go",
    }
    assert second["clickListingId"] == "cl_2"


def test_an_offer_for_one_device_is_not_shown_on_another(box: Sandbox, source: Source) -> None:
    own = sold(source)
    shown = {
        device: [offer["clickListingId"] for offer in clicks(box, own, device=device).data["offers"]]
        for device in ("desktop", "mobile")
    }
    assert shown == {"desktop": ["cl_1"], "mobile": ["cl_1", "cl_2"]}
    assert clicks(box, own, device="fridge").rows == {"PT-CLICK-400"}


def test_a_lead_that_was_not_sold_and_a_campaign_without_offers_have_none(box: Sandbox, source: Source) -> None:
    empty = clicks(box, unsold(source))
    assert empty.rows == {"PT-CLICK-200-EMPTY"}
    assert empty.data == {"offers": []}
    assert clicks(box, sold(box.source("lnk_2")), "cmp_2").data == {"offers": []}


def test_clicks_of_nobody_s_lead_or_campaign_are_a_400(box: Sandbox, source: Source) -> None:
    own = sold(source)
    for answer in (clicks(box, "txn_x"), clicks(box, own, "cmp_x"), clicks(box, own, "cmp_2")):
        assert answer.rows == {"PT-CLICK-400"}


def test_a_token_that_nobody_asked_for_does_no_harm(box: Sandbox, source: Source) -> None:
    path = f"/api/click/list/cmp/{sold(source)}"
    assert get(box, path, {"Authorization": "Bearer nonsense"}).status == 200


def test_a_click_url_leads_to_the_offer(box: Sandbox, source: Source) -> None:
    [offer, _] = clicks(box, sold(source), pid="other").data["offers"]
    path = urlsplit(offer["clickUrl"]).path
    assert path.split("/")[5] == "other"
    answer = get(box, path)
    assert answer.rows == {"PT-REDIR-302"}
    assert answer.headers["location"] == "https://one.example.com/?a=1&b=2"


@pytest.mark.parametrize("place", [3, 4, 6])
def test_a_click_url_that_was_changed_leads_nowhere(box: Sandbox, source: Source, place: int) -> None:
    parts = f"/api/click/cl_1/cmp/src/{sold(source)}".split("/")
    parts[place] = "changed"
    answer = get(box, "/".join(parts))
    assert answer.rows == {"PT-REDIR-400"}
    assert "location" not in answer.headers


def test_a_click_url_names_a_strange_transaction_safely(box: Sandbox, source: Source) -> None:
    own = f"a b/?&#{number()}é"
    assert sold(source, transaction_id=own) == own
    listing = get(box, "/api/click/list/cmp/" + "x")
    assert listing.status == 400, "a slash in an id cannot stand in a path"


# --- tenants and the journal ----------------------------------------------------------------------------------


def test_each_tenant_s_tokens_campaigns_and_accounts_lead_to_it_alone(built_in: Sandbox) -> None:
    one, two = Tenant(built_in.base_url), Tenant(built_in.base_url)
    own = one.say("pingtree form", transaction_id="txn_same").json()["data"]["transaction_id"]
    for operation, http in {"fetch": 200, "event": 200, "clicks": 200, "update": 201}.items():
        fields = {"event_id": "evt_signup"} if operation == "event" else {}
        mine = one.say(f"pingtree {operation}", transaction_id=own, **fields)
        theirs = two.say(f"pingtree {operation}", transaction_id=own, **fields)
        assert (mine.status_code, theirs.status_code) == (http, 400), operation
    assert one.say("pingtree list").json()["data"]["total"] == 1
    assert two.say("pingtree list").json()["data"]["total"] == 0
    assert one.say("pingtree global_event", transaction_id=own, event_id="evt_visit").status_code == 200


def test_a_request_after_the_sale_is_in_its_tenant_s_journal_with_the_reason(built_in: Sandbox) -> None:
    tenant = Tenant(built_in.base_url)
    tenant.say("pingtree event", event_id="unheard of", transaction_id="txn_x")
    [entry] = tenant.control("GET", "requests").json()["requests"]
    assert (entry["operation"], entry["reason"]) == ("event", "event_unknown")


def test_a_store_that_was_closed_still_knows_which_events_were_fired(tmp_path: Path) -> None:
    with running(tmp_path, CONFIG) as box:
        own = sold(box.source("lnk"))
        assert fire(box, event_id="signup", transaction_id=own).status == 200
    with running(tmp_path, CONFIG) as box:
        box.control("clock", {"advance": "3 s"})
        assert fire(box, event_id="signup", transaction_id=own).status == 400
        assert fetch(box.source("lnk"), own).data["leadStatus"] == "accepted"


# --- generation 1 ---------------------------------------------------------------------------------------------


def test_generation_1_is_flat_after_the_sale_too(tmp_path: Path) -> None:
    config = {"pingtree": {**CONFIG["pingtree"], "readings": {"envelope": "gen1"}}}
    with running(tmp_path, config) as box:
        source = box.source("lnk")
        own = source.form().body["transaction_id"]
        assert update(source, own, city="Fresno").body == {
            "status": "201",
            "type": "success",
            "message": "Lead updated",
        }
        fetched = fetch(source, own).body
        assert (fetched["status"], fetched["lead_status"], fetched["isDeDupe"]) == (200, "sold", "false")
        fired = fire(box, event_id="signup", transaction_id=own).body
        assert (fired["missingFields"], fired["invalidFields"]) == ({}, {})
        refused = fire(box, event_id="sale", transaction_id=own).body
        assert refused["missingFields"] == {"revenue": "sale is a conversion: revenue is required"}
        assert len(clicks(box, own).body["offerList"]) == 2
        _generation_1_list(source, own)


def _generation_1_list(source: Source, own: str) -> None:
    answer = listed(source)
    assert answer.status == 201
    assert answer.rows == {"PT-LIST-201-G1"}
    assert [lead["transaction_id"] for lead in answer.body["leadsList"]] == [own]
    assert answer.body["totalRecord"] == 1
    today = answer.body["leadsList"][0]["createdAt"][:10]
    ways: list[dict[str, str]] = [
        {"singleDayDate": today},
        {"startDate": today, "endDate": today},
        {"dateRange": f"{today} - {today}"},
        {"sortField": "_id", "sortOrder": "asc", "limit": "10"},
    ]
    for query in ways:
        assert listed(source, **query).body["totalRecord"] == 1
    assert listed(source, singleDayDate="2020-01-01").body["totalRecord"] == 0
    for bad in ({"limit": "9"}, {"dateRange": "2026-01-01"}, {"dateRange": "x - y"}):
        assert listed(source, **bad).rows == {"PT-LIST-400"}
