"""`leadsandbox rehearse` and the example clients: clean ones pass, and each mistake of a careless one is found."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.rehearsal import ACCEPT, SITUATIONS, Run, merged
from simulator.testing import Server
from tests.programs import program
from tests.running import COMMAND, environment
from tests.sandbox import Sandbox
from tests.test_documents import got

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
CLIENTS = HERE.parent / "docs" / "examples" / "clients"
CARELESS = HERE / "careless_client.py"
LANGUAGES = {"client.py": sys.executable, "client.mjs": "node", "client.php": "php"}
PATIENCE = 120.0

# Nobody reads: what is sent must not wait for that in every situation. One test has a reader.
AT_ONCE = ("--severity", "D61:off")
# Every mistake of the careless client, the one duty that it breaks and a situation in which it shows.
PLANTED = {
    "pii": ("pingtree", "D01", "accept"),
    "posts_rejects": ("pingtree", "D10", "reject"),
    "reuses_ids": ("pingtree", "D18", "accept"),
    "drops_fields": ("pingtree", "D20", "accept"),
    "retries_400": ("pingtree", "D41", "expired_ping"),
    "ignores_retry_after": ("leaddistro", "D42", "rate_limited"),
}
# The kinds of requests that its finding names.
BLAMED = {
    "D01": {"ping"},
    "D10": {"ping", "post"},
    "D18": {"post"},
    "D20": {"ping", "post"},
    "D41": {"post"},
    "D42": {"ingest"},
}


def rehearse(
    sandbox: Sandbox, folder: Path, *words: str, reading_time: str = "0"
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Rehearse against the sandbox of the tests; return how it ended, and the scorecard if there is one."""
    file = folder / "card.json"
    arguments = ["rehearse", "--url", sandbox.base_url, "--slow", "50", "--json", str(file), *words]
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        env=environment(READING_TIME=reading_time),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return done, json.loads(file.read_text()) if file.exists() else {}


def outcomes(card: dict[str, Any], platform: str, outcome: str) -> set[str]:
    return {duty["duty"] for duty in card["platforms"][platform]["duties"] if duty["outcome"] == outcome}


def duties(card: dict[str, Any], outcome: str) -> set[tuple[str, str]]:
    return {(platform, duty) for platform in card["platforms"] for duty in outcomes(card, platform, outcome)}


@pytest.mark.parametrize("name", LANGUAGES)
def test_an_example_client_masters_every_situation_with_a_clean_scorecard(
    built_in: Sandbox, tmp_path: Path, name: str
) -> None:
    client = ("--", program(LANGUAGES[name]), str(CLIENTS / name))
    done, card = rehearse(built_in, tmp_path, "--fail-on", "warn", *AT_ONCE, *client)
    assert done.returncode == 0, done.stdout + done.stderr
    assert duties(card, "fail") == duties(card, "warn") == set()
    for situation in SITUATIONS:
        assert f"{situation.name:<13} exit 0, " in done.stdout
    assert outcomes(card, "pingtree", "pass") >= {"D01", "D10", "D12", "D20", "D34", "D41", "D44", "D50", "D60"}
    assert outcomes(card, "leaddistro", "pass") >= {"D14", "D18", "D34", "D42", "D44", "D50"}


