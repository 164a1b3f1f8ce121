"""Every reading of both vendors' documents, under each of its values, and what the running sandbox then says."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

import pytest

from simulator.platforms import CONTRACTS
from simulator.platforms.leaddistro import signing
from tests.sandbox import Answer, Sandbox, Supplier, attributes, encoded, lead, marker, person, running

SECRET = "a secret of thirty-two characters"

# --- what each server is set to ------------------------------------------------------------------------------

SERVERS: dict[str, dict[str, dict[str, Any]]] = {
    "defaults": {"pingtree": {}, "leaddistro": {}},
    "others": {
        "pingtree": {
            "name_buyer": True,
            "form_get": False,
            "form_encoded": False,
            "ping_form_encoded": True,
            "form_alias": False,
            "fetch_alias": False,
            "event_alias": False,
            "event_amount": False,
            "event_query": False,
            "event_lock_seconds": 0,
            "click_alias": False,
            "click_token": True,
            "expired_post": "reevaluate",
            "token_grace_seconds": 3600,
            "repeated_post": "replay",
            "repeated_transaction_id": "reject",
            "unaccepted_value": "rejected",
        },
        "leaddistro": {
            "filter_failure_http": 400,
            "suppression_mode": "skip",
            "ping_bids": "on",
            "ping_bids_key": "offers",
            "chosen_buyer_field": "chosen",
            "allow_form": False,
            "webhook_signature": "timestamped",
            "retry_after_header": False,
            "retry_after_underscore_header": False,
            "retry_after_body": False,
            "campaign_caps": True,
            "test_mode_counts_caps": True,
            "duplicate_http": 409,
            "ping_reject_http": 422,
            "ping_token_failure": "422",
            "ping_price": "reprice",
            "filter_errors_shape": "strings",
        },
    },
    "older": {
        "pingtree": {"envelope": "gen1"},
        "leaddistro": {"direct_post_async": True, "duplicate_http": 422, "ping_token_failure": "ignore"},
    },
    "mixed": {
        "pingtree": {"envelope": "gen1", "name_buyer": True, "form_get": False},
        "leaddistro": {
            "duplicate_http": 201,
            "ping_bids": "on",
            "filter_failure_http": 400,
            "retry_after_body": False,
            "ping_token_failure": "ignore",
            "campaign_caps": True,
        },
    },
}

FIELDS = [
    {"name": "state", "type": "state", "required": ["ping", "post", "form"]},
    {"name": "credit_score", "acceptable": ["good", "bad"]},
]
PINGTREE = [
    {
        "id": "cmp",
        "sources": [
            {"id": "src_main", "link_id": "lnk_main", "fields": FIELDS},
            {"id": "src_late", "link_id": "lnk_late", "fields": FIELDS, "ping_lifetime": 0.000001},
            {"id": "src_token", "link_id": "lnk_token", "fields": FIELDS},
        ],
        "buyers": [{"id": "lender", "name": "The Lender", "persona": {"price": 45}, "tcpa": "You agree."}],
        "events": [{"id": "sale", "conversion": True, "is_duplicate": True}],
        "offers": [{"id": "cl_1", "url": "https://example.com/"}],
    }
]
LISTED = {"field": "phone", "values": ["2125550199"]}
BUYERS = [{"id": "one", "price": 50, "priority": 1}, {"id": "two", "price": 40, "priority": 2}]


def single(name: str, price: int = 10) -> list[dict[str, Any]]:
    return [{"id": name, "price": price}]


CAMPAIGNS: list[dict[str, Any]] = [
    {"id": "plain", "buyers": BUYERS},
    {
        "id": "filtered",
        "inbound_filters": [{"name": "texans", "field": "state", "operator": "==", "value": "TX"}],
        "buyers": single("filtered"),
    },
    {"id": "suppressed", "suppression": [LISTED], "buyers": single("suppressed")},
    {"id": "pinged", "routing": "ping_post", "buyers": single("pinged")},
    {"id": "capped", "routing": "ping_post", "caps": {"total": 1}, "buyers": single("capped")},
    {"id": "tested", "routing": "ping_post", "buyers": [{"id": "tested", "caps": {"total": 1}}]},
    {"id": "shut", "buyers": [{"id": "shut", "caps": {"total": 0}}]},
]
NO_LIMITS = {"ping": None, "ingest": None}
SUPPLIERS: list[dict[str, Any]] = [
    {"id": "main", "api_key": "key_main", "limits": NO_LIMITS},
    {"id": "tester", "api_key": "key_tester", "limits": NO_LIMITS, "test_mode": True},
    {"id": "hasty", "api_key": "key_hasty", "limits": {"ping": {"rate": 1, "burst": 2, "seconds": 1}}},
]


def config(readings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    names = [item["id"] for item in CAMPAIGNS]
    return {
        "secret": SECRET,
        "pingtree": {"campaigns": PINGTREE, "readings": readings["pingtree"]},
        "leaddistro": {
            "campaigns": CAMPAIGNS,
            "suppliers": [{**item, "campaigns": names} for item in SUPPLIERS],
            "readings": readings["leaddistro"],
        },
    }


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Sandbox]]:
    """Return a sandbox by its name in SERVERS, started when it is first asked for."""
    from contextlib import ExitStack

    started: dict[str, Sandbox] = {}
    with ExitStack() as stack:

        def server(name: str) -> Sandbox:
            if name not in started:
                folder = tmp_path_factory.mktemp(name)
                started[name] = stack.enter_context(running(folder, config(SERVERS[name])))
            return started[name]

        yield server
        for sandbox in started.values():
            assert sandbox.log.read_text() == ""


# --- how each reading is looked at ---------------------------------------------------------------------------


def accepted(sandbox: Sandbox, campaign: str = "plain", supplier: str = "main", **more: Any) -> Answer:
    """Ingest a lead of somebody new, with a token."""
    found = sandbox.supplier(supplier, campaign)
    return found.ingest(flo_ping_id=token_of(found), **more)


def token_of(supplier: Supplier) -> str | None:
    answer = supplier.ping()
    return answer.body["ping_id"] if answer.body["accepted"] else None


def inner(answer: Answer) -> dict[str, Any]:
    """Return the part of a Pingtree answer that tells of the lead, in either generation."""
    found: dict[str, Any] = answer.body.get("data", answer.body)
    return found


def transaction_of(answer: Answer) -> str:
    return str(inner(answer)["transaction_id"])


def name_buyer(sandbox: Sandbox) -> Any:
    return inner(sandbox.source("lnk_main").ping()).get("buyer_name")


def form_get(sandbox: Sandbox) -> Any:
    answer = sandbox.source("lnk_main").get(person())
    return answer.status, answer.headers.get("allow")


def form_encoded(sandbox: Sandbox) -> Any:
    return sandbox.source("lnk_main").send("form", person(), form=True).status


def ping_form_encoded(sandbox: Sandbox) -> Any:
    source = sandbox.source("lnk_main")
    ping = source.send("ping", {**attributes(), "age": "35"}, form=True)
    post = source.send("post", {**person(), "transaction_id": transaction_of(source.ping())}, form=True)
    return ping.status, post.status


def form_alias(sandbox: Sandbox) -> Any:
    source = sandbox.source("lnk_main")
    headers, body = encoded(person())
    return sandbox.call("POST", "/api/lead/lnk_main", source.auth("form") | headers, body).status


def sold_transaction(sandbox: Sandbox) -> str:
    return transaction_of(sandbox.source("lnk_main").form())


def fetch_alias(sandbox: Sandbox) -> Any:
    query = f"transaction_id={sold_transaction(sandbox)}"
    auth = sandbox.source("lnk_main").auth("api")
    return [
        sandbox.call("GET", f"/api/lead/{path}?{query}", auth).status
        for path in ("fetch/src_main", "fetch-response/cmp")
    ]


def fired(sandbox: Sandbox, path: str = "/api/event/trigger", query: str = "", **fields: Any) -> int:
    """Fire the conversion of somebody new's lead; an empty body when it is said in the URL."""
    said = {"cid": "cmp", "event_id": "sale", "transaction_id": sold_transaction(sandbox), **fields}
    if query:
        return sandbox.call("POST", f"{path}?{query}&{urlencode(said)}").status
    headers, body = encoded(said)
    return sandbox.call("POST", path, headers, body).status


