"""Lead Distro AI through the front door: the order of its checks, distribution, ping tokens and webhooks."""

import hashlib
import hmac
import http.server
import json
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator.platforms.leaddistro import signing
from tests.sandbox import Answer, Sandbox, Supplier, lead, marker, phone, running, without

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PERIODS = ("day", "week", "month", "total")
SECRET = "6f1c9d0e5b7a4c3f8e2d1b0a9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def far_from_today() -> list[str]:
    return [WEEKDAYS[(datetime.now(UTC).weekday() + 3) % 7]]


def buyer(name: str, price: float = 10, **more: Any) -> dict[str, Any]:
    return {"id": name, "price": price, **more}


def campaign(name: str, *buyers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A campaign with one buyer, unless others are given."""
    return {"id": name, "buyers": list(buyers) or [buyer(f"{name}_buyer")], **more}


MAPPING = [
    {"name": "case_type", "required": True, "acceptable": ["auto", "home"], "transform": "lower"},
    {"name": "phone", "type": "phone", "transform": "phone_e164"},
    {"name": "incident_date", "type": "date", "transform": "date_iso"},
    {"name": "amount", "type": "number", "transform": "number"},
    {"name": "insured", "type": "boolean"},
    {"name": "children", "type": "integer"},
    {"name": "site", "type": "url"},
]
FILTERS = [
    {"name": "served states", "field": "state", "operator": "IN", "value": ["CA", "TX"]},
    {"name": "no spam", "field": "comment", "operator": "NOT CONTAINS", "value": "spam"},
    {"name": "dialable", "field": "phone", "operator": "MATCHES", "value": "E.164"},
    {
        "name": "recent or insured",
        "any": [
            {"field": "incident_date", "operator": ">=", "value": "730 days ago"},
            {
                "all": [
                    {"field": "insured", "operator": "==", "value": True},
                    {"field": "insurer", "operator": "IS NOT EMPTY"},
                ]
            },
        ],
    },
]
E164 = [{"name": "phone", "type": "phone", "transform": "phone_e164"}]
CSV = f"phone,email\n212-555-0199,\n,Blocked@Example.com\n{md5('2125550198')},{md5('hashed@example.com')}\n"
UNWANTED = [{"name": "unwanted", "csv": CSV}]


def campaigns(receiver: str) -> list[dict[str, Any]]:
    return [
        campaign("plain"),
        campaign("mapped", field_mapping=MAPPING),
        campaign("filtered", field_mapping=E164, inbound_filters=FILTERS),
        campaign("filtered_elsewhen", inbound_filters=FILTERS, filter_hours=[{"days": far_from_today()}]),
        campaign("suppressed", suppression=[{"name": "do not contact", "csv": CSV}]),
        campaign(
            "skipping",
            buyer("skips", 90, priority=1, suppressed=UNWANTED),
            buyer("stands_in", 20, priority=2, states=["TX"]),
            duplicates={"fields": ["case_number"]},
        ),
        campaign("strict_order", field_mapping=MAPPING, inbound_filters=FILTERS[:1]),
        campaign(
            "routing",
            buyer("first_time", states=["TX"]),
            buyer("never", 0, priority=9),
            duplicates={"inside_window": "route_to_original"},
        ),
        campaign("by_case", duplicates={"fields": ["case_number"]}),
        campaign("waterfall", buyer("w_second", 99, priority=2), buyer("w_first", 1, priority=1, caps={"total": 2})),
        campaign("round", *(buyer(f"r{n}") for n in range(3)), distribution="round_robin"),
        campaign("heavy", buyer("h_all", weight=5), buyer("h_none", weight=0), distribution="weighted"),
        campaign("uneven", buyer("u_most", weight=9), buyer("u_few", weight=1), distribution="weighted"),
        campaign(
            "states", buyer("californian", states=["CA"], priority=1), buyer("floridian", states=["FL"], priority=2)
        ),
        campaign("picky", buyer("picks", filters=[{"field": "children", "operator": ">", "value": 2}])),
        campaign("asleep", buyer("sleeps", hours=[{"days": far_from_today()}])),
        *(campaign(f"full_{period}", buyer(f"full_{period}", caps={period: 0})) for period in PERIODS),
        *(
            campaign(f"broke_{period}", buyer(f"broke_{period}", 10, caps={"dollars": {period: 9.99}}))
            for period in PERIODS
        ),
        campaign("rich", buyer("rich", 10, caps={"dollars": {"total": 25}})),
        campaign("three", buyer("three", caps={"total": 3})),
        campaign("pinged", buyer("p_first", 50, priority=1), buyer("p_second", 40, priority=2), routing="ping_post"),
        campaign("pinged_other", routing="ping_post"),
        campaign("pinged_expired", routing="ping_post", ping_lifetime=0.000001),
        campaign(
            "pinged_round",
            *(buyer(f"pr{n}", 10 + n) for n in range(3)),
            routing="ping_post",
            distribution="round_robin",
        ),
        campaign("hooked", buyer("hooked", 12.5, webhook={"url": receiver, "secret": SECRET})),
        campaign("unlinked"),
    ]


UNLIMITED = {"ping": None, "ingest": None}


def config(receiver: str) -> dict[str, Any]:
    found = campaigns(receiver)
    linked = [item["id"] for item in found if item["id"] != "unlinked"]
    suppliers = [
        {"id": name, "api_key": f"key_{name}", "campaigns": linked, "limits": UNLIMITED, "test_mode": name == "tester"}
        for name in ("main", "second", "tester")
    ]
    return {"leaddistro": {"campaigns": found, "suppliers": suppliers}}


Received = tuple[dict[str, str], bytes]


class _Receiver(http.server.BaseHTTPRequestHandler):
    """An integrator's receiver. It keeps the raw bytes, as the vendor's recipe asks."""

    inbox: "queue.Queue[Received]"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.inbox.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
        """Say nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[str, "queue.Queue[Received]"]]:
    inbox: queue.Queue[Received] = queue.Queue()
    handler = type("Receiver", (_Receiver,), {"inbox": inbox})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/leads", inbox
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sandbox(
    tmp_path_factory: pytest.TempPathFactory, receiver: tuple[str, "queue.Queue[Received]"]
) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("leaddistro"), config(receiver[0])) as started:
        yield started
        assert started.log.read_text() == ""


