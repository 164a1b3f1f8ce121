"""A judge that nobody here wrote: schemathesis holds every answer against the OpenAPI document that is served."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulator.platforms import CONTRACTS
from tests.sandbox import Sandbox, Source

pytestmark = pytest.mark.long

EXAMPLES = os.environ.get("LEADSANDBOX_FUZZ_EXAMPLES", "30")
SEED = os.environ.get("LEADSANDBOX_FUZZ_SEED", "1")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def _judged(document: str, header: str, *before: str) -> str:
    """Return what schemathesis says; it fails by itself on an undocumented status, a 5xx or a body out of schema."""
    command = [str(Path(sys.executable).with_name("schemathesis")), *before, "run", document, "--header", header]
    options = ["--checks", CHECKS, "--phases", "examples,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, timeout=1800, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout
    return ended.stdout


def _operations(said: str) -> tuple[int, int]:
    """Return how many operations the document has, and how many were tested."""
    [total], [tested] = re.findall(r"selected / (\d+) total", said), re.findall(r"Tested: (\d+)", said)
    return int(total), int(tested)


def test_schemathesis_finds_no_undocumented_answer_of_lead_distro(built_in: Sandbox) -> None:
    document = f"{built_in.base_url}/__sandbox/openapi.json?platform=leaddistro"
    said = _judged(document, f"x-api-key: {built_in.supplier().key}")
    assert "Authentication failed" not in said, "it was let in"
    total, tested = _operations(said)
    assert total == tested == len(CONTRACTS["leaddistro"].operations)


@pytest.mark.parametrize("kind", ["ping", "post", "form"])
def test_schemathesis_finds_no_undocumented_answer_of_pingtree(built_in: Sandbox, kind: str) -> None:
    source = built_in.source()
    document = f"{built_in.base_url}/__sandbox/specs/{source.link_id}?format=openapi"
    _judged(document, f"Authorization: Bearer {source.tokens[kind]}")


def test_schemathesis_gets_into_every_operation_of_pingtree(built_in: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "schemathesis.toml"
    file.write_text("\n".join(_tokens_and_ids(built_in.source())))
    document = f"{built_in.base_url}/__sandbox/openapi.json?platform=pingtree"
    said = _judged(document, "X-Of: nothing", "--config-file", str(file))
    assert "Authentication failed" not in said, said
    total, tested = _operations(said)
    assert total == tested >= len(CONTRACTS["pingtree"].operations)


def _tokens_and_ids(source: Source) -> Iterator[str]:
    """Return a configuration of schemathesis: the source's own ids in paths, and to each operation its own token."""
    contract = CONTRACTS["pingtree"]
    yield "[parameters]"
    yield from (f'"path.{name}" = {json.dumps(value)}' for name, value in source.ids.items())
    for operation in contract.operations:
        header = contract.admission.header(_Known(source.link_id, source.tokens), operation)  # type: ignore[arg-type]
        if header is None:
            continue
        for path in (operation.path, *operation.aliases):
            template = path.replace("<", "{").replace(">", "}")
            yield from ("[[operations]]", f"include-path = {json.dumps(template)}")
            yield f"headers = {{ {json.dumps(header[0])} = {json.dumps(header[1])} }}"


@dataclass(frozen=True)
class _Known:
    """What an admission reads of a source to make its header."""

    name: str
    credentials: Mapping[str, str]
