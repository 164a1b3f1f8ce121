"""Filters: every operator, absent fields, dates, groups, words. What a failure leads to is not here."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.routing.agreed import Group
from simulator.routing.agreed import Test as Comparison
from simulator.routing.conditions import OPERATORS, checks, failing, holds, validate
from simulator.routing.decision import Reason
from simulator.routing.telling import describe

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def passes(actual: Any, operator: str, wanted: Any = None) -> bool:
    test = Comparison("x", operator, wanted)
    assert validate(test) is None
    return holds(Group((test,)), {"x": actual}, NOW)


@pytest.mark.parametrize(
    ("actual", "operator", "wanted"),
    [
        ("ca", "IN", ["CA", "TX"]),
        ("NV", "NOT IN", ["CA", "TX"]),
        (5, "IN", ["5", "6"]),
        ("yes", "==", "YES"),
        (True, "==", "true"),
        (True, "==", True),
        (5, "==", "5.0"),
        ("5.0", "==", 5),
        (0.1, "==", "0.1"),
        (18, ">=", 18),
        ("1000", ">", "650"),
        (17.9, "<", 18),
        ("18", "<=", 18),
        ("x", "IS NOT EMPTY", None),
        (0, "IS NOT EMPTY", None),
        (False, "IS NOT EMPTY", None),
        ("  ", "IS EMPTY", None),
        ([], "IS EMPTY", None),
        ("John.TEST@example.com", "CONTAINS", "test"),
        (["Car", "Truck"], "CONTAINS", "truck"),
        ("john@example.com", "NOT CONTAINS", "test"),
        ("+12125550123", "MATCHES", "E.164"),
        ("+12125550123", "matches", "e.164"),
        ("A-17", "MATCHES", r"[A-Z]-\d+"),
        (12345, "MATCHES", r"\d{5}"),
        ("ca", "not  in", ["TX"]),
    ],
)
def test_a_test_lets_matching_values_through(actual: Any, operator: Any, wanted: Any) -> None:
    assert passes(actual, operator, wanted)


@pytest.mark.parametrize(
    ("actual", "operator", "wanted"),
    [
        ("01234", "==", "1234"),  # ZIP codes are text on both sides
        (True, "==", 1),
        (1, "==", True),
        ("NV", "IN", ["CA"]),
        ("CA", "NOT IN", ["ca"]),
        ("old", ">=", 18),
        (True, ">=", 1),
        (float("nan"), ">=", 0),
        (17, ">", 17),
        ("2125550123", "MATCHES", "E.164"),
        ("+0125550123", "MATCHES", "E.164"),
        ("+1234567890123456", "MATCHES", "E.164"),
        ("xA-17", "MATCHES", r"[A-Z]-\d+"),
        ({"a": 1}, "MATCHES", ".*"),
        ({"a": 1}, "CONTAINS", "a"),
    ],
)
def test_a_test_stops_other_values(actual: Any, operator: Any, wanted: Any) -> None:
    assert not passes(actual, operator, wanted)


@pytest.mark.parametrize(
    ("actual", "held"),
    [
        ("2024-11-20", True),  # exactly 730 days before 2026-11-20
        ("2024-11-19", False),
        ("2024-11-20T00:00:01Z", True),
        ("2024-11-19T23:59:59Z", False),
        ("2024-11-20T01:00:00+14:00", False),  # still the 19th in the zone of `now`
        ("11/20/2024", False),  # not ISO: a transform's work
        ("2024-13-45", False),
        ("730 days ago", False),  # relative words are the configuration's, not the sender's
        (20241120, False),
    ],
)
def test_730_days_ago_is_the_whole_of_that_day_or_later(actual: Any, held: Any) -> None:
    assert passes(actual, ">=", "730 days ago") is held


def test_today_is_the_date_in_the_zone_of_now() -> None:
    late = datetime(2026, 11, 21, 3, 0, tzinfo=UTC).astimezone(ZoneInfo("America/New_York"))
    group = Group((Comparison("day", "==", "today"),))
    assert holds(group, {"day": "2026-11-20"}, late)
    assert not holds(group, {"day": "2026-11-21"}, late)


def test_two_moments_compare_to_the_second_and_a_day_with_a_moment_by_day() -> None:
    assert passes("2026-01-01T10:00:01Z", ">", "2026-01-01T10:00:00Z")
    assert passes("2026-01-01T10:00:00-05:00", "==", "2026-01-01T15:00:00Z")
    assert not passes("2026-01-01T10:00:01Z", ">", "2026-01-01")
    assert passes("2026-01-01", "==", "2026-01-01T23:00:00Z")


@pytest.mark.parametrize("values", [{}, {"x": None}, {"x": ""}, {"x": " "}, {"x": []}])
def test_an_absent_field_passes_only_tests_that_ask_for_absence(values: Any) -> None:
    passed = {name for name in OPERATORS if holds(Group((Comparison("x", name, "5"),)), values, NOW)}
    assert passed == {"IS EMPTY", "!=", "NOT IN", "NOT CONTAINS"}


@settings(deadline=None)
@given(st.sampled_from(["IN", "==", "CONTAINS"]), st.text(max_size=5), st.text(min_size=1, max_size=3))
def test_a_negated_operator_says_the_opposite(operator: Any, actual: Any, wanted: Any) -> None:
    wanted = [wanted] if operator == "IN" else wanted
    negated = {"IN": "NOT IN", "==": "!=", "CONTAINS": "NOT CONTAINS"}[operator]
    plain = holds(Group((Comparison("x", operator, wanted),)), {"x": actual}, NOW)
    assert holds(Group((Comparison("x", negated, wanted),)), {"x": actual}, NOW) is not plain


@settings(deadline=None)
@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_numbers_have_one_order_in_every_spelling(left: Any, right: Any) -> None:
    for actual in (left, float(left), str(left)):
        for wanted in (right, f"{right}.0"):
            held = [holds(Group((Comparison("x", o, wanted),)), {"x": actual}, NOW) for o in ("<", ">=")]
            assert held == [left < right, left >= right]


def nested(*members: Comparison | Group, any_of: bool = False, name: str = "") -> Group:
    return Group(members, any_of=any_of, name=name)


CA = Comparison("state", "IN", ["CA", "TX"], name="state_allowed")
ADULT = Comparison("age", ">=", 18)
MAILED = Comparison("email", "is not empty")


def test_failing_names_each_top_level_member_that_does_not_hold() -> None:
    either = nested(ADULT, MAILED, any_of=True)
    found = failing(nested(CA, either, MAILED), {"state": "NV", "age": 17}, NOW)
    assert [check.rule for check in found] == [
        "state_allowed",
        "(age >= 18 OR email IS NOT EMPTY)",
        "email IS NOT EMPTY",
    ]
    assert {check.reason for check in found} == {Reason.FILTERED}
    assert found[0].detail == "state is NV; the filter asks for state IN [CA, TX]."
    assert found[1].detail == (
        "age is 17 and email was not sent; the filter asks for (age >= 18 OR email IS NOT EMPTY)."
    )


def test_a_group_of_which_any_member_will_do_is_one_rule() -> None:
    either = nested(ADULT, MAILED, any_of=True, name="reachable")
    assert [(c.rule, c.passed, c.reason) for c in checks(either, {"age": 20}, NOW)] == [("reachable", True, None)]
    assert [c.rule for c in failing(either, {"age": 2}, NOW)] == ["reachable"]


def test_an_empty_group_asks_nothing() -> None:
    for group in (Group(), Group(any_of=True), nested(Group(any_of=True))):
        assert holds(group, {}, NOW)
        assert failing(group, {}, NOW) == ()


def test_groups_nest() -> None:
    rule = nested(CA, nested(ADULT, nested(MAILED, Comparison("vip", "==", "yes")), any_of=True))
    assert describe(rule) == "(state IN [CA, TX] AND (age >= 18 OR (email IS NOT EMPTY AND vip == yes)))"
    assert holds(rule, {"state": "CA", "age": 3, "email": "a@example.com", "vip": "Yes"}, NOW)
    assert not holds(rule, {"state": "CA", "age": 3, "email": "a@example.com"}, NOW)


def test_a_long_value_is_cut_in_the_detail() -> None:
    (check,) = failing(nested(CA), {"state": "x" * 10_000}, NOW)
    assert len(check.detail) < 200


@pytest.mark.parametrize(
    ("operator", "value", "complaint"),
    [
        ("LIKE", "x", "unknown operator"),
        ("IN", "CA", "a list"),
        ("IN", [], "a list"),
        ("NOT IN", [["CA"]], "a list"),
        ("==", "", "IS EMPTY"),
        ("==", ["a"], "one value"),
        (">=", "old", "730 days ago"),
        (">=", True, "a number"),
        (">=", None, "a number"),
        ("IS EMPTY", "x", "no value"),
        ("CONTAINS", " ", "one value"),
        ("MATCHES", "(", "regular expression"),
        ("MATCHES", "a{99999999999}", "regular expression"),
        ("MATCHES", 5, "regular expression"),
    ],
)
def test_validate_says_why_a_test_cannot_work(operator: Any, value: Any, complaint: Any) -> None:
    assert complaint in (validate(Comparison("x", operator, value)) or "")


def test_a_test_without_a_field_is_refused() -> None:
    assert validate(Comparison(" ", "==", "x")) == "a test needs a field"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
OPERATOR_NAMES = st.sampled_from([*OPERATORS, "LIKE", ""])
# Patterns that are configuration, whatever it says; Python's warnings about odd ones are beside the point.
TESTS = st.builds(Comparison, field=st.just("x"), operator=OPERATOR_NAMES, value=JSON)
GROUPS = st.recursive(
    st.builds(Group, members=st.lists(TESTS, max_size=3).map(tuple), any_of=st.booleans()),
    lambda inner: st.builds(Group, members=st.lists(inner | TESTS, max_size=3).map(tuple), any_of=st.booleans()),
    max_leaves=5,
)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@settings(deadline=None)
@given(GROUPS, JSON)
def test_no_json_value_and_no_test_makes_a_filter_raise(group: Any, value: Any) -> None:
    found = failing(group, {"x": value}, NOW)
    assert holds(group, {"x": value}, NOW) is (found == ())
    for member in group.members:
        assert isinstance(member, Group) or validate(member) is None or isinstance(validate(member), str)


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", 10.0**300, "9" * 5000])
def test_values_at_the_edge_of_the_calendar_and_of_numbers_do_not_raise(value: Any) -> None:
    far = NOW.astimezone(ZoneInfo("Pacific/Kiritimati"))
    assert len(failing(nested(Comparison("x", "==", "today")), {"x": value}, far)) == 1
    assert passes(value, "!=", "999999 days ago")


def test_an_integer_longer_than_python_likes_to_print_does_not_raise() -> None:
    (check,) = failing(nested(Comparison("x", "<", 5)), {"x": 10**5000}, NOW)
    assert check.detail.startswith("x is 1000")


def test_a_value_nested_as_deep_as_a_body_allows_does_not_raise() -> None:
    deep: object = "x"
    for _ in range(5000):
        deep = [deep]
    assert [len(failing(nested(Comparison("x", o, "5")), {"x": deep}, NOW)) for o in ("==", "CONTAINS")] == [
        1,
        1,
    ]


def test_days_ago_follows_now() -> None:
    assert not holds(nested(Comparison("x", ">=", "1 day ago")), {"x": "2026-11-20"}, NOW + timedelta(days=2))
