"""Pingtree's contract as a value: operations, rows, schemas. How an answer is worded is `wire.py`'s."""

from __future__ import annotations

from importlib.resources import files

from simulator.contract.model import BodyType, Contract, Journey, Operation
from simulator.contract.table import load_formats, load_rows, load_schemas
from simulator.platforms.pingtree import admission, asking, buyer_wire, telling, wire
from simulator.platforms.pingtree.duties import DUTIES
from simulator.platforms.pingtree.readings import Readings

_HERE = files(__name__)

PING_EXAMPLE = {
    "state": "CA",
    "zip_code": "90001",
    "loan_amount": 15000,
    "credit_score": "good",
    "home_owner": True,
    "sub1": "pub-campaign-001",
}
# No page prints a post or a form; these are the ping's example with the fields that the pages name.
POST_EXAMPLE = PING_EXAMPLE | {
    "first_name": "Jane",
    "last_name": "Doe",
    "email": "jane@example.com",
    "mobile": "2125550123",
    "tcpa_consent": "yes",
}
CONSENT_DATE = "tcpa_consent_date"
# Somebody else: one person is submitted once.
FORM_EXAMPLE = POST_EXAMPLE | {
    "first_name": "John",
    "email": "john@example.com",
    "mobile": "2125550124",
}

PING = Operation(
    name="ping",
    example=PING_EXAMPLE,
    path="/api/lead/ping/<source_unique_id>",
    journey=Journey.AUCTION,
    prefix="PT-PING",
    credential="ping",
    methods={"POST": ""},
    bodies={BodyType.JSON: "", BodyType.FORM: "ping_form_encoded=true"},
    summary="Submit partial lead data and learn whether a buyer would take the lead, and at what price",
    source="seed:001",
    link="transaction_id",
)

POST = Operation(
    name="post",
    example=POST_EXAMPLE,
    path="/api/lead/post/<source_unique_id>",
    journey=Journey.REDEEM,
    prefix="PT-POST",
    credential="post",
    methods={"POST": ""},
    bodies={BodyType.JSON: "", BodyType.FORM: "ping_form_encoded=true"},
    summary="Submit the full lead after an accepted ping",
    source="public:/api-explore/offer-campaign/source-post-api",
    link="transaction_id",
    dated=(CONSENT_DATE,),
)

FORM = Operation(
    name="form",
    example=FORM_EXAMPLE,
    path="/api/lead/add/<source_unique_id>",
    journey=Journey.OFFER,
    prefix="PT-FORM",
    credential="form",
    methods={"POST": "", "GET": "form_get=true"},
    bodies={
        BodyType.JSON: "",
        BodyType.FORM: "form_encoded=true",
        BodyType.QUERY: "form_get=true",
    },
    summary="Submit the full lead in one call, without an earlier ping",
    source="public:/api-explore/offer-campaign/source-form-api",
    aliases={"/api/lead/<source_unique_id>": "form_alias=true"},
    dated=(CONSENT_DATE,),
)

# Of what follows, only ids are printed; the events are the built-in sandbox's.
UPDATE = Operation(
    name="update",
    example={"credit_score": "excellent", "loan_amount": 20000},
    path="/api/lead/update/<offer_campaign_id>",
    journey=Journey.UPDATE,
    prefix="PT-UPD",
    credential="update",
    methods={"POST": ""},
    bodies={BodyType.JSON: ""},
    summary="Add to a lead that was submitted; one that nobody bought is offered to the buyers again",
    source="public:/api-explore/offer-campaign/update-api",
    link="transaction_id",
)

FETCH = Operation(
    name="fetch",
    example={},
    path="/api/lead/fetch/<source_id>",
    journey=Journey.FETCH,
    prefix="PT-FETCH",
    credential="api",
    methods={"GET": ""},
    bodies={BodyType.QUERY: ""},
    summary="Learn once more how a lead ended, and where its consumer goes next",
    source="public:/api-explore/offer-campaign/fetch-response",
    aliases={"/api/lead/fetch-response/<campaign_id>": "fetch_alias=true"},
    link="transaction_id",
)

