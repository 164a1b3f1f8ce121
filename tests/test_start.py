"""What `leadsandbox up` prints is all that a newcomer needs, and it works as it is printed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.platforms import CONTRACTS
from simulator.welcome import text_of
from tests.running import COMMAND, PATIENCE, Client, Running, environment, run, sandbox, wait_until
from tests.two_simulators import answers, free_port

COUNTING = """curl() { command curl --silent --show-error --write-out '\\n%{http_code}\\n' "$@"; }\n"""


@pytest.fixture(scope="module")
def up() -> Iterator[Running]:
    with sandbox("--db", ":memory:") as running:
        yield running


def test_the_json_line_names_base_url_ids_tokens_and_keys(up: Running) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", up.base_url)
    assert up.credentials("supplier_xyz789") == {"api_key": "your_supplier_api_key"}
    tokens = up.credentials("lnk_abc123xyz")
    assert set(tokens) == {"form", "ping", "post", "update", "api"}
    assert all(re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token) for token in tokens.values())
    assert {"database", "mock_buyers", "version", "requests", "tenant"} <= set(up.welcome)


def test_there_is_a_request_for_every_operation(up: Running) -> None:
    told = [(item["platform"], item["operation"]) for item in up.welcome["requests"]]
    assert told == [(name, operation.name) for name, contract in CONTRACTS.items() for operation in contract.operations]


def test_every_request_works_as_it_is_printed(up: Running) -> None:
    commands = [str(item["curl"]) for item in up.welcome["requests"]]
    script = COUNTING + "\n".join(commands)
    ended = subprocess.run(
        ["bash", "-c", script], env=environment(), capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert ended.stderr == ""
    # 302: the consumer's click is led on.
    assert len(re.findall(r"^(?:20[01]|302)$", ended.stdout, re.MULTILINE)) == len(commands), ended.stdout
    words = ('"ping_accept"', '"leadStatus":"accepted"', '"Event fired"', '"clickListingId":"cl_001"')
    for told in (*words, '"accepted":true', '"ACCEPTED"'):
        assert told in ended.stdout
    client = Client(up.base_url)
    _, card = client.get("/__sandbox/audit")
    client.close()
    assert "fail" not in card["summary"], card


def test_json_is_one_line_and_nothing_else() -> None:
    with sandbox("--db", ":memory:") as running:
        running.process.terminate()
        assert running.process.wait(PATIENCE) == 0
        assert running.process.stdout is not None
        assert running.process.stdout.read() == b""
        assert running.stderr == ""


def test_the_text_shows_one_source_of_each_platform_in_full_and_how_to_see_the_others(up: Running) -> None:
    text = text_of(up.welcome)
    for sources in up.welcome["platforms"].values():
        [entries] = sources.values()
        assert all(value in text for value in entries[0]["credentials"].values())
        assert all(entry["id"] in text for entry in entries)
        others = [value for entry in entries[1:] for value in entry["credentials"].values()]
        assert not [value for value in others if value in text]
    assert "leadsandbox up --json" in text
    assert "/__sandbox/welcome" in text
    assert all(item["curl"] in text for item in up.welcome["requests"])


def test_without_json_the_text_is_printed_once_it_answers() -> None:
    with subprocess.Popen(
        [COMMAND, "up", "--port", "0", "--db", ":memory:"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "Ctrl-C stops it.\n":
                break
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert lines[0].startswith("leadsandbox ")
    assert "".join(lines).count("curl ") >= len(list(CONTRACTS))


def test_a_simulator_alone_says_nothing_on_stdout() -> None:
    port = free_port()
    command = [COMMAND, "serve", "--db", ":memory:", "--port", str(port)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            wait_until(lambda: answers(port) or process.poll() is not None, "it answers")
        finally:
            process.terminate()
            said = process.communicate(timeout=PATIENCE)
    assert said == (b"", b"")


def test_nothing_in_the_folder_where_it_is_started_is_taken_for_its_own(hostile: Path) -> None:
    with sandbox("--db", "sandbox.db", cwd=hostile) as running:
        client = Client(running.base_url)
        assert client.get("/healthz")[0] == 200
        client.close()


@pytest.mark.long
def test_a_load_test_takes_nothing_in_that_folder_for_its_own(hostile: Path) -> None:
    done = run("load", "lookup", "--duration", "3", "--attempts", "1", cwd=hostile)
    assert "EXECUTED" not in done.stdout + done.stderr
    assert done.returncode in {0, 21}, done.stderr  # so short a run may show nothing


@pytest.mark.long
def test_a_store_with_five_hundred_tenants_starts(tmp_path: Path) -> None:
    database = str(tmp_path / "sandbox.db")
    with sandbox("--db", database) as running:
        client = Client(running.base_url)
        assert {client.post("/__sandbox/tenants", {}, {})[0] for _ in range(500)} == {201}
        client.close()
    with sandbox("--db", database) as running:
        client = Client(running.base_url)
        assert len(client.get("/__sandbox/tenants")[1]["tenants"]) == 501
        client.close()


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of somebody else's, whose modules have names that Python, ours or our libraries' have too."""
    for name in (
        "html",
        "jwt",
        "flask",
        "simulator",
        "mock_buyers",
        "loadtests",
        "fixtures",
        "locust",
        "gevent",
        "email",
    ):
        (tmp_path / f"{name}.py").write_text('raise SystemExit("EXECUTED from the working folder")\n')
    return tmp_path
