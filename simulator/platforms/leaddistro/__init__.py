"""Lead Distro AI's contract as a value: operations, rows, schemas. How an answer is worded is `wire.py`'s."""

from __future__ import annotations

from importlib.resources import files

from simulator.contract.account import Limit
from simulator.contract.model import BodyType, Contract, Journey, Operation
from simulator.contract.table import load_formats, load_rows, load_schemas
from simulator.platforms.leaddistro import admission, buyer_wire, ping_tokens, wire
from simulator.platforms.leaddistro.duties import DUTIES
from simulator.platforms.leaddistro.readings import Readings

_HERE = files(__name__)

INGEST_EXAMPLE = {
    "flo_campaign_id": "campaign_abc123",
    "flo_supplier_id": "supplier_xyz789",
    "first_name": "John",
    "last_name": "Doe",
    "phone": "5551234567",
    "email": "john@example.com",
    "state": "TX",
}
PING_EXAMPLE = {
    "flo_campaign_id": "campaign_abc123",
    "flo_supplier_id": "supplier_xyz789",
    "phone": "5551234567",
    "email": "lead@example.com",
    "state": "CA",
}
# No page shows a parameter of the look-up; these are ours.
LOOKUP_EXAMPLE = {"phone": "5551234567"}

PING = Operation(
    name="ping",
    example=PING_EXAMPLE,
    path="/api/v1/ping",
    journey=Journey.PRECHECK,
    prefix="LD-PING",
    credential="api_key",
    methods={"POST": ""},
    bodies={BodyType.JSON: "", BodyType.FORM: "allow_form=true"},
    summary="Learn whether a lead would be taken, without creating a lead",
    source="public:/docs/ping-post",
    limit=Limit(rate=500, burst=1000, seconds=10),
)

INGEST = Operation(
    name="ingest",
    example=INGEST_EXAMPLE,
    path="/api/v1/ingest",
    journey=Journey.INGEST,
    prefix="LD-ING",
    credential="api_key",
    methods={"POST": ""},
    bodies={BodyType.JSON: "", BodyType.FORM: "allow_form=true"},
    summary="Submit a lead, which is validated, checked against filters and suppression, and distributed",
    source="seed:002",
    limit=Limit(rate=100, burst=200, seconds=10),
)

LOOKUP = Operation(
    name="lookup",
    example=LOOKUP_EXAMPLE,
    path="/api/v1/leads/lookup",
    journey=Journey.LOOKUP,
    prefix="LD-LOOK",
    credential="api_key",
    methods={"GET": ""},
    bodies={BodyType.QUERY: ""},
    summary="Find the supplier's own leads by id, phone or e-mail; parameters and answer are the sandbox's own",
    source="public:/docs/api-authentication",
    limit=Limit(rate=10, burst=20, seconds=5),
)

# Its page says what is updated, and shows no field; these are ours.
UPDATE_EXAMPLE = {"phone": "5551234567", "outcome": "converted", "sales_rep": "Ann Smith", "revenue": 250}

UPDATE = Operation(
    name="update",
    example=UPDATE_EXAMPLE,
    path="/api/v1/lead-update",
    journey=Journey.FEEDBACK,
    prefix="LD-UPD",
    credential="api_key",
    methods={"POST": ""},
    bodies={BodyType.JSON: "", BodyType.FORM: "allow_form=true"},
    summary="Tell what became of a delivered lead; fields and answer are the sandbox's own",
    source="public:/docs/partner-api",
)

CONTRACT = Contract(
    platform="leaddistro",
    title="Lead Distro AI",
    base_url="https://app.leaddistro.ai",
    operations=(PING, INGEST, LOOKUP, UPDATE),
    rows=load_rows(_HERE.joinpath("status_codes.toml")),
    schemas=load_schemas(_HERE.joinpath("schemas")),
    formats=load_formats(_HERE.joinpath("schemas")),
    path_prefix="/api/v1/",
    source_word="suppliers",
    render=wire.render,
    normalise=wire.normalise,
    readings=Readings,
    admission=admission,
    ping_tokens=ping_tokens,
    webhook_wire=buyer_wire,
    duties=DUTIES,
    documentation="leaddistro.ai",
    pages={"seed:002": "Lead Ingest API"},
)
