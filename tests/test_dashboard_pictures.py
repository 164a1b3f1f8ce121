"""What the dashboard draws, and how it words values: pure functions from numbers to shapes and sentences."""

from __future__ import annotations

import math
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.web.dashboard import figures, sending, sources, wording
from simulator.web.dashboard.figures import Sample
from simulator.web.dashboard.pictures import auction, story
from simulator.web.dashboard.pictures.plots import HEIGHT, WIDTH, Series, bars, lines
from tests.programs import program

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NUMBERS = st.lists(st.floats(0, 1e6), min_size=1, max_size=80)


def sample(seconds: float = 0.0, **more: Any) -> Sample:
    known: dict[str, Any] = {
        "at": NOON + timedelta(seconds=seconds), "began": seconds, "ms": 1.0, "platform": "pingtree", "source": "s",
        "operation": "ping", "row": "R", "http": 201, "accepted": True, "bids": (), "revenue": Decimal(0),
        "cost": Decimal(0), "limited": True,
    }  # fmt: skip
    return Sample(**{**known, **more})


def asked(buyer_id: str, outcome: str, amount: str | None = None, latency: float | None = None) -> dict[str, Any]:
    return {
        "buyer_id": buyer_id,
        "outcome": outcome,
        "why": "",
        "amount": amount,
        "latency_ms": latency,
        "took_it": False,
    }


# --- the auction ----------------------------------------------------------------------------------------------


def test_the_highest_bid_fills_its_lane_and_the_others_are_measured_by_it() -> None:
    found = auction.lanes([asked("a", "won", "40", 10.0), asked("b", "outbid", "10", 5.0)], {"a": 100, "b": 100})
    assert [lane["bid"] for lane in found["lanes"]] == [auction.WIDTH, auction.WIDTH // 4]
    assert [lane["kind"] for lane in found["lanes"]] == ["won", "lost"]


def test_a_buyer_that_ran_out_of_time_reaches_its_timeout() -> None:
    found = auction.lanes(
        [asked("slow", "timeout", None, 600.0), asked("quick", "won", "5", 3.0)], {"slow": 600, "quick": 3000}
    )
    slow, quick = found["lanes"]
    assert slow["kind"] == "failed"
    assert slow["bar"] == slow["limit"]
    assert quick["limit"] > quick["bar"]
    assert quick["limit"] <= auction.WIDTH


def test_who_was_never_asked_has_no_bars() -> None:
    found = auction.lanes([asked("a", "not reached")], {"a": 3000})
    assert (found["scale"], found["lanes"][0]["kind"], found["lanes"][0]["bar"]) == (0, "unasked", None)


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), max_size=20))
def test_no_bar_leaves_its_lane(buyers: list[tuple[float, float]]) -> None:
    given_in = [asked(str(n), "outbid", str(bid), took) for n, (bid, took) in enumerate(buyers)]
    for lane in auction.lanes(given_in, {})["lanes"]:
        assert lane["bid"] is None or 0 < lane["bid"] <= auction.WIDTH
        assert lane["bar"] is None or 0 < lane["bar"] <= auction.WIDTH


def test_an_amount_that_is_no_number_is_drawn_as_none() -> None:
    [lane] = auction.lanes([asked("a", "invalid", "a lot")], {})["lanes"]
    assert lane["bid"] is None


# --- the way to an answer -------------------------------------------------------------------------------------


def test_the_story_goes_from_the_request_over_each_rule_to_the_answer() -> None:
    entry = {
        "request": {"body_bytes": 10}, "method": "POST", "source_id": "s", "campaign_id": "c", "triggers": [],
        "errors": [], "asked": [], "http": 400, "row": {"id": "R"}, "duration_ms": 1.0, "fault": "slow=5",
    }  # fmt: skip
    rules = [{"rule": "hours", "passed": True, "detail": ""}, {"rule": "states", "passed": False, "detail": "TX"}]
    told = {"rules": rules, "decided_by": {"rule": "states", "detail": "TX"}}
    assert [step["kind"] for step in story.steps(entry, told)] == [
        "start", "passed", "passed", "failed", "decided", "end", "odd",
    ]  # fmt: skip


# --- charts ---------------------------------------------------------------------------------------------------


@given(NUMBERS, NUMBERS)
def test_bars_stand_on_each_other_inside_the_box(one: list[float], other: list[float]) -> None:
    places = [str(n) for n in range(min(len(one), len(other)))]
    one, other = one[: len(places)], other[: len(places)]
    plot = bars(places, [Series("a", "a", one), Series("b", "b", other)], str)
    for rect in plot.rects:
        assert -0.1 <= rect.x <= WIDTH
        assert rect.x + rect.width <= WIDTH + 0.1
        assert rect.y >= -0.1
        assert rect.height > 0
        assert rect.y + rect.height <= HEIGHT + 1.1
    assert len(plot.rows) == len(places)


