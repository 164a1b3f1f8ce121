"""Other people's mock servers, installed into a cache folder, and what each can do of an ingest and cannot."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.benchmarks.generator import Work
from tests.benchmarks.processes import ROOT, BenchError, Server, free_port, serving

CACHE = ROOT / ".bench"
FILES = Path(__file__).with_name("peer_files")
INSTALL = 240  # seconds for one
INGEST = Work("ingest", "/api/v1/ingest")


@dataclass(frozen=True)
class Peer:
    """One peer. `program` is what an installation leaves behind; `does` and `does_not` are for people."""

    name: str
    install: Sequence[str]
    program: Path
    command: Callable[[int], Sequence[str]]
    work: Work
    does: str
    does_not: str
    prepare: Callable[[str], None] = lambda _: None


def _npm(package: str) -> Sequence[str]:
    return ("npm", "install", "--prefix", str(CACHE / "npm"), "--no-audit", "--no-fund", "--loglevel=error", package)


def _bin(name: str) -> Path:
    return CACHE / "npm" / "node_modules" / ".bin" / name


def _pip(*packages: str) -> Sequence[str]:
    return (str(CACHE / "venv" / "bin" / "pip"), "install", "--quiet", *packages)


PYTHON = CACHE / "venv" / "bin"
ON_GRANIAN = str(ROOT / "tests" / "benchmarks" / "on_granian.py")
MOTO_HEADERS = {
    "X-Amz-Target": "DynamoDB_20120810.PutItem",
    "Authorization": "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0",
    "Content-Type": "application/x-amz-json-1.0",
}


WIREMOCK = CACHE / "npm" / "node_modules" / "wiremock" / "build" / "wiremock-standalone-3.13.2.jar"


def _with_a_stub(url: str) -> None:
    schema = yaml.safe_load((FILES / "openapi.yaml").read_text("utf-8"))["paths"]["/api/v1/ingest"]["post"]
    wanted = schema["requestBody"]["content"]["application/json"]["schema"]
    stub = {
        "request": {
            "method": "POST",
            "urlPath": "/api/v1/ingest",
            "bodyPatterns": [{"matchesJsonSchema": json.dumps(wanted), "schemaVersion": "V202012"}],
        },
        "response": {
            "status": 201,
            "headers": {"Content-Type": "application/json"},
            "body": '{"data":{"id":"{{randomValue type=\'UUID\'}}","status":"ACCEPTED"}}',
            "transformers": ["response-template"],
        },
    }
    _post(f"{url}/__admin/mappings", stub, {"Content-Type": "application/json"})


def _post(url: str, document: object, headers: Mapping[str, str]) -> None:
    request = urllib.request.Request(url, json.dumps(document).encode(), dict(headers))
    urllib.request.urlopen(request, timeout=30).read()


def _with_a_table(url: str) -> None:
    table = {
        "TableName": "leads",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    headers = {**MOTO_HEADERS, "X-Amz-Target": "DynamoDB_20120810.CreateTable"}
    _post(url, table, headers)


PEERS = (
    Peer(
        "Prism",
        _npm("@stoplight/prism-cli"),
        _bin("prism"),
        lambda port: (
            *(str(_bin("prism")), "mock", "--port", str(port), "--errors", "--verboseLevel", "silent"),
            str(FILES / "openapi.yaml"),
        ),
        INGEST,
        "validates the body against an OpenAPI document, answers the document's example",
        "no credential looked up, no limit, nothing kept, no duplicates, no buyers",
    ),
    Peer(
        "Mockoon",
        _npm("@mockoon/cli"),
        _bin("mockoon-cli"),
        lambda port: (
            *(str(_bin("mockoon-cli")), "start", "--data", str(FILES / "mockoon.json"), "--port", str(port)),
            *("--disable-log-to-file", "--max-transaction-logs", "1", "--disable-admin-api"),
        ),
        INGEST,
        "looks at one field of the body by a rule, answers a template with a made-up id",
        "no schema, no credential, no limit, nothing kept, no duplicates, no buyers",
    ),
    Peer(
        "WireMock",
        _npm("wiremock@3.13.2"),
        WIREMOCK,
        lambda port: (
            *("java", "-jar", str(WIREMOCK), "--port", str(port), "--root-dir", str(CACHE / "wiremock")),
            *("--disable-banner", "--max-request-journal-entries", "10000"),
        ),
        INGEST,
        "validates the body against a JSON Schema, answers a template with a made-up id, keeps a journal of requests",
        "no limit, nothing on disk, no duplicates, no buyers",
        _with_a_stub,
    ),
    Peer(
        "MockServer",
        _npm("mockserver-node"),
        CACHE / "npm" / "node_modules" / "mockserver-node" / "mockserver-netty-shaded.jar",
        lambda port: (
            *("java", "-jar", str(CACHE / "npm/node_modules/mockserver-node/mockserver-netty-shaded.jar")),
            *("-serverPort", str(port)),
        ),
        INGEST,
        "matches the body by JSON Schema, answers an expectation, keeps a log of requests",
        "no limit, no duplicates, no buyers",
    ),
    Peer(
        "moto",
        _pip("moto[server]"),
        PYTHON / "moto_server",
        lambda port: (str(PYTHON / "moto_server"), "-p", str(port)),
        Work("put_item", "/", MOTO_HEADERS),
        "stores the lead as an item of an in-memory DynamoDB table",
        "no schema but the key, no limit, nothing on disk, no duplicates, no buyers",
        _with_a_table,
    ),
    Peer(
        "httpbin",
        _pip("httpbin", "granian"),
        PYTHON.parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "httpbin" / "__init__.py",
        lambda port: (str(PYTHON / "python"), ON_GRANIAN, str(port), "32", "httpbin:app"),
        Work("ingest", "/post"),
        "echoes the request as JSON, on Flask and the same server as ours",
        "nothing of an ingest at all",
    ),
)


def install(peer: Peer) -> str:
    """Install a peer unless it is there; return "" or one line that says why it is not."""
    if peer.program.exists():
        return ""
    if peer.install[0] != "npm" and not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(CACHE / "venv")], check=True, timeout=INSTALL)
    for folder in ("npm", "wiremock"):
        (CACHE / folder).mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(peer.install, capture_output=True, text=True, timeout=INSTALL, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"[:200]
    if peer.program.exists():
        return ""
    said = [line.strip() for line in done.stderr.splitlines() if "rror" in line]
    return (said[-1] if said else f"its package brings no {peer.program.name}")[:200]


@contextlib.contextmanager
def running(peer: Peer) -> Iterator[Server]:
    """Run an installed peer. Raises BenchError."""
    port = free_port()
    with serving(peer.command(port), port) as server:
        try:
            peer.prepare(server.url)
        except OSError as error:
            raise BenchError(f"{peer.name}: {error}") from error
        yield server