def event_alias(sandbox: Sandbox) -> Any:
    return fired(sandbox, revenue=1), fired(sandbox, "/api/event/cmp", cid="", revenue=1)


def event_amount(sandbox: Sandbox) -> Any:
    return fired(sandbox, revenue=1), fired(sandbox, amount=1)


def event_query(sandbox: Sandbox) -> Any:
    return fired(sandbox, query="revenue=1.5")


def event_lock(sandbox: Sandbox) -> Any:
    transaction_id = sold_transaction(sandbox)
    return [fired(sandbox, revenue=1, transaction_id=transaction_id) for _ in range(2)]


def click_alias(sandbox: Sandbox) -> Any:
    place = f"click/list/cmp/{sold_transaction(sandbox)}"
    auth = sandbox.source("lnk_main").auth("click") if "click" in sandbox.source("lnk_main").tokens else {}
    return [sandbox.call("GET", path, auth).status for path in (f"/api/{place}", f"/{place}")]


def click_token(sandbox: Sandbox) -> Any:
    source = sandbox.source("lnk_main")
    path = f"/api/click/list/cmp/{sold_transaction(sandbox)}"
    auth = source.auth("click") if "click" in source.tokens else {}
    return [sandbox.call("GET", path, given).status for given in ({}, source.auth("api"), auth)]


