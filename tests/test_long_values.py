"""What is too long for an index is taken and found again, the same in a file and in PostgreSQL."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.postgres import Postgres
from tests.running import PATIENCE, run, written
from tests.running import sandbox as started
from tests.sandbox import Sandbox, lead, person, readings_of

BUILT_IN = Path(__file__).parent.parent / "fixtures" / "sandboxes" / "built-in.yaml"
# Without a pattern: PostgreSQL packs what repeats itself, and would take it.
LONG = "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=10_000))
ODD = [LONG, "é€𝄞" * 200]


def config() -> dict[str, Any]:
    """The built-in sandbox, and a source that says little of its leads."""
    document: dict[str, Any] = yaml.safe_load(BUILT_IN.read_text())
    fields = [{"name": "state", "type": "state", "required": ["ping", "post"]}]
    source = {"id": "src_any", "link_id": "lnk_any", "fields": fields, "duplicates": {"fields": ["email"]}}
    buyers = [{"id": "buys", "persona": "eager"}]
    document["pingtree"]["campaigns"].append({"id": "any", "sources": [source], "buyers": buyers})
    return document


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return str(tmp_path_factory.mktemp("long_values") / "sandbox.db")
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.database()


@pytest.fixture(scope="module")
def here(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with started("--db", database, "--config", written(tmp_path_factory.mktemp("long_values"), config())) as up:
        yield Sandbox(up.welcome, Path(database), Path(), readings_of(config()))
        assert up.stderr == "", "something was logged, as only a failure of our own is"
    ended = run("check-state", "--db", database)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("transaction_id", ODD, ids=["long", "bytes"])
def test_a_transaction_id_of_any_length_leads_from_ping_to_postback(here: Sandbox, transaction_id: str) -> None:
    source = here.source()
    ping = source.ping(transaction_id=transaction_id)
    assert (ping.lead_status, ping.data["transaction_id"]) == ("ping_accept", transaction_id)
    post = source.post(transaction_id)
    assert (post.lead_status, post.data["transaction_id"]) == ("accepted", transaction_id)
    assert source.post(transaction_id).status == 400, "one post for each ping"
    assert source.ping(transaction_id=transaction_id + "x").data["transaction_id"] == transaction_id + "x"
    assert source.send("update", {"transaction_id": transaction_id, "city": "Oakland"}).status == 201
    kept = requests.get(f"{here.base_url}/__sandbox/leads", timeout=PATIENCE).json()["leads"]
    assert transaction_id in {each["transaction_id"] for each in kept}
    pings = requests.get(f"{here.base_url}/__sandbox/pings", timeout=PATIENCE).json()["pings"]
    assert transaction_id in {each["transaction_id"] for each in pings}


def _kept(here: Sandbox, name: str, value: str) -> list[dict[str, str]]:
    found = requests.get(f"{here.base_url}/__sandbox/leads", params={name: value}, timeout=PATIENCE)
    assert found.status_code == 200, found.text
    return list(found.json()["leads"])


def test_a_malformed_e_mail_address_is_refused_however_long_it_is(here: Sandbox) -> None:
    email = f"{LONG}@example.com"
    assert here.supplier().ingest(lead(), email=email).status == 400
    assert here.source().form({**person(), "email": email}).status == 400


def test_the_longest_e_mail_address_there_is_is_taken_found_and_makes_a_duplicate(here: Sandbox) -> None:
    email = f"{LONG[:64]}@{LONG[:60]}.{LONG[60:120]}.{LONG[120:180]}.{LONG[180:240]}.com"
    first, second = (here.source("lnk_any").form({**person(), "email": email}) for _ in "12")
    assert first.lead_status == "accepted"
    assert second.lead_status == "duplicate"
    found = _kept(here, "email", email.lower())
    assert [each["transaction_id"] for each in found] == [second.data["transaction_id"], first.data["transaction_id"]]
    assert _kept(here, "email", email.lower() + "x") == []


@pytest.mark.parametrize("name", ["email", "phone", "transaction_id", "status"])
def test_what_no_database_knows_as_text_finds_nothing(here: Sandbox, name: str) -> None:
    assert _kept(here, name, "a\0b") == []


@pytest.mark.parametrize("path", ["leads/a%00b", "snapshots/a%00b", "deliveries/a%00b", "requests/a%00b"])
def test_an_address_that_no_database_knows_as_text_is_not_found(here: Sandbox, path: str) -> None:
    assert requests.get(f"{here.base_url}/__sandbox/{path}", timeout=PATIENCE).status_code in {404, 405}
