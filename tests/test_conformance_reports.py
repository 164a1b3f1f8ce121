"""report.html, the badge and `conform diff`: what they show, what they hide, and that a real browser likes the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, expect

from conformance import badge, diff, page, report, session
from conformance.cli import conform
from conformance.results import (
    CaseResult,
    Exchange,
    Exit,
    Finding,
    Kind,
    RowResult,
    RunResult,
    Stale,
    Verdict,
    Why,
)
from conformance.secrecy import MASK
from tests.browsing import NARROW, THEMES, Theme, Visit, barriers, visiting

pytestmark = pytest.mark.long

HOSTILE = """</pre><script>alert(1)</script><img src=x onerror=alert(2)> & "quoted" 'too'"""
TOKEN = "eyJhbGciOiJIUzI1NiJ9.secret-token.signature"
SVG = "{http://www.w3.org/2000/svg}"


def exchange(number: int, **more: Any) -> Exchange:
    given: dict[str, Any] = {
        "case_id": "CASE",
        "platform": "pingtree",
        "operation": "ping",
        "method": "POST",
        "url": "http://127.0.0.1:1/api/lead/ping/lnk",
        "request_headers": {"Authorization": f"Bearer {TOKEN}", "X-Hostile": HOSTILE},
        "request_body": json.dumps({"note": HOSTILE}),
        "status": 201,
        "response_headers": {"Content-Type": "application/json"},
        "response_body": json.dumps({"message": HOSTILE}),
        "milliseconds": 3.5,
        "rows": ("ROW-PASS",),
        "curl": f"curl -i -H 'Authorization: Bearer {TOKEN}' http://127.0.0.1:1/ # {HOSTILE}",
    }
    return Exchange(number=number, **(given | more))


def row(name: str, verdict: Verdict, **more: Any) -> RowResult:
    given: dict[str, Any] = {
        "platform": "pingtree",
        "operation": "ping",
        "http": 201,
        "code": "ping_accept",
        "evidence": "full",
        "meaning": f"The documented sentence of {name}. {HOSTILE}",
        "source": ("seed:001",),
        "reading": "",
        "cases": (f"case of {name}",),
        "cased": True,
        "possible": True,
        "observed": verdict is not Verdict.INCONCLUSIVE,
        "asserted": verdict is Verdict.PASS,
        "verdict": verdict,
    }
    return RowResult(name, **(given | more))


def result(name: str, verdict: Verdict, **more: Any) -> CaseResult:
    given: dict[str, Any] = {
        "title": f"A fact about {name} {HOSTILE}",
        "platform": "pingtree",
        "kind": Kind.CASE,
        "verifies": (name,),
        "verdict": verdict,
        "exchanges": (exchange(1),),
    }
    return CaseResult(f"case of {name}", **(given | more))


FINDING = Finding(
    row="ROW-FAIL",
    expected="HTTP 201",
    actual=f"HTTP 500 {HOSTILE}",
    documented="The documented sentence of ROW-FAIL.",
    source=("seed:001",),
    exchange=2,
    curl="curl -i http://127.0.0.1:1/failing",
)
STORY = CaseResult(
    "INV-STORY", "A story", "pingtree", Kind.JOURNEY, ("INV-STORY",), Verdict.PASS, exchanges=(exchange(9),)
)


@pytest.fixture
def run() -> RunResult:
    """A run with something of everything, every text of it hostile."""
    return RunResult(
        target={"name": f"staging {HOSTILE}", "base_url": "http://127.0.0.1:1", "levers": ["clock"]},
        started="2026-01-02T03:04:05+00:00",
        seconds=1.25,
        results=(
            result("ROW-PASS", Verdict.PASS),
            result(
                "ROW-FAIL", Verdict.FAIL, findings=(FINDING,), exchanges=(exchange(2, status=500, problems=("odd",)),)
            ),
            result("ROW-OPEN", Verdict.INCONCLUSIVE, why=Why.NO_LEVER, detail="no lever clock", exchanges=()),
            STORY,
        ),
        rows=(
            row("ROW-PASS", Verdict.PASS),
            row("ROW-FAIL", Verdict.FAIL),
            row("ROW-OPEN", Verdict.INCONCLUSIVE, why="no lever clock", operation="post", evidence="ours"),
        ),
        exit_code=Exit.FAILED,
        complete=True,
        requests=7,
        stale=(Stale("old", HOSTILE),),
    )


@pytest.fixture
def html(run: RunResult) -> str:
    return page.html(report.document(run))


def proved(run: RunResult) -> RunResult:
    """Return the run with a self-test in it."""
    survivor = {"id": "m/2", "kind": "drop", "says": HOSTILE, "missed": ["ROW-FAIL"], "acted": True, "why": ""}
    proof = {
        "holds": False,
        "void": "",
        "seconds": 3.0,
        "mutants": 2,
        "killed": 1,
        "identity": [[]],
        "control_unmoved": [],
        "stale_excuses": [],
        "kinds": {"drop": {"mutants": 2, "killed": 1}},
        "falsified": ["ROW-PASS"],
        "survivors": [survivor],
        "kills": {"m/1": {"ROW-PASS": "case of ROW-PASS"}, "m/2": {}},
    }
    rows = tuple(replace(item, falsified=item.id == "ROW-PASS") for item in run.rows)
    return replace(run, self_test=proof, rows=rows)


def test_nothing_of_a_run_is_markup_in_the_page(html: str) -> None:
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "onerror=alert(2)&gt;" in html
    assert html.count("<script>") == 1
    assert html.count("<style>") == 1


def test_the_page_names_nothing_that_a_browser_would_fetch(html: str) -> None:
    assert re.findall(r"""<(?:link|img|iframe|object|embed|video|audio|source|form)\b""", html) == []
    assert [place for place in re.findall(r"""(?:href|src|action)="([^"]*)""", html) if not place.startswith("#")] == []
    assert "@import" not in html
    assert "url(" not in re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]  # type: ignore[index]


def test_the_page_forbids_every_script_style_and_address_but_its_own(html: str) -> None:
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    [script] = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    told = re.findall(r"""Content-Security-Policy" content="([^"]*)""", html)
    assert [item.replace("&#39;", "'") for item in told] == [page.policy(style, script)]
    assert told[0].startswith("default-src &#39;none&#39;")
    assert " style=" not in html
    assert " onclick=" not in html


def test_the_page_reads_without_javascript(html: str) -> None:
    body = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    for word in ("ROW-PASS", "ROW-FAIL", "ROW-OPEN", "INV-STORY", "no lever clock", "declared", "falsified"):
        assert word in body
    assert "hidden" not in re.findall(r"<details[^>]*>", body)
    assert re.findall(r'<details class="row" id="ROW-FAIL"[^>]* open>', body)


def test_a_failure_shows_the_documented_sentence_what_was_expected_what_came_and_a_curl(html: str) -> None:
    failing = html[html.index('id="ROW-FAIL"') : html.index('id="ROW-OPEN"')]
    for word in (FINDING.documented, "HTTP 201", "HTTP 500", "seed:001", FINDING.curl):
        assert word in failing


def test_every_exchange_is_in_the_page_with_headers_and_bodies(html: str) -> None:
    assert html.count('<details class="exchange">') == 3
    assert "X-Hostile: " in html
    assert "&#34;message&#34;" in html
    assert "undocumented" in html


def test_credentials_are_masked_wherever_they_stand(html: str) -> None:
    assert TOKEN not in html
    assert f"Authorization: Bearer {MASK}" in html
    assert f"Bearer {MASK}&#39; http://127.0.0.1:1/" in html


def test_credentials_are_masked_in_report_json_too(run: RunResult, tmp_path: Path) -> None:
    report.write(run, tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    assert TOKEN not in text
    assert f"Bearer {MASK}" in text


def test_the_name_of_an_environment_variable_is_not_masked(run: RunResult) -> None:
    named = exchange(1, request_headers={"x-api-key": "$LEADDISTRO_KEY"}, curl='curl -H "x-api-key: $LEADDISTRO_KEY"')
    shown = page.html(report.document(replace(run, results=(replace(STORY, exchanges=(named,)),))))
    assert "x-api-key: $LEADDISTRO_KEY" in shown


def test_the_last_column_is_open_until_a_self_test_has_filled_it(run: RunResult, html: str) -> None:
    assert "run with --self-test" in html
    shown = page.html(report.document(proved(run)))
    assert "run with --self-test" not in shown
    assert "1 known-bad servers of this row were caught" in shown
    assert "no reason is written down" in shown


def test_a_baseline_entry_that_is_wrong_is_shown(html: str) -> None:
    assert "Baseline entries that are wrong" in html


def test_an_empty_run_makes_a_page(run: RunResult) -> None:
    empty = replace(run, results=(), rows=(), stale=(), exit_code=Exit.NOTHING_RAN)
    assert "Nothing was asked" in page.html(report.document(empty))


def test_a_report_with_a_self_test_keeps_the_schema(run: RunResult, tmp_path: Path) -> None:
    report.write(proved(run), tmp_path / "report.json")
    assert diff.load(tmp_path / "report.json")["self_test"]["killed"] == 1


def visible(visit: Visit) -> int:
    return visit.page.locator("details.row:visible").count()


def test_a_real_browser_shows_the_matrix_without_network_and_without_a_script_error(
    run: RunResult, tmp_path: Path, chromium: Browser
) -> None:
    page.write(proved(run), tmp_path / "report.html")
    with visiting(chromium) as visit:
        visit.page.goto((tmp_path / "report.html").as_uri())
        expect(visit.page.locator("html")).to_have_class(re.compile("scripted"))
        assert visible(visit) == 4
        expect(visit.page.locator("#ROW-PASS .mark.yes").first).to_be_visible()
        expect(visit.page.locator("#count")).to_have_text("4 shown")
        expect(visit.page.locator("#ROW-FAIL details.exchange > summary").first).to_be_visible()
        assert visit.complaints == []
        assert visit.fetched == [(tmp_path / "report.html").as_uri()]


def test_a_real_browser_filters_by_verdict_and_word_and_switches_to_dark(
    run: RunResult, tmp_path: Path, chromium: Browser
) -> None:
    page.write(run, tmp_path / "report.html")
    with visiting(chromium) as visit:
        visit.page.goto((tmp_path / "report.html").as_uri())
        visit.page.click("""button[data-filter="FAIL"]""")
        assert visible(visit) == 1
        visit.page.click("""button[data-filter="INCONCLUSIVE"]""")
        assert visible(visit) == 2
        visit.page.fill("#words", "row-open")
        assert visible(visit) == 1
        body = visit.page.locator("body")
        light = body.evaluate("body => getComputedStyle(body).backgroundColor")
        visit.page.click("#theme")
        assert body.evaluate("body => getComputedStyle(body).backgroundColor") != light
        visit.page.evaluate("location.hash = '#story-case of nobody'; location.hash = '#ROW-PASS'")
        assert visit.complaints == []


def test_a_real_browser_shows_everything_with_scripts_off(run: RunResult, tmp_path: Path, chromium: Browser) -> None:
    page.write(run, tmp_path / "report.html")
    with visiting(chromium, scripts=False) as visit:
        visit.page.goto((tmp_path / "report.html").as_uri())
        text = visit.page.content()
        for word in ("ROW-PASS", "ROW-OPEN", "The documented sentence of ROW-FAIL.", "A story"):
            assert word in text
        expect(visit.page.locator("#ROW-PASS")).to_be_visible()
        expect(visit.page.locator("div.tools")).to_be_hidden()
        assert visit.complaints == []


@pytest.mark.parametrize("theme", THEMES)
def test_the_report_keeps_nobody_out_and_fits_a_telephone(
    run: RunResult, tmp_path: Path, chromium: Browser, theme: Theme
) -> None:
    page.write(proved(run), tmp_path / "report.html")
    with visiting(chromium, width=NARROW, theme=theme) as visit:
        visit.page.goto((tmp_path / "report.html").as_uri())
        assert barriers(visit.page) == []
        assert visit.sticking_out() == []


def test_a_run_against_the_sandbox_makes_a_page_that_a_browser_likes(tmp_path: Path, chromium: Browser) -> None:
    ended = CliRunner().invoke(conform, ["--only", "PT-PING", "--quiet", "--html", str(tmp_path / "report.html")])
    assert ended.exit_code == 0, ended.output
    with visiting(chromium) as visit:
        visit.page.goto((tmp_path / "report.html").as_uri())
        asked = len(session.questions())
        assert 94 < visible(visit) < 94 + asked
        assert visit.complaints == []


def test_a_complete_run_has_a_badge_that_is_svg_and_says_how_many_rows(run: RunResult, tmp_path: Path) -> None:
    badge.write(replace(run, exit_code=Exit.ALL_GREEN), tmp_path / "badge.svg")
    drawn = ET.parse(tmp_path / "badge.svg").getroot()
    assert drawn.tag == f"{SVG}svg"
    assert [item.text for item in drawn.iter(f"{SVG}text")] == ["documented answers", "1/3 asserted"]


def test_an_incomplete_target_is_named_with_both_numbers_and_a_failing_one_as_failing(run: RunResult) -> None:
    assert badge.message(replace(run, exit_code=Exit.INCOMPLETE))[0] == "1/3 asserted, 3 possible"
    assert badge.message(run)[0] == "1/3 asserted, failing"
    assert badge.message(replace(run, exit_code=Exit.SELF_TEST))[0].endswith("failing")


def test_a_partial_run_has_no_badge(run: RunResult, tmp_path: Path) -> None:
    with pytest.raises(badge.PartialRunError, match="complete"):
        badge.write(replace(run, complete=False), tmp_path / "badge.svg")
    assert not (tmp_path / "badge.svg").exists()
    assert issubclass(badge.PartialRunError, click.UsageError)


def written(path: Path, run: RunResult) -> str:
    report.write(run, path)
    return str(path)


def differ(*arguments: str) -> tuple[int, str]:
    ended = CliRunner().invoke(diff.diff, arguments)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.exit_code, ended.output


def test_two_reports_that_are_alike_do_not_differ(run: RunResult, tmp_path: Path) -> None:
    later = replace(run, started="2027-01-01T00:00:00+00:00", seconds=9.0, target={**run.target, "name": "other"})
    code, output = differ(written(tmp_path / "a.json", run), written(tmp_path / "b.json", later))
    assert code == 0
    assert output.splitlines()[-1] == "0 differences"


def test_rows_that_ended_differently_are_listed_with_what_each_side_says(run: RunResult, tmp_path: Path) -> None:
    other = replace(run, rows=(run.rows[0], row("ROW-FAIL", Verdict.PASS), run.rows[2]))
    code, output = differ(written(tmp_path / "a.json", run), written(tmp_path / "b.json", other))
    assert code == 1
    assert "ROW-FAIL  The documented sentence of ROW-FAIL." in output
    assert "left   FAIL, observed: HTTP 500" in output
    assert "right  PASS\n" in output
    assert "ROW-OPEN" not in output


def test_journeys_that_ended_differently_are_listed_and_cases_are_not(run: RunResult, tmp_path: Path) -> None:
    changed = (replace(run.results[0], verdict=Verdict.FAIL), *run.results[1:3], replace(STORY, verdict=Verdict.FAIL))
    code, output = differ(
        written(tmp_path / "a.json", run), written(tmp_path / "b.json", replace(run, results=changed))
    )
    assert code == 1
    assert "INV-STORY" in output
    assert output.splitlines()[-1] == "1 difference"


def test_a_row_that_only_one_report_has_is_a_difference(run: RunResult, tmp_path: Path) -> None:
    fewer = replace(run, rows=run.rows[:2])
    code, output = differ(written(tmp_path / "a.json", run), written(tmp_path / "b.json", fewer), "--json")
    [found] = json.loads(output)["differences"]
    assert code == 1
    assert (found["id"], found["left"], found["right"]) == ("ROW-OPEN", "INCONCLUSIVE, not observed", "absent")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 2}'])
def test_what_is_no_report_ends_with_2_and_one_line(run: RunResult, tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    code, output = differ(written(tmp_path / "a.json", run), str(tmp_path / "b.json"))
    assert code == 2
    assert output.startswith("Error: ")
    assert len(output.splitlines()) == 1


def test_a_file_that_is_not_there_ends_with_2(run: RunResult, tmp_path: Path) -> None:
    assert differ(written(tmp_path / "a.json", run), str(tmp_path / "none.json"))[0] == 2


def test_diff_is_a_sub_command_of_conform(run: RunResult, tmp_path: Path) -> None:
    one = written(tmp_path / "a.json", run)
    assert CliRunner().invoke(conform, ["diff", one, one]).exit_code == 0
