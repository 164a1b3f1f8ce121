"""What a person meets at the terminal: help, one clear line for what is wrong, exit codes, an orderly end."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator

from simulator.cli import main
from simulator.configuration.sandboxes import built_in_text
from simulator.store import Store
from tests.programs import as_anybody
from tests.running import Client, Running, alive, all_at_once, environment, run, sandbox, wait_until, written

KEY = {"x-api-key": "your_supplier_api_key"}
LEAD = {
    "flo_campaign_id": "campaign_abc123",
    "flo_supplier_id": "supplier_xyz789",
    "first_name": "John",
    "last_name": "Doe",
    "phone": "2125550123",
    "email": "john@example.com",
    "state": "TX",
}
COMMANDS = main.list_commands(click.Context(main))

BAD = """\
timezone: Mars/Olympus
pingtree:
  campaigns:
    - id: one
      sources:
        - {id: src, link_id: lnk, typ: CS}
leaddistro:
  suppliers:
    - {id: s, api_key: k, campaigns: [campain]}
  campaigns:
    - id: campaign
      distribution: waterfal
      buyers:
        - {id: b, price: much}
"""
WRONG = (
    (1, "timezone"),
    (6, "pingtree.campaigns[0].sources[0].typ"),
    (12, "leaddistro.campaigns[0].distribution"),
    (14, "leaddistro.campaigns[0].buyers[0].price"),
)


@pytest.fixture(scope="module")
def up() -> Iterator[Running]:
    with sandbox("--db", ":memory:") as running:
        yield running


def ingest(base_url: str, **more: str) -> tuple[int, Any]:
    client = Client(base_url)
    answer = client.post("/api/v1/ingest", LEAD | more, KEY)
    client.close()
    return answer


def says_one_line(*arguments: str, code: int, env: dict[str, str] | None = None, before: Sequence[str] = ()) -> str:
    """Run a command that must fail with one line on stderr and nothing on stdout; return the line."""
    ended = run(*arguments, env=env, before=before)
    assert (ended.returncode, ended.stdout) == (code, ""), ended
    [line] = ended.stderr.splitlines()
    assert "Traceback" not in line
    return line


# --- help -----------------------------------------------------------------------------------------------------


def test_without_a_command_help_is_shown() -> None:
    ended = run()
    assert "leadsandbox up" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_teaches(arguments: list[str]) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: leadsandbox")


def test_every_option_of_every_command_says_what_it_is_for() -> None:
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        assert command.help, name
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.help, f"{name} {option.name}"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["up", "--nonsense"], ["up", "--port", "65536"], ["up", "--port", "x"], ["send", "fax"], ["check"]],
)
def test_wrong_usage_exits_2_and_points_to_the_help(arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert "Usage: leadsandbox" in ended.stderr
    assert "Error: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_version_is_that_of_the_distribution() -> None:
    assert run("version").stdout == f"leadsandbox {version('leadsandbox')}\n"


# --- check, schema, spec --------------------------------------------------------------------------------------


def test_check_finds_the_built_in_sandbox_fine(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(built_in_text())
    ended = run("check", str(file))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{file}: fine\n", "")


def test_check_names_every_error_with_its_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    ended = run("check", str(file))
    assert (ended.returncode, ended.stdout) == (2, "")
    lines = ended.stderr.splitlines()
    for number, key in WRONG:
        assert any(re.match(rf"{re.escape(str(file))}:{number}:\d+: {re.escape(key)}\b", line) for line in lines), lines
    assert len(lines) == len(WRONG)
    assert "waterfall" in ended.stderr


def test_check_finds_an_id_that_names_nothing(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        "leaddistro:\n  suppliers:\n    - {id: s, api_key: k, campaigns: [campain]}\n  campaigns:\n    - id: campaign\n"
    )
    line = says_one_line("check", str(file), code=2)
    assert line.startswith(f"{file}:3:")
    assert "did you mean 'campaign'" in line or "campaign" in line.partition("campain")[2]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: [", b"- 1", b"a: &a [*a]", b"\x00", b"pingtree: 5"])
def test_check_says_one_line_about_what_is_no_sandbox_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    assert says_one_line("check", str(file), code=2).startswith(str(file))


def test_check_says_one_line_about_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "no such file" in says_one_line("check", str(tmp_path / "none.yaml"), code=2)


def test_schema_is_json_schema_that_takes_the_built_in_sandbox_and_not_a_bad_one() -> None:
    import yaml

    ended = run("schema")
    document = json.loads(ended.stdout)
    Draft202012Validator.check_schema(document)
    validator = Draft202012Validator(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(validator.iter_errors(yaml.safe_load(built_in_text()))) == []
    assert not validator.is_valid(yaml.safe_load(BAD))


def test_spec_lists_all_and_describes_one() -> None:
    listed = run("spec").stdout.splitlines()
    assert any("src_abc123" in line for line in listed)
    assert any("supplier_xyz789" in line for line in listed)
    described = run("spec", "lnk_abc123xyz").stdout
    assert "/api/lead/ping/" in described
    assert "| `state` | yes |" in described


def test_spec_as_schema_is_valid_json_schema_per_operation() -> None:
    found = json.loads(run("spec", "src_abc123", "--schema").stdout)
    assert {name.split()[-1] for name in found} >= {"ping", "post", "form"}
    for schema in found.values():
        Draft202012Validator.check_schema(schema)


def test_spec_of_an_unknown_name_says_how_to_find_the_known() -> None:
    assert "leadsandbox spec" in says_one_line("spec", "nobody", code=2)


# --- send -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["ping"], "ping_accept"),
        (["post"], "accepted"),
        (["form"], "accepted"),
        (["ingest"], "ACCEPTED|UNMATCHED"),
        (["ping", "--platform", "leaddistro"], '"accepted": (true|false)'),
    ],
)
def test_send_prints_the_answers_of_a_running_sandbox(up: Running, arguments: list[str], answer: str) -> None:
    ended = run("send", *arguments, "--url", up.base_url, "--count", "3")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) == 3
    assert all(re.search(answer, line) for line in lines), lines
    assert re.match(r"\d x \d{3} ", ended.stderr)


def test_send_as_json_shows_only_reserved_numbers_and_domains(up: Running) -> None:
    ended = run("send", "ingest", "--json", "--count", "5", "--seed", "3", env=environment(LEADSANDBOX_URL=up.base_url))
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(answers) == 5
    for each in answers:
        assert each["http"] in {200, 201}
        assert re.fullmatch(r"\d{3}55501\d\d", each["sent"]["phone"])
        assert re.search(r"@example\.(com|org|net)$", each["sent"]["email"])


@pytest.mark.long
def test_what_send_sends_breaks_no_duty(up: Running) -> None:
    client = Client(up.base_url)
    assert client.post("/__sandbox/reset", {"scopes": ["all"]}, {})[0] == 200
    client.close()
    for operation in ("ping", "post", "form", "ingest"):
        assert run("send", operation, "--url", up.base_url, "--count", "4").returncode == 0
    ended = run("audit", "--url", up.base_url, "--fail-on", "warn", "--require", "D60,D61,D62,D63")
    assert ended.returncode == 0, ended.stdout


def test_send_says_what_was_answered_even_when_that_is_no_json(up: Running) -> None:
    client = Client(up.base_url)
    assert (
        client.post("/__sandbox/faults", {"trigger": "malformed_json", "operation": "ping", "count": 1}, {})[0] == 201
    )
    client.close()
    ended = run("send", "post", "--url", up.base_url)
    assert ended.returncode == 0, ended.stderr
    assert "no JSON" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ingest", "--platform", "pingtree"], "--platform"),
        (["form", "--platform", "leaddistro"], "--platform"),
        (["post", "--platform", "leaddistro"], "--platform"),
    ],
)
def test_send_refuses_an_operation_that_the_platform_does_not_have(arguments: list[str], message: str) -> None:
    ended = run("send", *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr


def test_send_with_nobody_there_exits_4() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        assert "leadsandbox up" in says_one_line("send", "ping", "--url", url, code=4)


@pytest.mark.long
def test_send_says_what_the_sandbox_wants_of_it(tmp_path: Path) -> None:
    file = written(tmp_path, {"pingtree": {"campaigns": [{"id": "c", "sources": [{"id": "s", "link_id": "l"}]}]}})
    with sandbox("--db", ":memory:", "--config", file, "--control-token", "right") as guarded:
        where = ("--url", guarded.base_url, "--control-token")
        assert "token" in says_one_line("send", "ping", *where, "wrong", code=2)
        assert "leaddistro" in says_one_line("send", "ingest", *where, "right", code=2)
        assert run("send", "form", *where, "right").returncode == 0


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://", "http://[::1"])
def test_send_to_what_is_no_address_exits_4(url: str) -> None:
    says_one_line("send", "ping", "--url", url, code=4)


# --- what keeps it from starting ------------------------------------------------------------------------------


def test_a_taken_port_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = says_one_line("up", "--port", port, "--db", ":memory:", code=3)
        assert port in line
        assert "--port" in line


def test_the_port_of_another_sandbox_is_taken(up: Running) -> None:
    port = up.base_url.rpartition(":")[2]
    assert port in says_one_line("up", "--port", port, "--db", ":memory:", code=3)


def test_an_address_that_is_not_ours_is_one_line() -> None:
    assert "192.0.2.1" in says_one_line("up", "--host", "192.0.2.1", "--port", "0", "--db", ":memory:", code=3)
    assert "nowhere.invalid" in says_one_line(
        "up", "--host", "nowhere.invalid", "--port", "0", "--db", ":memory:", code=3
    )


def test_a_database_in_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert "none" in says_one_line("up", "--port", "0", "--db", str(tmp_path / "none" / "x.db"), code=3)


def test_a_database_that_may_not_be_written_is_one_line(locked: Path) -> None:
    there, new = str(locked / "there.db"), str(locked / "new.db")
    said = says_one_line("up", "--port", "0", "--db", there, code=3, before=as_anybody())
    assert f"can't open the store {there}" in said
    assert "its folder must be writable" in said
    said = says_one_line("up", "--port", "0", "--db", new, code=3, before=as_anybody())
    assert f"cannot write {new}" in said
    assert "choose another file with --db" in said


def test_a_store_that_may_not_be_written_is_one_line(locked: Path) -> None:
    said = says_one_line("check-state", "--db", str(locked / "there.db"), code=3, before=as_anybody())
    assert "its folder must be writable" in said


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.yaml"
    path.touch(mode=0o000)
    ended = run("check", str(path), before=as_anybody())
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith(f"Path '{path}' is not readable.\n")


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A folder with a store that nothing may be written to."""
    folder = tmp_path / "locked"
    folder.mkdir()
    Store.open(folder / "there.db").close()
    (folder / "there.db.lock").touch()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    yield folder
    folder.chmod(stat.S_IRWXU)