To = Callable[..., Supplier]


@pytest.fixture
def to(sandbox: Sandbox) -> To:
    """Return a supplier speaking of a campaign: `to("plain")`, `to("plain", "second")`."""

    def supplier(campaign_id: str, supplier_id: str = "main") -> Supplier:
        return sandbox.supplier(supplier_id, campaign_id)

    return supplier


def buyer_of(answer: Answer) -> Any:
    return answer.data["buyer_id"]


# --- ingest: the plain endings --------------------------------------------------------------------------------


def test_a_lead_is_accepted_with_its_buyer(sandbox: Sandbox, to: To) -> None:
    answer = to("plain").ingest()
    assert "LD-ING-201-ACCEPTED" in answer.rows
    assert answer.data | {"id": "x"} == {
        "id": "x",
        "status": "ACCEPTED",
        "buyer_id": "plain_buyer",
        "campaign_id": "plain",
    }
    assert sandbox.query("SELECT status, buyer_id FROM leads WHERE id = ?", answer.data["id"]) == [
        ("ACCEPTED", "plain_buyer")
    ]


def test_a_lead_that_no_buyer_may_have_is_unmatched_and_stored(sandbox: Sandbox, to: To) -> None:
    answer = to("states").ingest(state="NY")
    assert answer.rows == {"LD-ING-200-UNMATCHED"}
    assert buyer_of(answer) is None
    assert sandbox.query("SELECT status FROM leads WHERE id = ?", answer.data["id"]) == [("UNMATCHED",)]


def test_a_lead_may_be_form_encoded(sandbox: Sandbox, to: To) -> None:
    mapped = to("mapped")
    mark = marker()
    sent = {**mapped.ids, **lead(), "case_type": "AUTO", "children": "3", "insured": "no", "mark": mark}
    assert mapped.send("ingest", sent, form=True).status == 201
    seen = sandbox.webhook("mapped_buyer", custom_fields=custom(mark, case_type="auto", children=3, insured=False))
    assert seen["signature"] == "good"


def custom(mark: str, **more: Any) -> dict[str, Any]:
    return {**more, "mark": mark}


def test_a_ping_may_be_form_encoded(to: To) -> None:
    plain = to("plain")
    assert plain.send("ping", {**plain.ids, "state": "TX"}, form=True).body["accepted"] is True


# --- the order of the checks: 401, 400 ids, 404, 403, 400 fields, 422, duplicate, distribution ---------------


