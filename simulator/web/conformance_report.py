"""What a report of `leadsandbox conform` has to hold, so that it can be shown."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_LISTED = 10_000  # rows, and results

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Number = Annotated[int, Field(ge=0, lt=2**53)]  # as JSON can hold it anywhere


class _Part(BaseModel):
    # Only what is shown is checked, and what may be missing is filled in: the schema of the whole is the suite's.
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False, defer_build=True)


class _Target(_Part):
    name: str = ""
    base_url: str = ""


class _Row(_Part):
    id: _Name
    platform: str
    operation: str
    http: _Number
    verdict: str
    code: str = ""
    evidence: str = ""
    meaning: str = ""
    source: list[str] = []
    reading: str = ""
    why: str = ""
    declared: bool | None = None
    cased: bool | None = None
    observed: bool | None = None
    asserted: bool | None = None
    falsified: bool | None = None


class _Finding(_Part):
    expected: str = ""
    actual: str = ""
    documented: str = ""
    source: list[str] = []
    curl: str = ""


class _Exchange(_Part):
    number: _Number = 0
    method: str = ""
    url: str = ""
    request_headers: dict[str, str] = {}
    request_body: str = ""
    status: _Number = 0
    response_body: str = ""
    milliseconds: float | None = None
    rows: list[str] = []
    problems: list[str] = []
    curl: str = ""


class _Result(_Part):
    id: _Name
    title: str
    verdict: str
    kind: str = "case"
    detail: str = ""
    verifies: list[str] = []
    findings: list[_Finding] = []
    exchanges: list[_Exchange] = []


class Report(_Part):
    """Version 1, as `leadsandbox conform --json FILE` writes it."""

    version: int = Field(ge=1, le=1)
    started: str
    exit_code: _Number
    target: _Target
    counts: dict[str, _Number]
    rows: list[_Row] = Field(max_length=MOST_LISTED)
    results: list[_Result] = Field(max_length=MOST_LISTED)
    complete: bool = True
    requests: _Number | None = None
    seconds: float | None = None
    possible: _Number | None = None
    achieved: _Number | None = None