def test_a_line_breaks_where_there_is_no_value_and_a_lone_value_is_a_dash() -> None:
    plot = lines(list("abcde"), [Series("x", "x", [1.0, 0.5, math.nan, math.nan, 1.0])], str, 1.0)
    assert len(plot.lines) == 2
    assert all(" " in line.points for line in plot.lines)
    assert plot.rows[2][1] == ""


def test_a_level_above_every_bar_raises_the_box() -> None:
    plot = bars(["a"], [Series("x", "x", [50])], lambda value: f"{value:.0f}", [(200, "burst", "200 a second")])
    assert (plot.top, plot.marks[0].y, plot.rects[0].height) == ("200", 0, HEIGHT / 4)


@given(st.lists(st.floats(0, 3e8), min_size=1, max_size=50))
def test_the_axis_holds_every_moment_in_few_places(seconds: list[float]) -> None:
    found = sorted((sample(item) for item in seconds), key=lambda item: item.at)
    along = figures.axis(found)
    assert len(along.labels) <= figures.MOST_PLACES + 1
    assert all(0 <= along.place(item.at) < len(along.labels) for item in found)
    counts = figures.by_class(found, along)
    assert sum(map(sum, counts.values())) == len(found)


def test_rates_know_places_without_requests() -> None:
    found = [sample(0), sample(0.5, accepted=False), sample(5)]
    rates = figures.accept_rates(found, figures.axis(found))
    assert rates[0] == 0.5
    assert math.isnan(rates[1])
    assert rates[5] == 1


def test_rows_are_counted_over_time_and_those_that_are_rare_together() -> None:
    seconds = [("A", 201, 0), ("A", 201, 5), ("B", 400, 5), ("B", 400, 5), ("B", 400, 9), ("C", 500, 0), ("D", 404, 9)]
    found = [sample(at, row=row, http=http) for row, http, at in sorted(seconds, key=lambda item: item[2])]
    told = figures.rows(found, figures.axis(found), 2)
    assert [(item.row, item.http, sum(item.counts)) for item in told] == [
        ("B", 400, 3),
        ("A", 201, 2),
        ("all others", 0, 2),
    ]
    assert [(item.counts[0], item.counts[5], item.counts[9]) for item in told] == [(0, 2, 1), (1, 1, 0), (1, 0, 1)]
    assert [item.row for item in figures.rows(found, figures.axis(found), 4)] == ["B", "A", "C", "D"]


@given(NUMBERS, st.floats(1, HEIGHT))
def test_a_bar_that_has_to_be_seen_stays_inside_the_box(values: list[float], least: float) -> None:
    for rect in bars([str(n) for n in range(len(values))], [Series("a", "a", values)], str, least=least).rects:
        assert rect.height >= least - 0.01
        assert -0.1 <= rect.y <= rect.y + rect.height <= HEIGHT + 0.1


@pytest.mark.parametrize("depth", [3, 70, 900, 5000])
def test_a_body_is_shown_however_deep_it_is(depth: int) -> None:
    assert wording.pretty("[" * depth + "]" * depth).startswith("[")


def test_bids_are_counted_by_what_they_are_and_whether_they_won() -> None:
    ranges, won, lost = figures.bids([sample(bids=((60.0, True), (5.0, False), (0.0, False)))])
    assert (sum(won), sum(lost), won[-1]) == (1, 2, 1)
    assert (ranges[0], ranges[-1]) == ("$0 to $5", "$55 to $60")
    assert figures.bids([sample()]) == ([], [], [])


def test_the_percentile_is_a_value_that_was_measured() -> None:
    assert figures.percentile([1.0], 0.99) == 1
    assert [figures.percentile(list(range(1, 101)), share) for share in (0.5, 0.95, 0.99)] == [50, 95, 99]


def test_the_last_seconds_tell_what_passed_from_what_was_refused() -> None:
    passed, refused = figures.seconds([sample(100), sample(100, http=429), sample(98.5), sample(1)])
    assert (passed[-1], refused[-1], passed[-2], sum(passed)) == (1, 1, 1, 2)


def entry(**more: Any) -> dict[str, Any]:
    known = {
        "at": NOON.isoformat(), "began": 1.0, "duration_ms": 1.0, "platform": "leaddistro", "source_id": "s",
        "operation": "ingest", "row_id": "R", "http": 201, "reason": "sold", "price": "30.00",
        "asked": [asked("b", "sold", "45.50")],
    }  # fmt: skip
    return {**known, **more}


def test_revenue_is_what_the_buyer_pays_and_cost_what_the_source_was_told() -> None:
    [found] = figures.samples([entry()], frozenset())
    assert (found.revenue, found.cost) == (Decimal("45.50"), Decimal("30.00"))


