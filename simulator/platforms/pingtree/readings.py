"""Where Pingtree's pages disagree or are silent: which reading is in force. No reading acts here."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Readings(BaseModel):
    """One field per conflict (C…) or gap of Pingtree's documents. Defaults follow the reference pages."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name_buyer: bool = Field(
        default=False,
        description="C14: one page says that the ping's answer names the buyer, the reference prints no "
        "such key. true adds `buyer_name` (our choice of key) to accepted answers.",
    )
    form_get: bool = Field(
        default=True,
        description="C15: the guide allows GET on the form API, the reference shows POST only. false "
        "answers GET with 405.",
    )
    form_encoded: bool = Field(
        default=True,
        description="C15: the reference allows form-encoded bodies on the form API, the guide says raw "
        "JSON. false refuses them with 400 invalidField.",
    )
    ping_form_encoded: bool = Field(
        default=False,
        description="C16: ping and post document JSON only. true also takes form-encoded bodies there.",
    )
    form_alias: bool = Field(
        default=True,
        description="C17: the text gives /api/lead/add/{id}, the page's playground /api/lead/{id}. true "
        "serves both, false the first only.",
    )
    fetch_alias: bool = Field(
        default=True,
        description="C19: the text gives /api/lead/fetch/{source id}, the page's playground "
        "/api/lead/fetch-response/{campaign id}. true serves both, false the first only.",
    )
    event_alias: bool = Field(
        default=True,
        description="C20: the text gives /api/event/trigger with `cid` in the body, the playground "
        "/api/event/{campaign id}. true serves both, false the first only.",
    )
    event_amount: bool = Field(
        default=True,
        description="C20: the text names the money of an event `revenue`, the playground `amount`. true takes "
        "either, false `revenue` only.",
    )
    event_query: bool = Field(
        default=True,
        description="C20: the reference sends an event as a body, the help centre appends it to the URL. true "
        "reads the URL of a request without a body, false the body only.",
    )
    click_alias: bool = Field(
        default=True,
        description="C21: the reference gives /api/click/list/{campaign id}/{transaction_id}, its playground "
        "/click/list/…. true serves both, false the first only.",
    )
    click_token: bool = Field(
        default=False,
        description="C21: the reference lists clicks without a token, the funnel page generates one. true wants "
        "the token of the kind `click`.",
    )
    envelope: Literal["gen2", "gen1"] = Field(
        default="gen2",
        description="C18: two generations of documents. gen2 answers {status, message, data: "
        "{leadStatus}}, gen1 the flat {status, type, message, lead_status}.",
    )
    expired_post: Literal["reject", "reevaluate"] = Field(
        default="reject",
        description="C23: after the validity window a post 'may be rejected or re-evaluated'. reject "
        "answers 400 rejected, reevaluate runs the auction again.",
    )
    token_grace_seconds: int = Field(
        default=0,
        ge=0,
        description="C24: no page says when a replaced token stops working. 0 = at once; otherwise it is "
        "honoured for so many seconds.",
    )
    event_lock_seconds: int = Field(
        default=2,
        ge=0,
        description="gap: 'a short lock' answers the same event of the same transaction with 403. For so many "
        "seconds of sandbox time after it was fired.",
    )
    repeated_post: Literal["reject", "replay"] = Field(
        default="reject",
        description="gap: a second post of one transaction_id. reject answers 400 rejected, replay "
        "repeats the first answer.",
    )
    repeated_transaction_id: Literal["accept", "reject"] = Field(
        default="accept",
        description="gap: a publisher's transaction_id that an earlier ping used. accept runs the "
        "auction, reject answers 400 rejected.",
    )
    unaccepted_value: Literal["invalidField", "rejected"] = Field(
        default="invalidField",
        description="gap: the lead status (always with 400) of a value outside a field's Acceptable Values.",
    )
