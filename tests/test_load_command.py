"""`leadsandbox load` from the outside: a server with a limiter of its own, real Locust processes, real HTTP."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loadtests import cli, scenarios, session, target
from loadtests.law import SECOND, Limit
from loadtests.rehearsal import Limiter, Reply, lawful
from loadtests.requesting import Supplier
from loadtests.schedule import Ticket

pytestmark = pytest.mark.long

BOOK = """
[limits]
lookup = {rate = 10, burst = 20, seconds = 5}
ingest = {rate = 100, burst = 200, seconds = 10}
[scenario.short]
title = "forty at once"
checks = ["retry-after", "carriers"]
streams = [{endpoint = "lookup", key = "a", plan = [{count = 40}], pressed = {ceiling = 2, refused = 10}}]
[scenario.gentle]
title = "too little to show anything"
streams = [{endpoint = "lookup", key = "a", plan = [{rate = 5, seconds = 1}], pressed = {bucket = 4}}]
[scenario.both]
title = "two endpoints, a rate, and leads"
streams = [
  {endpoint = "ingest", key = "a", plan = [{rate = 100, seconds = 3}]},
  {endpoint = "lookup", key = "b", plan = [{rate = 15, seconds = 3}], retry = "each", retries = 1},
]
[scenario.apart]
title = "two parts that may share one key"
independent = true
streams = [
  {endpoint = "lookup", key = "a", plan = [{count = 3}]},
  {endpoint = "lookup", key = "b", plan = [{count = 3}]},
]
"""
# Every server of these tests is new, so that nobody can have used its keys before: no need to wait for them.
PROGRAM = """
from loadtests.cli import load
from loadtests.telling import Teller
Teller.pause = lambda *_: None
load()
"""
LIMITS = {"lookup": Limit(10, 20, 5), "ingest": Limit(100, 200, 10)}


class Server(ThreadingHTTPServer):
    """A stand-in for a vendor: supplier keys `k0` to `k9`, and the limiter that it is given."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, limiter: Limiter) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.limiter = limiter
        self.lock = threading.Lock()
        self.seen: list[tuple[str, str, str]] = []
        self.answer_as = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def decide(self, key: str, endpoint: str, body: str) -> Reply:
        with self.lock:
            self.seen.append((key, endpoint, body))
            if self.answer_as:
                return Reply(self.answer_as)
            return self.limiter(Ticket(0, 0, 0, endpoint, key), time.monotonic_ns())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        if self.path == "/__sandbox/welcome":
            suppliers = [{"id": f"s{n}", "campaigns": ["c"], "credentials": {"api_key": f"k{n}"}} for n in range(10)]
            self._send(Reply(200), {"platforms": {"leaddistro": {"suppliers": suppliers}}})
        else:
            self._decided("lookup", self.path)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._decided(self.path.rpartition("/")[2], body)

    def _decided(self, endpoint: str, body: str) -> None:
        reply = self.server.decide(self.headers.get("x-api-key", ""), endpoint, body)
        refusal = {"error": "rate_limited", "message": "slower", "retry_after": int(reply.carriers[2] or 0)}
        self._send(reply, refusal if reply.status == 429 else {"status": "ok"})

    def _send(self, reply: Reply, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(reply.status)
        for name, value in zip(("Retry-After", "retry_after"), reply.carriers, strict=False):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def serving(limiter: Limiter) -> Iterator[Server]:
    server = Server(limiter)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.toml"
    path.write_text(BOOK)
    return path


def load(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def run(server: Server, book: Path, name: str, *more: str) -> tuple[int, dict[str, Any], str]:
    """Return (exit code, the scenario's verdict as JSON, what was said on standard error)."""
    done = load(name, "--scenarios", str(book), "--target", server.url, "--json", "-", *more)
    document = json.loads(done.stdout) if done.stdout else {"scenarios": [{}]}
    return done.returncode, document["scenarios"][0], done.stderr


def test_a_lawful_server_is_never_found_in_violation_over_real_http(book: Path) -> None:
    with serving(lawful(LIMITS)) as server:
        code, found, said = run(server, book, "short")
    assert found["findings"] == [], said
    assert found["figures"]["sent"] == 40
    assert found["figures"]["accepted"] >= 20
    assert code in {0, 21}  # 21 when this machine was too busy to send in time


def without_ceiling() -> Limiter:
    return lawful({"lookup": Limit(10, 1000, 5)})


def saying(header: str, other: str, body: str) -> Callable[[], Limiter]:
    def build() -> Limiter:
        lawfully = lawful(LIMITS)

        def answer(ticket: Ticket, now: int) -> Reply:
            reply = lawfully(ticket, now)
            return reply._replace(carriers=(header, other, body)) if reply.status == 429 else reply

        return answer

    return build


def refusing_everything() -> Limiter:
    return lambda _ticket, _now: Reply(429, ("1", "1", "1"))


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (without_ceiling, "too lenient (ceiling)"),
        (refusing_everything, "too strict"),
        (saying("0", "0", "0"), "dishonest Retry-After"),
        (saying("30", "30", "30"), "dishonest Retry-After"),
        (saying("", "1", "1"), "dishonest Retry-After"),
        (saying("1", "2", "1"), "undocumented 429"),
    ],
)
def test_a_broken_limiter_is_caught_over_real_http(book: Path, build: Callable[[], Limiter], kind: str) -> None:
    with serving(build()) as server:
        code, found, said = run(server, book, "short")
    assert (code, found["verdict"]) == (1, "VIOLATED"), said
    assert kind in {finding["kind"] for finding in found["findings"]}


