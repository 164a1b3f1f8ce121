"""Values: read from forms, transformed, left alone where they make no sense."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.routing.agreed import Field, FieldType
from simulator.routing.fields import (
    TRANSFORMS,
    coerce,
    is_blank,
    text_of,
    transformed,
    us_digits,
    without_blanks,
)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (FieldType.INTEGER, " 42 ", 42),
        (FieldType.INTEGER, "-7", -7),
        (FieldType.INTEGER, "4.0", "4.0"),
        (FieldType.INTEGER, "forty", "forty"),
        (FieldType.INTEGER, "4_2", "4_2"),
        (FieldType.INTEGER, "٤٢", "٤٢"),
        (FieldType.INTEGER, "9" * 5000, "9" * 5000),
        (FieldType.NUMBER, "2.50", 2.5),
        (FieldType.NUMBER, "3", 3),
        (FieldType.NUMBER, "nan", "nan"),
        (FieldType.NUMBER, "1e999", "1e999"),
        (FieldType.BOOLEAN, "Yes", True),
        (FieldType.BOOLEAN, "1", True),
        (FieldType.BOOLEAN, "off", False),
        (FieldType.BOOLEAN, "maybe", "maybe"),
        (FieldType.PHONE, "2125550123", "2125550123"),
        (FieldType.ZIP, "01234", "01234"),
        (FieldType.STRING, " kept ", " kept "),
    ],
)
def test_a_form_value_becomes_its_type_or_stays_as_it_was_sent(kind: Any, text: Any, value: Any) -> None:
    found = coerce(Field("x", kind), text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("transform", "sent", "kept"),
    [
        ("phone_e164", "(212) 555-0123", "+12125550123"),
        ("phone_e164", "1-212-555-0123", "+12125550123"),
        ("phone_e164", "+1 212.555.0123", "+12125550123"),
        ("phone_e164", 2125550123, "+12125550123"),
        ("phone_e164", "+44 20 7946 0123", "+442079460123"),
        ("phone_e164", "555-0123", "555-0123"),
        ("phone_e164", "+1 212 555 0123 ext. 4", "+1 212 555 0123 ext. 4"),
        ("phone_digits", "+1 (212) 555-0123", "2125550123"),
        ("phone_digits", "call me", "call me"),
        ("date_iso", "02/03/2024", "2024-02-03"),
        ("date_iso", "2/3/2024", "2024-02-03"),
        ("date_iso", "2024-02-03", "2024-02-03"),
        ("date_iso", "2024-02-03T23:30:00-05:00", "2024-02-03"),
        ("date_iso", "2024-02-03t23:30:00z", "2024-02-03"),
        ("date_iso", "31/12/2024", "31/12/2024"),
        ("date_iso", "2024-02-30", "2024-02-30"),
        ("date_iso", 20240203, 20240203),
        ("lower", "A@Example.COM", "a@example.com"),
        ("upper", "ny", "NY"),
        ("trim", "  x ", "x"),
        ("title", "mary o'neil", "Mary O'Neil"),
        ("upper", 5, 5),
        ("number", "$1,200.50", 1200.5),
        ("number", " 1,200 ", 1200),
        ("number", "lots", "lots"),
        ("number", True, True),
        ("", "as it is", "as it is"),
        ("unknown", "as it is", "as it is"),
    ],
)
def test_a_transform_changes_what_it_understands_and_leaves_the_rest(transform: Any, sent: Any, kept: Any) -> None:
    found = transformed(Field("x", transform=transform), sent)
    assert (type(found), found) == (type(kept), kept)


PHONES = st.from_regex(r"\+?[0-9]{7,12}", fullmatch=True)
DATES = st.dates().map(lambda day: day.strftime("%m/%d/%Y")) | st.datetimes().map(str)


@settings(deadline=None)
@given(st.sampled_from(sorted(TRANSFORMS)), PHONES | DATES | st.text("aB 1$,.-é", max_size=12))
def test_transforming_twice_is_transforming_once(transform: Any, value: Any) -> None:
    once = transformed(Field("x", transform=transform), value)
    assert transformed(Field("x", transform=transform), once) == once


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none())


@settings(deadline=None)
@given(st.sampled_from(sorted(TRANSFORMS)), ANYTHING)
def test_no_value_makes_a_transform_raise_or_vanish(transform: Any, value: Any) -> None:
    assert (transformed(Field("x", transform=transform), value) is None) is (value is None)


@settings(deadline=None)
@given(st.sampled_from(FieldType), st.text() | st.text("0123456789.+-", max_size=40))
def test_no_form_value_makes_coerce_raise(kind: Any, text: Any) -> None:
    found = coerce(Field("x", kind), text)
    assert found == text or not isinstance(found, str)


@settings(deadline=None)
@given(st.text())
def test_a_phone_number_has_one_set_of_digits(text: Any) -> None:
    digits = us_digits(text)
    assert us_digits(digits) == digits
    assert digits.isdecimal() or not digits
    assert us_digits(f"+1 {digits}") == digits or len(digits) != 10


def test_null_and_blank_text_count_as_not_sent() -> None:
    sent: dict[str, Any] = {"a": None, "b": "", "c": " \t", "d": 0, "e": False, "f": "x", "g": [], "h": {}}
    assert without_blanks(sent) == {"d": 0, "e": False, "f": "x", "g": [], "h": {}}
    assert is_blank("\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (5, "5"), (5.0, "5"), (2.5, "2.5"), (None, ""), ([1], ""), ({}, ""), ("x", "x")],
)
def test_a_scalar_has_the_text_that_people_would_write(value: Any, text: Any) -> None:
    assert text_of(value) == text


def test_a_huge_integer_has_a_text() -> None:
    assert len(text_of(10**5000)) == 5001
