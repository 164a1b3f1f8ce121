"""The journal: its bounds, what survives eviction, what it refuses to claim, and that no secret is in it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from simulator import masking
from simulator.journal import (
    EvictedError,
    EvidenceGoneError,
    Filter,
    FilterError,
    Journal,
    Journals,
    Label,
    Merged,
    UnknownRequestError,
    Vocabulary,
    parsed,
)
from simulator.journal.counting import Counters
from tests.running import Client, Running, sandbox

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = Vocabulary(frozenset({"one"}), frozenset({"ping", "post"}), frozenset({"R-OK", "R-NO"}))


def label(**more: Any) -> Label:
    given: dict[str, Any] = {"at": START, "platform": "one", "operation": "ping", "row": "R-OK", "http": 200}
    return Label(**given | {"source": "src", "method": "POST"} | more)


def blob(size: int = 100) -> bytes:
    made = orjson.dumps({"x": "y" * (size - 8)})
    assert len(made) == size
    return made


# --- bounds ---------------------------------------------------------------------------------------------------


def test_a_journal_keeps_as_many_requests_as_it_may_and_not_one_more() -> None:
    journal = Journal(max_entries=3, max_bytes=10**6)
    ids = [journal.record(label(), blob()) for _ in range(5)]
    assert journal.size()["entries"] == 3
    assert [entry["id"] for entry in journal.select(Filter(), 10).requests] == ids[:1:-1]


def test_a_journal_keeps_bytes_up_to_its_bound_exactly() -> None:
    journal = Journal(max_entries=100, max_bytes=300)
    for _ in range(3):
        journal.record(label(), blob(100))
    assert (journal.size()["entries"], journal.size()["bytes"]) == (3, 300)
    journal.record(label(), blob(101))
    assert (journal.size()["entries"], journal.size()["bytes"]) == (2, 201)


def test_a_request_larger_than_the_whole_journal_is_counted_and_not_kept() -> None:
    journal = Journal(max_entries=10, max_bytes=200)
    journal.record(label(), blob(100))
    gone = journal.record(label(), blob(201))
    assert journal.size()["entries"] == 0
    assert journal.count(Filter()) == 2
    with pytest.raises(EvictedError):
        journal.find(gone)


def test_the_newest_of_each_source_are_found_in_one_pass() -> None:
    journal = Journal(max_entries=100)
    ids = [journal.record(label(source=f"s{n % 2}"), blob()) for n in range(7)]
    found = {source: [entry["id"] for entry in own] for (_, source), own in journal.latest_of_each(2).items()}
    assert found == {"s0": [ids[6], ids[4]], "s1": [ids[5], ids[3]]}
    assert [entry["id"] for entry in journal.newest_first(Filter(source="s1"))] == [ids[5], ids[3], ids[1]]


def test_a_request_is_found_with_those_of_its_source_around_it() -> None:
    journal = Journal(max_entries=100)
    ids = [journal.record(label(source=f"s{n % 2}"), blob()) for n in range(10)]
    assert [entry["id"] for entry in journal.around(ids[4], 1, 2)] == [ids[8], ids[6], ids[4], ids[2]]
    assert [entry["id"] for entry in journal.around(ids[0], 5, 0)] == [ids[0]]
    journal.clear()
    assert journal.around(ids[4], 1, 1) == []


def test_the_journals_of_two_workers_tell_of_a_source_as_one() -> None:
    parts = [Journal(max_entries=100), Journal(max_entries=100)]
    facts = [{"began": n, "platform": "one", "source_id": "s"} for n in range(10)]
    ids = [parts[n % 2].record(label(source="s"), orjson.dumps(fact)) for n, fact in enumerate(facts)]
    both = Merged(parts)
    assert [entry["id"] for entry in both.around(ids[4], 1, 2)] == [ids[6], ids[5], ids[4], ids[3]]
    assert [entry["id"] for entry in both.around(ids[9], 0, 3)] == [ids[9]]
    assert [entry["id"] for entry in both.latest_of_each(3)["one", "s"]] == [ids[9], ids[8], ids[7]]
    assert both.around("req_nobody_1", 1, 1) == []


def test_pages_go_on_after_one_more_worker_made_a_journal() -> None:
    parts = [Journal(max_entries=100), Journal(max_entries=100)]
    ids = [parts[0].record(label(source="s"), orjson.dumps({"began": n})) for n in range(4)]
    first = Merged(parts).select(Filter(), 2)
    joined = Journal(max_entries=100)
    early = joined.record(label(source="s"), orjson.dumps({"began": 0.5}))
    joined.record(label(source="s"), orjson.dumps({"began": 9}))
    second = Merged([*parts, joined]).select(Filter(), 10, first.next)
    assert [entry["id"] for entry in first.requests] == [ids[3], ids[2]]
    assert {entry["id"] for entry in second.requests} == {ids[1], ids[0], early}, "none is newer than the first page"


def test_an_evicted_request_is_gone_and_one_that_never_was_is_unknown() -> None:
    journal = Journal(max_entries=1, max_bytes=10**6)
    first, second = (journal.record(label(), blob()) for _ in range(2))
    assert journal.find(second)["id"] == second
    with pytest.raises(EvictedError):
        journal.find(first)
    for never in (journal.id_of(2), journal.id_of(-1), "req_1", "", f"{first}0", Journal().record(label(), blob())):
        with pytest.raises(UnknownRequestError):
            journal.find(never)


def test_pages_follow_each_other_without_gap_or_repetition_while_new_requests_come() -> None:
    journal = Journal()
    ids = [journal.record(label(), blob()) for _ in range(7)]
    first = journal.select(Filter(), 3)
    journal.record(label(), blob())
    second = journal.select(Filter(), 3, first.next)
    third = journal.select(Filter(), 3, second.next)
    assert [entry["id"] for page in (first, second, third) for entry in page.requests] == ids[::-1]
    assert third.next == ""


# --- counting ---------------------------------------------------------------------------------------------------


def mixed(entries: int) -> Journal:
    """Return a journal that was given 4 accepted pings a minute apart, then 2 refused posts of another source."""
    journal = Journal(entries, 10**6)
    for minute in range(4):
        journal.record(label(at=START + timedelta(minutes=minute)), blob())
    for minute in (4, 5):
        at = START + timedelta(minutes=minute)
        journal.record(label(at=at, operation="post", row="R-NO", http=400, source="other", method="PUT"), blob())
    return journal


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Filter(), 6),
        (Filter(row="R-OK"), 4),
        (Filter(operation="post"), 2),
        (Filter(source="src"), 4),
        (Filter(http=range(400, 500)), 2),
        (Filter(platform="two"), 0),
    ],
)
def test_counters_survive_eviction(wanted: Filter, count: int) -> None:
    assert mixed(1).count(wanted) == count


@pytest.mark.parametrize(
    "wanted", [Filter(method="POST"), Filter(since=START), Filter(row="R-OK", until=START + timedelta(minutes=1))]
)
def test_a_count_that_needs_evicted_evidence_is_refused(wanted: Filter) -> None:
    assert mixed(6).count(wanted) >= 0
    with pytest.raises(EvidenceGoneError):
        mixed(2).count(wanted)


def test_a_refusal_tells_how_many_are_still_there() -> None:
    with pytest.raises(EvidenceGoneError) as caught:
        mixed(3).count(Filter(method="POST"))
    assert (caught.value.kept, caught.value.evicted) == (1, 3)


def test_a_count_is_exact_where_nothing_of_what_was_evicted_can_match() -> None:
    journal = mixed(2)  # the four pings are gone
    assert journal.count(Filter(operation="post", method="PUT")) == 2
    assert journal.count(Filter(since=START + timedelta(minutes=4))) == 2
    assert journal.count(Filter(until=START)) == 0


def test_a_clock_that_was_moved_back_does_not_make_a_count_of_evicted_requests_exact() -> None:
    journal = Journal(1, 10**6)
    journal.record(label(at=START + timedelta(days=30)), blob())
    journal.record(label(), blob())
    journal.record(label(), blob())
    with pytest.raises(EvidenceGoneError):
        journal.count(Filter(since=START + timedelta(days=1)))


def test_sources_past_the_limit_are_counted_together_and_not_claimed_to_be_known() -> None:
    counters = Counters(most_sources=2)
    for source in ("a", "b", "c", "d", "a"):
        counters.add(label(source=source))
    assert [counters.count(Filter(source=source)) for source in ("a", "b", "c", "e")] == [2, 1, None, None]
    assert counters.count(Filter()) == 5


def test_requests_of_nobody_in_particular_are_counted_too() -> None:
    journal = Journal()
    journal.record(label(source=""), blob())
    journal.record(label(), blob())
    assert journal.count(Filter(source="")) == 1


def test_clearing_forgets_requests_and_counts_but_not_that_the_ids_were_given() -> None:
    journal = mixed(3)
    last = journal.id_of(5)
    assert journal.clear() == 3
    assert journal.count(Filter(method="POST")) == 0
    with pytest.raises(EvictedError):
        journal.find(last)
    assert journal.record(label(), blob()) == journal.id_of(6)


def test_eight_threads_lose_nothing_and_count_exactly() -> None:
    journal, each = Journal(1000, 10**6), 2000
    start = threading.Barrier(8)

    def work(number: int) -> list[str]:
        start.wait()
        return [journal.record(label(source=f"src{number}"), blob()) for _ in range(each)]

    with ThreadPoolExecutor(8) as pool:
        ids = [one for some in pool.map(work, range(8)) for one in some]
    assert len(set(ids)) == 8 * each
    assert [journal.count(Filter(source=f"src{number}")) for number in range(8)] == [each] * 8
    size = journal.size()
    assert (size["entries"], size["evicted"]) == (1000, 8 * each - 1000)
    assert size["bytes"] == 1000 * 100


def test_tenants_have_journals_of_their_own() -> None:
    journals = Journals(10, 10**6)
    kept = journals.of("a").record(label(), blob())
    assert journals.of("b").count(Filter()) == 0
    assert journals.keeping(kept) == "a"
    journals.forget("a")
    assert journals.keeping(kept) is None
    with pytest.raises(UnknownRequestError):
        journals.of("a").find(kept)


def test_all_journals_together_have_eight_times_what_one_may_have_and_the_largest_give_way() -> None:
    journals = Journals(10_000, 10_000)
    first = journals.of("little").record(label(), blob())
    sizes: list[int] = []
    for number in range(4000):
        journals.of(f"t{number % 40}").record(label(), blob())
        sizes.append(sum(size["bytes"] for size in journals.sizes()))
    assert max(sizes) <= 8 * 10_000
    assert min(sizes[1000:]) > 7 * 10_000
    assert journals.of("little").find(first)["id"] == first
    with pytest.raises(EvidenceGoneError):
        journals.of("t0").count(Filter(since=START))


def test_a_journal_alone_keeps_all_that_it_may() -> None:
    journals = Journals(10_000, 1000)
    for _ in range(1000):
        journals.of("alone").record(label(), blob(100))
    assert journals.of("alone").size()["bytes"] == 1000


# --- filters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("platform", "three"),
        ("row", "R-MAYBE"),
        ("http", "9xx"),
        ("http", "abc"),
        ("since", "yesterday"),
        ("since", "2026-03-01T12:00:00"),
        ("colour", "red"),
        ("method", True),
        ("source", ["src"]),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(FilterError) as caught:
        parsed({name: value, "operation": "ping"}, WORDS)
    assert set(caught.value.problems) == {name}


def test_a_status_may_be_a_number_or_a_class() -> None:
    assert parsed({"http": 404}, WORDS).http == range(404, 405)
    assert parsed({"http": "4XX"}, WORDS).http == range(400, 500)


def test_a_plus_that_became_a_space_in_the_query_string_is_understood() -> None:
    assert parsed({"since": "2026-03-01T13:00:00 01:00"}, WORDS).since == START


# --- secrets ------------------------------------------------------------------------------------------------------


def test_a_secret_of_medium_length_shows_its_beginning_and_a_short_one_nothing() -> None:
    assert masking.shortened("abcdefghijklmnopqrstuvwxyz") == "abcd***wxyz"
    assert masking.shortened("your_supplier_api_key") == "your***"
    assert masking.shortened("hunter2hunter2") == "***"


def test_a_scheme_stays_readable_and_what_only_looks_like_one_does_not() -> None:
    assert masking.header("Bearer abcdefghijklmnopqrstuvwxyz") == "Bearer abcd***wxyz"
    assert "correct horse" not in masking.header("correct horse battery staple")


def test_secrets_are_found_whole_in_other_words_neighbourhood() -> None:
    secrets = masking.Secrets(["key_with_words", "key with spaces & more"])
    assert secrets.found_in(b'{"a":"key_with_words"}') == ["key_with_words"]
    assert secrets.found_in(b"a=key+with+spaces+%26+more") == ["key+with+spaces+%26+more"]
    assert secrets.found_in(b"nothing at all") == []


@pytest.fixture(scope="module")
def up() -> Iterator[Running]:
    with sandbox("--db", ":memory:") as running:
        yield running


def control(up: Running, path: str, document: Any = None) -> tuple[int, Any]:
    with contextlib.closing(Client(up.base_url)) as client:
        if document is None:
            return client.get(f"/__sandbox/{path}")
        return client.post(f"/__sandbox/{path}", document, {})


def vendor(up: Running, path: str, body: Any, headers: dict[str, str]) -> int:
    with contextlib.closing(Client(up.base_url)) as client:
        return client.post(path, body, headers)[0]


def test_no_credential_is_anywhere_in_the_journal_wherever_a_caller_put_it(up: Running) -> None:
    tokens = up.credentials("lnk_abc123xyz")
    foreign = up.credentials("lnk_strict")["post"]
    key = up.credentials("supplier_xyz789")["api_key"]
    secrets = [*tokens.values(), foreign, key]
    bearer = {"Authorization": f"Bearer {tokens['ping']}", "X-Debug": tokens["post"], "Cookie": f"session={foreign}"}
    lead = {
        "state": "CA",
        "zip_code": "90001",
        "sub1": tokens["form"],
        "sub2": foreign,
        "note": f"Bearer {tokens['ping']}",
    }
    vendor(up, f"/api/lead/ping/lnk_abc123xyz?token={tokens['ping']}&x={quote(foreign)}", lead, bearer)
    vendor(up, f"/api/lead/ping/{tokens['post']}", lead, {"Authorization": tokens["ping"]})
    wrong = {"flo_campaign_id": key, "flo_supplier_id": key}  # the answer says the campaign's name again
    vendor(up, "/api/v1/ingest", wrong, {"x-api-key": key})
    vendor(up, "/api/v1/ingest", {"padding": "x" * 16_300 + key}, {"x-api-key": key})
    vendor(up, f"/nowhere/{key}", {}, {"X-Api-Key": key})
    listed = control(up, "requests?limit=1000")[1]["requests"]
    kept = json.dumps([listed, *(control(up, f"requests/{entry['id']}")[1] for entry in listed)])
    assert len(listed) >= 5
    assert [secret[:6] for secret in secrets if secret in kept or secret[:20] in kept] == []


def test_a_long_body_is_cut_and_marked(up: Running) -> None:
    vendor(up, "/long", {"padding": "x" * 50_000}, {})
    newest = control(up, "requests?limit=1")[1]["requests"][0]["id"]
    request = control(up, f"requests/{newest}")[1]["request"]
    assert (len(request["body"]), request["body_truncated"]) == (16 * 1024, True)
    assert request["body_bytes"] == len(json.dumps({"padding": "x" * 50_000}))


# --- over HTTP ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("requests?limit=0", "limit"),
        ("requests?after=req_nobody_1", "after"),
        ("requests?http=9xx", "http"),
        ("requests?rows=PT-PING-201-ACCEPT", "rows"),
        ("requests/count?limit=5", "limit"),
        ("requests/count?since=now", "since"),
    ],
)
def test_a_query_that_cannot_be_read_is_answered_with_the_name_of_the_parameter(
    up: Running, path: str, named: str
) -> None:
    status, problem = control(up, path)
    assert status == problem["status"] == 400
    assert named in problem["detail"]


@pytest.mark.parametrize("path", ["requests", "requests/count", "requests/req_x", "events"])
def test_an_unknown_tenant_is_not_found(up: Running, path: str) -> None:
    status, problem = control(up, f"{path}?tenant=nobody")
    assert (status, problem["title"]) == (404, "Not found")


def test_a_request_that_never_was_is_not_found(up: Running) -> None:
    assert control(up, "requests/req_nobody_0")[0] == 404


@pytest.mark.parametrize(
    "document", [{}, {"count": -1}, {"count": True}, {"count": {}}, {"count": {"at_least": 3, "at_most": 2}}]
)
def test_a_verification_that_asks_nothing_is_refused(up: Running, document: Any) -> None:
    assert control(up, "requests/verify", document)[0] == 400


def test_verify_says_what_it_expected_and_what_there_was(up: Running) -> None:
    row = {"row": "LD-ING-401-UNAUTHORIZED"}
    before = control(up, "requests/count?row=LD-ING-401-UNAUTHORIZED")[1]["count"]
    vendor(up, "/api/v1/ingest", {}, {})
    assert control(up, "requests/verify", {"filter": row, "count": before + 1})[0] == 200
    assert control(up, "requests/verify", {"filter": row, "count": {"at_most": before + 9}})[0] == 200
    status, problem = control(up, "requests/verify", {"filter": row, "count": before + 2})
    assert status == 422
    assert (problem["expected"], problem["actual"]) == (before + 2, before + 1)


@pytest.fixture(scope="module")
def small() -> Iterator[Running]:
    """A sandbox whose journal holds 5 requests, and to which 20 were sent, and no body of them is kept."""
    with sandbox("--db", ":memory:", "--journal-entries", "5", "--mask-bodies") as running:
        for _ in range(20):
            vendor(running, "/api/v1/ingest", {"phone": "2125550123", "name": "Jane Roe"}, {})
        yield running


def test_verify_on_evicted_evidence_fails_and_says_so(small: Running) -> None:
    posts = {"method": "POST"}
    status, problem = control(small, "requests/verify", {"filter": posts, "count": 20})
    assert (status, problem["title"]) == (409, "Evidence was evicted")
    assert (problem["expected"], problem["at_least"], problem["evicted"]) == (20, 5, 15)
    assert "evicted" in control(small, "requests/count?method=POST")[1]["detail"]


def test_verify_answers_what_the_evidence_that_is_left_decides(small: Running) -> None:
    posts = {"method": "POST"}
    assert control(small, "requests/verify", {"filter": posts, "count": {"at_least": 5}})[0] == 200
    assert control(small, "requests/verify", {"filter": posts, "count": {"at_least": 6}})[0] == 409
    assert control(small, "requests/verify", {"filter": posts, "count": {"at_most": 4}})[0] == 422


def test_counts_by_row_outlive_the_requests(small: Running) -> None:
    found = control(small, "requests/count?row=LD-ING-401-UNAUTHORIZED&platform=leaddistro&http=4xx")
    assert found == (200, {"count": 20, "exact": True})


def test_an_evicted_request_is_gone_and_the_answer_says_why(small: Running) -> None:
    listed = control(small, "requests")[1]
    assert (len(listed["requests"]), listed["journal"]["evicted"]) == (5, 15)
    name = listed["requests"][0]["id"].rpartition("_")[0]
    status, problem = control(small, f"requests/{name}_0")
    assert status == 410
    assert "evicted" in problem["detail"]


def test_masked_bodies_show_fields_and_no_values(small: Running) -> None:
    newest = control(small, "requests?limit=1")[1]["requests"][0]["id"]
    kept = control(small, f"requests/{newest}")[1]
    assert json.loads(kept["request"]["body"]) == {"phone": "***", "name": "***"}
    assert "Jane Roe" not in json.dumps(kept)