def test_a_run_that_came_nowhere_near_the_bound_shows_nothing(book: Path) -> None:
    with serving(lawful(LIMITS)) as server:
        code, found, _ = run(server, book, "gentle")
    assert (code, found["verdict"]) == (21, "INCONCLUSIVE")
    assert found["why"] in {"not-pressed", "generator-invalid"}


@pytest.mark.parametrize(("status", "counted"), [(401, "unexpected"), (404, "unexpected"), (503, "unexpected")])
def test_answers_that_are_not_the_endpoints_own_make_a_run_invalid(book: Path, status: int, counted: str) -> None:
    with serving(lawful(LIMITS)) as server:
        server.answer_as = status
        code, found, _ = run(server, book, "gentle")
    assert (code, found["verdict"], found["why"]) == (21, "INCONCLUSIVE", "generator-invalid")
    assert found["figures"][counted] == 5


def test_two_processes_send_every_ticket_once_and_keep_the_offered_rate(book: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    with serving(lawful({})) as server:
        _, found, said = run(server, book, "both", "--processes", "2", "--csv", str(log))
        seen = list(server.seen)
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert found["figures"]["processes"] == 2, said
    assert sorted(int(row["ticket"]) for row in rows) == list(range(345))
    assert len(seen) == 345
    assert Counter(endpoint for _, endpoint, _ in seen) == {"ingest": 300, "lookup": 45}
    assert len({body for _, _, body in seen}) == 345  # another person in every request
    sent = sorted(int(row["send"]) for row in rows)
    assert sent[-1] - sent[0] >= 2.97 * SECOND  # never faster than planned; slower is this machine's business


def test_both_reports_are_written_and_ours_shows_every_plot(book: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with serving(lawful(LIMITS)) as server:
        done = load("short", "--scenarios", str(book), "--target", server.url, "--html", str(page))
    text = page.read_text()
    assert text.count("<svg") == 3
    assert (tmp_path / "report-short-locust.html").stat().st_size > 1000
    assert 'href="report-short-locust.html"' in text
    assert "k0" not in text  # a letter stands for the key
    assert "short" in done.stdout  # the table


def test_independent_parts_take_turns_when_there_is_only_one_key(book: Path) -> None:
    with serving(lawful(LIMITS)) as server:
        _, found, said = run(server, book, "apart", "--key", "k1,s1,c")
        seen = list(server.seen)
    assert {key for key, _, _ in seen} == {"k1"}, said
    assert found["figures"]["seconds"] > 5  # for the bucket to fill; one more is planned, and the first may leave late


def test_a_scenario_with_too_few_keys_is_a_usage_error(book: Path) -> None:
    with serving(lawful(LIMITS)) as server:
        done = load("both", "--scenarios", str(book), "--target", server.url, "--key", "k1")
    assert done.returncode == 2
    assert "both needs 2 supplier keys" in done.stderr


def test_nothing_listening_is_unreachable() -> None:
    with serving(lawful({})) as server:
        url = server.url
    done = load("lookup", "--target", url)
    assert done.returncode == 4
    assert url in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a scenario"),
        (("nonsense",), "no scenario is called nonsense"),
        (("lookup", "--target", "http://192.0.2.1"), "permission"),
        (("flood", "--target", "http://192.0.2.1", "--i-have-permission"), "100 is the most"),
        (("steady", "--rate", "5000"), "2000 is the most"),
        (("steady", "--duration", "4000"), "3600 s is the longest"),
        (("lookup", "steady", "--ui"), "--ui shows one scenario"),
        (("instant", "--max-rate", "100"), "300 requests at once"),
        (("lookup", "steady", "--master"), "--master deals one scenario"),
        (("lookup", "--target", "http://127.0.0.1:99999"), "99999"),
        (("lookup", "--target", "http://127.0.0.1:abc"), "abc"),
        (("lookup", "--target", "http://127.0.0.1:0"), "a target is http://"),
        (("lookup", "--target", "http://[::1"), "http://[::1"),
        (("lookup", "--target", "ftp://127.0.0.1"), "a target is http://"),
        (("lookup", "--target", "127.0.0.1:8080"), "a target is http://"),
        (("lookup", "--json", "/dev/null/x"), "cannot write /dev/null/x"),
        (("lookup", "--csv", "/dev/null/x"), "cannot write /dev/null/x"),
        (("lookup", "--html", "/dev/null/x"), "cannot write /dev/null/x"),
    ],
)
def test_what_is_not_safe_or_not_known_is_refused_before_anything_is_sent(
    arguments: tuple[str, ...], said: str
) -> None:
    done = CliRunner().invoke(cli.load, arguments)
    assert done.exit_code == 2
    assert said in done.output
    assert done.output.count("\n") == 1