def envelope(sandbox: Sandbox) -> Any:
    source = sandbox.source("lnk_main")
    return [
        sorted(answer.body)
        for answer in (source.ping(), source.form(), source.ping(state=""), Supplierless(sandbox).ping())
    ]


@dataclass
class Supplierless:
    """Somebody without a token."""

    sandbox: Sandbox

    def ping(self) -> Answer:
        return self.sandbox.call("POST", "/api/lead/ping/lnk_main")


def expired_post(sandbox: Sandbox) -> Any:
    source = sandbox.source("lnk_late")
    return source.post(transaction_of(source.ping())).status


def token_grace(sandbox: Sandbox) -> Any:
    source = sandbox.source("lnk_token")
    made = sandbox.control("credentials/regenerate", {"platform": "pingtree", "owner": "src_token", "kind": "ping"})
    assert made["credential"] != source.tokens["ping"]
    headers, body = encoded(attributes())
    renewed = {"Authorization": f"Bearer {made['credential']}"}
    assert sandbox.call("POST", source.path("ping"), renewed | headers, body).status == 201
    return source.ping().status


def repeated_post(sandbox: Sandbox) -> Any:
    source = sandbox.source("lnk_main")
    own = transaction_of(source.ping())
    first, second = source.post(own), source.post(own)
    return second.status, second.raw == first.raw


def repeated_transaction_id(sandbox: Sandbox) -> Any:
    source, own = sandbox.source("lnk_main"), marker()
    source.ping(transaction_id=own)
    return source.ping(transaction_id=own).status, source.form(transaction_id=own).status


def unaccepted_value(sandbox: Sandbox) -> Any:
    source = sandbox.source("lnk_main")
    return [answer.lead_status for answer in (source.ping(credit_score="x"), source.form(credit_score="x"))]


def filter_failure_http(sandbox: Sandbox) -> Any:
    answer = sandbox.supplier("main", "filtered").ingest(state="NY")
    return answer.status, answer.body["error"]


def suppression_mode(sandbox: Sandbox) -> Any:
    # Somebody new by email each time: a lead that was stored would make the next one a duplicate.
    answer = sandbox.supplier("main", "suppressed").ingest(phone="2125550199")
    return answer.status


def ping_bids(sandbox: Sandbox) -> Any:
    body = sandbox.supplier("main", "plain").ping().body
    return [value for key, value in body.items() if key not in {"accepted", "ping_id", "message"}]