@pytest.mark.parametrize("name", LANGUAGES)
def test_an_example_client_gives_its_consumer_time_to_read(built_in: Sandbox, tmp_path: Path, name: str) -> None:
    client = ("--", program(LANGUAGES[name]), str(CLIENTS / name))
    wanted = ("--situation", "accept", "--fail-on", "warn", "--require", "D61")
    done, card = rehearse(built_in, tmp_path, *wanted, *client, reading_time="2.2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert duties(card, "warn") == set()


def test_the_careless_client_fails_with_every_planted_mistake_found_once(built_in: Sandbox, tmp_path: Path) -> None:
    done, card = rehearse(built_in, tmp_path, *AT_ONCE, "--", sys.executable, str(CARELESS))
    assert done.returncode == 1
    planted = {(platform, duty) for platform, duty, _ in PLANTED.values()}
    assert duties(card, "fail") == planted
    # Who posts an id again does so after a refusal, too.
    assert duties(card, "warn") == {("pingtree", "D50")}
    said = [line for line in done.stderr.splitlines() if line.startswith("leadsandbox: ")]
    assert sorted(said) == sorted(f"leadsandbox: {platform} {duty}: fail" for platform, duty in planted)
    for platform, duty, situation in PLANTED.values():
        [found] = [one for one in card["platforms"][platform]["duties"] if one["duty"] == duty]
        [finding] = found["findings"]
        assert situation in finding["in"]
        blamed = [card["log"][name] for name in finding["requests"]]
        assert {one["operation"] for one in blamed} == BLAMED[duty], duty
        assert {one["situation"] for one in blamed} == set(finding["in"])


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_client_with_one_mistake_breaks_that_duty_in_that_situation(
    built_in: Sandbox, tmp_path: Path, mistake: str
) -> None:
    platform, name, situation = PLANTED[mistake]
    words = (*AT_ONCE, "--situation", situation, "--", sys.executable, str(CARELESS), mistake)
    done, card = rehearse(built_in, tmp_path, *words)
    assert done.returncode == 1
    assert duties(card, "fail") == {(platform, name)}
    assert duties(card, "warn") == set()
    [found] = [one for one in card["platforms"][platform]["duties"] if one["duty"] == name]
    assert any(situation in finding["in"] for finding in found["findings"])


def test_a_command_that_sends_nothing_is_no_rehearsal(built_in: Sandbox, tmp_path: Path) -> None:
    done, _ = rehearse(built_in, tmp_path, "--", sys.executable, "-c", "print('hello')")
    assert done.returncode == 5
    assert "sent nothing" in done.stderr
    assert "hello" in done.stderr
    assert "reject" not in done.stdout


def test_a_command_that_fails_although_all_is_accepted_fails_the_rehearsal(built_in: Sandbox, tmp_path: Path) -> None:
    script = f"import sys; sys.argv[1:] = ['drops_fields']; exec(open({str(CARELESS)!r}).read()); sys.exit(7)"
    done, _ = rehearse(built_in, tmp_path, "--situation", "accept", "--", sys.executable, "-c", script)
    assert done.returncode == 1
    assert "exits with 7" in done.stderr


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(built_in: Sandbox, tmp_path: Path) -> None:
    hangs = f"import subprocess, sys, time; subprocess.run([sys.executable, {str(CARELESS)!r}]); time.sleep(600)"
    done, _ = rehearse(
        built_in, tmp_path, "--timeout", "15", "--situation", "accept", "--", sys.executable, "-c", hangs
    )
    assert done.returncode == 1
    assert "accept: the command took too long" in done.stderr


def test_a_command_that_hangs_without_a_request_is_said_to_hang(built_in: Sandbox, tmp_path: Path) -> None:
    hangs = (sys.executable, "-c", "import time; time.sleep(600)")
    done, _ = rehearse(built_in, tmp_path, "--timeout", "1", "--", *hangs)
    assert done.returncode == 5
    assert "accept: the command took too long" in done.stderr
    assert "sent nothing" in done.stderr


def test_a_command_that_is_killed_has_failed(built_in: Sandbox, tmp_path: Path) -> None:
    dies = f"import os, signal, subprocess, sys; subprocess.run([sys.executable, {str(CARELESS)!r}, 'drops_fields'])"
    script = f"{dies}; os.kill(os.getpid(), signal.SIGKILL)"
    done, _ = rehearse(built_in, tmp_path, "--situation", "accept", "--", sys.executable, "-c", script)
    assert done.returncode == 1
    assert "the command exits with -9" in done.stderr


def test_a_file_that_is_full_in_the_end_loses_no_scorecard(built_in: Sandbox, tmp_path: Path) -> None:
    page, client = tmp_path / "card.html", (sys.executable, str(CARELESS), "pii")
    files = ("--junit", "/dev/full", "--html", str(page))
    done, card = rehearse(built_in, tmp_path, "--situation", "accept", *files, "--", *client)
    assert done.returncode == 2
    assert "leadsandbox: cannot write /dev/full: " in done.stderr
    assert "pingtree D01: fail" in done.stderr
    assert "in the ping:" in done.stdout
    assert card["requests"] == 3
    html = page.read_text()
    assert "in the ping:" in html
    assert "<code>accept#1 ping 201</code>" in html
    assert "accept#1 ping 201" in done.stdout
    assert "href" not in html  # the tenants of a rehearsal are gone, and their requests with them


def test_a_command_that_cannot_be_run_is_wrong_usage(built_in: Sandbox, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/nowhere/interpreter\n")
    broken.chmod(0o700)
    for name in (tmp_path / "nothing", broken):
        done, _ = rehearse(built_in, tmp_path, "--", str(name))
        assert done.returncode == 2
        assert f"leadsandbox: cannot run {name}: " in done.stderr


def test_a_rehearsal_leaves_no_tenant_behind(built_in: Sandbox, tmp_path: Path) -> None:
    before = len(got(built_in, "tenants").json()["tenants"])
    rehearse(built_in, tmp_path, "--situation", "reject", "--", sys.executable, str(CARELESS), "pii")
    assert len(got(built_in, "tenants").json()["tenants"]) == before


def test_a_situation_that_cannot_happen_to_the_command_is_skipped(built_in: Sandbox, tmp_path: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(HERE)!r}); import careless_client as c; c.leaddistro(set())"
    done, card = rehearse(built_in, tmp_path, "--situation", "expired_ping", "--", sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
    assert "expired_ping  skipped" in done.stdout
    assert card["requests"] == 1


def test_without_a_url_a_sandbox_is_started_and_ended(tmp_path: Path) -> None:
    arguments = ["rehearse", "--situation", "accept", "--", sys.executable, str(CARELESS), "drops_fields"]
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "pingtree D20: fail" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_answers_at_the_url_is_said_to_be_unreachable(tmp_path: Path) -> None:
    arguments = ["rehearse", "--url", "http://127.0.0.1:9", "--", "true"]
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 4


# --- merging scorecards ---------------------------------------------------------------------------------------


def card(outcome: str, *findings: str) -> dict[str, Any]:
    told = [{"detail": detail, "requests": [f"req_{detail}"], "count": 1} for detail in findings]
    duty = {"duty": "D01", "outcome": outcome, "exercised": 1, "findings": told}
    return {"requests": 1, "evicted": 0, "platforms": {"p": {"title": "P", "requests": 1, "duties": [duty]}}}


def runs(*cards: dict[str, Any]) -> Iterator[Run]:
    return (Run(situation, 0, one) for situation, one in zip(SITUATIONS, cards, strict=False))


@pytest.mark.parametrize(
    ("seen", "worst"),
    [
        (("pass", "not seen"), "pass"),
        (("not seen", "fail", "pass"), "fail"),
        (("info", "warn"), "warn"),
        (("off", "not seen"), "not seen"),
    ],
)
def test_the_worst_outcome_of_all_situations_counts(seen: tuple[str, ...], worst: str) -> None:
    [duty] = merged(runs(*map(card, seen)))["platforms"]["p"]["duties"]
    assert duty["outcome"] == worst
    assert duty["exercised"] == len(seen)


def test_one_finding_of_several_situations_is_told_once_with_all_of_them() -> None:
    [duty] = merged(runs(card("fail", "a"), card("fail", "a", "b")))["platforms"]["p"]["duties"]
    assert [(one["detail"], one["count"], len(one["requests"])) for one in duty["findings"]] == [
        ("a [accept, reject]", 2, 2),
        ("b [reject]", 1, 1),
    ]


def test_accept_is_the_first_situation_and_every_name_is_its_own() -> None:
    assert SITUATIONS[0] is ACCEPT
    assert len({item.name for item in SITUATIONS}) == len(SITUATIONS) == 8
    assert Path(COMMAND).name == "leadsandbox"


PAGE = (HERE.parent / "docs" / "for-test-code.md").read_text("utf-8")


def test_the_page_has_every_situation_with_its_meaning_in_order() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.partition("| situation |")[2].partition("\n\n")[0], re.MULTILINE)
    assert [name for name, _ in rows] == [item.name for item in SITUATIONS]
    for (_, told), item in zip(rows, SITUATIONS, strict=True):
        assert told.startswith(item.meaning)


def test_the_page_has_every_variable_that_a_command_finds(built_in: Sandbox) -> None:
    tenant = Server(built_in.base_url).new_tenant()
    tenant.delete()
    documented = set(re.findall(r"`((?:LEADSANDBOX|PINGTREE|LEADDISTRO)_\w+)`", PAGE))
    assert set(tenant.environment()) <= documented