LIST = Operation(
    name="list",
    example={"page": 1, "limit": 10},
    path="/api/lead/list/<org_id>/<campaign_id>",
    journey=Journey.LIST,
    prefix="PT-LIST",
    credential="api",
    methods={"GET": ""},
    bodies={BodyType.QUERY: ""},
    summary="Page through the leads of a campaign",
    source="public:/api-explore/offer-campaign/lead-list-api",
)

EVENT = Operation(
    name="event",
    example={"cid": "cmp_9z8y7x6w", "event_id": "evt_sale", "revenue": 45},
    path="/api/event/trigger",
    journey=Journey.EVENT,
    prefix="PT-EVT",
    credential="",
    methods={"POST": ""},
    bodies={BodyType.JSON: "", BodyType.URL: "event_query=true"},
    summary="Tell that something happened to a lead: an event of its campaign",
    source="public:/api-explore/offer-campaign/event-postback",
    aliases={"/api/event/<campaign_id>": "event_alias=true"},
    arguments={"campaign_id": "cid"},
    fills={"cid": "campaign_id"},
    link="transaction_id",
)

GLOBAL_EVENT = Operation(
    name="global_event",
    example={"event_id": "evt_signup"},
    path="/api/event/global/<org_id>",
    journey=Journey.EVENT,
    prefix="PT-GEVT",
    credential="",
    methods={"POST": ""},
    bodies={BodyType.JSON: "", BodyType.URL: "event_query=true"},
    summary="Tell that something happened to a lead, whose campaign is found by its transaction_id",
    source="public:/api-explore/offer-campaign/global-event-postback",
    link="transaction_id",
)

CLICKS = Operation(
    name="clicks",
    example={},
    path="/api/click/list/<campaign_id>/<transaction_id>",
    journey=Journey.CLICKS,
    prefix="PT-CLICK",
    credential="click",
    credential_reading="click_token=true",
    methods={"GET": ""},
    bodies={BodyType.QUERY: ""},
    summary="List the offers that the consumer of a sold lead can be shown",
    source="public:/api-explore/offer-campaign/click-listing-api",
    aliases={"/click/list/<campaign_id>/<transaction_id>": "click_alias=true"},
    arguments={"transaction_id": "transaction_id"},
    link="transaction_id",
)

CLICK = Operation(
    name="click",
    example={},
    path="/api/click/<click_listing_id>/<campaign_id>/<source_id>/<transaction_id>",
    journey=Journey.CLICK,
    prefix="PT-REDIR",
    credential="",
    methods={"GET": ""},
    bodies={BodyType.QUERY: ""},
    summary="Follow a click URL; only its look is documented, the redirect is the sandbox's own",
    source="public:/api-explore/offer-campaign/click-listing-api",
    arguments={"transaction_id": "transaction_id", "click_listing_id": "click_listing_id", "source_id": "pid"},
    link="transaction_id",
)

CONTRACT = Contract(
    platform="pingtree",
    title="Pingtree",
    base_url=telling.BASE_URL,
    operations=(PING, POST, FORM, UPDATE, FETCH, LIST, EVENT, GLOBAL_EVENT, CLICKS, CLICK),
    rows=load_rows(_HERE.joinpath("status_codes.toml")),
    schemas=load_schemas(_HERE.joinpath("schemas")),
    formats=load_formats(_HERE.joinpath("schemas")),
    path_prefix="/api/",
    source_word="sources",
    render=wire.render,
    normalise=wire.normalise,
    readings=Readings,
    admission=admission,
    buyer_wire=buyer_wire,
    asking=asking,
    duties=DUTIES,
    documentation="docs.pingtree.com",
    pages={"seed:001": "Create Source Ping API"},
)