def test_a_database_below_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in says_one_line("up", "--port", "0", "--db", str(tmp_path / "file" / "x.db"), code=3)


def test_a_folder_as_database_is_one_line(tmp_path: Path) -> None:
    assert str(tmp_path) in says_one_line("up", "--port", "0", "--db", str(tmp_path), code=3)


def test_a_file_that_is_no_database_is_one_line_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear Jane, " * 200)
    assert "no database" in says_one_line("up", "--port", "0", "--db", str(file), code=3)
    assert file.read_text() == "Dear Jane, " * 200


def test_a_database_of_something_else_is_one_line(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE birds (name TEXT)")
    assert "something else" in says_one_line("up", "--port", "0", "--db", str(tmp_path / "other.db"), code=3)


@pytest.mark.long
def test_a_database_of_a_newer_release_is_one_line(tmp_path: Path) -> None:
    file = str(tmp_path / "sandbox.db")
    with sandbox("--db", file):
        pass
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE meta SET value = '999' WHERE key = 'schema'")
    assert "999" in says_one_line("up", "--port", "0", "--db", file, code=3)


@pytest.mark.long
def test_two_sandboxes_do_not_share_a_file(tmp_path: Path) -> None:
    file = str(tmp_path / "sandbox.db")
    with sandbox("--db", file) as first:
        assert "another sandbox" in says_one_line("up", "--port", "0", "--db", file, code=3)
        assert ingest(first.base_url)[0] == 201


def test_a_bad_sandbox_file_says_every_error_as_check_does(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    started, checked = run("up", "--port", "0", "--db", ":memory:", "--config", str(file)), run("check", str(file))
    assert (started.returncode, started.stdout) == (2, "")
    assert started.stderr == checked.stderr


def test_a_suppression_list_that_is_not_there_is_one_line_with_the_name_of_both_files(tmp_path: Path) -> None:
    campaign = {"id": "c", "suppression": [{"name": "list", "csv_file": "gone.csv"}]}
    supplier = {"id": "s", "api_key": "k", "campaigns": ["c"]}
    file = written(tmp_path, {"leaddistro": {"suppliers": [supplier], "campaigns": [campaign]}})
    line = says_one_line("up", "--port", "0", "--db", ":memory:", "--config", file, code=2)
    assert "gone.csv" in line
    assert file in line


def test_an_unknown_persona_is_one_line(tmp_path: Path) -> None:
    buyer = {"id": "b", "persona": "eagre"}
    source = {"id": "s", "link_id": "l"}
    file = written(tmp_path, {"pingtree": {"campaigns": [{"id": "c", "sources": [source], "buyers": [buyer]}]}})
    line = says_one_line("up", "--port", "0", "--db", ":memory:", "--config", file, code=2)
    assert "eager" in line


# --- settings -------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_environment_variables_set_what_options_do_not(tmp_path: Path) -> None:
    from_env = environment(LEADSANDBOX_DB=str(tmp_path / "env.db"))
    with sandbox(env=from_env) as by_environment:
        assert by_environment.welcome["database"] == str(tmp_path / "env.db")
    with sandbox("--db", str(tmp_path / "option.db"), env=from_env) as by_option:
        assert by_option.welcome["database"] == str(tmp_path / "option.db")


def test_the_environment_can_name_the_sandbox_file_and_the_port(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    ended = run("up", "--port", "0", env=environment(LEADSANDBOX_CONFIG=str(tmp_path / "bad.yaml")))
    assert ended.returncode == 2
    assert run("up", env=environment(LEADSANDBOX_PORT="x")).returncode == 2


def test_without_db_the_file_is_private_and_in_the_state_folder(tmp_path: Path) -> None:
    home = environment(HOME=str(tmp_path), XDG_STATE_HOME=str(tmp_path / "state"))
    with sandbox(env=home) as running:
        file = Path(running.welcome["database"])
        assert tmp_path in file.parents
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


# --- running and ending ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_process_and_loses_nothing(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "sandbox.db"
    with sandbox("--db", str(file)) as running:
        _, body = ingest(running.base_url)
        tree = running.tree()
        running.process.send_signal(number)
        assert running.process.wait(10) == 0
        wait_until(lambda: not alive(tree), "no process is left", 5)
        assert "Traceback" not in running.stderr
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT id FROM leads").fetchall() == [(body["data"]["id"],)]


@pytest.mark.long
def test_a_signal_does_not_wait_for_a_buyer_that_is_silent(tmp_path: Path) -> None:
    buyer = {"id": "b", "persona": "silent", "ping_timeout": 120}
    campaign = {"id": "c", "sources": [{"id": "s", "link_id": "l"}], "buyers": [buyer]}
    file = written(tmp_path, {"pingtree": {"campaigns": [campaign]}})
    with sandbox("--config", file, "--db", ":memory:") as running:
        client = Client(running.base_url)
        client.ask("/api/lead/ping/l", {}, {"Authorization": f"Bearer {running.credentials('l')['ping']}"})
        buyers = Client(running.welcome["mock_buyers"])
        wait_until(lambda: buyers.get("/__buyers/pingtree/default/b/received")[1]["received"], "the buyer was asked")
        tree = running.tree()
        running.process.terminate()
        assert running.process.wait(20) == 0
        wait_until(lambda: not alive(tree), "no process is left", 5)
        client.close()
        buyers.close()


def test_a_restart_on_the_same_file_knows_leads_tokens_and_persons(tmp_path: Path) -> None:
    file = str(tmp_path / "sandbox.db")
    with sandbox("--db", file) as first:
        assert ingest(first.base_url)[0] == 201
        platforms = first.welcome["platforms"]
        token = first.credentials("lnk_abc123xyz")["ping"]
    with sandbox("--db", file) as second:
        assert second.welcome["platforms"] == platforms
        status, body = ingest(second.base_url)
        assert (status, body["data"]["status"]) == (200, "DUPLICATE")
        client = Client(second.base_url)
        ping = {"state": "CA", "zip_code": "90001"}
        assert client.post("/api/lead/ping/lnk_abc123xyz", ping, {"Authorization": f"Bearer {token}"})[0] == 201
        client.close()


@pytest.mark.long
def test_a_ping_before_a_restart_can_be_posted_after_it(tmp_path: Path) -> None:
    """Its bidders are kept with it; those mock buyers start anew and say no, so the next bid decides."""
    file = str(tmp_path / "sandbox.db")
    path = "/api/lead/{}/lnk_abc123xyz"
    with sandbox("--db", file) as first:
        tokens = first.credentials("lnk_abc123xyz")
        client = Client(first.base_url)
        ping = {"state": "CA", "zip_code": "90001", "transaction_id": "before-restart"}
        assert client.post(path.format("ping"), ping, {"Authorization": f"Bearer {tokens['ping']}"})[0] == 201
        client.close()
    with sandbox("--db", file) as second:
        client = Client(second.base_url)
        person = {"first_name": "Jane", "last_name": "Doe", "email": "jane@example.com", "mobile": "2125550123"}
        headers = {"Authorization": f"Bearer {tokens['post']}"}
        status, body = client.post(path.format("post"), ping | person, headers)
        assert (status, body["data"]["transaction_id"]) == (201, "before-restart")
        assert client.post(path.format("post"), ping | person, headers)[0] == 400
        client.close()


@pytest.mark.long
def test_hundreds_of_failures_of_our_own_are_logged_and_do_not_stop_the_sandbox(tmp_path: Path) -> None:
    """More is logged than a pipe holds; a log that nobody reads would stop the worker for ever."""
    file = tmp_path / "sandbox.db"
    supplier = {
        "id": "supplier_xyz789",
        "api_key": KEY["x-api-key"],
        "limits": {"ingest": None},
        "campaigns": [LEAD["flo_campaign_id"]],
    }
    sandbox_file = {"leaddistro": {"suppliers": [supplier], "campaigns": [{"id": LEAD["flo_campaign_id"]}]}}
    with sandbox("--db", str(file), "--config", written(tmp_path, sandbox_file)) as running:
        with closing(sqlite3.connect(file, timeout=30)) as database, database:
            database.execute("ALTER TABLE leads RENAME TO elsewhere")
        requests = [("/api/v1/ingest", LEAD | {"phone": f"{200 + n // 100}55501{n % 100:02}"}, KEY) for n in range(300)]
        answers = all_at_once(running.base_url, requests, connections=30)
        assert {status for status, _ in answers} == {500}
        with closing(sqlite3.connect(file, timeout=30)) as database, database:
            database.execute("ALTER TABLE elsewhere RENAME TO leads")
        assert ingest(running.base_url)[1]["data"]["status"] == "UNMATCHED"
        wait_until(lambda: len(running.stderr) > 100_000, "the failures are logged")