def test_a_failure_of_our_own_does_not_exit_like_a_violated_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("out of ideas\nand lines")

    monkeypatch.setattr(session, "conduct", failing)
    done = CliRunner().invoke(cli.load, ["lookup"])
    assert done.exit_code == 3
    assert done.output == "leadsandbox: the load test failed: RuntimeError: out of ideas\n"


def first_wait(monkeypatch: pytest.MonkeyPatch, url: str) -> list[int]:
    """Return the seconds that a call waits before its first scenario."""
    waits: list[int] = []

    class BeginsError(session.RefusedError):
        pass

    def begins(*_: object) -> None:
        raise BeginsError

    watcher = session.Watcher(begins, lambda *_: None, lambda wait: waits.append(round(wait)), print, print)
    ours = target.Target("http://127.0.0.1", tuple(Supplier(f"k{n}") for n in range(4)), ())
    monkeypatch.setattr(target, "own_sandbox", lambda *_: nullcontext(ours))
    monkeypatch.setattr(target, "named_target", lambda *_: ours)
    some = scenarios.read()
    wishes = session.Wishes(("lookup",), url=url)
    with pytest.raises(BeginsError):
        list(session.conduct(wishes, some, {"lookup": some.scenario["lookup"]}, watcher))
    return waits


def test_the_keys_of_a_named_target_rest_first_because_an_earlier_run_may_have_used_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert first_wait(monkeypatch, "http://127.0.0.1") == [6]
    assert first_wait(monkeypatch, "") == []


def test_a_broken_scenario_file_is_named_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[scenario.x]\ntitle = "x"\nstreams = [{endpoint = "lookup", key = "a", plan = [{rat = 1}]}]\n')
    done = CliRunner().invoke(cli.load, ["x", "--scenarios", str(path)])
    assert done.exit_code == 2
    assert "scenario.x.streams.0.plan.0" in done.output


def test_the_list_names_every_scenario() -> None:
    done = CliRunner().invoke(cli.load, ["--list"])
    assert all(name in done.output for name in scenarios.read().scenario)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
        ("http://[::1]:8080", True),
        ("http://192.0.2.1", False),
        ("http://0.0.0.0", False),
        ("http://", False),
    ],
)
def test_only_loopback_counts_as_this_machine(url: str, here: bool) -> None:
    assert target.is_here(url) is here
