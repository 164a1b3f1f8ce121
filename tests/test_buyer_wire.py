"""The buyer sides of both vendors: what is sent, how answers are read, how things are signed."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.platforms.leaddistro.buyer_wire import webhook_body, webhook_headers, webhook_payload
from simulator.platforms.leaddistro.signing import ping_token, read_ping_token, sign, timestamped, verify
from simulator.platforms.pingtree.buyer_wire import (
    MAX_BID,
    SaleAnswer,
    looks_like_pii,
    ping_request,
    post_request,
    read_ping,
    read_post,
)
from simulator.routing.agreed import Buyer, Endpoint
from simulator.routing.decision import Bid, Lead

LEAD = Lead(
    values={
        "first_name": "Ada",
        "email": "ada@example.com",
        "mobile": "2125550123",
        "state": "NY",
        "zip_code": "10001",
        "loan_amount": 15000,
        "home_owner": True,
        "note": "call me at 212-555-0123",
        "contact": "(212) 555-0123",
        "sub1": "",
    }
)


def buyer(**endpoint: Any) -> Buyer:
    return Buyer(id="b1", endpoint=Endpoint(**endpoint))


def answer(**parts: Any) -> bytes:
    return json.dumps(parts).encode()


# --- what Pingtree sends


def test_a_ping_without_ping_fields_carries_everything_but_personal_data_and_blanks() -> None:
    assert ping_request(buyer(), LEAD) == {
        "state": "NY",
        "zip_code": "10001",
        "loan_amount": 15000,
        "home_owner": True,
        "note": "call me at 212-555-0123",
    }


def test_a_ping_carries_only_its_ping_fields_that_the_lead_has() -> None:
    asked = buyer(ping_fields=frozenset({"state", "age", "email"}))
    assert ping_request(asked, LEAD) == {"state": "NY"}


def test_ping_and_post_use_the_buyers_own_field_names() -> None:
    asked = buyer(mapping={"state": "st", "ping_id": "token"}, ping_fields=frozenset({"state"}))
    assert ping_request(asked, LEAD) == {"st": "NY"}
    posted = post_request(asked, LEAD, "p-1")
    assert posted["st"] == "NY"
    assert posted["token"] == "p-1"
    assert posted["email"] == "ada@example.com"
    assert "state" not in posted


def test_a_post_that_bypasses_the_ping_has_no_ping_id() -> None:
    assert "ping_id" not in post_request(buyer(), LEAD, "")


@pytest.mark.parametrize(
    "value",
    [
        "ada@example.com",
        "https://example.com/?e=ada%40example.com",
        "2125550123",
        "(212) 555-0123",
        "+1 212.555.0123",
        "12125550123",
        "123-45-6789",
        2125550123,
        {"deep": ["2125550123"]},
    ],
)
def test_contact_data_is_recognised_under_any_key(value: Any) -> None:
    assert looks_like_pii(value)


@pytest.mark.parametrize(
    "value",
    ["CA", "90001", "90001-1234", 15000, True, None, 45.5, "txn_7f3a2b1c-4d56-78ef", "good", 1700000000, "@"],
)
def test_ordinary_values_are_not_taken_for_contact_data(value: Any) -> None:
    assert not looks_like_pii(value)


# --- what Pingtree reads


def test_an_accepted_ping_is_a_bid_in_dollars_and_cents() -> None:
    read = read_ping(buyer(), 200, answer(accepted=True, ping_id="p", bid="45.00", tcpa="I agree"))
    assert read == Bid("b1", Decimal("45.00"), "p", "I agree")


def test_an_answer_without_consent_text_takes_the_buyers_own() -> None:
    asked = Buyer(id="b1", tcpa="Ours", endpoint=Endpoint())
    read = read_ping(asked, 200, answer(accepted=True, ping_id="p", bid="45"))
    assert isinstance(read, Bid)
    assert read.tcpa == "Ours"


def test_answers_are_read_where_the_buyer_puts_them() -> None:
    keys = {"accepted": "result.status", "bid": "result.offers.0.price", "ping_id": "id"}
    body = answer(result={"status": "SUCCESS", "offers": [{"price": 12.345}]}, id=77)
    assert read_ping(buyer(answer_keys=keys), 201, body) == Bid("b1", Decimal("12.34"), "77")


@pytest.mark.parametrize(
    ("said", "read"),
    [("0.015", "0.02"), ("0.025", "0.02"), (45, "45.00"), (45.1, "45.10"), (str(MAX_BID), "1000000.00")],
)
def test_amounts_round_half_even_to_cents(said: Any, read: Any) -> None:
    bid = read_ping(buyer(), 200, answer(accepted=True, ping_id="p", bid=said))
    assert isinstance(bid, Bid)
    assert str(bid.amount) == read


@pytest.mark.parametrize(
    "bad",
    ["NaN", "Infinity", "-1", "0", "0.001", "1000000.01", "1e999999999", True, ["45"], "", None, "9" * 50],
)
def test_an_amount_that_is_none_is_no_bid(bad: Any) -> None:
    read = read_ping(buyer(), 200, answer(accepted=True, ping_id="p", bid=bad))
    assert read == "accepted without a bid amount that can be read"


def test_a_buyer_with_a_fixed_payout_need_not_name_a_bid() -> None:
    asked = Buyer(id="b1", price=Decimal(30), endpoint=Endpoint())
    assert read_ping(asked, 200, answer(accepted=True, ping_id="p")) == Bid("b1", Decimal(30), "p")


def test_a_refusal_is_its_reason() -> None:
    assert read_ping(buyer(), 200, answer(accepted=False, reason="state not bought")) == "state not bought"
    assert read_ping(buyer(), 200, answer(accepted=False)) == "refused without a reason"


@pytest.mark.parametrize("status", [199, 302, 404, 422, 500])
def test_a_status_outside_2xx_is_a_refusal_even_if_the_body_accepts(status: Any) -> None:
    read = read_ping(buyer(), status, answer(accepted=True, ping_id="p", bid="45"))
    assert read == f"HTTP {status}"


def test_a_refusal_by_problem_document_keeps_its_detail() -> None:
    assert read_ping(buyer(), 422, answer(detail="no PII")) == "HTTP 422: no PII"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"45", b'{"accepted"', b"\xff\xfe", b"[" * 5000, b" " * 70_000, b"{}"]
)
def test_garbage_is_a_sentence_and_not_a_bid(body: Any) -> None:
    assert isinstance(read_ping(buyer(), 200, body), str)
    assert read_post(buyer(), 200, body).accepted is False


def test_an_accept_without_ping_id_is_no_bid() -> None:
    assert read_ping(buyer(), 200, answer(accepted=True, bid="45")) == "accepted without a ping id"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
answers = st.dictionaries(
    st.sampled_from(["accepted", "bid", "ping_id", "reason", "tcpa", "redirect_url", "a"]), json_values
)
paths = st.dictionaries(st.sampled_from(["accepted", "bid", "ping_id", "reason", "url", "tcpa"]), st.text(max_size=8))
bodies = st.binary(max_size=200) | answers.map(lambda value: json.dumps(value).encode())


@given(st.integers(0, 999) | st.just(200), bodies, paths)
def test_reading_an_answer_never_raises(status: Any, body: Any, keys: Any) -> None:
    read = read_ping(buyer(answer_keys=keys), status, body)
    assert isinstance(read, str) or 0 < read.amount <= MAX_BID
    assert isinstance(read_post(buyer(answer_keys=keys), status, body), SaleAnswer)


@given(json_values.map(lambda bid: answer(accepted=True, ping_id="p", bid=bid)))
def test_any_bid_that_is_taken_is_whole_cents(body: Any) -> None:
    read = read_ping(buyer(), 200, body)
    assert isinstance(read, str) or read.amount == round(read.amount, 2)


def test_a_sale_carries_the_redirect_url_and_no_other_scheme() -> None:
    assert read_post(buyer(), 200, answer(accepted=True, redirect_url="https://example.com/x")) == SaleAnswer(
        accepted=True, redirect_url="https://example.com/x"
    )
    sale = read_post(buyer(), 200, answer(accepted=True, redirect_url="javascript:alert(1)"))
    assert sale.accepted
    assert sale.redirect_url == ""
    assert "dropped" in sale.why


def test_a_refused_post_says_why() -> None:
    assert read_post(buyer(), 200, answer(accepted=False, reason="duplicate")).why == "duplicate"


# --- Lead Distro AI: signatures


def test_the_signature_is_the_documented_one_with_the_secret_as_text() -> None:
    secret, body = "00ff" * 16, b'{"a": 1}'
    expected = hmac.new(secret.encode("ascii"), body, hashlib.sha256).hexdigest()
    assert sign(secret, body) == expected
    assert verify(secret, body, expected)


@pytest.mark.parametrize("wrong", ["", "0" * 64, "é" * 64, "\ud800", "x"])
def test_a_wrong_signature_does_not_verify(wrong: str) -> None:
    assert not verify("secret", b"body", wrong)


def test_a_signature_covers_every_byte_and_is_lower_case() -> None:
    good = sign("secret", b'{"a":1}')
    assert not verify("secret", b'{"a": 1}', good)
    assert not verify("secret", b'{"a":1}', good.upper())


# --- Lead Distro AI: the signed ping id


def test_a_ping_token_comes_back_as_its_claims() -> None:
    claims = {"sid": "supplier_xyz789", "cid": "campaign_abc123", "exp": 1700000000}
    token = ping_token(b"key", claims)
    assert token.startswith("eyJjaWQiOi")  # as the vendor's example does
    assert read_ping_token(b"key", token) == claims


def test_a_ping_token_needs_a_campaign() -> None:
    with pytest.raises(KeyError):
        ping_token(b"key", {"sid": "s"})


def test_a_ping_token_of_another_key_is_nobodys() -> None:
    assert read_ping_token(b"other", ping_token(b"key", {"cid": "c"})) is None


@pytest.mark.parametrize("bad", ["", ".", "a.b.c", "é.é", None, 7, "a" * 5000, "eyJjaWQiOiJkZDJiM2"])
def test_what_is_no_ping_token_is_none(bad: Any) -> None:
    assert read_ping_token(b"key", bad) is None


def test_a_signed_text_that_is_no_object_is_none() -> None:
    payload = base64.urlsafe_b64encode(b"[1]").decode().rstrip("=")
    mac = base64.urlsafe_b64encode(hmac.digest(b"key", payload.encode(), "sha256")).decode().rstrip("=")
    assert read_ping_token(b"key", f"{payload}.{mac}") is None


def test_no_character_of_a_ping_token_may_change() -> None:
    token = ping_token(b"key", {"cid": "campaign_abc123"})
    for at in range(len(token)):
        other = "A" if token[at] != "A" else "B"
        assert read_ping_token(b"key", token[:at] + other + token[at + 1 :]) is None
    for longer in (token + "=", token + " ", token + "A", " " + token):
        assert read_ping_token(b"key", longer) is None


@given(st.text() | st.binary() | st.none() | st.from_regex(r"[\w-]{0,60}\.[\w-]{43}"))
def test_reading_a_ping_token_never_raises(token: Any) -> None:
    assert read_ping_token(b"key", token) is None


# --- Lead Distro AI: the webhook


def payload(**over: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "lead_id": "lead_1",
        "campaign_id": "campaign_abc123",
        "supplier_id": "supplier_xyz789",
        "buyer_id": "buyer_abc",
        "price": Decimal(45),
        "is_test": False,
        "created_at": datetime(2025, 8, 14, 10, 32, tzinfo=UTC),
        "values": {"first_name": "Ada", "state": "TX", "id": "mine", "case_type": "auto", "flo_ping_id": "x"},
    }
    return webhook_payload(**{**facts, **over})


def test_a_webhook_carries_system_fields_custom_fields_and_the_test_mark() -> None:
    assert payload(is_test=True) == {
        "id": "lead_1",
        "campaign_id": "campaign_abc123",
        "supplier_id": "supplier_xyz789",
        "buyer_id": "buyer_abc",
        "price": "45.00",
        "is_test": True,
        "created_at": "2025-08-14T10:32:00.000Z",
        "first_name": "Ada",
        "state": "TX",
        "custom_fields": {"id": "mine", "case_type": "auto"},
    }


def test_a_lead_without_price_is_delivered_without_one() -> None:
    assert payload(price=None)["price"] is None


def test_headers_sign_the_exact_bytes() -> None:
    body = webhook_body(payload())
    headers = webhook_headers("secret", body, "evt_1", timestamp=None)
    assert json.loads(body) == payload()
    assert headers == {
        "Content-Type": "application/json",
        "X-LeadDistro-Event-Id": "evt_1",
        "X-LeadDistro-Signature": sign("secret", body),
    }


def test_with_a_timestamp_the_signature_covers_it_too() -> None:
    headers = webhook_headers("secret", b"{}", "evt_1", timestamp=1700000000)
    assert headers["X-LeadDistro-Timestamp"] == "1700000000"
    assert verify("secret", timestamped(1700000000, b"{}"), headers["X-LeadDistro-Signature"])
    assert not verify("secret", b"{}", headers["X-LeadDistro-Signature"])


def test_without_a_secret_nothing_is_signed() -> None:
    assert "X-LeadDistro-Signature" not in webhook_headers("", b"{}", "evt_1", timestamp=None)
