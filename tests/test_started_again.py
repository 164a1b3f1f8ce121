"""Mock buyers and relay that die are started again at the same address; when they do nothing but die, all ends.

A relay has a process of its own where the store is a server's.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from simulator.children import Child
from tests.postgres import Postgres
from tests.running import PATIENCE, Client, Running, alive, running_as, sandbox, wait_until
from tests.sandbox import Sandbox, readings_of

pytestmark = pytest.mark.long

PROGRAMS = {"mock_buyers": "mock buyers", "simulator.wire": "relay"}


@pytest.fixture
def up(postgres_server: Postgres) -> Iterator[Running]:
    with sandbox("--db", postgres_server.database()) as running:
        yield running


def here(up: Running) -> Sandbox:
    return Sandbox(up.welcome, Path(), Path(), readings_of({}))


def killed(up: Running, module: str) -> int:
    """Kill the program that runs this module; return its process id."""
    [victim] = running_as(up, module)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not alive([victim]), "it is gone")
    return victim


def replaced(up: Running, module: str, victim: int) -> bool:
    return [pid for pid in running_as(up, module) if pid != victim] != []


def test_mock_buyers_that_are_killed_are_started_again_and_bid_again(up: Running) -> None:
    source = here(up).source()
    assert source.ping().lead_status == "ping_accept"
    victim = killed(up, "mock_buyers")
    wait_until(lambda: replaced(up, "mock_buyers", victim), "they are started again")
    wait_until(lambda: source.ping().lead_status == "ping_accept", "they know whom they play")
    assert "the mock buyers ended unexpectedly, by signal 9: started again; what they had received is gone" in up.stderr
    assert up.process.poll() is None


def test_a_relay_that_is_killed_is_started_again_at_the_same_address(up: Running) -> None:
    for _ in range(2):
        killed(up, "simulator.wire")
        with closing(Client(up.base_url)) as client:  # its connection waits for the next relay
            assert client.get("/healthz")[0] == 200
    wait_until(lambda: up.stderr.count("the relay ended unexpectedly, by signal 9: started again") == 2, "it is said")
    assert up.process.poll() is None


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_program_that_dies_again_and_again_ends_all_with_one_line(up: Running, module: str) -> None:
    tree = up.tree()

    def ended() -> bool:
        for pid in running_as(up, module):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return up.process.poll() is not None

    wait_until(ended, "the command ends", 2 * PATIENCE)
    wait_until(lambda: not alive(tree), "no orphan is left")
    assert up.process.returncode == 3
    ends = [
        line for line in up.stderr.splitlines() if f"the {PROGRAMS[module]} ended unexpectedly, by signal 9" in line
    ]
    assert len(ends) >= 4
    assert all("started again" in line for line in ends[:-1])
    assert ends[-1].endswith("what was acknowledged is in the database: start the sandbox again")


def test_a_client_of_a_killed_relay_is_cut_off_and_the_sandbox_still_knows_what_it_knew(up: Running) -> None:
    here(up).supplier().ingest()
    with closing(Client(up.base_url)) as client:
        assert client.get("/healthz")[0] == 200
        killed(up, "simulator.wire")
        with pytest.raises((OSError, HTTPException)):
            client.get("/healthz")
    with closing(Client(up.base_url)) as client:
        status, listed = client.get("/__sandbox/requests?operation=ingest")
    assert (status, len(listed["requests"])) == (200, 1)


def test_a_program_that_cannot_be_started_again_is_told_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child("relay", ["this"], [], loses="what was under way is gone")
    child.process.wait(PATIENCE)
    with child.process:
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        assert child.start_again() is False