def faulty(sandbox: Sandbox, *faults: str) -> Answer:
    """Send a lead that has every fault named."""
    supplier = sandbox.supplier("main", "strict_order")
    fields: dict[str, Any] = {**supplier.ids, **lead(), "case_type": "auto", "state": "TX"}
    if "duplicate" in faults:
        assert supplier.ingest(fields).status == 201
    headers = {"x-api-key": "nobody's"} if "key" in faults else supplier.auth
    if "filter" in faults:
        fields["state"] = "NY"
    if "field" in faults:
        del fields["case_type"]
    if "link" in faults:
        fields["flo_campaign_id"] = "unlinked"
    if "campaign" in faults:
        fields["flo_campaign_id"] = "no_such_campaign"
    if "supplier" in faults:
        fields["flo_supplier_id"] = "second"
    if "id" in faults:
        del fields["flo_supplier_id"]
    return supplier.send("ingest", fields, headers=headers)


ORDER = [
    ("key", "LD-ING-401-UNAUTHORIZED"),
    ("id", "LD-ING-400-VALIDATION"),
    ("campaign", "LD-ING-404-CAMPAIGN"),
    ("supplier", "LD-ING-403-FORBIDDEN"),
    ("link", "LD-ING-403-FORBIDDEN"),
    ("field", "LD-ING-400-VALIDATION"),
    ("filter", "LD-ING-422-FILTER"),
    ("duplicate", "LD-ING-200-DUPLICATE"),
]
PAIRS = [(ORDER[a], ORDER[b][0]) for a in range(len(ORDER)) for b in range(a + 1, len(ORDER))]


@pytest.mark.parametrize(("fault", "row"), ORDER)
def test_each_check_alone_has_its_answer(sandbox: Sandbox, fault: str, row: str) -> None:
    assert row in faulty(sandbox, fault).rows


@pytest.mark.parametrize(("earlier", "later"), PAIRS)
def test_the_earlier_check_answers_when_two_fail(sandbox: Sandbox, earlier: tuple[str, str], later: str) -> None:
    fault, row = earlier
    answer = faulty(sandbox, fault, later)
    assert row in answer.rows
    if fault == "id":
        assert "flo_supplier_id" in answer.fields_in_error
    if fault == "field":
        assert answer.fields_in_error == {"case_type": "required"}


def test_an_unlinked_campaign_is_told_from_a_foreign_supplier_by_the_message_alone(sandbox: Sandbox) -> None:
    messages = {faulty(sandbox, fault).body["message"] for fault in ("link", "supplier")}
    assert len(messages) == 2


@pytest.mark.parametrize(
    ("fault", "row"),
    [
        ("key", "LD-PING-401"),
        ("id", "LD-PING-400"),
        ("campaign", "LD-PING-404"),
        ("supplier", "LD-PING-403"),
        ("link", "LD-PING-403"),
    ],
)
def test_a_ping_is_refused_as_an_ingest_is(to: To, fault: str, row: str) -> None:
    plain = to("plain")
    change = {
        "key": {},
        "id": {"flo_campaign_id": ""},
        "campaign": {"flo_campaign_id": "no_such_campaign"},
        "supplier": {"flo_supplier_id": "second"},
        "link": {"flo_campaign_id": "unlinked"},
    }[fault]
    headers = {"x-api-key": "nobody's"} if fault == "key" else plain.auth
    assert plain.send("ping", {**plain.ids, **change}, headers=headers).rows == {row}


@pytest.mark.parametrize("operation", ["ping", "ingest"])
@pytest.mark.parametrize(
    "headers", [{"x-api-key": ""}, {"x-api-key": "key_mai"}, {"x-api-key": "KEY_MAIN"}, {"x-api-key": "key_main x"}]
)
def test_only_the_exact_key_opens(to: To, operation: str, headers: dict[str, str]) -> None:
    plain = to("plain")
    assert plain.send(operation, {**plain.ids, **lead()}, headers=headers).status == 401


def test_a_bearer_token_or_a_key_in_the_query_is_no_key(sandbox: Sandbox, to: To) -> None:
    body = json.dumps({**to("plain").ids, **lead(), "x-api-key": "key_main"}).encode()
    json_type = {"Content-Type": "application/json"}
    for headers in ({}, {"Authorization": "Bearer key_main"}, {"Authorization": "key_main"}):
        answer = sandbox.call("POST", "/api/v1/ingest?x-api-key=key_main", headers | json_type, body)
        assert answer.status == 401


