"""How `leadsandbox load` ends when something else does: a server, a worker, its own parent, or patience."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.rehearsal import Reply, lawful
from loadtests.schedule import Ticket
from tests.load_server import BOOK, LIMITS, load, loading, serving
from tests.running import alive, descendants, processes, wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def book(tmp_path: Path) -> str:
    path = tmp_path / "book.toml"
    path.write_text(BOOK)
    return str(path)


@pytest.fixture
def said(tmp_path: Path) -> Path:
    return tmp_path / "said"


def says(path: Path, words: str) -> Callable[[], bool]:
    return lambda: words in path.read_text()


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def test_what_was_judged_is_reported_when_the_server_dies_before_the_next_scenario(book: str, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "html", "csv")}
    options = [part for kind, path in files.items() for part in (f"--{kind}", str(path))]
    lawfully, enough = lawful(LIMITS), threading.Semaphore(0)

    def answer(ticket: Ticket, now: int) -> Reply:
        enough.release()
        return lawfully(ticket, now)

    with serving(answer) as server:

        def die() -> None:
            for _ in range(40):
                enough.acquire(timeout=60)
            server.socket.close()

        threading.Thread(target=die, daemon=True).start()
        names = ("short", "gentle", "both")
        done = load(*names, "--scenarios", book, "--target", server.url, "--attempts", "1", *options)
    assert done.returncode == 4, done.stderr
    report = json.loads(files["json"].read_text())
    assert [entry["scenario"] for entry in report["scenarios"]] == ["short"]
    assert (report["failure"][:23], report["not_run"]) == ("nothing answers at http", ["gentle", "both"])
    assert "without a verdict: gentle, both" in done.stderr
    assert "Without a verdict: gentle, both" in files["html"].read_text()
    assert files["csv"].read_text().count("\nshort,") == 40
    assert "Traceback" not in done.stderr


def test_a_sandbox_of_our_own_that_dies_ends_the_runs_with_a_report(said: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with loading(said, "lookup", "steady", "--json", str(report)) as process:
        wait_until(says(said, "lookup: 10 s"), "the scenario begins")
        for pid in descendants(process.pid):
            if "simulator" in command_of(pid):
                os.kill(pid, signal.SIGKILL)
        assert process.wait(60) == 3, said.read_text()
    found = json.loads(report.read_text())
    assert "our own sandbox ended" in found["failure"]
    assert [(entry["scenario"], entry["verdict"]) for entry in found["scenarios"]] == [("lookup", "INCONCLUSIVE")]
    assert found["not_run"] == ["steady"]


def test_nothing_survives_a_command_that_is_killed(said: Path) -> None:
    with loading(said, "lookup") as process:
        wait_until(says(said, "lookup: 10 s"), "the scenario begins")
        children = descendants(process.pid)
        assert len(children) >= 3  # Locust, the supervisor, the programs of the sandbox
        process.kill()
        process.wait(60)
        wait_until(lambda: not alive(children), "all that it started is gone")


def test_a_worker_that_is_killed_ends_the_run_as_invalid_long_before_its_end(
    book: str, said: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    options = ["--processes", "2", "--duration", "60", "--attempts", "1", "--json", str(report)]
    with (
        serving(lawful({})) as server,
        loading(said, "both", "--scenarios", book, "--target", server.url, *options) as process,
    ):
        wait_until(lambda: len(server.seen) > 20, "both workers send")
        parents = {pid: parent for pid, (parent, _) in processes().items()}
        (master,) = (pid for pid, parent in parents.items() if parent == process.pid)
        workers = [pid for pid, parent in parents.items() if parent == master]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        assert process.wait(60) == 21, said.read_text()
    (entry,) = json.loads(report.read_text())["scenarios"]
    assert (entry["verdict"], entry["why"]) == ("INCONCLUSIVE", "generator-invalid")
    assert "worker ended" in entry["reasons"][0]


def test_a_master_lets_workers_of_other_calls_send(book: str, said: Path, tmp_path: Path) -> None:
    port, report, workers_said = str(free_port()), tmp_path / "report.json", tmp_path / "worker"
    options = ["--master", "--master-port", port, "--expect-workers", "1", "--json", str(report)]
    with (
        serving(lawful({})) as server,
        loading(said, "both", "--scenarios", book, "--target", server.url, *options) as master,
        loading(workers_said, "--worker", "--master-port", port) as worker,
    ):
        assert master.wait(60) in {0, 21}, said.read_text()
        assert worker.wait(60) == 0, workers_said.read_text()
    assert f"both: waiting for workers (1) at port {port}" in said.read_text()
    figures = json.loads(report.read_text())["scenarios"][0]["figures"]
    assert (figures["processes"], figures["sent"], figures["clock_error_ms"]) == (1, 345, 0.0)


def test_a_worker_that_is_ended_before_a_master_comes_leaves_nothing_behind(said: Path) -> None:
    with loading(said, "--worker", "--master-port", str(free_port())) as worker:
        wait_until(lambda: any("locust" in command_of(pid) for pid in descendants(worker.pid)), "Locust runs")
        children = descendants(worker.pid)
        worker.terminate()
        worker.wait(60)
        wait_until(lambda: not alive(children), "Locust is gone")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_ctrl_c_at_the_page_of_a_complete_run_ends_with_its_verdict_and_all_reports(
    book: str, said: Path, tmp_path: Path
) -> None:
    report, page = tmp_path / "report.json", tmp_path / "report.html"
    options = ["--ui", "--ui-port", str(free_port()), "--json", str(report), "--html", str(page)]
    with (
        serving(lawful(LIMITS)) as server,
        loading(said, "gentle", "--scenarios", book, "--target", server.url, *options) as process,
    ):
        wait_until(says(said, "Locust's page stays"), "the run is complete")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 21, said.read_text()
    assert json.loads(report.read_text())["scenarios"][0]["verdict"] == "INCONCLUSIVE"
    assert 'href="report-gentle-locust.html"' in page.read_text()
    assert "Traceback" not in said.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so_and_has_no_verdict(book: str, said: Path, number: signal.Signals) -> None:
    options = ["--ui", "--ui-port", str(free_port()), "--duration", "60"]
    with (
        serving(lawful(LIMITS)) as server,
        loading(said, "both", "--scenarios", book, "--target", server.url, *options) as process,
    ):
        wait_until(lambda: len(server.seen) > 5, "it sends")
        process.send_signal(number)
        assert process.wait(60) == 130
    assert said.read_text().endswith("leadsandbox: stopped; an unfinished run has no verdict\n")
    assert "Traceback" not in said.read_text()


@pytest.mark.parametrize("option", ["ui", "master"])
def test_a_port_that_is_taken_is_one_line(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, serving(lawful(LIMITS)) as server:
        port = str(taken.getsockname()[1])
        done = load("lookup", "--target", server.url, f"--{option}", f"--{option}-port", port)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert done.stderr.startswith(f"leadsandbox: port {port} is not free for ")


def test_locust_obeys_no_file_and_no_variable_of_somebody_elses(book: str, tmp_path: Path) -> None:
    for name in ("locust.conf", ".locust.conf"):
        (tmp_path / name).write_text("run-time = 1s\nusers = 1\n")
    (tmp_path / "pyproject.toml").write_text('[tool.locust]\nrun-time = "1s"\n')
    env = {**os.environ, "LOCUST_RUN_TIME": "1s", "LOCUST_HOST": "http://127.0.0.1:9", "HOME": str(tmp_path)}
    with serving(lawful({})) as server:
        options = ["--scenarios", book, "--target", server.url, "--json", "-", "--attempts", "1"]
        done = load("both", *options, cwd=tmp_path, env=env)
        assert len(server.seen) == 345, done.stderr
    figures = json.loads(done.stdout)["scenarios"][0]["figures"]
    assert (figures["sent"], figures["unsent"], figures["unanswered"]) == (345, 0, 0)
