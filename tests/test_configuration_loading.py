"""What the sandbox file's reader accepts, and how it words what it refuses."""

from __future__ import annotations

import json
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from simulator.configuration.composing import MAX_BYTES
from simulator.configuration.loading import ConfigurationError, Problem, parse, read, read_file, schema
from simulator.configuration.problems import did_you_mean, key_of
from simulator.configuration.scalars import resolved


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Period(StrEnum):
    DAY = "day"
    MONTH = "month"


class Test(Part):
    __test__ = False

    field: str
    operator: Literal["eq", "in"] = "eq"
    value: Any = None

    @model_validator(mode="after")
    def _in_needs_a_list(self) -> Test:
        if self.operator == "in" and not isinstance(self.value, list):
            raise ValueError("the operator in needs a list")
        return self


class Group(Part):
    any_of: tuple[Test | Group, ...] = Field(min_length=1)


class Click(Part):
    kind: Literal["click"]
    link: str


class Call(Part):
    kind: Literal["call"]
    number: str


class Source(Part):
    id: str = Field(min_length=1, description="The id in the link.")
    type: Literal["CS", "MC", "MP"] = "CS"
    link_id: str = ""
    price: Decimal = Field(Decimal(0), ge=0)
    caps: dict[Period, int] = {}
    zip_codes: frozenset[str] = frozenset()
    secret: SecretStr = SecretStr("")
    from_: str = Field("", alias="from")

    @field_validator("link_id")
    @classmethod
    def _prefixed(cls, value: str) -> str:
        if value and not value.startswith("lnk_"):
            raise ValueError("a link id starts with lnk_")
        return value


class Campaign(Part):
    """A campaign of the account."""

    id: str
    sources: list[Source] = []
    filters: Test | Group | None = None
    channel: Annotated[Click | Call, Field(discriminator="kind")] | None = None
    owner: str | list[Source] = ""
    day: date | None = None
    opens: time | None = None
    ratio: float = 1
    active: bool = True
    weights: dict[int, Source] = {}
    limit: int | Literal["none"] = "none"


class Sandbox(Part):
    campaigns: list[Campaign] = []
    prices: dict[str, Decimal] = {}
    anything: Any = None


class Lenient(BaseModel):
    ratio: float = 0
    ratios: dict[str, list[float]] = {}
    limit: int = 0


def problems_in(text: str, model: type[BaseModel] = Sandbox, **more: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(text, name="f", model=model, **more)
    return [str(problem) for problem in caught.value.problems]


def campaign(text: str) -> Campaign:
    return read(f"campaigns: [{{id: c, {text}}}]", name="f", model=Sandbox).campaigns[0]


def test_a_file_becomes_the_model() -> None:
    text = """
campaigns:
  - id: c1
    sources:
      - {id: a, type: MC, price: 12.50, caps: {day: 5}, from: "x"}
    filters: {any_of: [{field: zip, operator: in, value: ["01234"]}]}
    channel: {kind: call, number: "2125550123"}
    day: 2026-01-31
    opens: 08:30
    limit: 5
    weights: {7: {id: b}}
prices: {01234: 1.10}
"""
    sandbox = read(text, name="f", model=Sandbox)
    made = sandbox.campaigns[0]
    assert made.sources[0].price == Decimal("12.50")
    assert made.sources[0].caps == {Period.DAY: 5}
    assert made.sources[0].from_ == "x"
    assert isinstance(made.filters, Group)
    assert made.channel == Call(kind="call", number="2125550123")
    assert made.day == date(2026, 1, 31)
    assert made.opens == time(8, 30)
    assert made.limit == 5
    assert made.weights[7].id == "b"
    assert sandbox.prices == {"01234": Decimal("1.1")}


@pytest.mark.parametrize("written", ["01234", "12345", "1e5", "12e9999", "0x1F", "true", "1.10", "9" * 5000])
def test_text_stays_what_was_written_though_it_looks_like_a_number(written: str) -> None:
    assert campaign(f"sources: [{{id: {written}}}]").sources[0].id == written


def test_items_of_a_set_stay_what_was_written() -> None:
    assert campaign("sources: [{id: a, zip_codes: [01234, 12345]}]").sources[0].zip_codes == {
        "01234",
        "12345",
    }


def test_text_in_a_union_with_a_number_is_text_only_where_it_has_to_be() -> None:
    assert campaign("limit: none").limit == "none"
    assert campaign("limit: 12").limit == 12


def test_a_zip_code_keeps_its_leading_zero_where_anything_may_stand() -> None:
    assert read("anything: [01234, 1234, yes, 1_000]", name="f", model=Sandbox).anything == [
        "01234",
        1234,
        "yes",
        "1_000",
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("nULL", "nULL"),
        ("True", True),
        ("no", "no"),
        ("on", "on"),
        ("-17", -17),
        ("+3", 3),
        ("0", 0),
        ("0o17", 15),
        ("0b1", "0b1"),
        ("017", "017"),
        ("-.5e1", -5.0),
        ("1.", 1.0),
        ("2026-01-31", "2026-01-31"),
        ("8:30", "8:30"),
        ("1e999", "1e999"),
    ],
)
def test_plain_words_mean_what_the_core_schema_of_yaml_1_2_says(written: str, value: object) -> None:
    assert resolved(written) == value
    assert type(resolved(written)) is type(value)