def test_the_header_s_name_is_case_insensitive(sandbox: Sandbox, to: To) -> None:
    body = json.dumps({**to("plain").ids, **lead()}).encode()
    headers = {"X-API-KEY": "key_main", "CONTENT-TYPE": "application/json; charset=utf-8"}
    assert sandbox.call("POST", "/api/v1/ingest", headers, body).status == 201


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "FOO"])
@pytest.mark.parametrize("operation", ["ping", "ingest"])
@pytest.mark.parametrize("key", ["key_main", "nobody's"])
def test_a_wrong_method_is_405_with_allow(sandbox: Sandbox, method: str, operation: str, key: str) -> None:
    answer = sandbox.call(method, f"/api/v1/{operation}", {"x-api-key": key})
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


# --- fields ---------------------------------------------------------------------------------------------------


def test_every_faulty_field_is_named_at_once(to: To) -> None:
    answer = to("mapped").ingest(
        first_name="",
        last_name=None,
        phone="555",
        email="nobody",
        state="Texas",
        zip_code="1",
        children=2.5,
        insured="perhaps",
        incident_date="soon",
        amount="plenty",
        site="here",
    )
    assert answer.fields_in_error == {
        "first_name": "required",
        "last_name": "required",
        "case_type": "required",
        "phone": "invalid_format",
        "email": "invalid_format",
        "state": "invalid_format",
        "zip_code": "invalid_format",
        "children": "invalid_format",
        "insured": "invalid_format",
        "incident_date": "invalid_format",
        "amount": "invalid_format",
        "site": "invalid_format",
    }


def test_missing_ids_and_the_other_documented_fields_are_named_together(to: To) -> None:
    answer = to("plain").send("ingest", {"phone": "555"})
    assert answer.fields_in_error == {
        **dict.fromkeys(["flo_campaign_id", "flo_supplier_id", "first_name", "last_name", "email"], "required"),
        "phone": "invalid_format",
    }


@pytest.mark.parametrize("value", [None, "", " ", ...])
@pytest.mark.parametrize("name", ["flo_campaign_id", "flo_supplier_id", "first_name", "last_name", "phone", "email"])
def test_a_documented_field_is_required(to: To, name: str, value: Any) -> None:
    plain = to("plain")
    fields = without({**plain.ids, **lead()}, name)
    answer = plain.send("ingest", fields if value is ... else {**fields, name: value})
    assert answer.fields_in_error == {name: "required"}


@pytest.mark.parametrize("value", [7, True, ["plain"], {"id": "plain"}, 1.5])
@pytest.mark.parametrize("name", ["flo_campaign_id", "flo_supplier_id", "first_name", "phone", "email", "flo_ping_id"])
def test_a_documented_field_is_text(to: To, name: str, value: Any) -> None:
    plain = to("plain")
    assert plain.send("ingest", {**plain.ids, **lead(), name: value}).fields_in_error == {name: "invalid_format"}


def test_a_ping_needs_no_more_than_the_two_ids(to: To) -> None:
    mapped = to("mapped")
    assert mapped.send("ping", mapped.ids).body["accepted"] is True


def test_a_field_in_a_ping_must_have_its_format(to: To) -> None:
    assert to("mapped").ping(phone="555", children="x").fields_in_error == {
        "phone": "invalid_format",
        "children": "invalid_format",
    }


@pytest.mark.parametrize(
    ("sent", "becomes"),
    [
        ({"phone": "(212) 555-0123"}, {"phone": "+12125550123"}),
        ({"phone": "1-212-555-0124"}, {"phone": "+12125550124"}),
        ({"phone": "+44 20 7946 0123"}, {"phone": "+442079460123"}),
        ({"case_type": "AUTO"}, {"case_type": "auto"}),
        ({"incident_date": "1/31/2026"}, {"incident_date": "2026-01-31"}),
        ({"incident_date": "2026-01-31"}, {"incident_date": "2026-01-31"}),
        ({"amount": "$1,234.50"}, {"amount": 1234.5}),
        ({"amount": "1000"}, {"amount": 1000}),
    ],
)
def test_a_transform_changes_what_is_delivered(
    sandbox: Sandbox, to: To, sent: dict[str, Any], becomes: dict[str, Any]
) -> None:
    mark = marker()
    answer = to("mapped").ingest({"case_type": "home", "mark": mark, **sent})
    assert answer.status == 201
    [(stored,)] = sandbox.query("SELECT values_json FROM leads WHERE id = ?", answer.data["id"])
    assert becomes.items() <= json.loads(stored).items()
    body = sandbox.webhook("mapped_buyer", id=answer.data["id"])["body"]
    assert becomes.items() <= {**body, **body["custom_fields"]}.items()