def test_a_lead_of_test_mode_and_one_that_was_not_sold_earn_nothing() -> None:
    found = figures.samples([entry(), entry(reason="unmatched", price=None)], frozenset({("leaddistro", "s")}))
    assert sum(item.revenue + item.cost for item in found) == 0


# --- words ----------------------------------------------------------------------------------------------------


def test_what_cannot_be_seen_is_spelled_out() -> None:
    assert wording.visible("a\u202eb\x00c\u200bd\né") == "a\\u202eb\\u0000c\\u200bd\né"


@given(st.text(max_size=2000))
def test_a_shown_body_has_nothing_unseen_and_a_bound(text: str) -> None:
    shown = wording.pretty(text)
    assert wording.UNSEEN.search(shown) is None
    assert len(wording.pretty(text * 200)) <= 6 * wording.MOST_SHOWN + 100


@pytest.mark.parametrize(
    ("value", "says"), [(0.04, "0.0 ms"), (9.96, "10.0 ms"), (10.4, "10 ms"), (1234.5, "1.23 s"), (None, "")]
)
def test_a_time_is_worded_by_its_size(value: float | None, says: str) -> None:
    assert wording.milliseconds(value) == says


@pytest.mark.parametrize(("value", "says"), [("1234.5", "$1,234.50"), (None, ""), ("", ""), ("a lot", "a lot")])
def test_money_is_worded_and_what_is_none_stays(value: Any, says: str) -> None:
    assert wording.dollars(value) == says


@given(st.text(max_size=60).map(lambda text: wording.UNSEEN.sub("", text)))
def test_a_curl_quotes_whatever_was_sent(body: str) -> None:
    sent = {
        "headers": {"authorization": "Bearer eyJh***abcd", "content-length": "5"},
        "body": body,
        "body_bytes": len(body.encode()),
    }
    words = shlex.split(sending.again({"method": "POST", "path": "/p", "request": sent}, "http://h"))
    assert words[:6] == ["curl", "-g", "--path-as-is", "-X", "POST", "http://h/p"]
    assert "authorization: Bearer $TOKEN" in words
    if body:
        assert words[-1] == body


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/api/v1/ing est", "/api/v1/ing%20est"),
        ("/a%23b%3Fc%25zz", "/a%23b%3Fc%25zz"),
        ("/x?a={b,c}&d=%20e&f='", "/x?a={b,c}&d=%20e&f='"),
        ("/\u202e\0", "/%E2%80%AE%00"),
        ("/x?\xe9", "/x?%E9"),
    ],
)
def test_the_address_travels_as_it_came(path: str, sent: str) -> None:
    nothing = {"headers": {}, "body": "", "body_bytes": 0}
    words = shlex.split(sending.again({"method": "GET", "path": path, "request": nothing}, "http://h"))
    assert words[-1] == f"http://h{sent}"


@pytest.mark.parametrize(
    ("body", "size", "says"),
    [
        ("abc\ufffd", 4, "# the body had 4 bytes, and this has 6: bytes that are no UTF-8 are replaced"),
        ('{"token":"***"}', 99, "# the body had 99 bytes, and this has 15: secrets in it are hidden"),
        ("a\0b", 3, "# the body goes on behind a NUL, where a shell ends it"),
    ],
)
def test_what_a_curl_cannot_send_is_said_above_it(body: str, size: int, says: str) -> None:
    sent = {"headers": {"cookie": "a=***"}, "body": body, "body_bytes": size}
    said, *command = sending.again({"method": "POST", "path": "/p", "request": sent}, "http://h").split("\n")
    assert said == says
    assert not any("cookie" in line for line in command)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_shell_reads_what_cannot_be_seen_as_it_was_sent(locale: str) -> None:
    program("curl")  # where it is, bash is
    body = "it's \u202e a \\ trick\u0007"
    sent = {"headers": {}, "body": body, "body_bytes": len(body.encode())}
    line = sending.again({"method": "POST", "path": "/p", "request": sent}, "http://h")
    assert "\u202e" not in line
    shown = subprocess.run(
        ["bash", "-c", f"curl() {{ printf '%s' \"${{@: -1}}\"; }}; {line}"],
        capture_output=True, check=True, timeout=30, env={"LC_ALL": locale, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert shown.stdout.decode() == body


def test_a_burst_between_two_looks_is_the_peak_of_the_last_ten_seconds() -> None:
    what = {"platform": "leaddistro", "source_id": "s", "operation": "lookup", "reason": "found", "http": 200}
    newest = [{**what, "began": 99.5}] * 2 + [{**what, "began": 95.5, "http": 429}] * 30 + [{**what, "began": 80.0}]
    assert sources.rates(newest, 100.0) == {("leaddistro", "s", "lookup"): {"now": 2, "peak": 30, "refused": 30}}
