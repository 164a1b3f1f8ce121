"""Scenarios that are repeated because they showed nothing, and realistic ones; real Locust, real HTTP."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest

from loadtests.rehearsal import Limiter, Reply, lawful
from loadtests.schedule import Ticket
from tests.load_server import BOOK, LIMITS, load, serving

pytestmark = pytest.mark.long


@pytest.fixture
def book(tmp_path: Path) -> str:
    path = tmp_path / "book.toml"
    path.write_text(BOOK)
    return str(path)


def slow_at_first() -> Limiter:
    """Take so long over the first three requests that the one connection is late for the second and third."""
    lawfully, waits = lawful(LIMITS), iter([0.8] * 3)

    def answer(ticket: Ticket, now: int) -> Reply:
        time.sleep(next(waits, 0))
        return lawfully(ticket, now)

    return answer


def test_a_run_whose_generator_was_late_is_repeated_and_every_attempt_is_reported(book: str, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "html", "csv")}
    options = [part for kind, path in files.items() for part in (f"--{kind}", str(path))]
    with serving(slow_at_first()) as server:
        done = load("slow", "--scenarios", book, "--target", server.url, "--attempts", "5", *options)
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads(files["json"].read_text())["scenarios"]
    assert (entry["verdict"], entry["attempts"][0]["why"]) == ("PASS", "generator-invalid")
    assert entry["attempt"] == len(entry["attempts"]) + 1
    assert "attempt" in done.stdout
    assert "slow: requests left late" in " ".join(done.stdout.split()).replace(" (generator-invalid)", "")
    assert "slow, attempt 2" in files["html"].read_text()
    assert (tmp_path / "report-slow-2-locust.html").exists()
    with files["csv"].open(newline="") as file:
        assert {row["run"] for row in csv.DictReader(file)} >= {"1", "2"}


def test_one_attempt_is_one_attempt(book: str) -> None:
    with serving(slow_at_first()) as server:
        done = load("slow", "--scenarios", book, "--target", server.url, "--attempts", "1", "--json", "-")
        assert len(server.seen) == 3
    assert done.returncode == 21
    assert json.loads(done.stdout)["scenarios"][0]["attempts"] == []


@pytest.mark.parametrize(
    ("name", "limiter", "sent"),
    [
        ("short", lawful({"lookup": LIMITS["ingest"]}), 40),  # violated
        ("gentle", lambda *_: Reply(404), 5),  # no answers of the endpoint's own
        ("gentle", lawful(LIMITS), 5),  # too gentle a plan
    ],
)
def test_what_another_attempt_would_only_show_again_is_not_repeated(
    book: str, name: str, limiter: Limiter, sent: int
) -> None:
    with serving(limiter) as server:
        done = load(name, "--scenarios", book, "--target", server.url, "--attempts", "5", "--json", "-")
        seen = len(server.seen)
    (entry,) = json.loads(done.stdout)["scenarios"]
    late = [each for each in entry["attempts"] if "left late" in " ".join(each["reasons"])]
    assert len(entry["attempts"]) == len(late)
    assert seen == sent * entry["attempt"]


def groups(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {group["endpoint"]: group for group in entry["groups"]}


def test_the_posts_of_a_funnel_are_predicted_from_the_share_of_pings_that_the_buyer_takes() -> None:
    done = load("funnel", "--duration", "6", "--accept-rate", "0.4", "--json", "-")
    (entry,) = json.loads(done.stdout)["scenarios"]
    ping, post = groups(entry)["pingtree-ping"], groups(entry)["pingtree-post"]
    assert (ping["sent"], ping["accepted"], ping["predicted"]) == (120, 120, 120), done.stderr
    assert post["sent"] == post["accepted"] == post["predicted"]
    assert 10 < post["sent"] < 80  # 120 * 0.4 * 0.8 is 38


def test_the_realistic_scenarios_run_and_none_accuses_our_sandbox() -> None:
    names = ("funnel", "fleet", "soak", "polite", "stubborn")
    done = load(*names, "--duration", "4", "--json", "-", "--attempts", "1")
    found = {entry["scenario"]: entry for entry in json.loads(done.stdout)["scenarios"]}
    assert set(found) == set(names), done.stderr
    assert {entry["verdict"] for entry in found.values()} <= {"PASS", "INCONCLUSIVE"}
    assert set(groups(found["fleet"])) == {"ingest", "ping", "lookup", "pingtree-ping", "pingtree-post"}
    assert all(entry["figures"]["unexpected"] == entry["figures"]["unanswered"] == 0 for entry in found.values())