def test_a_value_that_cannot_be_transformed_is_named(to: To) -> None:
    answer = to("mapped").ingest(case_type="auto", incident_date="31/1/2026", amount="1,2,x")
    assert answer.fields_in_error == {"incident_date": "invalid_format", "amount": "invalid_format"}


# --- inbound filters ------------------------------------------------------------------------------------------

RECENT = (datetime.now(UTC) - timedelta(days=700)).date().isoformat()
OLD = (datetime.now(UTC) - timedelta(days=800)).date().isoformat()
PASSES = {"state": "TX", "incident_date": RECENT}


@pytest.mark.parametrize(
    ("fields", "failed"),
    [
        ({}, []),
        ({"state": "NY"}, ["served states"]),
        ({"state": None}, ["served states"]),
        ({"comment": "Buy SPAM now"}, ["no spam"]),
        ({"incident_date": OLD}, ["recent or insured"]),
        ({"incident_date": OLD, "insured": True}, ["recent or insured"]),
        ({"incident_date": OLD, "insured": True, "insurer": " "}, ["recent or insured"]),
        ({"incident_date": OLD, "insured": True, "insurer": "Acme"}, []),
        ({"incident_date": None, "insured": False, "insurer": "Acme"}, ["recent or insured"]),
        ({"state": "NY", "comment": "spam", "incident_date": OLD}, ["served states", "no spam", "recent or insured"]),
    ],
)
def test_filters_name_every_rule_that_fails(to: To, fields: dict[str, Any], failed: list[str]) -> None:
    answer = to("filtered").ingest({**PASSES, **fields})
    if not failed:
        assert answer.data["status"] == "ACCEPTED"
    else:
        assert answer.rows == {"LD-ING-422-FILTER"}
        assert [item["rule"] for item in answer.body["filter_errors"]] == failed
    ping = to("filtered").ping({**PASSES, "phone": "2125550123", **fields})
    assert ping.rows == ({"LD-PING-200-FILTERED"} if failed else {"LD-PING-200-ACCEPTED"})


def test_a_filtered_lead_is_not_stored(sandbox: Sandbox, to: To) -> None:
    before = sandbox.stored()
    to("filtered").ingest(state="NY")
    assert sandbox.stored() == before


def test_filters_outside_their_hours_let_everything_pass(to: To) -> None:
    assert to("filtered_elsewhen").ingest(state="NY", comment="spam").status == 201


# --- suppression ----------------------------------------------------------------------------------------------

ON_THE_LIST = [
    {"phone": "2125550199"},
    {"phone": "+1 (212) 555-0199"},
    {"email": "BLOCKED@example.com"},
    {"phone": "2125550198"},
    {"email": "hashed@example.com"},
]


@pytest.mark.parametrize("who", ON_THE_LIST)
def test_a_campaign_s_list_refuses_the_person(to: To, who: dict[str, str]) -> None:
    answer = to("suppressed").ingest(who)
    assert answer.rows == {"LD-ING-422-SUPPRESS"}
    assert [item["rule"] for item in answer.body["filter_errors"]] == ["do not contact"]
    assert to("suppressed").ping(who).rows == {"LD-PING-200-SUPPRESSED"}


@pytest.mark.parametrize("who", ON_THE_LIST)
def test_a_buyer_s_list_skips_the_buyer_in_silence(to: To, who: dict[str, str]) -> None:
    answer = to("skipping").ingest(who)
    assert "LD-ING-2XX-SUPPRESS-SKIP" in answer.rows
    assert buyer_of(answer) == "stands_in"


def test_somebody_else_goes_to_the_buyer_with_the_list(to: To) -> None:
    assert buyer_of(to("skipping").ingest()) == "skips"


def test_when_every_buyer_is_skipped_the_lead_is_unmatched(to: To) -> None:
    answer = to("skipping").ingest(state="CA", email="hashed@example.com")
    assert answer.rows == {"LD-ING-200-UNMATCHED"}
    assert to("skipping").ping(state="CA", phone="2125550198").rows == {"LD-PING-200-NO-BUYER"}


# --- duplicates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", ["phone", "email"])
def test_a_person_is_a_duplicate_by_phone_or_email_alone(to: To, same: str) -> None:
    who = lead()
    assert to("plain").ingest(who).status == 201
    answer = to("plain").ingest({same: who[same]})
    assert answer.rows == {"LD-ING-200-DUPLICATE"}
    assert buyer_of(answer) is None
    assert to("plain").ping({same: who[same]}).rows == {"LD-PING-200-DUPLICATE"}


