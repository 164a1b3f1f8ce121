"""Pingtree through the front door: every answer that plain input can reach, and what the buyers saw meanwhile."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox import Answer, Sandbox, Source, attributes, encoded, marker, person, phone, running, without

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PERIODS = ("hour", "day", "week", "month", "total")
OPERATIONS = ("ping", "post", "form")
LISTED = "2125550199"

STATE = {"name": "state", "type": "state", "required": ["ping", "post", "form"]}
FIELDS = [
    STATE,
    {"name": "zip_code", "type": "zip"},
    {"name": "loan_amount", "type": "number"},
    {"name": "credit_score", "acceptable": ["excellent", "good"]},
    {"name": "home_owner", "type": "boolean"},
    {"name": "mobile", "type": "phone", "required": ["post", "form"], "transform": "phone_digits"},
]


def days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).date().isoformat()


def closed_now() -> list[dict[str, Any]]:
    """Opening hours on a weekday that is neither today nor next to it, anywhere on earth."""
    return [{"days": [WEEKDAYS[(datetime.now(UTC).weekday() + 3) % 7]]}]


def listed(days: int, ago: int) -> list[dict[str, Any]]:
    return [{"name": "do not call", "field": "mobile", "values": [LISTED], "days": days, "listed": days_ago(ago)}]


def source(name: str, **gates: Any) -> dict[str, Any]:
    return {"id": f"src_{name}", "link_id": f"lnk_{name}", "fields": FIELDS, **gates}


def buyer(name: str, bid: float, **more: Any) -> dict[str, Any]:
    """A buyer that is eligible when `sub2` names it, so that each test chooses its bidders."""
    persona = {"price": bid, "redirect_url": "", **more.pop("persona", {})}
    chosen = {"field": "sub2", "operator": "CONTAINS", "value": name}
    return {"id": name, "name": name.title(), "persona": persona, "filters": [chosen], **more}


GATES: dict[str, dict[str, Any]] = {
    **{f"full_{period}": {"caps": {period: 0}} for period in PERIODS},
    "closed": {"hours": closed_now()},
    "newyork": {"states": ["NY"]},
    "manhattan": {"zip_codes": ["10001", "10002"]},
    "rich": {"conditions": [{"name": "rich", "field": "loan_amount", "operator": ">=", "value": 1000}]},
    "forever": {"suppressions": listed(0, 2000)},
    "within": {"suppressions": listed(90, 80)},
    "after": {"suppressions": listed(90, 91)},
    "open": {"hours": [{"days": list(WEEKDAYS)}], "caps": dict.fromkeys(PERIODS, 10**6)},
    "single": {"caps": {"total": 1}},
    "expired": {"ping_lifetime": 0.000001},
    "dedupe": {"duplicates": {"fields": ["mobile", "email"], "days": 30}},
    "by_case": {"duplicates": {"fields": ["case_number"], "days": 30}},
    "plain": {},
    "other": {},
}

BUYERS = [
    buyer("alpha", 40, tcpa="You agree to be called by Alpha."),
    buyer("beta", 55, persona={"redirect_url": "https://beta.example.com/hello"}),
    buyer("gamma", 55),
    buyer("turncoat", 80, persona={"persona": "two_faced"}),
    buyer("traitor", 90, persona={"persona": "two_faced"}),
    buyer("refuser", 99, persona={"mode": "refuse"}),
    buyer("breaker", 99, persona={"mode": "break"}),
    buyer("garbler", 99, persona={"persona": "garbled"}),
    buyer("frugal", 5, minimum_price=10),
    buyer("bypass", 20, price=20, bypass_ping=True, persona={"bypass_ping": True}),
    buyer("onlyone", 70, caps={"total": 1}),
    buyer("texan", 95, states=["TX"]),
    buyer("sleeper", 95, hours=closed_now()),
    buyer("formist", 33, format="form", mapping={"state": "st"}, persona={"mapping": {"state": "st"}}),
    buyer("getter", 34, method="GET"),
    buyer("choosy", 35, ping_fields=["state"]),
    buyer(
        "nester",
        36,
        answer_keys={"accepted": "result.ok", "bid": "result.price", "ping_id": "token"},
        persona={"answer_keys": {"accepted": "result.ok", "bid": "result.price", "ping_id": "token"}},
    ),
]

CONFIG = {
    "pingtree": {
        "campaigns": [
            {"id": "cmp_main", "sources": [source(name, **gates) for name, gates in GATES.items()], "buyers": BUYERS},
            {"id": "cmp_else", "sources": [source("elsewhere")], "buyers": [buyer("stranger", 12)]},
        ]
    }
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("pingtree"), CONFIG) as started:
        yield started
        assert started.log.read_text() == ""


@pytest.fixture
def plain(sandbox: Sandbox) -> Source:
    return sandbox.source("lnk_plain")


def transaction_of(answer: Answer) -> str:
    return str(answer.data["transaction_id"])


def pinged(source: Source, bidders: str, **more: Any) -> str:
    """Ping with the buyers named eligible; return the transaction id of the accept."""
    return source.accepted_ping(sub2=bidders, **more)


# --- ping: accept and reject ----------------------------------------------------------------------------------


def test_the_highest_bid_wins_and_its_amount_is_a_decimal_string(plain: Source) -> None:
    answer = plain.ping(sub2="alpha beta")
    assert answer.rows == {"PT-PING-201-ACCEPT"}
    assert answer.data["amount"] == "55.00"
    assert answer.data["isDeDupe"] is False


def test_a_ping_without_bidders_is_a_201_reject_with_a_transaction_id_and_no_amount(plain: Source) -> None:
    answer = plain.ping()
    assert answer.rows == {"PT-PING-201-REJECT"}
    assert transaction_of(answer)
    assert not {"amount", "buyerTcpa"} & answer.data.keys()


@pytest.mark.parametrize("useless", ["refuser", "breaker", "garbler", "frugal", "texan", "sleeper"])
def test_a_buyer_that_does_not_bid_a_valid_amount_does_not_count(plain: Source, useless: str) -> None:
    assert plain.ping(sub2=useless).lead_status == "ping_reject"
    assert plain.ping(sub2=f"{useless} alpha").data["amount"] == "40.00"


def test_a_buyer_of_another_state_is_not_even_asked(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    plain.ping(sub1=mark, sub2="texan alpha")
    assert sandbox.received("pingtree", "texan", "ping", sub1=mark) == []
    assert plain.ping(state="TX", sub2="texan").data["amount"] == "95.00"


def test_a_buyer_of_another_campaign_is_not_asked(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    assert plain.ping(sub1=mark, sub2="stranger").lead_status == "ping_reject"
    assert sandbox.received("pingtree", "stranger", "ping", sub1=mark) == []
    assert sandbox.source("lnk_elsewhere").ping(sub2="stranger").data["amount"] == "12.00"


def test_every_eligible_buyer_is_asked(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    plain.ping(sub1=mark, sub2="alpha beta gamma")
    for name in ("alpha", "beta", "gamma"):
        assert len(sandbox.received("pingtree", name, "ping", sub1=mark)) == 1


def test_a_tie_goes_to_the_buyer_with_the_lower_id(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    plain.post(pinged(plain, "gamma beta"), sub1=mark, sub2="gamma beta")
    assert len(sandbox.received("pingtree", "beta", "post", sub1=mark)) == 1
    assert sandbox.received("pingtree", "gamma", "post", sub1=mark) == []


def test_consent_text_is_shown_when_the_winner_has_one(plain: Source) -> None:
    assert plain.ping(sub2="alpha").data["buyerTcpa"] == "You agree to be called by Alpha."


def test_the_consent_text_of_a_buyer_that_lost_is_not_shown(plain: Source) -> None:
    assert "buyerTcpa" not in plain.ping(sub2="alpha beta").data


def test_a_transaction_id_is_made_when_none_is_sent_and_no_two_are_equal(plain: Source) -> None:
    made = {transaction_of(plain.ping(transaction_id=sent)) for sent in (None, "", "  ")}
    assert len(made) == 3
    assert all(re.fullmatch(r"txn_[0-9a-f-]{36}", one) for one in made)


def test_the_publisher_s_own_transaction_id_comes_back(plain: Source) -> None:
    own = marker()
    assert transaction_of(plain.ping(transaction_id=own)) == own


def test_a_transaction_id_may_be_pinged_again_until_it_is_posted(sandbox: Sandbox, plain: Source) -> None:
    own, mark = marker(), marker()
    pinged(plain, "alpha", transaction_id=own)
    pinged(plain, "gamma", transaction_id=own)
    assert plain.post(own, sub1=mark, sub2="gamma").lead_status == "accepted"
    assert len(sandbox.received("pingtree", "gamma", "post", sub1=mark)) == 1
    assert plain.ping(transaction_id=own, sub2="alpha").rows == {"PT-PING-400-RULE"}


def test_a_transaction_id_of_another_source_cannot_be_pinged_or_posted(sandbox: Sandbox, plain: Source) -> None:
    own = pinged(plain, "alpha")
    other = sandbox.source("lnk_other")
    assert other.ping(transaction_id=own, sub2="alpha").lead_status == "rejected"
    assert other.post(own, sub2="alpha").lead_status == "rejected"
    assert sandbox.source("lnk_elsewhere").post(own).lead_status == "rejected"
    assert plain.post(own, sub2="alpha").lead_status == "accepted"


# --- what the buyers see --------------------------------------------------------------------------------------

PERSONAL = ("first_name", "last_name", "email", "mobile", "phone", "address")


def test_a_ping_to_a_buyer_carries_no_personal_data_even_if_the_source_sent_it(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    sneaky = {**person(), "address": "1 Main Street", "sub3": "jane@example.com", "sub4": "212-555-0123"}
    plain.ping(sneaky, sub1=mark, sub2="alpha", loan_amount=5000)
    [seen] = sandbox.received("pingtree", "alpha", "ping", sub1=mark)
    assert seen["outcome"] != "personal_data"
    assert not {*PERSONAL, "sub3", "sub4"} & seen["body"].keys()
    assert seen["body"]["loan_amount"] == 5000


def test_a_form_asks_the_buyers_without_personal_data_and_then_sends_all(sandbox: Sandbox, plain: Source) -> None:
    mark, who = marker(), person()
    assert plain.form(who, sub1=mark, sub2="alpha").lead_status == "accepted"
    [asked] = sandbox.received("pingtree", "alpha", "ping", sub1=mark)
    [sold] = sandbox.received("pingtree", "alpha", "post", sub1=mark)
    assert not set(PERSONAL) & asked["body"].keys()
    assert who.items() <= sold["body"].items()


def test_the_post_carries_the_full_lead_and_the_buyer_s_own_ping_id(sandbox: Sandbox, plain: Source) -> None:
    mark, who = marker(), person()
    plain.post(pinged(plain, "alpha", sub1=mark), who, sub1=mark, sub2="alpha", loan_amount=7)
    [asked] = sandbox.received("pingtree", "alpha", "ping", sub1=mark)
    [sold] = sandbox.received("pingtree", "alpha", "post", sub1=mark)
    assert sold["body"]["ping_id"] == asked["answered"]["body"]["ping_id"]
    assert who.items() <= sold["body"].items()
    assert sold["body"]["loan_amount"] == 7


def test_a_losing_bidder_gets_no_post(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    plain.post(pinged(plain, "alpha beta"), sub1=mark, sub2="alpha beta")
    assert sandbox.received("pingtree", "alpha", "post", sub1=mark) == []


def test_a_buyer_is_spoken_to_in_its_own_format_and_under_its_own_names(sandbox: Sandbox, plain: Source) -> None:
    assert plain.post(pinged(plain, "formist"), sub2="formist").lead_status == "accepted"
    entries = sandbox.buyer("GET", "pingtree/default/formist/received")["received"]
    assert {entry["kind"] for entry in entries} == {"ping", "post"}
    assert all("st=CA" in entry["body"] for entry in entries)


def test_a_buyer_may_be_pinged_by_get(sandbox: Sandbox, plain: Source) -> None:
    assert plain.post(pinged(plain, "getter"), sub2="getter").lead_status == "accepted"
    methods = {e["kind"]: e["method"] for e in sandbox.buyer("GET", "pingtree/default/getter/received")["received"]}
    assert methods == {"ping": "GET", "post": "POST"}


def test_a_buyer_with_ping_fields_sees_no_others_in_a_ping(sandbox: Sandbox, plain: Source) -> None:
    assert plain.ping(sub2="choosy", loan_amount=1).data["amount"] == "35.00"
    entries = sandbox.buyer("GET", "pingtree/default/choosy/received")["received"]
    assert [entry["body"] for entry in entries] == [{"state": "CA"}]


def test_a_buyer_s_answer_is_read_where_its_keys_say(plain: Source) -> None:
    assert plain.ping(sub2="nester").data["amount"] == "36.00"
    assert plain.post(pinged(plain, "nester"), sub2="nester").lead_status == "accepted"


def test_a_buyer_that_bypasses_the_ping_bids_its_fixed_price_unasked(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    own = pinged(plain, "bypass", sub1=mark)
    assert sandbox.received("pingtree", "bypass", "ping", sub1=mark) == []
    assert plain.post(own, sub1=mark, sub2="bypass").lead_status == "accepted"
    [sold] = sandbox.received("pingtree", "bypass", "post", sub1=mark)
    assert "ping_id" not in sold["body"]


# --- post -----------------------------------------------------------------------------------------------------


def test_a_post_is_accepted_with_the_winner_s_redirect_url(plain: Source) -> None:
    own = pinged(plain, "beta")
    answer = plain.post(own, sub2="beta")
    assert answer.rows == {"PT-POST-201-ACCEPTED"}
    assert answer.data["redirect_url"] == "https://beta.example.com/hello"
    assert transaction_of(answer) == own


def test_a_post_to_a_buyer_without_a_redirect_url_has_no_such_key(plain: Source) -> None:
    assert "redirect_url" not in plain.post(pinged(plain, "gamma"), sub2="gamma").data


def test_an_unknown_transaction_id_is_rejected(plain: Source) -> None:
    assert plain.post("txn_never_seen").rows == {"PT-POST-400-RULE"}


def test_a_rejected_ping_cannot_be_posted(plain: Source) -> None:
    assert plain.post(transaction_of(plain.ping())).rows == {"PT-POST-400-RULE"}


def test_an_accepted_ping_can_be_posted_once(plain: Source) -> None:
    own = pinged(plain, "alpha")
    assert plain.post(own).lead_status == "accepted"
    assert plain.post(own).rows == {"PT-POST-400-RULE"}


def test_an_expired_ping_is_rejected(sandbox: Sandbox) -> None:
    expired = sandbox.source("lnk_expired")
    assert expired.post(pinged(expired, "alpha")).rows == {"PT-POST-400-RULE"}


def test_a_post_without_a_transaction_id_misses_it(plain: Source) -> None:
    answer = plain.send("post", person())
    assert answer.rows == {"PT-POST-400-MISSING"}
    assert answer.body["message"] == "Missing required field: transaction_id"


def test_a_buyer_that_refuses_the_post_is_followed_by_the_next_bidder(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    own = pinged(plain, "turncoat traitor alpha")
    assert plain.post(own, sub1=mark, sub2="turncoat traitor alpha").lead_status == "accepted"
    tried = [len(sandbox.received("pingtree", name, "post", sub1=mark)) for name in ("traitor", "turncoat", "alpha")]
    assert tried == [1, 1, 1]


@pytest.mark.parametrize("operation", ["post", "form"])
def test_a_lead_that_every_bidder_refuses_is_unsold(plain: Source, operation: str) -> None:
    if operation == "form":
        answer = plain.form(sub2="turncoat traitor")
    else:
        answer = plain.post(pinged(plain, "turncoat traitor"), sub2="turncoat traitor")
    assert answer.rows == {f"PT-{operation.upper()}-201-UNSOLD"}
    assert answer.data["isDeDupe"] is False


def test_an_unsold_ping_cannot_be_posted_again(plain: Source) -> None:
    own = pinged(plain, "turncoat")
    assert plain.post(own).lead_status == "unsold"
    assert plain.post(own).lead_status == "rejected"


def test_a_buyer_whose_cap_is_full_is_passed_over(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    early = [pinged(plain, "onlyone alpha") for _ in range(2)]
    assert [plain.post(own, sub1=mark).lead_status for own in early] == ["accepted", "accepted"]
    assert len(sandbox.received("pingtree", "onlyone", "post", sub1=mark)) == 1
    assert len(sandbox.received("pingtree", "alpha", "post", sub1=mark)) == 1
    assert plain.ping(sub2="onlyone").lead_status == "ping_reject"


# --- form -----------------------------------------------------------------------------------------------------


def test_a_form_without_bidders_is_unsold(plain: Source) -> None:
    assert plain.form().rows == {"PT-FORM-201-UNSOLD"}


def test_a_form_is_taken_as_json_form_encoded_and_by_get(plain: Source) -> None:
    who = {**person(), "sub2": "alpha", "home_owner": "yes", "loan_amount": "15000.50"}
    answers = [plain.form(sub2="alpha"), plain.send("form", who, form=True), plain.get({**who, "mobile": phone()})]
    assert [answer.rows for answer in answers] == [{"PT-FORM-201-ACCEPTED"}] * 3


def test_form_values_reach_the_buyer_as_the_types_of_the_specification(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    sent = {**person(), "sub1": mark, "sub2": "alpha", "home_owner": "yes", "loan_amount": "15000"}
    plain.send("form", sent, form=True)
    [sold] = sandbox.received("pingtree", "alpha", "post", sub1=mark)
    assert sold["body"]["home_owner"] is True
    assert sold["body"]["loan_amount"] == 15000
    assert sold["body"]["mobile"] == sent["mobile"]


def test_the_alias_path_is_the_form(sandbox: Sandbox, plain: Source) -> None:
    headers, body = encoded({**person(), "sub2": "alpha"})
    answer = sandbox.call("POST", "/api/lead/lnk_plain", plain.auth("form") | headers, body)
    assert answer.rows == {"PT-FORM-201-ACCEPTED"}


def test_a_form_gives_the_publisher_s_transaction_id_back_and_takes_it_once(plain: Source) -> None:
    own = marker()
    assert transaction_of(plain.form(transaction_id=own, sub2="alpha")) == own
    assert plain.form(transaction_id=own, sub2="alpha").rows >= {"PT-FORM-400-REPEATED"}


def test_a_form_has_no_amount(plain: Source) -> None:
    assert "amount" not in plain.form(sub2="alpha").data


@pytest.mark.parametrize("operation", ["ping", "post"])
def test_ping_and_post_take_json_only(plain: Source, operation: str) -> None:
    fields = {**person(), "transaction_id": pinged(plain, "alpha")}
    assert plain.send(operation, fields, form=True).lead_status == "invalidField"


# --- fields ---------------------------------------------------------------------------------------------------


def lead_for(source: Source, operation: str) -> dict[str, Any]:
    """A complete lead that every gate lets pass."""
    if operation == "ping":
        return {**attributes(), "sub2": "alpha"}
    return {**person(), "sub2": "alpha", "transaction_id": pinged(source, "alpha")}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("blank", [None, "", " ", ...])
def test_a_required_field_that_is_absent_or_blank_is_named(plain: Source, operation: str, blank: Any) -> None:
    fields = without(lead_for(plain, operation), "state")
    answer = plain.send(operation, fields if blank is ... else {**fields, "state": blank})
    assert answer.rows == {f"PT-{operation.upper()}-400-MISSING"}
    assert answer.body["message"] == "Missing required field: state"


def test_a_field_is_required_only_where_the_specification_says(plain: Source) -> None:
    assert plain.ping().status == 201
    answer = plain.form(mobile=None)
    assert answer.lead_status == "missingField"
    assert answer.body["message"] == "Missing required field: mobile"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", "California"),
        ("state", 5),
        ("state", ["CA"]),
        ("zip_code", "9000"),
        ("zip_code", 90001),
        ("loan_amount", "plenty"),
        ("loan_amount", True),
        ("home_owner", "perhaps"),
        ("home_owner", 1),
        ("sub1", 7),
        ("transaction_id", 7),
        ("transaction_id", {"id": "x"}),
    ],
)
def test_a_value_of_the_wrong_format_is_invalid(plain: Source, operation: str, field: str, value: Any) -> None:
    answer = plain.send(operation, {**lead_for(plain, operation), field: value})
    assert f"PT-{operation.upper()}-400-INVALID" in answer.rows


@pytest.mark.parametrize("operation", ["post", "form"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("email", "nobody"), ("mobile", "555"), ("mobile", ["2125550123"]), ("date_of_birth", "31.12.1999")],
)
def test_personal_values_of_the_wrong_format_are_invalid(plain: Source, operation: str, field: str, value: Any) -> None:
    assert plain.send(operation, {**lead_for(plain, operation), field: value}).lead_status == "invalidField"


def test_a_transform_comes_before_the_format_is_checked(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    assert plain.form(sub1=mark, sub2="alpha", mobile="+1 (212) 555-0142").lead_status == "accepted"
    [sold] = sandbox.received("pingtree", "alpha", "post", sub1=mark)
    assert sold["body"]["mobile"] == "2125550142"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_value_outside_the_acceptable_ones_is_an_invalid_field(plain: Source, operation: str) -> None:
    row = {"ping": "PT-PING-400-ENUM", "post": "PT-POST-400-ENUM", "form": "PT-FORM-REJ-ENUM"}[operation]
    good = lead_for(plain, operation)
    assert row in plain.send(operation, {**good, "credit_score": "abysmal"}).rows
    assert plain.send(operation, {**good, "credit_score": "good"}).status == 201


def test_an_absent_field_is_named_before_one_that_is_invalid(plain: Source) -> None:
    assert plain.ping(state=None, zip_code="x").lead_status == "missingField"


def test_a_field_that_nobody_specified_is_taken_and_passed_on(sandbox: Sandbox, plain: Source) -> None:
    mark = marker()
    plain.ping(sub1=mark, sub2="alpha", shoe_size={"eu": [42, 43]})
    [seen] = sandbox.received("pingtree", "alpha", "ping", sub1=mark)
    assert seen["body"]["shoe_size"] == {"eu": [42, 43]}


# --- rules of the source --------------------------------------------------------------------------------------

SHUT = [*(f"full_{period}" for period in PERIODS), "closed"]
RULE = {"ping": "PT-PING-400-RULE", "post": "PT-POST-400-RULE", "form": "PT-FORM-REJ-VALIDATION"}


@pytest.mark.parametrize("name", SHUT)
@pytest.mark.parametrize("operation", ["ping", "form"])
def test_a_full_cap_or_closed_hours_reject_the_lead(sandbox: Sandbox, name: str, operation: str) -> None:
    shut = sandbox.source(f"lnk_{name}")
    answer = shut.ping(sub2="alpha") if operation == "ping" else shut.form(sub2="alpha")
    assert RULE[operation] in answer.rows


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        ("newyork", {"state": "CA"}, {"state": "NY"}),
        ("newyork", {"state": "CA"}, {"state": "ny"}),
        ("manhattan", {"zip_code": "90001"}, {"zip_code": "10002"}),
        ("manhattan", {"zip_code": None}, {"zip_code": "10001"}),
        ("rich", {"loan_amount": 999.99}, {"loan_amount": 1000}),
        ("rich", {"loan_amount": None}, {"loan_amount": 1e6}),
    ],
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_place_and_conditions_reject_what_does_not_fit(
    sandbox: Sandbox, name: str, bad: dict[str, Any], good: dict[str, Any], operation: str
) -> None:
    gated = sandbox.source(f"lnk_{name}")
    fields = {**person(), "sub2": "alpha", **good}
    if operation == "post":
        fields["transaction_id"] = gated.accepted_ping(**attributes() | good, sub2="alpha")
    assert RULE[operation] in gated.send(operation, {**fields, **bad}).rows
    assert gated.send(operation, fields).lead_status in {"ping_accept", "accepted"}


@pytest.mark.parametrize(("name", "is_hit"), [("forever", True), ("within", True), ("after", False)])
@pytest.mark.parametrize("operation", ["post", "form"])
def test_a_suppressed_person_is_rejected_for_as_many_days_as_the_list_says(
    sandbox: Sandbox, name: str, is_hit: bool, operation: str
) -> None:
    gated = sandbox.source(f"lnk_{name}")
    fields = {"sub2": "alpha", "mobile": LISTED}
    answer = gated.form(fields) if operation == "form" else gated.post(pinged(gated, "alpha"), fields)
    assert answer.lead_status == ("rejected" if is_hit else "accepted")
    if is_hit and operation == "form":
        assert "PT-FORM-REJ-SUPPRESS" in answer.rows


def test_somebody_else_is_not_suppressed(sandbox: Sandbox) -> None:
    assert sandbox.source("lnk_forever").form(sub2="alpha").lead_status == "accepted"


def test_a_ping_without_the_suppressed_field_passes(sandbox: Sandbox) -> None:
    assert sandbox.source("lnk_forever").ping(sub2="alpha").lead_status == "ping_accept"


def test_a_post_that_a_rule_rejected_may_be_sent_again(sandbox: Sandbox) -> None:
    gated = sandbox.source("lnk_newyork")
    own = gated.accepted_ping(state="NY", sub2="alpha")
    assert gated.post(own, state="CA").lead_status == "rejected"
    assert gated.post(own, state="NY").lead_status == "accepted"


def test_open_hours_and_roomy_caps_let_a_lead_pass(sandbox: Sandbox) -> None:
    assert sandbox.source("lnk_open").form(sub2="alpha").lead_status == "accepted"


def test_a_cap_counts_what_was_sold_and_not_what_was_pinged_or_unsold(sandbox: Sandbox) -> None:
    single = sandbox.source("lnk_single")
    early = [pinged(single, "turncoat") for _ in range(2)]
    assert single.post(early[0]).lead_status == "unsold"
    assert single.form(sub2="alpha").lead_status == "accepted"
    assert single.post(early[1]).lead_status == "rejected"
    assert single.ping(sub2="alpha").lead_status == "rejected"


def test_a_rule_is_asked_before_any_buyer(sandbox: Sandbox) -> None:
    mark = marker()
    sandbox.source("lnk_closed").ping(sub1=mark, sub2="alpha")
    assert sandbox.received("pingtree", "alpha", "ping", sub1=mark) == []


# --- duplicates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", ["mobile", "email"])
def test_a_person_is_sold_once_by_mobile_or_email(sandbox: Sandbox, same: str) -> None:
    dedupe, who = sandbox.source("lnk_dedupe"), person()
    again = {**person(), same: who[same].upper()}
    assert dedupe.form(who, sub2="alpha").lead_status == "accepted"
    answer = dedupe.form(again, sub2="alpha")
    assert answer.rows == {"PT-FORM-201-DUPLICATE"}
    assert answer.data["isDeDupe"] is True
    answer = dedupe.post(pinged(dedupe, "alpha"), again)
    assert answer.rows == {"PT-POST-201-DUPLICATE"}


def test_a_ping_of_a_known_person_says_so(sandbox: Sandbox) -> None:
    dedupe, who = sandbox.source("lnk_dedupe"), person()
    assert dedupe.ping(who, sub2="alpha").data["isDeDupe"] is False
    dedupe.form(who, sub2="alpha")
    assert dedupe.ping(who, sub2="alpha").data["isDeDupe"] is True


def test_a_duplicate_goes_to_no_buyer(sandbox: Sandbox) -> None:
    dedupe, who, mark = sandbox.source("lnk_dedupe"), person(), marker()
    dedupe.form(who, sub2="alpha")
    dedupe.post(pinged(dedupe, "alpha"), who, sub1=mark)
    assert sandbox.received("pingtree", "alpha", "post", sub1=mark) == []


def test_duplicates_may_be_told_by_any_field(sandbox: Sandbox) -> None:
    by_case, number = sandbox.source("lnk_by_case"), marker()
    assert by_case.form(sub2="alpha", case_number=number).lead_status == "accepted"
    assert by_case.form(sub2="alpha", case_number=number).lead_status == "duplicate"
    assert by_case.form(sub2="alpha").lead_status == "accepted"


def test_a_source_without_the_rule_takes_a_person_twice(plain: Source) -> None:
    who = person()
    assert [plain.form(who, sub2="alpha").lead_status for _ in range(2)] == ["accepted", "accepted"]


# --- who may call ---------------------------------------------------------------------------------------------


def refused(sandbox: Sandbox, operation: str, headers: dict[str, str]) -> bool:
    kind, body = encoded({**person(), "transaction_id": "x"})
    path = sandbox.source("lnk_plain").path(operation)
    answer = sandbox.call("POST", path, headers | kind, body)
    return answer.rows == {f"PT-{operation.upper()}-401-AUTH"} and answer.body["message"] == "Unauthorized"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "header",
    [
        "{token}",
        "bearer {token}",
        "BEARER {token}",
        "Bearer  {token}",
        "Bearer\t{token}",
        "Bearer {token} x",
        "Bearer {token},",
        'Bearer "{token}"',
        "Bearer{token}",
        "Bearer",
        "Bearer {half}",
        "Bearer {token}{token}",
        "Token {token}",
        "Basic {token}",
        "Bearer not-a-token",
    ],
)
def test_a_header_of_another_form_is_unauthorized(sandbox: Sandbox, operation: str, header: str) -> None:
    token = sandbox.source("lnk_plain").tokens[operation]
    sent = header.format(token=token, half=token[: len(token) // 2])
    assert refused(sandbox, operation, {"Authorization": sent})


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("other", OPERATIONS)
def test_only_the_token_of_the_operation_s_own_kind_opens_it(sandbox: Sandbox, operation: str, other: str) -> None:
    plain = sandbox.source("lnk_plain")
    assert refused(sandbox, operation, plain.auth(other)) == (operation != other)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_token_a_foreign_token_or_one_elsewhere_is_unauthorized(sandbox: Sandbox, operation: str) -> None:
    other, own = sandbox.source("lnk_other"), sandbox.source("lnk_plain")
    assert refused(sandbox, operation, {})
    assert refused(sandbox, operation, other.auth(operation))
    assert refused(sandbox, operation, {"x-api-key": own.tokens[operation]})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_unknown_link_id_is_unauthorized(sandbox: Sandbox, operation: str) -> None:
    plain = sandbox.source("lnk_plain")
    stranger = Source(sandbox, "lnk_nobody_has", plain.tokens)
    assert stranger.send(operation, person()).status == 401


def test_the_three_tokens_of_a_source_are_jwts_of_their_kind(plain: Source) -> None:
    import jwt

    for kind, token in plain.tokens.items():
        claims = jwt.decode(token, options={"verify_signature": False})
        assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
        assert claims["type"] == kind
        assert claims["_id"] == "lnk_plain"
        assert claims["offerCampaignId"] == "cmp_main"
        assert "exp" not in claims


def test_credentials_are_checked_before_the_body(sandbox: Sandbox) -> None:
    assert sandbox.call("POST", "/api/lead/ping/lnk_plain", {}, b"{").status == 401


# --- methods --------------------------------------------------------------------------------------------------

METHODS = ("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "FOO", "post")


WRONG = [(name, method) for name in OPERATIONS for method in METHODS if (name, method) != ("form", "GET")]


@pytest.mark.parametrize(("operation", "method"), WRONG)
@pytest.mark.parametrize("authorized", [True, False])
def test_a_wrong_method_is_405_in_the_envelope_with_allow(
    plain: Source, operation: str, method: str, authorized: bool
) -> None:
    auth = plain.auth(operation) if authorized else {}
    answer = plain.sandbox.call(method, plain.path(operation), auth)
    assert answer.status == 405
    assert answer.headers["allow"] == ("POST, GET" if operation == "form" else "POST")
    if method != "HEAD":
        assert answer.rows == {f"PT-{operation.upper()}-405-METHOD"}


def test_the_alias_path_takes_the_form_s_methods(sandbox: Sandbox) -> None:
    answer = sandbox.call("PUT", "/api/lead/lnk_plain")
    assert answer.headers["allow"] == "POST, GET"
