"""`leadsandbox load` from the outside: a server with a limiter of its own, real Locust processes, real HTTP."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loadtests import cli, scenarios, session, target
from loadtests.law import SECOND, Limit
from loadtests.rehearsal import Limiter, Reply, lawful
from loadtests.requesting import Supplier
from loadtests.schedule import Ticket
from tests.load_server import BOOK, LIMITS, Server, load, serving

pytestmark = pytest.mark.long


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.toml"
    path.write_text(BOOK)
    return path


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


def test_two_processes_keep_the_offered_rate_within_one_percent(book: Path) -> None:
    errors = []
    with serving(lawful({})) as server:
        for _ in range(3):  # a machine that is busy with something else is this machine's business
            _, found, said = run(server, book, "both", "--processes", "2", "--duration", "10", "--attempts", "1")
            assert (found["figures"]["processes"], found["figures"]["sent"]) == (2, 1150), said
            errors.append(found["figures"]["offered_rate_error"])
            if errors[-1] <= 0.01:
                return
    pytest.fail(f"the offered rate was off by {errors}")


def test_two_processes_send_every_ticket_once(book: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    with serving(lawful({})) as server:
        _, found, said = run(server, book, "both", "--processes", "2", "--csv", str(log), "--attempts", "1")
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


@pytest.mark.parametrize("option", ["--rate", "--duration", "--max-rate", "--accept-rate"])
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_number_that_is_no_amount_is_refused(option: str, number: str) -> None:
    done = CliRunner().invoke(cli.load, ["lookup", option, number])
    assert (done.exit_code, option in done.output) == (2, True)


@pytest.mark.parametrize(
    ("book", "said"),
    [
        ("[limits.lookup]\nrate = 10\nburst = 10\nseconds = 5\n", "must be more than rate"),
        ("", "this file has none"),
    ],
)
def test_a_book_that_would_judge_wrongly_or_nothing_is_refused(tmp_path: Path, book: str, said: str) -> None:
    path = tmp_path / "book.toml"
    scenario = '[scenario.mine]\ntitle = "t"\nkind = "realistic"\nstreams = [{endpoint = "lookup", key = "a", '
    path.write_text(book + scenario + "plan = [{rate = 1, seconds = 1}]}]\n")
    done = CliRunner().invoke(cli.load, ["all", "--scenarios", str(path)])
    assert (done.exit_code, done.output.count("\n"), said in done.output) == (2, 1, True), done.output


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
        (("lookup", "--ui", "--attempts", "2"), "--attempts repeats a scenario"),
        (("steady", "--rate", "1900", "--duration", "3000"), "300000 is the most in one run"),
        (("lookup", "--target", "http://127.0.0.1:99999"), "99999"),
        (("lookup", "--target", "http://127.0.0.1:abc"), "abc"),
        (("lookup", "--target", "http://127.0.0.1:0"), "a target is http://"),
        (("lookup", "--target", "http://[::1"), "http://[::1"),
        (("lookup", "--target", "ftp://127.0.0.1"), "a target is http://"),
        (("lookup", "--target", "127.0.0.1:8080"), "a target is http://"),
        (("lookup", "--key", "key-a"), "--key names a supplier of a --target"),
        (("lookup", "--html", "/proc/report.html"), "cannot write /proc/report.html"),
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


def first_wait(monkeypatch: pytest.MonkeyPatch, url: str, *, named: bool) -> list[int]:
    """Return the seconds that a call waits before its first scenario."""
    waits: list[int] = []

    class BeginsError(session.RefusedError):
        pass

    def begins(*_: object) -> None:
        raise BeginsError

    watcher = session.Watcher(begins, lambda *_: None, lambda wait: waits.append(round(wait)), print, print)
    ours = target.Target(url, tuple(Supplier(f"k{n}") for n in range(4)), ())
    monkeypatch.setattr(target, "own_sandbox", lambda *_: nullcontext(ours))
    monkeypatch.setattr(target, "named_target", lambda *_: ours)
    some = scenarios.read()
    wishes = session.Wishes(("lookup",), url=url if named else "")
    with pytest.raises(BeginsError):
        list(session.conduct(wishes, some, {"lookup": some.scenario["lookup"]}, watcher))
    return waits


def test_the_keys_of_a_named_target_rest_first_because_an_earlier_run_may_have_used_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(lawful({})) as server:
        assert first_wait(monkeypatch, server.url, named=True) == [6]
        assert first_wait(monkeypatch, server.url, named=False) == []


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