def test_spelling_makes_nobody_new(to: To) -> None:
    who = lead()
    to("plain").ingest(who)
    digits = who["phone"]
    written = f"+1 ({digits[:3]}) {digits[3:6]}-{digits[6:]}"
    assert to("plain").ingest(phone=written).data["status"] == "DUPLICATE"
    assert to("plain").ingest(email=who["email"].upper()).data["status"] == "DUPLICATE"


def test_a_duplicate_of_another_supplier_s_lead_is_one_and_of_another_campaign_s_is_none(to: To) -> None:
    who = lead()
    to("plain").ingest(who)
    assert to("plain", "second").ingest(who).data["status"] == "DUPLICATE"
    assert to("picky").ingest(who, children=3).data["status"] == "ACCEPTED"


def test_a_routed_duplicate_goes_to_the_original_buyer_even_where_it_would_not_be_eligible(
    sandbox: Sandbox, to: To
) -> None:
    who = lead()
    assert buyer_of(to("routing").ingest(who, state="TX")) == "first_time"
    answer = to("routing").ingest(who, state="NY")
    assert "LD-ING-201-DUP-ROUTED" in answer.rows
    assert buyer_of(answer) == "first_time"
    assert to("routing").ping(who).body["accepted"] is True
    [(is_duplicate,)] = sandbox.query("SELECT is_duplicate FROM leads WHERE id = ?", answer.data["id"])
    assert is_duplicate == 1


def test_duplicates_may_be_told_by_a_custom_field(to: To) -> None:
    who, number = lead(), marker()
    assert to("by_case").ingest(who, case_number=number).status == 201
    assert to("by_case").ingest(case_number=number).data["status"] == "DUPLICATE"
    assert to("by_case").ingest(who, case_number=marker()).data["status"] == "ACCEPTED"
    assert to("by_case").ingest(who).data["status"] == "ACCEPTED"


# --- distribution and caps ------------------------------------------------------------------------------------


def test_a_waterfall_serves_the_lower_priority_first_until_its_cap_is_full(to: To) -> None:
    assert [buyer_of(to("waterfall").ingest()) for _ in range(4)] == ["w_first", "w_first", "w_second", "w_second"]


def test_a_round_robin_serves_everybody_in_turn(to: To) -> None:
    served = [buyer_of(to("round").ingest()) for _ in range(9)]
    assert Counter(served) == {"r0": 3, "r1": 3, "r2": 3}
    assert served[:3] == served[3:6] == served[6:]


def test_a_weight_of_zero_gets_nothing_while_others_can(to: To) -> None:
    assert {buyer_of(to("heavy").ingest()) for _ in range(12)} == {"h_all"}


def test_weights_decide_how_often_a_buyer_is_first(to: To) -> None:
    served = Counter(buyer_of(to("uneven").ingest()) for _ in range(40))
    # That the buyer with nine tenths gets less than half of 40 has a chance of about 1 in 10^11.
    assert served["u_most"] > 20


def test_buyers_take_only_leads_of_their_states(to: To) -> None:
    taken = [buyer_of(to("states").ingest(state=state)) for state in ("CA", "fl", "TX")]
    assert taken == ["californian", "floridian", None]


def test_a_buyer_without_a_state_to_look_at_is_not_served(to: To) -> None:
    assert buyer_of(to("states").ingest(state=None)) is None


def test_buyers_have_filters_and_hours_of_their_own(to: To) -> None:
    assert buyer_of(to("picky").ingest(children=3)) == "picks"
    assert buyer_of(to("picky").ingest(children=2)) is None
    assert buyer_of(to("asleep").ingest()) is None


@pytest.mark.parametrize("kind", ["full", "broke"])
@pytest.mark.parametrize("period", PERIODS)
def test_a_full_cap_leaves_the_lead_unmatched(to: To, kind: str, period: str) -> None:
    assert to(f"{kind}_{period}").ingest().rows == {"LD-ING-200-UNMATCHED"}
    assert to(f"{kind}_{period}").ping().rows == {"LD-PING-200-NO-BUYER"}


def test_a_dollar_cap_is_never_overshot(to: To) -> None:
    assert [to("rich").ingest().data["status"] for _ in range(3)] == ["ACCEPTED", "ACCEPTED", "UNMATCHED"]


def test_test_leads_do_not_count_in_caps_and_are_not_stopped_by_them(to: To) -> None:
    for supplier, status in [("tester", "ACCEPTED")] * 2 + [("main", "ACCEPTED")] * 3 + [("main", "UNMATCHED")]:
        assert to("three", supplier).ingest().data["status"] == status
    assert to("three", "tester").ingest().data["status"] == "ACCEPTED"