def ping_bids_key(sandbox: Sandbox) -> Any:
    return sorted(sandbox.supplier("main", "plain").ping().body.keys() - {"accepted", "ping_id", "message"})


def chosen_buyer_field(sandbox: Sandbox) -> Any:
    sold = sandbox.supplier("main", "plain").ingest(chosen="two").data["id"]
    [(buyer_id,)] = sandbox.query("SELECT buyer_id FROM leads WHERE id = ?", sold)
    return buyer_id


def direct_post_async(sandbox: Sandbox) -> Any:
    direct = sandbox.supplier("main", "plain").ingest()
    pinged = accepted(sandbox, "pinged")
    shut = sandbox.supplier("main", "shut").ingest()
    sold = sandbox.webhook("one", id=direct.data["id"])
    assert sold["signature"] == "good"
    return [(one.status, one.data["status"], one.data["buyer_id"]) for one in (direct, pinged, shut)]


def allow_form(sandbox: Sandbox) -> Any:
    supplier = sandbox.supplier("main", "plain")
    ping = supplier.send("ping", supplier.ids, form=True).status
    return ping, supplier.send("ingest", {**supplier.ids, **lead()}, form=True).status


def webhook_signature(sandbox: Sandbox) -> Any:
    seen = sandbox.webhook("pinged", id=accepted(sandbox, "pinged").data["id"])
    return seen["signature"], "x-leaddistro-timestamp" in {name.lower() for name in seen["headers"]}


def limited(sandbox: Sandbox) -> Answer:
    """Ping until the limit of one a second is reached."""
    end = time.monotonic() + 20
    while (answer := sandbox.supplier("hasty", "plain").ping()).status != 429:
        assert time.monotonic() < end
    return answer


def retry_after_header(sandbox: Sandbox) -> Any:
    return limited(sandbox).headers.get("retry-after")


def retry_after_underscore_header(sandbox: Sandbox) -> Any:
    return limited(sandbox).headers.get("retry_after")


def retry_after_body(sandbox: Sandbox) -> Any:
    return limited(sandbox).body.get("retry_after")


def campaign_caps(sandbox: Sandbox) -> Any:
    found = sandbox.supplier("main", "capped")
    tokens = [token_of(found) for _ in range(2)]
    sold = [found.ingest(flo_ping_id=token).data["status"] for token in tokens]
    return sold, found.ping().body["accepted"]


def counted_test_leads(sandbox: Sandbox) -> Any:
    found = sandbox.supplier("tester", "tested")
    tokens = [token_of(found) for _ in range(2)]
    return [found.ingest(flo_ping_id=token).data["status"] for token in tokens]


def duplicate_http(sandbox: Sandbox) -> Any:
    supplier, who = sandbox.supplier("main", "plain"), lead()
    supplier.ingest(who)
    answer = supplier.ingest(who)
    assert answer.data["status"] == "DUPLICATE"
    return answer.status


def ping_reject_http(sandbox: Sandbox) -> Any:
    return [sandbox.supplier("main", campaign).ping(state="NY").status for campaign in ("filtered", "shut")]


def ping_token_failure(sandbox: Sandbox) -> Any:
    """Return the statuses for a token that is none, foreign, missing and used before."""
    pinged, used = sandbox.supplier("main", "pinged"), token_of(sandbox.supplier("main", "pinged"))
    pinged.ingest(flo_ping_id=used)
    tokens = ["nonsense", token_of(sandbox.supplier("main", "plain")), None, used]
    return [pinged.ingest(flo_ping_id=token).status for token in tokens]


def ping_price(sandbox: Sandbox) -> Any:
    """Return the price in cents of a lead whose ping promised more than the buyer pays now."""
    supplier = sandbox.supplier("main", "pinged")
    claims = {"cid": "pinged", "sid": "main", "bid": "pinged", "price": "77", "exp": 4_000_000_000, "jti": marker()}
    token = signing.ping_token(f"{SECRET} default".encode(), claims)
    sold = supplier.ingest(flo_ping_id=token).data["id"]
    [(cents,)] = sandbox.query("SELECT price_cents FROM leads WHERE id = ?", sold)
    return cents


