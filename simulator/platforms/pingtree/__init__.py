"""Pingtree's contract as a value: operations, rows, schemas. How an answer is worded is `wire.py`'s."""

from __future__ import annotations

from importlib.resources import files

from simulator.contract.model import BodyType, Contract, Journey, Operation
from simulator.contract.table import load_formats, load_rows, load_schemas
from simulator.platforms.pingtree import admission, buyer_wire, wire
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
}
FORM_EXAMPLE = POST_EXAMPLE

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
)

CONTRACT = Contract(
    platform="pingtree",
    title="Pingtree",
    base_url="https://api.pingtree.com",
    operations=(PING, POST, FORM),
    rows=load_rows(_HERE.joinpath("status_codes.toml")),
    schemas=load_schemas(_HERE.joinpath("schemas")),
    formats=load_formats(_HERE.joinpath("schemas")),
    path_prefix="/api/lead/",
    source_word="sources",
    render=wire.render,
    normalise=wire.normalise,
    readings=Readings,
    admission=admission,
    buyer_wire=buyer_wire,
    duties=DUTIES,
)