def test_an_anchor_may_be_used_again_and_its_uses_share_nothing() -> None:
    text = "campaigns:\n- &one {id: 5, owner: x}\n- *one\nanything: &n [1]\nprices: {}"
    first, second = read(text, name="f", model=Sandbox).campaigns
    assert first.id == second.id == "5"


BROKEN = [
    ("", "f:1:1: is empty"),
    ("# only words\n", "f:1:1: is empty"),
    ("---\n...\n", "f:1:1: is empty"),
    ("- a\n", "f:1:1: must be a mapping (key: value) at the top level, not a list"),
    ("\n  word", "f:2:3: must be a mapping (key: value) at the top level, not a single value"),
    ("prices: {}\n---\nprices: {}", "f:2:1: holds more than one document; remove this ---"),
    ("prices:\n\tTX: 1", "f:2:1: is indented with a tab; YAML allows only spaces here"),
    ("prices: {}\nprices: {}", "f:2:1: prices: is written twice; the first is on line 1"),
    ("prices: {TX: 1, TX: 2}", "f:1:17: prices.TX: is written twice; the first is on line 1"),
    ("prices: {TX: .inf}", "f:1:14: prices.TX: must be a finite number (got .inf)"),
    ("prices: {TX: -.INF}", "f:1:14: prices.TX: must be a finite number (got -.INF)"),
    ("anything: .nan", "f:1:11: anything: must be a finite number (got .nan)"),
    ("anything: !!python/name:os.system x", ("f:1:11: anything: carries a tag (!!python/name:os.system); "
     "tags are not read here; remove it")),
    ("anything: *x", "f:1:11: anything: *x refers to nothing that is complete above it"),
    ("anything: &x [*x]", "f:1:15: anything[0]: *x refers to nothing that is complete above it"),
    ("anything:\n  ? [a]\n  : b", "f:2:5: anything: a key must be a single word, not a list or a mapping"),
    ("anything:\n  ~: 1", "f:2:3: anything: a key is empty"),
    ("anything: {<<: {a: 1}}", ("f:1:12: anything: holds a merge key (<<); YAML 1.2 has none: write the keys "
     "out, or give the whole value an anchor")),
    ("é: \x07", "f:1:4: holds the control character U+0007, which YAML does not allow; remove it"),
    ("é: '\ud800'", "f:1:5: holds the control character U+D800, which YAML does not allow; remove it"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), BROKEN)