def filter_errors_shape(sandbox: Sandbox) -> Any:
    [item] = sandbox.supplier("main", "filtered").ingest(state="NY").body["filter_errors"]
    return item if isinstance(item, str) else sorted(item)


# --- what each value makes the sandbox say -------------------------------------------------------------------

GEN1 = ["amount", "buyerTcpa", "isDeDupe", "lead_status", "message", "status", "transaction_id", "type"]
GEN1_NAMED = ["amount", "buyerTcpa", "buyer_name", *GEN1[2:]]
GEN1_FORM = ["buyer_name", "isDeDupe", "lead_status", "message", "redirect_url", "status", "transaction_id", "type"]
GEN1_ERROR = ["message", "status", "type"]
GEN2 = ["data", "message", "status"]
SYNCHRONOUS = [(201, "ACCEPTED", "one"), (201, "ACCEPTED", "pinged"), (200, "UNMATCHED", None)]
OFFERS = [[{"buyer_id": "one", "price": "50.00"}, {"buyer_id": "two", "price": "40.00"}]]

Look = Callable[[Sandbox], Any]
# (platform, reading): what to look at, and what is seen under each value.
SAID: dict[tuple[str, str], tuple[Look, dict[Any, Any]]] = {
    ("pingtree", "name_buyer"): (name_buyer, {False: None, True: "The Lender"}),
    ("pingtree", "form_get"): (form_get, {True: (201, None), False: (405, "POST")}),
    ("pingtree", "form_encoded"): (form_encoded, {True: 201, False: 400}),
    ("pingtree", "ping_form_encoded"): (ping_form_encoded, {False: (400, 400), True: (201, 201)}),
    ("pingtree", "form_alias"): (form_alias, {True: 201, False: 404}),
    ("pingtree", "envelope"): (
        envelope,
        {"gen2": [GEN2] * 4, "gen1": [GEN1, GEN1_FORM, GEN1_ERROR, GEN1_ERROR]},
    ),
    ("pingtree", "fetch_alias"): (fetch_alias, {True: [200, 200], False: [200, 404]}),
    ("pingtree", "event_alias"): (event_alias, {True: (200, 200), False: (200, 404)}),
    ("pingtree", "event_amount"): (event_amount, {True: (200, 200), False: (200, 400)}),
    ("pingtree", "event_query"): (event_query, {True: 200, False: 400}),
    ("pingtree", "event_lock_seconds"): (event_lock, {2: [200, 403], 0: [200, 200]}),
    ("pingtree", "click_alias"): (click_alias, {True: [200, 200], False: [200, 404]}),
    ("pingtree", "click_token"): (click_token, {False: [200, 200, 200], True: [401, 401, 200]}),
    ("pingtree", "expired_post"): (expired_post, {"reject": 400, "reevaluate": 201}),
    ("pingtree", "token_grace_seconds"): (token_grace, {0: 401, 3600: 201}),
    ("pingtree", "repeated_post"): (repeated_post, {"reject": (400, False), "replay": (201, True)}),
    ("pingtree", "repeated_transaction_id"): (repeated_transaction_id, {"accept": (201, 201), "reject": (400, 400)}),
    ("pingtree", "unaccepted_value"): (
        unaccepted_value,
        {"invalidField": ["invalidField"] * 2, "rejected": ["rejected"] * 2},
    ),
    ("leaddistro", "filter_failure_http"): (
        filter_failure_http,
        {422: (422, "filtered"), 400: (400, "REJECTED")},
    ),
    ("leaddistro", "suppression_mode"): (suppression_mode, {"reject422": 422, "skip": 200}),
    ("leaddistro", "ping_bids"): (ping_bids, {"off": [], "on": OFFERS}),
    ("leaddistro", "ping_bids_key"): (ping_bids_key, {"bids": ["bids"], "offers": ["offers"]}),
    ("leaddistro", "chosen_buyer_field"): (chosen_buyer_field, {"": "one", "chosen": "two"}),
    ("leaddistro", "direct_post_async"): (
        direct_post_async,
        {False: SYNCHRONOUS, True: [(201, "NEW", None), SYNCHRONOUS[1], (201, "NEW", None)]},
    ),
    ("leaddistro", "allow_form"): (allow_form, {True: (200, 201), False: (400, 400)}),
    ("leaddistro", "webhook_signature"): (
        webhook_signature,
        {"body": ("good", False), "timestamped": ("good", True)},
    ),
    ("leaddistro", "retry_after_header"): (retry_after_header, {True: "1", False: None}),
    ("leaddistro", "retry_after_underscore_header"): (retry_after_underscore_header, {True: "1", False: None}),
    ("leaddistro", "retry_after_body"): (retry_after_body, {True: 1, False: None}),
    ("leaddistro", "campaign_caps"): (
        campaign_caps,
        {False: (["ACCEPTED", "ACCEPTED"], True), True: (["ACCEPTED", "UNMATCHED"], False)},
    ),
    ("leaddistro", "test_mode_counts_caps"): (
        counted_test_leads,
        {False: ["ACCEPTED", "ACCEPTED"], True: ["ACCEPTED", "UNMATCHED"]},
    ),
    ("leaddistro", "duplicate_http"): (duplicate_http, {code: code for code in (200, 201, 409, 422)}),
    ("leaddistro", "ping_reject_http"): (ping_reject_http, {200: [200, 200], 422: [422, 422]}),
    ("leaddistro", "ping_token_failure"): (
        ping_token_failure,
        {"400": [400] * 4, "422": [422] * 4, "ignore": [201] * 4},
    ),
    ("leaddistro", "ping_price"): (ping_price, {"locked": 7700, "reprice": 1000}),
    ("leaddistro", "filter_errors_shape"): (
        filter_errors_shape,
        {"objects": ["message", "rule"], "strings": "texans"},
    ),
}

