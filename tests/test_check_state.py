"""`leadsandbox check-state` finds nothing in what the sandbox writes, and each contradiction that is planted in it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fixtures.leads import fake_leads
from simulator.store import contradictions, recount
from simulator.store.checking import check
from simulator.store.database import Database
from tests.postgres import Postgres
from tests.running import Client, Running, run, sandbox, wait_until, written

pytestmark = pytest.mark.long

KEY = {"x-api-key": "key_check"}
TRIGGER = {"X-Sandbox-Trigger": "LD-ING-201-ACCEPTED"}
IDS = {"flo_supplier_id": "supplier_check"}
FIELDS = [{"name": "state", "type": "state", "required": ["ping", "post", "form"]}]
PENDING = "SELECT count(*) FROM outbox WHERE status = 'pending'"

SANDBOX: dict[str, Any] = {
    "leaddistro": {
        "suppliers": [
            {
                "id": "supplier_check",
                "api_key": "key_check",
                "limits": {"ingest": None, "ping": None},
                "campaigns": ["turns", "tokens", "routed"],
            }
        ],
        "campaigns": [
            {
                "id": "turns",
                "distribution": "round_robin",
                "caps": {"day": 1000},
                "buyers": [
                    {"id": "odd", "price": 7.5, "caps": {"day": 4, "dollars": {"total": 1000}}},
                    {"id": "even", "price": 1, "caps": {"hour": 3}},
                ],
            },
            {"id": "tokens", "routing": "ping_post", "buyers": [{"id": "promised", "price": 1}]},
            {
                "id": "routed",
                "duplicates": {"inside_window": "route_to_original"},
                "buyers": [{"id": "again", "price": 2}],
            },
        ],
    },
    "pingtree": {
        "campaigns": [
            {
                "id": "auction",
                "events": [{"id": "funded"}],
                "sources": [
                    {
                        "id": "src",
                        "link_id": "lnk_check",
                        "fields": FIELDS,
                        "caps": {"total": 4},
                        "duplicates": {"fields": ["email"]},
                    }
                ],
                "buyers": [
                    {"id": "refuses", "persona": {"persona": "two_faced"}, "caps": {"total": 9}},
                    {"id": "buys", "persona": {"price": 5}, "caps": {"total": 3, "dollars": {"day": 100}}},
                ],
            }
        ]
    },
}


def send_some(up: Running, seed: int = 4) -> None:
    """Leads that are sold, unsold, doubled, refused, triggered and updated, at both platforms."""
    with closing(Client(up.base_url)) as client:
        _send_to_leaddistro(client, seed)
        _send_to_pingtree(up, client, seed)


def _send_to_leaddistro(client: Client, seed: int) -> None:
    leads = list(fake_leads("leaddistro", 8, seed=seed))
    for lead in [*leads, leads[0]]:
        client.post("/api/v1/ingest", {**IDS, "flo_campaign_id": "turns", **lead}, KEY)
    client.post("/api/v1/ingest", {**IDS, "flo_campaign_id": "turns", **leads[1]}, KEY | TRIGGER)
    for lead in (leads[0], leads[0]):
        client.post("/api/v1/ingest", {**IDS, "flo_campaign_id": "routed", **lead}, KEY)
    ids = {**IDS, "flo_campaign_id": "tokens"}
    for lead in leads[:2]:
        _, ping = client.post("/api/v1/ping", ids | {"phone": lead["phone"], "state": "NY"}, KEY)
        client.post("/api/v1/ingest", {**ids, **lead, "flo_ping_id": ping["ping_id"]}, KEY)


def _send_to_pingtree(up: Running, client: Client, seed: int) -> None:
    tokens = up.credentials("lnk_check")
    for n in range(6):
        ping = {"transaction_id": f"txn-{seed}-{n}", "state": "CA"}
        client.post("/api/lead/ping/lnk_check", ping, {"Authorization": f"Bearer {tokens['ping']}"})
        post = ping | {"email": f"person.{seed}.{min(n, 4)}@example.com"}
        client.post("/api/lead/post/lnk_check", post, {"Authorization": f"Bearer {tokens['post']}"})


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a little of everything, at rest, that does not contradict itself."""
    folder = tmp_path_factory.mktemp("check_state")
    database = folder / "sandbox.db"
    with sandbox("--config", written(folder, SANDBOX), "--db", str(database)) as up:
        control(up, "clock", {"freeze": "2026-01-05T12:00:00Z"})
        send_some(up)
        wait_until(lambda: not value(database, PENDING), "the outbox is empty")
        control(up, "snapshots", {"name": "kept"})
    assert check(database, always=("default",)).contradictions == ()
    return database