def test_what_is_no_usable_yaml_is_one_problem(text: str, problem: str) -> None:
    assert problems_in(text) == [problem]


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("prices: {TX: 1\n", "f:2:1: ", "not closed"),
        ("prices: [1,", "f:1:12: ", "not closed"),
        ("prices: 'x", "f:1:11: ", "a quote is not closed"),
        ("a: b: c", "f:1:5: ", "needs quotes"),
        ("a: @b", "f:1:4: ", "needs quotes"),
        ("a:\n  - b\n c: d", "f:3:2: ", "indentation"),
        ('a: "\\d"', "f:1:5: ", "single quotes"),
    ],
)
def test_a_syntax_error_names_its_place_and_what_to_do(text: str, where: str, hint: str) -> None:
    [problem] = problems_in(text)
    assert problem.startswith(where + "is not valid YAML: ")
    assert hint in problem


WRONG = [
    ("campains: []", 'f:1:1: campains: is not a known key; did you mean "campaigns"?'),
    ("other: 1", "f:1:1: other: is not a known key; known here: campaigns, prices, anything"),
    ("campaigns:\n  - id: a\n    Sources:\n      - x",
     'f:3:5: campaigns[0].Sources: is not a known key; did you mean "sources"?'),
    ("campaigns:\n  - sources: []", "f:2:5: campaigns[0].id: is missing"),
    ("campaigns: [{id: a, weights: {\n 7: {type: CS}}}]", "f:2:2: campaigns[0].weights.7.id: is missing"),
    ("campaigns:\n - id: a\n   channel:\n     kind: click", "f:3:4: campaigns[0].channel.link: is missing"),
    ("campaigns: 5", "f:1:12: campaigns: must be a list (got 5)"),
    ("campaigns:", "f:1:11: campaigns: must be a list (got nothing)"),
    ("campaigns: [x]", 'f:1:13: campaigns[0]: must be a mapping (key: value) (got "x")'),
    ("campaigns: {id: a}", "f:1:12: campaigns: must be a list (got a mapping)"),
    ("prices:\n- 1", "f:2:1: prices: must be a mapping (key: value) (got a list)"),
    ("prices: {a b: x}", 'f:1:15: prices["a b"]: must be a number (got "x")'),
    ("campaigns: [{id: }]", "f:1:18: campaigns[0].id: must be text (got nothing)"),
    ("campaigns: [{id: [1]}]", "f:1:18: campaigns[0].id: must be text (got a list)"),
]  # fmt: skip

WRONG_IN_A_CAMPAIGN = [
    ("active: yes", 'f:3:11: campaigns[0].active: must be true or false (got "yes")'),
    ("ratio: high", 'f:3:10: campaigns[0].ratio: must be a number (got "high")'),
    ("day: 31.1.2026", 'f:3:8: campaigns[0].day: must be a date such as 2026-01-31 (got "31.1.2026")'),
    ("opens: late", 'f:3:10: campaigns[0].opens: must be a time such as 08:30 (got "late")'),
    ("limit: [1]", "f:3:10: campaigns[0].limit: must be a whole number or none (got a list)"),
    ("owner: {a: 1}", "f:3:10: campaigns[0].owner: must be text or a list (got a mapping)"),
    ("owner: [{id: a, typ: CS}]",
     'f:3:19: campaigns[0].owner[0].typ: is not a known key; did you mean "type"?'),
    ("filters: {field: a, operator: eqq}",
     'f:3:33: campaigns[0].filters.operator: must be one of eq, in (got "eqq"); did you mean "eq"?'),
    ("filters: {field: a, operator: in}", "f:3:12: campaigns[0].filters: the operator in needs a list"),
    ("filters: {any_of: []}", "f:3:21: campaigns[0].filters.any_of: must have at least 1 entry"),
    ("filters: {any_of: [{field: a}, {any_of: [{field: [1]}]}]}",
     "f:3:52: campaigns[0].filters.any_of[1].any_of[0].field: must be text (got a list)"),
    ("filters: {any_of: [{fild: a, operator: eq, field: b}]}",
     'f:3:23: campaigns[0].filters.any_of[0].fild: is not a known key; did you mean "field"?'),
    ("filters: 5", "f:3:12: campaigns[0].filters: must be a mapping (key: value) (got 5)"),
    ("channel: {kind: clik}",
     'f:3:19: campaigns[0].channel.kind: must be one of click, call (got "clik"); did you mean "click"?'),
    ("channel: {link: x}", "f:3:3: campaigns[0].channel.kind: is missing"),
    ("channel: {kind: call, number: '1', nummer: 2}",
     'f:3:38: campaigns[0].channel.nummer: is not a known key; did you mean "number"?'),
]  # fmt: skip

