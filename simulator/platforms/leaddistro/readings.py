"""Where Lead Distro AI's pages disagree or are silent: which reading is in force. No reading acts here."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Readings(BaseModel):
    """One field per conflict (C…) or gap of the documents. Defaults follow the ingest reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    filter_failure_http: Literal[422, 400] = Field(
        default=422,
        description="C1: the ingest reference answers a failed inbound filter with 422, the filter page "
        "with 400 and REJECTED.",
    )
    suppression_mode: Literal["reject422", "skip"] = Field(
        default="reject422",
        description="C2: the ingest reference answers suppression with 422, the suppression page skips "
        "the buyer silently. reject422: a campaign's list refuses the lead and a buyer's list "
        "skips the buyer; skip: no list refuses a lead.",
    )
    ping_bids: Literal["off", "on"] = Field(
        default="off",
        description="C3: prose promises buyers and bid prices in the ping's answer, no example has a key "
        "for them. on adds them as an array of our own.",
    )
    ping_bids_key: str = Field(
        default="bids",
        min_length=1,
        description="C3: the key of that array; any word, for no page names one.",
    )
    chosen_buyer_field: str = Field(
        default="",
        description="C4: prose posts the lead 'with the chosen buyer', no page names the field. A name "
        "here makes ingest read the buyer's id from it; empty = the token and the routing "
        "decide.",
    )
    direct_post_async: bool = Field(
        default=False,
        description="C5: one page answers with the assigned buyer, another distributes direct posts in "
        "the background. true answers 201 with status NEW and no buyer.",
    )
    allow_form: bool = Field(
        default=True,
        description="C7: the ingest reference says JSON, the partner page JSON and form-encoded. false "
        "takes JSON only.",
    )
    webhook_signature: Literal["body", "timestamped"] = Field(
        default="body",
        description="C8: the signing page signs the raw body alone, the blog promises a timestamp. body "
        "follows the signing page; timestamped adds headers of our own.",
    )
    retry_after_header: bool = Field(
        default=True,
        description="C10: whether a 429 carries the header `Retry-After`, in seconds.",
    )
    retry_after_underscore_header: bool = Field(
        default=True,
        description="C10: whether a 429 carries the header `retry_after`, in seconds.",
    )
    retry_after_body: bool = Field(
        default=True,
        description="C10: whether the body of a 429 has the key `retry_after`, in seconds.",
    )
    campaign_caps: bool = Field(
        default=False,
        description="C11: the docs cap buyers, the vendor's plugin also campaigns and suppliers. true "
        "counts those too.",
    )
    test_mode_counts_caps: bool = Field(
        default=False,
        description="C12: the test-mode page leaves test leads out of caps, the ingest reference does not "
        "mention caps. true counts them.",
    )
    duplicate_http: Literal[200, 201, 409, 422] = Field(
        default=200,
        description="gap: the HTTP status of a rejected duplicate, always with status DUPLICATE.",
    )
    ping_reject_http: Literal[200, 422] = Field(
        default=200,
        description="gap: the HTTP status of a ping that is answered accepted: false.",
    )
    ping_token_failure: Literal["400", "422", "ignore"] = Field(
        default="400",
        description="gap: what an expired, foreign, used, missing or altered flo_ping_id gets. 400 and "
        "422 answer validation_failed with that status, ignore treats the lead as if none had "
        "been sent.",
    )
    ping_price: Literal["locked", "reprice"] = Field(
        default="locked",
        description="gap: whether the ping's price binds the ingest. locked keeps it while the token is "
        "valid, reprice asks again.",
    )
    filter_errors_shape: Literal["objects", "strings"] = Field(
        default="objects",
        description="gap: the items of filter_errors. objects = {rule, message}, strings = the rules' names.",
    )