GEN1_SERVERS = {name for name, readings in SERVERS.items() if readings["pingtree"].get("envelope") == "gen1"}
# Where another reading hides this one: generation 1 has no such word, no bids have no key, and so on.
HIDDEN = {
    *((server, "unaccepted_value") for server in GEN1_SERVERS),
    *((server, "ping_bids_key") for server in ("defaults", "older")),
    ("mixed", "envelope"),  # its answers have one key more, see below
}
CASES = [(server, *reading) for server in SERVERS for reading in SAID if (server, reading[1]) not in HIDDEN]


def value_of(server: str, platform: str, reading: str) -> Any:
    return getattr(CONTRACTS[platform].readings(**SERVERS[server][platform]), reading)


@pytest.mark.parametrize(("server", "platform", "reading"), CASES)
def test_a_reading_decides_what_is_said(
    servers: Callable[[str], Sandbox], server: str, platform: str, reading: str
) -> None:
    look, said = SAID[platform, reading]
    assert look(servers(server)) == said[value_of(server, platform, reading)]


def test_generation_1_names_the_buyer_of_a_ping_where_both_readings_say_so(
    servers: Callable[[str], Sandbox],
) -> None:
    ping, form, *errors = envelope(servers("mixed"))
    assert ping == GEN1_NAMED
    assert form == GEN1_FORM
    assert errors == [GEN1_ERROR, GEN1_ERROR]


def test_every_reading_is_looked_at_under_every_value_that_its_model_lists() -> None:
    for platform, contract in CONTRACTS.items():
        for name, info in contract.readings.model_fields.items():
            tried = {value_of(server, *key) for server, *key in CASES if key == [platform, name]}
            listed = {True, False} if info.annotation is bool else set(get_args(info.annotation))
            assert listed <= tried, name
            assert len(tried) > 1 or name == "ping_bids_key", name


def test_a_value_that_no_reading_has_is_refused_with_its_place(tmp_path: Path) -> None:
    wrong = config({"pingtree": {"envelope": "gen3"}, "leaddistro": {"duplicate_http": 204}})
    with pytest.raises(AssertionError, match="gen1") as refused, running(tmp_path, wrong):
        raise AssertionError("it started")
    assert "duplicate_http" in str(refused.value)