WRONG_IN_A_SOURCE = [
    ("type: XX", 'f:4:13: campaigns[0].sources[0].type: must be one of CS, MC, MP (got "XX")'),
    ("type: mc", ('f:4:13: campaigns[0].sources[0].type: must be one of CS, MC, MP (got "mc"); '
     'did you mean "MC"?')),
    ("price: -0.01", "f:4:14: campaigns[0].sources[0].price: must be greater than or equal to 0 (got -0.01)"),
    ("price: nan", 'f:4:14: campaigns[0].sources[0].price: must be a finite number (got "nan")'),
    ("link_id: abc", "f:4:16: campaigns[0].sources[0].link_id: a link id starts with lnk_"),
    ("caps: {daily: 5}", ("f:4:14: campaigns[0].sources[0].caps.daily: the key must be one of day, month; "
     'did you mean "day"?')),
    ("caps: {day: 1.5}", "f:4:19: campaigns[0].sources[0].caps.day: must be a whole number (got 1.5)"),
    ("caps: {day: true}", "f:4:19: campaigns[0].sources[0].caps.day: must be a whole number (got true)"),
    ("caps: {day: 007}", 'f:4:19: campaigns[0].sources[0].caps.day: must be a whole number (got "007")'),
    ("zip_codes: [01234, []]", "f:4:26: campaigns[0].sources[0].zip_codes[1]: must be text (got a list)"),
    ("secret: [hidden]", "f:4:15: campaigns[0].sources[0].secret: must be text"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *WRONG,
        *((f"campaigns:\n- id: c\n  {text}\n", problem) for text, problem in WRONG_IN_A_CAMPAIGN),
        *(
            (f"campaigns:\n- id: c\n  sources:\n   - {{{text}, id: s}}\n", problem)
            for text, problem in WRONG_IN_A_SOURCE
        ),
    ],
)
def test_a_wrong_value_is_named_by_line_column_and_key(text: str, problem: str) -> None:
    assert problems_in(text) == [problem]


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    text = "prices: {TX: x}\nprices: {}\ncampaigns:\n  - id: a\n    day: x\n  - idd: b\n"
    assert problems_in(text) == [
        'f:1:14: prices.TX: must be a number (got "x")',
        "f:2:1: prices: is written twice; the first is on line 1",
        'f:5:10: campaigns[0].day: must be a date such as 2026-01-31 (got "x")',
        "f:6:5: campaigns[1].id: is missing",
        'f:6:5: campaigns[1].idd: is not a known key; did you mean "id"?',
    ]


def test_a_wrong_secret_is_not_repeated() -> None:
    assert not any("hunter2" in line for line in problems_in("campaigns: [{id: a, sources: [{secret: {x: hunter2}}]}]"))


def test_long_values_are_cut_in_messages() -> None:
    [problem] = problems_in(f"prices: {{a: {'x' * 500}}}")
    assert len(problem) < 150


def test_columns_count_characters_and_windows_line_ends_count_once() -> None:
    assert problems_in("\ufeffanything: ünï\r\nprices: {é: x}\r\n") == ['f:2:13: prices.é: must be a number (got "x")']