def test_pings_take_nothing_from_a_cap(sandbox: Sandbox, to: To) -> None:
    before = sandbox.stored()
    for _ in range(3):
        assert to("waterfall").ping().body["accepted"] is True
    assert sandbox.stored() == before


# --- ping tokens ----------------------------------------------------------------------------------------------


def test_a_ping_answers_with_a_token_and_stores_nothing(sandbox: Sandbox, to: To) -> None:
    before = sandbox.stored()
    answer = to("pinged").ping(phone=phone())
    assert answer.rows == {"LD-PING-200-ACCEPTED"}
    assert answer.body["ping_id"].startswith("eyJjaWQiOi")
    assert sandbox.stored() == before


def test_a_ping_post_campaign_takes_the_token_of_its_ping(to: To) -> None:
    assert to("pinged").ingest(flo_ping_id=to("pinged").promised()).data["status"] == "ACCEPTED"


def test_a_direct_post_campaign_may_be_pinged_too(to: To) -> None:
    assert to("plain").ingest(flo_ping_id=to("plain").promised()).data["status"] == "ACCEPTED"


def token_error(answer: Answer) -> tuple[dict[str, str], frozenset[str]]:
    return answer.fields_in_error, answer.rows


@pytest.mark.parametrize("missing", [None, "", ...])
def test_a_ping_post_campaign_refuses_a_lead_without_a_token(to: To, missing: Any) -> None:
    answer = to("pinged").ingest({} if missing is ... else {"flo_ping_id": missing})
    assert answer.fields_in_error == {"flo_ping_id": "required"}
    assert "LD-ING-PING-MISSING" in answer.rows


def tampered(token: str) -> list[str]:
    claims, _, signature = token.partition(".")
    other = "A" if signature[0] != "A" else "B"
    return [
        f"{claims}.{other}{signature[1:]}",
        f"{other}{claims[1:]}.{signature}",
        claims,
        f"{claims}.",
        f"{token}A",
        token[:-1],
        f" {token}",
        token.swapcase(),
        "eyJjaWQiOiJkZDJiM2",
        "é",
        "x" * 10_000,
    ]


def test_an_altered_token_is_refused_and_costs_the_good_one_nothing(to: To) -> None:
    pinged = to("pinged")
    token = pinged.promised()
    for bad in tampered(token):
        answer = pinged.ingest(flo_ping_id=bad)
        assert answer.status == 400, bad
        assert list(answer.fields_in_error) == ["flo_ping_id"]
    assert pinged.ingest(flo_ping_id=token).status == 201


@pytest.mark.parametrize(("campaign_id", "supplier"), [("pinged_other", "main"), ("pinged", "second")])
def test_a_token_belongs_to_its_campaign_and_supplier(to: To, campaign_id: str, supplier: str) -> None:
    token = to("pinged").promised()
    answer = to(campaign_id, supplier).ingest(flo_ping_id=token)
    assert list(answer.fields_in_error) == ["flo_ping_id"]
    assert "LD-ING-PING-MISMATCH" in answer.rows
    assert to("pinged").ingest(flo_ping_id=token).status == 201


def test_a_token_is_good_once(to: To) -> None:
    pinged = to("pinged")
    token = pinged.promised()
    assert pinged.ingest(flo_ping_id=token).status == 201
    answer = pinged.ingest(flo_ping_id=token)
    assert list(answer.fields_in_error) == ["flo_ping_id"]
    assert "LD-ING-PING-REUSED" in answer.rows


def test_an_expired_token_is_refused(to: To) -> None:
    expired = to("pinged_expired")
    answer = expired.ingest(flo_ping_id=expired.promised())
    assert list(answer.fields_in_error) == ["flo_ping_id"]
    assert "LD-ING-PING-EXPIRED" in answer.rows


def test_a_lead_that_was_refused_for_its_fields_does_not_use_its_token_up(to: To) -> None:
    pinged = to("pinged")
    token = pinged.promised()
    assert pinged.ingest(flo_ping_id=token, phone="555").status == 400
    assert pinged.ingest(flo_ping_id=token).status == 201


def test_the_buyer_that_the_ping_promised_gets_the_lead_at_the_promised_price(sandbox: Sandbox, to: To) -> None:
    pinged = to("pinged_round")
    token = pinged.promised()
    direct = [pinged.ingest(flo_ping_id=pinged.promised()) for _ in range(2)]
    answer = pinged.ingest(flo_ping_id=token)
    # Round robin alone would give three leads in a row to three buyers.
    assert {buyer_of(one) for one in (*direct, answer)} == {"pr0"}
    [(cents,)] = sandbox.query("SELECT price_cents FROM leads WHERE id = ?", answer.data["id"])
    assert cents == 1000