@pytest.fixture
def store(healthy: Path, tmp_path: Path) -> Path:
    """A copy, to plant something in."""
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(healthy)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def control(up: Running, path: str, document: dict[str, Any]) -> None:
    with closing(Client(up.base_url)) as client:
        status, body = client.post(f"/__sandbox/{path}", document, {})
        assert status < 300, body


def value(database: Path, sql: str) -> Any:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        return connection.execute(sql).fetchone()[0]


def plant(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, f"nothing to change: {statement}"
        connection.commit()


def found(database: Path) -> list[str]:
    return list(check(database, always=("default",)).contradictions)


MINE = "tenant = 'default'"
SOLD = f"{MINE} AND buyer_id = 'odd'"
ONE = f"SELECT min(id) FROM leads WHERE {SOLD} AND booking_json LIKE '%turn%'"
SALE = f"SELECT min(transaction_id) FROM leads WHERE {MINE} AND buyer_id = 'buys'"
DELIVERY = f"SELECT min(id) FROM outbox WHERE {MINE}"
CAP = "tenant default: cap leaddistro:buyer:odd:total:money counts "
CLAIM = {"scope": "s", "period": "", "limit": 1, "amount": 1, "label": ""}
HOLDING = json.dumps({"lead_id": "", "claims": [CLAIM]})
COLUMNS = "platform, source_id, campaign_id, transaction_id, at, status, buyer_id, price_cents, is_test, is_duplicate"
AGAIN = f"INSERT INTO leads (tenant, id, {COLUMNS}, phone, email, values_json, booking_json)"

PLANTED: dict[str, tuple[str, str]] = {
    "a cap that counts more than was sold": (
        f"UPDATE caps SET used = used + 1 WHERE {MINE} AND scope LIKE '%odd:total:money'",
        CAP,
    ),
    "a cap that forgot its sales": (f"DELETE FROM caps WHERE {MINE} AND scope LIKE '%odd:total:money'", f"{CAP}0, "),
    "a sale that is gone, though its share of the caps is not": (f"DELETE FROM leads WHERE id = ({ONE})", CAP),
    "a lead that took the share of another buyer": (
        f"UPDATE leads SET booking_json = replace(booking_json, 'buyer:odd', 'buyer:even') WHERE id = ({ONE})",
        "took 1 of cap leaddistro:buyer:even:day:leads",
    ),
    "a lead that took more cents than it was sold for": (
        f"UPDATE leads SET price_cents = price_cents - 1 WHERE id = ({ONE})",
        "took 750 of cap leaddistro:buyer:odd:total:money",
    ),
    "a person of nobody": (
        f"UPDATE persons SET lead_id = 'nobody' WHERE {MINE} AND lead_id = ({ONE})",
        "is claimed by lead nobody, which is not there",
    ),
    "a person of a duplicate": (f"UPDATE leads SET is_duplicate = 1 WHERE id = ({ONE})", "a duplicate itself"),
    "a person of another campaign's lead": (
        f"UPDATE leads SET campaign_id = 'other' WHERE id = ({ONE})",
        "is of another campaign",
    ),
    "a person that went to another buyer": (
        f"UPDATE persons SET buyer_id = 'even' WHERE lead_id = ({ONE})",
        "is noted for buyer 'even'",
    ),
    "a person that was claimed at another time": (
        f"UPDATE persons SET at = at + 1 WHERE lead_id = ({ONE})",
        "at another time",
    ),
    "an end that there is not": (f"UPDATE leads SET status = 'REJECTED' WHERE id = ({ONE})", "ended as 'REJECTED'"),
    "a sale to nobody": (f"UPDATE leads SET buyer_id = '' WHERE id = ({ONE})", "is ACCEPTED and has no buyer"),
    "a buyer of an unsold lead": (f"UPDATE leads SET status = 'UNMATCHED' WHERE id = ({ONE})", "is UNMATCHED and has"),
    "a sale without a price": (f"UPDATE leads SET price_cents = NULL WHERE id = ({ONE})", "without a price"),
    "a price of an unsold lead": (
        f"UPDATE leads SET price_cents = 1 WHERE {MINE} AND buyer_id = ''",
        "is not sold and has a price",
    ),
    "two sales of one ping": (
        (
            f"{AGAIN} SELECT tenant, 'second', {COLUMNS}, phone, email, values_json, booking_json FROM leads"
            f" WHERE {MINE} AND transaction_id = ({SALE})"
        ),
        "was sold 2 times, as leads",
    ),
    "a ping that was sold as another lead": (
        (
            f"UPDATE pings SET answer_json = replace(answer_json, 'lead_id', 'other') WHERE {MINE}"
            f" AND transaction_id = ({SALE})"
        ),
        "and its answer does not say so",
    ),
    "a ping whose sale is not there": (
        f"DELETE FROM leads WHERE {MINE} AND transaction_id = ({SALE})",
        "as ACCEPTED, which is not there",
    ),
    "a sale of a refused ping": (
        f"UPDATE pings SET accepted = 0 WHERE {MINE} AND transaction_id = ({SALE})",
        "was refused, and sold as lead",
    ),
    "a sale without its ping": (f"DELETE FROM pings WHERE {MINE} AND transaction_id = ({SALE})", "there is no ping"),
    "a settled sale that still holds something": (
        f"UPDATE pings SET holding_json = '{{}}' WHERE {MINE} AND transaction_id = ({SALE})",
        "no sale of it is in flight",
    ),
    "an answer to a post that nobody made": (
        f"UPDATE pings SET claimed_at = NULL WHERE {MINE} AND transaction_id = ({SALE})",
        "and none claimed it",
    ),
    "a cap that a sale in flight never took": (
        (f"UPDATE pings SET answer_json = NULL, holding_json = '{HOLDING}' WHERE {MINE} AND transaction_id = ({SALE})"),
        "cap s counts 0, its sales took 1",
    ),
    "an event of no lead": (
        (
            "INSERT INTO events (tenant, platform, transaction_id, event_id, at, times)"
            " VALUES ('default', 'pingtree', 'none', 'funded', 0, 1)"
        ),
        "event funded happened to transaction none",
    ),
    "a token that two leads redeemed": (
        (
            f"UPDATE leads SET booking_json = (SELECT max(booking_json) FROM leads WHERE booking_json LIKE '%token%')"
            f" WHERE {MINE} AND booking_json LIKE '%token%'"
        ),
        "was redeemed by 2 leads",
    ),
    "a redeemed token without a lead": (
        "INSERT INTO redeemed (tenant, token_id, at) VALUES ('default', 'tok', 0)",
        "ping token tok is redeemed, and no lead has it",
    ),
    "a lead whose token is still open": (f"DELETE FROM redeemed WHERE {MINE}", "and is still open"),
    "a turn that was given twice": (
        f"""UPDATE leads SET booking_json = replace(booking_json, '"turn":1', '"turn":0') WHERE {MINE}""",
        "turn 0 of campaign turns was given to 2 leads",
    ),
    "a turn that was skipped": (f"UPDATE turns SET n = n + 1 WHERE {MINE}", "its leads had"),
    "a turn that was never given out": (f"UPDATE turns SET n = n - 1 WHERE {MINE}", "was given, and the last was"),
    "a sold lead without its webhook": (
        f"DELETE FROM outbox WHERE id = ({DELIVERY})",
        "has no delivery of its webhook evt_",
    ),
    "a webhook of no lead": (
        f"UPDATE outbox SET lead_id = 'nobody' WHERE id = ({DELIVERY})",
        "is about lead nobody, which is not there",
    ),
    "a webhook that was not owed": (
        f"UPDATE leads SET booking_json = '{{}}' WHERE id = ({ONE})",
        "and was sold without a webhook",
    ),
    "a webhook to another buyer": (f"UPDATE outbox SET buyer_id = 'x' WHERE id = ({DELIVERY})", "goes to buyer x"),
    "two webhooks of one lead": (
        (
            f"UPDATE outbox SET lead_id = (SELECT max(lead_id) FROM outbox WHERE {MINE}) WHERE id IN"
            f" (SELECT id FROM outbox WHERE {MINE} ORDER BY lead_id LIMIT 1)"
        ),
        "has 2 deliveries",
    ),
    "two webhooks with one event id": (
        f"UPDATE outbox SET event_id = (SELECT max(event_id) FROM outbox WHERE {MINE}) WHERE id = ({DELIVERY})",
        "has 2 deliveries",
    ),
    "a delivery in a state that there is not": (
        f"UPDATE outbox SET status = 'lost' WHERE id = ({DELIVERY})",
        "is 'lost', which nothing is",
    ),
    "a delivery without its time": (
        f"UPDATE outbox SET delivered_at = NULL WHERE id = ({DELIVERY})",
        "its time of delivery says otherwise",
    ),
    "an attempt too few": (
        f"DELETE FROM attempts WHERE delivery_id = ({DELIVERY})",
        "counts 1 attempts; there are 0",
    ),
    "an attempt that is not counted": (
        f"UPDATE outbox SET attempts = 0 WHERE id = ({DELIVERY})",
        "counts 0 attempts; there are 1",
    ),
    "a delivery that failed": (
        f"UPDATE attempts SET http_status = 500 WHERE delivery_id = ({DELIVERY})",
        "its last attempt says otherwise",
    ),
    "an attempt at no delivery": (
        (
            "INSERT INTO attempts (tenant, delivery_id, n, at, latency_ms, error)"
            " VALUES ('default', 10000, 1, 0, 1, 'refused')"
        ),
        "belongs to delivery 10000, which is not there",
    ),
    "rows of a tenant that is not there": (
        "INSERT INTO caps (tenant, scope, period, used) VALUES ('gone', 's', '', 0)",
        "tenant gone: there are rows of it, and no such tenant or snapshot",
    ),
    "rows of a snapshot that is not there": (
        "UPDATE snapshots SET name = 'renamed'",
        "tenant snapshot/default/kept: there are rows of it",
    ),
    "a snapshot of a tenant that is not there": (
        "INSERT INTO snapshots (tenant, name, document_json) VALUES ('gone', 'old', '{}')",
        "tenant gone: there is a snapshot old of a tenant that is not there",
    ),
    "a snapshot that contradicts itself": (
        "UPDATE caps SET used = used + 1 WHERE tenant = 'snapshot/default/kept' AND scope LIKE '%odd:total:money'",
        "tenant snapshot/default/kept: cap leaddistro:buyer:odd:total:money counts",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_contradiction_is_found(store: Path, name: str) -> None:
    statement, said = PLANTED[name]
    plant(store, statement)
    lines = found(store)
    assert any(said in line for line in lines), lines
    assert all(line.startswith("tenant ") and "\n" not in line for line in lines)


def test_the_healthy_store_has_a_little_of_everything(healthy: Path) -> None:
    rows = check(healthy, always=("default",)).rows
    assert all(rows[name] for name in rows if name != "events"), rows
    ends = f"SELECT group_concat(DISTINCT status) FROM leads WHERE {MINE}"
    assert set(str(value(healthy, ends)).split(",")) == {"ACCEPTED", "UNMATCHED", "UNSOLD", "DUPLICATE"}
    assert value(healthy, f"SELECT count(*) FROM leads WHERE {MINE} AND booking_json LIKE '%triggered%'") == 1


def test_without_contradictions_it_says_what_it_looked_at_and_ends_with_0(healthy: Path) -> None:
    ended = run("check-state", "--db", str(healthy))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{healthy}: no contradiction in ")


def test_each_contradiction_is_one_line_and_it_ends_with_1(store: Path) -> None:
    plant(store, PLANTED["a redeemed token without a lead"][0])
    ended = run("check-state", "--db", str(store))
    assert ended.returncode == 1
    planted, summary = ended.stdout.splitlines()
    assert planted == "tenant default: ping token tok is redeemed, and no lead has it"
    assert summary.startswith(f"{store}: 1 contradictions in ")


def test_as_json_it_is_one_document(store: Path) -> None:
    plant(store, PLANTED["a redeemed token without a lead"][0])
    ended = run("check-state", "--json", env={"LEADSANDBOX_DB": str(store), "PATH": ""})
    document = json.loads(ended.stdout)
    assert (ended.returncode, len(document["contradictions"]), document["place"]) == (1, 1, str(store))


@pytest.mark.parametrize(("database", "said"), [("missing.db", "there is no file"), (":memory:", "in memory")])
def test_a_store_that_cannot_be_read_is_one_line_and_3(tmp_path: Path, database: str, said: str) -> None:
    ended = run("check-state", "--db", database, cwd=tmp_path)
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (3, "", 1)
    assert said in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE of_somebody (x)")
    ended = run("check-state", "--db", str(other))
    assert ended.returncode == 3
    assert "is no store of a sandbox" in ended.stderr


def test_a_server_without_statistics_joins_by_whole_keys_and_not_each_row_with_all_of_its_tenant(
    postgres_server: Postgres,
) -> None:
    """Ten thousand duplicates of a thousand persons were ten million rows, and the statement's time was over."""
    url = f"{postgres_server.emptied()}&options=-c search_path=public"  # whatever the user sets besides
    Database.open(url).close()
    asked = [rule.broken for rule in (contradictions.PERSON_OF_NOBODY, *contradictions.RULES)]
    plans = ""
    with Database.seen(url) as connection:
        for query in (*asked, recount._LEADS, recount._SALES, recount._WITHOUT_PING):
            sql = query.compile(connection, compile_kwargs={"literal_binds": True})
            plans += "\n".join(connection.exec_driver_sql(f"EXPLAIN DECLARE rows CURSOR FOR {sql}").scalars())
    assert "Hash" in plans
    assert [line for line in plans.splitlines() if "Nested Loop" in line or "Merge" in line] == []


def test_checking_writes_nothing(store: Path) -> None:
    store.chmod(0o400)
    before = store.read_bytes()
    assert found(store) == []
    assert store.read_bytes() == before


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path_factory.mktemp("running")
    database = folder / "sandbox.db"
    with sandbox("--config", written(folder, SANDBOX), "--db", str(database)) as running:
        yield running, database


def test_a_running_sandbox_can_be_checked(up: tuple[Running, Path]) -> None:
    running, database = up
    send_some(running)
    assert run("check-state", "--db", str(database)).returncode == 0


@pytest.mark.parametrize("scopes", [["leads"], ["caps"], ["pings"], ["deliveries"], ["leads", "caps"]])
def test_after_a_reset_of_one_kind_of_row_the_others_are_not_held_against_it(
    up: tuple[Running, Path], scopes: list[str]
) -> None:
    running, database = up
    control(running, "reset", {"scopes": ["all"]})
    send_some(running)
    control(running, "reset", {"scopes": scopes})
    send_some(running, seed=5)
    report = check(database, always=("default",))
    control(running, "reset", {"scopes": ["all"]})
    assert report.contradictions == ()
    assert [note for note in report.notes if "were not compared" in note]
    assert check(database, always=("default",)).notes == ()


def test_leads_of_an_older_release_only_let_counters_count_more(store: Path) -> None:
    plant(store, f"UPDATE leads SET booking_json = NULL WHERE {MINE}")
    report = check(store, always=("default",))
    assert report.contradictions == ()
    assert any("do not say what they took" in note for note in report.notes)