@pytest.mark.parametrize("word", ["nan", "inf", "-Infinity"])
def test_a_lenient_number_field_takes_no_infinity_either(word: str) -> None:
    assert problems_in(f"ratio: {word}", Lenient) == ["f:1:8: ratio: must be a finite number"]
    assert problems_in(f"ratios: {{a: [1, {word}]}}", Lenient) == ["f:1:17: ratios.a[1]: must be a finite number"]


def test_a_lenient_whole_number_may_have_leading_zeros() -> None:
    assert read("limit: 007", name="f", model=Lenient).limit == 7


def test_aliases_that_multiply_are_refused_before_they_are_written_out() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    [problem] = problems_in("\n".join(lines))
    assert problem.startswith("f:5:5: holds more than 100,000 keys and values")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "{", "&a [", "[? "])
def test_nesting_without_end_is_refused(opening: str) -> None:
    [problem] = problems_in("anything:\n " + opening * 50_000)
    assert "or 50 levels" in problem or "a key must be a single word" in problem


def test_a_file_with_too_many_values_is_refused() -> None:
    [problem] = problems_in("anything:\n" + "- a\n" * 100_001)
    assert "holds more than 100,000 keys and values" in problem


def test_checks_name_the_line_and_guess_what_was_meant() -> None:
    def checks(sandbox: Sandbox) -> list[tuple[tuple[str | int, ...], str, list[str]]]:
        known = [each.id for each in sandbox.campaigns]
        return [
            (("campaigns", 1, "owner"), "no campaign has this id", known),
            (("campaigns", 0, "ratio", "deeper"), "is not in the file", []),
            ((), "as a whole", []),
        ]

    text = "campaigns:\n  - id: first\n  - id: second\n    owner: frist\n"
    assert problems_in(text, checks=checks) == [
        "f:1:1: as a whole",
        "f:2:5: campaigns[0].ratio.deeper: is not in the file",
        'f:4:12: campaigns[1].owner: no campaign has this id; did you mean "first"?',
    ]


def test_checks_do_not_see_a_model_that_is_not_valid() -> None:
    def checks(sandbox: Sandbox) -> list[tuple[tuple[str | int, ...], str, list[str]]]:
        raise AssertionError(sandbox)

    assert problems_in("campaigns: 5", checks=checks) == ["f:1:12: campaigns: must be a list (got 5)"]


def test_checks_that_find_nothing_let_the_model_pass() -> None:
    assert read("prices: {}", name="f", model=Sandbox, checks=lambda _: []) == Sandbox()


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ((), (1, 1), (1, 1)),
        (("a",), (2, 3), (1, 1)),
        (("a", 0), (2, 5), (2, 5)),
        (("a", 0, "b"), (2, 8), (2, 5)),
        (("a", 1, "c"), (3, 9), (3, 6)),
        (("a", 1, "c", 1), (3, 13), (3, 13)),
        (("a", 9), (2, 3), (1, 1)),
        (("a", 0, "nothing", "here"), (2, 5), (2, 5)),
    ],
)
def test_a_document_locates_values_and_keys(
    path: tuple[str | int, ...], value: tuple[int, int], key: tuple[int, int]
) -> None:
    document = parse("a:\n  - b: 1\n  - {c: [5, 6]}\n", name="f")
    assert document.locate(path) == value
    assert document.locate_key(path) == key