# --- webhooks -------------------------------------------------------------------------------------------------


def signature_of(secret: str, body: bytes) -> str:
    """The vendor's recipe: HMAC-SHA256 over the raw body, keyed with the secret as text, as lower-case hex."""
    return hmac.new(secret.encode("ascii"), body, hashlib.sha256).hexdigest()


def test_an_integrator_s_receiver_can_verify_the_signature_by_the_vendor_s_recipe(
    to: To, receiver: tuple[str, "queue.Queue[Received]"]
) -> None:
    _, inbox = receiver
    sent = {**lead(), "first_name": "José", "note": 'quote " and \u2028', "nested": {"b": 1, "a": [1.5, None]}}
    answer = to("hooked").ingest(sent)
    headers, body = inbox.get(timeout=20)
    assert hmac.compare_digest(headers["x-leaddistro-signature"], signature_of(SECRET, body))
    assert headers["content-type"] == "application/json"
    told = json.loads(body)
    assert told["id"] == answer.data["id"]
    assert told["is_test"] is False
    assert told["price"] == "12.50"
    assert told["first_name"] == "José"
    assert told["custom_fields"] == {"note": sent["note"], "nested": sent["nested"]}


def test_a_changed_byte_or_another_secret_breaks_the_signature(
    to: To, receiver: tuple[str, "queue.Queue[Received]"]
) -> None:
    _, inbox = receiver
    to("hooked").ingest()
    headers, body = inbox.get(timeout=20)
    given = headers["x-leaddistro-signature"]
    assert given == signature_of(SECRET, body)
    assert given != signature_of(SECRET, body + b" ")
    assert given != signature_of(SECRET[:-1], body)


def test_a_test_supplier_s_lead_is_marked_in_the_webhook_and_in_the_store(sandbox: Sandbox, to: To) -> None:
    answer = to("plain", "tester").ingest()
    seen = sandbox.webhook("plain_buyer", id=answer.data["id"])
    assert seen["body"]["is_test"] is True
    assert seen["signature"] == "good"
    assert sandbox.query("SELECT is_test FROM leads WHERE id = ?", answer.data["id"]) == [(1,)]


def test_a_webhook_tells_nothing_of_the_supplier_s_credentials_or_token(sandbox: Sandbox, to: To) -> None:
    token = to("pinged").promised()
    answer = to("pinged").ingest(flo_ping_id=token)
    body = sandbox.webhook(buyer_of(answer), id=answer.data["id"])["body"]
    assert token not in json.dumps(body)
    assert "key_main" not in json.dumps(body)
    assert not any(name.startswith("flo_") for name in body["custom_fields"])


@pytest.mark.parametrize(("campaign_id", "fields"), [("states", {"state": "NY"}), ("filtered", {"state": "NY"})])
def test_a_lead_without_a_buyer_makes_no_webhook(
    sandbox: Sandbox, to: To, campaign_id: str, fields: dict[str, Any]
) -> None:
    before = sandbox.stored()["outbox"]
    to(campaign_id).ingest(fields)
    assert sandbox.stored()["outbox"] == before


def test_a_duplicate_makes_no_webhook_and_a_routed_one_makes_one(sandbox: Sandbox, to: To) -> None:
    who = lead()
    to("plain").ingest(who)
    to("routing").ingest(who)
    before = sandbox.stored()["outbox"]
    to("plain").ingest(who)
    assert sandbox.stored()["outbox"] == before
    to("routing").ingest(who)
    assert sandbox.stored()["outbox"] == before + 1


@pytest.mark.parametrize("claims", [{"cid": "campaign_pingpost"}, {"cid": "campaign_pingpost", "exp": 2**40}])
def test_a_well_signed_token_with_absurd_claims_is_invalid(built_in: Sandbox, claims: dict[str, Any]) -> None:
    # The built-in secret is public, so anybody can sign anything.
    secret = b"leadsandbox-secret-known-to-everyone default"
    promised = {"sid": "supplier_xyz789", "bid": "buyer_pp1", "price": "50", "jti": marker(), **claims}
    token = signing.ping_token(secret, promised)
    answer = built_in.supplier(campaign="campaign_pingpost").ingest(flo_ping_id=token)
    assert answer.fields_in_error == {"flo_ping_id": "invalid"}
