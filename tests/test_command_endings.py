"""How a command ends when its output cannot be written, when nobody reads on, and when it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import COMMAND, PATIENCE, Running, alive, descendants, environment, run, sandbox, wait_until

pytestmark = pytest.mark.long

TALKERS = {
    "help": ["--help"],
    "spec": ["spec", "src_abc123"],
    "conform": ["conform", "--list"],
    "load": ["load", "--list"],
    "up": ["up", "--port", "0", "--db", ":memory:"],
    "send": ["send", "ping", "--count", "3"],
    "logs": ["logs"],
    "audit": ["audit"],
}


@pytest.fixture(scope="module")
def up() -> Iterator[Running]:
    with sandbox("--db", ":memory:") as running:
        assert run("send", "ping", "--url", running.base_url).returncode == 0  # so that logs have something to say
        yield running


def ended(up: Running, arguments: list[str], stdout: int) -> tuple[int, str]:
    """Run a command with this standard output; return its exit code and what it said on stderr."""
    done = subprocess.run(
        [COMMAND, *arguments],
        env=environment(LEADSANDBOX_URL=up.base_url),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", TALKERS)
def test_output_that_cannot_be_written_is_one_line_and_exit_code_2(up: Running, name: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        code, said = ended(up, TALKERS[name], full)
    finally:
        os.close(full)
    assert (code, said) == (2, "leadsandbox: cannot write standard output: No space left on device\n")


@pytest.mark.parametrize("name", TALKERS)
def test_a_reader_that_is_gone_ends_a_command_quietly(up: Running, name: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert ended(up, TALKERS[name], writing) == (141, "")
    finally:
        os.close(writing)


def test_files_are_written_also_when_nobody_reads_the_scorecard(up: Running, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code, _ = ended(up, ["audit", "--junit", str(tmp_path / "duties.xml")], writing)
    finally:
        os.close(writing)
    assert code == 141
    assert "</testsuites>" in (tmp_path / "duties.xml").read_text()


def test_ctrl_c_ends_a_command_with_one_line_and_130(up: Running) -> None:
    with subprocess.Popen(
        [COMMAND, "send", "ping", "--count", "100000", "--url", up.base_url],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()  # it has many more to send
    assert (process.returncode, said) == (130, "leadsandbox: stopped\n")


# --- a rehearsal, which runs a command of the integrator's ----------------------------------------------------

# Starts a process of its own, says who both are, and sleeps. One that `cleans` ends when it is told to.
CLIENT = """
import os, pathlib, signal, subprocess, sys, time
folder, manner = pathlib.Path(sys.argv[1]), sys.argv[2]
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

def clean(number, frame):
    if manner == "cleans":
        (folder / "cleaned").touch()
        sys.exit(0)

signal.signal(signal.SIGTERM, clean)
(folder / "pids.new").write_text(f"{os.getpid()} {child.pid}")
(folder / "pids.new").rename(folder / "pids")
while True:
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("number", "manner"),
    [(signal.SIGINT, "cleans"), (signal.SIGTERM, "cleans"), (signal.SIGHUP, "stays")],
    ids=["ctrl-c", "sigterm", "sighup"],
)
def test_a_rehearsal_that_is_stopped_says_one_line_and_leaves_nothing_running(
    tmp_path: Path, number: signal.Signals, manner: str
) -> None:
    command = [sys.executable, "-c", CLIENT, str(tmp_path), manner]
    with subprocess.Popen(
        [COMMAND, "rehearse", "--", *command], env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until((tmp_path / "pids").exists, "the command runs")
        started = [*map(int, (tmp_path / "pids").read_text().split()), *descendants(process.pid)]
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    announced, line = said.splitlines()
    assert announced.startswith("--- accept")
    assert line.startswith("leadsandbox: stopped")
    assert len(set(started)) >= 4  # the command and its child, the sandbox and its programs
    wait_until(lambda: not alive(started), "nothing of it runs")
    assert (tmp_path / "cleaned").exists() == (manner == "cleans")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--nosuch", "--", "true"],
        ["--timout=5", "true"],
        ["--require", "D99", "--", "true"],
        ["--severity", "D05", "--", "true"],
        ["--situation", "flood", "--", "true"],
        ["--junit", "/nowhere/x.xml", "--", "true"],
        ["--json", "/nowhere/x.json", "--", "true"],
        ["--html", "/nowhere/x.html", "--", "true"],
        ["--config", "missing.yaml", "--", "true"],
        ["--", "there-is-no-such-program"],
    ],
    ids=lambda words: " ".join(words).partition(" -- ")[0],
)
def test_a_rehearsal_that_cannot_be_done_is_refused_before_anything_runs(tmp_path: Path, wrong: list[str]) -> None:
    done = run("rehearse", *wrong, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "--- accept" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(("leadsandbox: ", "Error: "))
    assert list(tmp_path.iterdir()) == []


def test_a_flag_after_the_command_is_the_commands(tmp_path: Path) -> None:
    script = f"import pathlib, sys; pathlib.Path({str(tmp_path)!r}, 'told').write_text(' '.join(sys.argv[1:]))"
    done = run("rehearse", "--timeout", "50", sys.executable, "-c", script, "--json", "--nosuch", cwd=tmp_path)
    assert done.returncode == 5, done.stderr
    assert (tmp_path / "told").read_text() == "--json --nosuch"


@pytest.mark.parametrize(
    "wrong",
    [["--require", "D99"], ["--severity", "D05"], *([kind, "/nowhere/x"] for kind in ("--junit", "--json", "--html"))],
)
def test_an_audit_refuses_what_it_cannot_do_before_it_asks(wrong: list[str]) -> None:
    done = run("audit", "--url", "http://127.0.0.1:9", *wrong)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr


COMMANDS_WITH_A_SANDBOX_FILE = (
    ["up", "--port", "0", "--db", ":memory:", "--config"],
    ["serve", "--port", "0", "--db", ":memory:", "--config"],
    ["check"],
    ["spec", "--config"],
    ["rehearse", "--config"],
)


@pytest.mark.parametrize("command", COMMANDS_WITH_A_SANDBOX_FILE, ids=lambda words: str(words[0]))
def test_every_command_says_the_same_of_a_sandbox_file(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "bad.yaml").write_text("pingtree:\n  campains: []\n")
    last = ["--", "true"] if command[0] == "rehearse" else []
    told = [run(*command, name, *last, cwd=tmp_path) for name in ("missing.yaml", "bad.yaml")]
    assert [(done.returncode, done.stdout) for done in told] == [(2, ""), (2, "")]
    missing, bad = (done.stderr for done in told)
    assert missing == "leadsandbox: missing.yaml: there is no such file\n"
    assert bad.startswith("bad.yaml:2:3: pingtree.campains: ")