def test_a_file_is_read_under_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.yaml"
    path.write_text("prices: {TX: 1}\n", encoding="utf-8")
    assert read_file(path, Sandbox).prices == {"TX": 1}
    path.write_text("pricess: {}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_file(path, Sandbox)
    assert str(caught.value) == f'{path}:1:1: pricess: is not a known key; did you mean "prices"?'


def problem_with_file(path: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_file(str(path), Sandbox)
    [problem] = caught.value.problems
    return str(problem).removeprefix(str(path))


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    assert problem_with_file(tmp_path / "none.yaml") == ": there is no such file"
    assert problem_with_file(tmp_path) == ": is a folder, not a file"
    assert problem_with_file(tmp_path / "a\0b").startswith(": cannot be read: ")


def test_a_file_that_is_not_utf_8_or_too_large_is_one_problem(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.yaml"
    path.write_bytes("a: b\nné: x".encode("latin-1"))
    assert problem_with_file(path) == ":2:2: is not UTF-8 text (byte 0xe9); save it as UTF-8"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert problem_with_file(path) == ": is larger than 5 MiB"
    assert problems_in("#" * (MAX_BYTES + 1)) == ["f: is larger than 5 MiB"]


def test_the_published_schema_is_valid_and_describes_the_file() -> None:
    published = schema(Sandbox)
    jsonschema.Draft202012Validator.check_schema(published)
    assert published["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert published["$id"] == "urn:leadsandbox:schema:sandbox"
    assert published["$defs"]["Source"]["properties"]["id"]["description"] == "The id in the link."
    checker = jsonschema.Draft202012Validator(published)
    assert checker.is_valid({"campaigns": [{"id": "a", "sources": [{"id": "b", "from": "x"}]}]})
    assert not checker.is_valid({"campaigns": [{"id": "a", "sources": [{"id": "b", "typ": "CS"}]}]})
    assert json.loads(json.dumps(published)) == published


def test_a_problem_without_hint_or_line_is_worded_without_them() -> None:
    assert str(Problem("f", 0, 0, "", "is odd")) == "f: is odd"
    assert str(Problem("f", 3, 4, "a", "is odd", "see b")) == "f:3:4: a: is odd; see b"


def test_keys_are_written_as_people_write_them() -> None:
    assert key_of(("a", 0, "b-c", "d.e", 1)) == 'a[0].b-c["d.e"][1]'
    assert key_of((0, "a")) == "[0].a"


def test_a_guess_ignores_case_and_punctuation_and_stays_silent_when_nothing_is_near() -> None:
    assert did_you_mean("linkId", ["link_id", "id"]) == 'did you mean "link_id"?'
    assert did_you_mean("zzz", ["link_id", "id"]) == ""
    assert did_you_mean("", []) == ""


FRAGMENTS = st.sampled_from(
    [
        "campaigns", "id", "sources", "filters", "any_of", "field", "channel", "kind", "call", "prices",
        "limit", "owner", "weights", "caps", "secret", "<<", "01234", "1e999", "-5", "true", "~", ".nan", "'",
        '"', ":", ": ", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", "&a ", "*a", "!!str ", "? ",
        "|\n", ">\n", "#", "---",
        "\t", "\r\n", "%YAML 1.2\n", "é", "\x85", "\u2028", "\ufeff", "\x00", "\ud800", "\\ud800", "...",
    ]
)  # fmt: skip
KEYS = st.sampled_from([*Sandbox.model_fields, *Campaign.model_fields, *Source.model_fields, "any_of", "field", "x"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KEYS
TREES = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)),
)


def read_or_refused(text: str) -> None:
    lines = text.replace("\r\n", "\n").count("\n") + 1 + sum(map(text.count, "\r\x85\u2028\u2029"))
    try:
        made = read(text, name="f", model=Sandbox)
    except ConfigurationError as error:
        problems = error.problems
    else:
        assert isinstance(made, Sandbox)
        return
    assert problems
    assert all(1 <= problem.line <= lines and problem.message for problem in problems)


@given(st.text() | st.lists(FRAGMENTS, max_size=25).map("".join))
def test_any_text_is_a_model_or_a_list_of_problems(text: str) -> None:
    read_or_refused(text)


@given(TREES)
def test_any_tree_of_values_is_a_model_or_a_list_of_problems(tree: dict[str, Any]) -> None:
    read_or_refused(json.dumps(tree, ensure_ascii=False))
