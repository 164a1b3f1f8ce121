"""A judge that nobody here wrote: schemathesis holds every answer against the OpenAPI document that is served."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox import Sandbox

pytestmark = pytest.mark.long

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def _judged(document: str, header: str) -> str:
    """Return what schemathesis says; it fails by itself on an undocumented status, a 5xx or a body out of schema."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", document, "--header", header]
    options = ["--checks", CHECKS, "--phases", "examples,fuzzing", "--max-examples", "30", "--seed", "1"]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout
    return ended.stdout


def test_schemathesis_finds_no_undocumented_answer_of_lead_distro(built_in: Sandbox) -> None:
    document = f"{built_in.base_url}/__sandbox/openapi.json?platform=leaddistro"
    said = _judged(document, f"x-api-key: {built_in.supplier().key}")
    assert "Authentication failed" not in said, "it was let in"


@pytest.mark.parametrize("kind", ["ping", "post", "form"])
def test_schemathesis_finds_no_undocumented_answer_of_pingtree(built_in: Sandbox, kind: str) -> None:
    source = built_in.source()
    document = f"{built_in.base_url}/__sandbox/specs/{source.link_id}?format=openapi"
    _judged(document, f"Authorization: Bearer {source.tokens[kind]}")
