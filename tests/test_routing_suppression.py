"""Who is the same person, and who is on a list: keys, hashes, lists in CSV."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.routing.agreed import Buyer, DuplicateRule, Suppression
from simulator.routing.decision import Lead
from simulator.routing.duplicates import cutoff, keys, known_by
from simulator.routing.suppression import buyer_suppresses, hit, md5_of, read_csv

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
LEAD = Lead(
    {"mobile": "2125550123", "email": "A@Example.com ", "case_no": " A-17 ", "age": 40, "tags": ["x"]},
    phone="2125550123",
    email="a@example.com",
)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def rule(*fields: str, days: int = 30) -> DuplicateRule:
    return DuplicateRule(fields, timedelta(days=days))


def test_each_field_of_the_rule_gives_one_key() -> None:
    assert keys(rule("phone", "email", "case_no", "age"), LEAD) == (
        "phone:2125550123",
        "email:a@example.com",
        "case_no:a-17",
        "age:40",
    )


def test_mobile_and_phone_are_one_key() -> None:
    assert keys(rule("mobile", "phone"), LEAD) == ("phone:2125550123",)


def test_what_a_lead_does_not_have_gives_no_key() -> None:
    assert keys(rule("phone", "email", "case_no", "tags"), Lead({"tags": ["x"], "case_no": " "})) == ()


def test_a_key_is_short_and_printable_whatever_was_sent() -> None:
    for value in ("x" * 100_000, "a\x00b", "\ud800"):
        (key,) = keys(rule("case_no"), Lead({"case_no": value}))
        assert re.fullmatch(r"case_no:sha256=[0-9a-f]{64}", key)


def test_two_long_values_have_two_keys() -> None:
    one, other = (keys(rule("x"), Lead({"x": "y" * 300 + end})) for end in "ab")
    assert one != other


def test_the_cutoff_is_one_window_before_now() -> None:
    assert cutoff(rule("phone"), NOW) == NOW - timedelta(days=30)


def test_a_lifetime_window_reaches_back_to_the_beginning() -> None:
    assert cutoff(DuplicateRule(("phone",), timedelta.max), NOW).year == 1


@pytest.mark.parametrize("spelling", ["2125550123", "(212) 555-0123", "+1 212-555-0123", "12125550123", 2125550123])
def test_all_spellings_of_a_phone_number_have_one_hash(spelling: Any) -> None:
    assert md5_of("mobile", spelling) == md5_of("phone", spelling) == md5("2125550123")


def test_an_email_is_hashed_trimmed_and_lower_case() -> None:
    assert md5_of("email", "  A@Example.COM ") == md5("a@example.com")


def listed(field: str, value: str, *, days: int = 0, ago: timedelta = timedelta(days=1)) -> Suppression:
    return Suppression("list", field, {md5(value): NOW - ago}, days)


@pytest.mark.parametrize("field", ["phone", "mobile"])
def test_a_listed_phone_is_hit_under_either_name(field: Any) -> None:
    assert hit(listed(field, "2125550123"), LEAD, NOW)


def test_a_custom_field_can_be_listed() -> None:
    assert hit(listed("case_no", "a-17"), LEAD, NOW)


def test_a_lead_without_the_field_is_not_hit() -> None:
    assert not hit(listed("phone", ""), Lead({}), NOW)


def test_90_days_are_90_days_and_0_is_for_ever() -> None:
    almost, exactly = timedelta(days=90, seconds=-1), timedelta(days=90)
    assert hit(listed("email", "a@example.com", days=90, ago=almost), LEAD, NOW)
    assert not hit(listed("email", "a@example.com", days=90, ago=exactly), LEAD, NOW)
    assert hit(listed("email", "a@example.com", days=0, ago=exactly * 100), LEAD, NOW)
    assert hit(listed("email", "a@example.com", days=10**12, ago=exactly), LEAD, NOW)


def test_an_entry_listed_later_than_now_does_not_count_yet() -> None:
    assert not hit(listed("email", "a@example.com", ago=timedelta(seconds=-1)), LEAD, NOW)
    assert hit(listed("email", "a@example.com", ago=timedelta(0)), LEAD, NOW)


@pytest.mark.parametrize("value", ["2125550123", "a@example.com"])
def test_a_buyer_suppresses_by_phone_or_by_email(value: Any) -> None:
    assert buyer_suppresses(Buyer("b", suppressed=frozenset({md5(value)})), LEAD)


def test_a_buyer_does_not_suppress_a_lead_without_phone_and_email() -> None:
    assert not buyer_suppresses(Buyer("b", suppressed=frozenset({md5("")})), Lead({}))
    assert not buyer_suppresses(Buyer("b"), LEAD)


def test_a_list_may_hold_plain_values_and_hashes_side_by_side() -> None:
    rows = [
        "\ufeffPhone, email",
        "(212) 555-0123,A@example.com",
        "",
        f",{md5('b@example.com').upper()}",
        "2125550124",
    ]
    assert read_csv("\r\n".join(rows)) == {
        md5(v) for v in ("2125550123", "a@example.com", "b@example.com", "2125550124")
    }


def test_a_list_may_be_empty_below_its_header() -> None:
    assert read_csv("email\n") == frozenset()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("2125550123\n", 1),
        ("phone,phone\n", 1),
        ("phone,name\n", 1),
        ("phone\n2125550123\nJohn\n", 3),
        ("email\n2125550123\n", 2),
        ("phone\n555\n", 2),
        ("phone\n2125550123,a@example.com\n", 2),
        ('phone\n\n"2125550123\n', 3),
    ],
)
def test_a_mistake_in_a_list_is_named_with_its_line(text: Any, line: Any) -> None:
    with pytest.raises(ValueError, match=f"^line {line}: "):
        read_csv(text)


@settings(deadline=None)
@given(st.text(alphabet='phone,email"\r\n\x00 @1a\ud800', max_size=40))
def test_no_text_makes_a_list_fail_otherwise_than_by_naming_a_line(text: Any) -> None:
    try:
        found = read_csv("phone,email\n" + text)
    except ValueError as error:
        assert str(error).startswith("line ")  # noqa: PT017
    else:
        assert all(re.fullmatch("[0-9a-f]{32}", one) for one in found)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["phone", "email", "x"]), st.none() | st.floats() | st.text() | st.lists(st.none()))
)
def test_whatever_a_lead_holds_it_has_keys_and_hashes(values: Any) -> None:
    lead = Lead(values, phone=str(values.get("phone", "")), email=str(values.get("email", "")))
    found = keys(rule("phone", "email", "x"), lead)
    assert len(found) == sum(bool(known_by(field, lead)) for field in ("phone", "email", "x"))
    assert not hit(listed("x", "nobody sends this"), lead, NOW)
